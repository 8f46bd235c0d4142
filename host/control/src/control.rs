//! What all requests share: the store, the host, the pipelines at work. Everything here blocks; [`crate::http`] calls it
//! on threads that may.

use crate::clock::unix_ms;
use crate::host::Host;
use crate::options::Options;
use crate::problem::Problem;
use crate::reconcile::Slots;
use crate::store::{Store, audit, backup};
use rusqlite::Transaction;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::{Semaphore, watch};
use ulid::Generator;

/// The control plane without HTTP.
pub struct Control {
    /// What is remembered.
    pub store: Store,
    /// What does the work.
    pub host: Arc<dyn Host>,
    /// How the service runs.
    pub options: Options,
    /// Pipelines at work.
    pub slots: Slots,
    /// Counts up with every event of any pipeline; its end is the service's end.
    pub events: watch::Sender<u64>,
    /// Where the service listens, once it does.
    pub listening: OnceLock<SocketAddr>,
    /// All pipelines that are to run were given to their threads.
    pub ready: AtomicBool,
    /// The service ends: streams of events end too.
    pub closing: watch::Sender<bool>,
    /// Places for uploads.
    pub uploads: Arc<Semaphore>,
    /// Places for child processes.
    pub inspections: Arc<Semaphore>,
    /// Held while files of components appear or go.
    pub components: Mutex<()>,
    ids: Mutex<Generator>,
}

/// A change under way, for the audit log.
pub struct Change {
    /// Who.
    pub who: String,
    /// What, such as `pipeline.apply`.
    pub action: &'static str,
    /// On what.
    pub target: String,
    /// The component's digest.
    pub digest: Option<String>,
    /// The plan.
    pub plan_hash: Option<String>,
}

impl Control {
    /// Opens the store of a data directory.
    pub fn open(options: Options, host: Arc<dyn Host>) -> Result<Control, Problem> {
        backup::restore(&options.data_dir)?;
        let store = Store::open_at(&options.data_dir.join(backup::STORE), host.upgrade().schemas())?;
        Ok(Control {
            store,
            host,
            slots: Slots::default(),
            events: watch::Sender::new(0),
            listening: OnceLock::new(),
            ready: AtomicBool::new(false),
            closing: watch::Sender::new(false),
            uploads: Arc::new(Semaphore::new(options.limits.uploads_max)),
            inspections: Arc::new(Semaphore::new(options.limits.inspections_max)),
            components: Mutex::new(()),
            ids: Mutex::new(Generator::new()),
            options,
        })
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        unix_ms((self.options.clock)())
    }

    /// A ULID that is higher than the last.
    pub fn new_id(&self) -> String {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let id = ids.generate_from_datetime((self.options.clock)());
        id.expect("fewer than 2^80 ids are made in a millisecond").to_string()
    }

    /// A line of the audit log for what was done.
    pub fn line(&self, who: &str, action: &str, target: &str) -> audit::Line {
        audit::Line {
            id: 0,
            at: self.now(),
            who: who.to_owned(),
            action: action.to_owned(),
            target: target.to_owned(),
            digest: None,
            plan_hash: None,
            outcome: "ok".to_owned(),
        }
    }

    /// Writes that a change is made, together with it.
    pub fn note(&self, transaction: &Transaction<'_>, change: &Change) -> Result<(), Problem> {
        audit::insert(transaction, &self.line_of(change, "ok"))
    }

    /// Makes a change. Its body notes it where it succeeds; a refusal is noted here.
    pub fn change<T>(
        &self,
        mut change: Change,
        body: impl FnOnce(&mut Change) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let result = body(&mut change);
        if let Err(problem) = &result {
            let line = self.line_of(&change, problem.code.name());
            // The client learns of the refusal whether or not it could be written.
            if let Err(error) = self.store.write(|transaction| audit::insert(transaction, &line)) {
                tracing::error!("no line in the audit log: {error}");
            }
        }
        result
    }

    fn line_of(&self, change: &Change, outcome: &str) -> audit::Line {
        audit::Line {
            digest: change.digest.clone(),
            plan_hash: change.plan_hash.clone(),
            outcome: outcome.to_owned(),
            ..self.line(&change.who, change.action, &change.target)
        }
    }

    /// Tells those who watch that there are new events.
    pub fn wake(&self) {
        self.events.send_modify(|count| *count += 1);
    }
}

impl Change {
    /// By a caller, of a pipeline.
    pub fn of_pipeline(who: &str, action: &'static str, pipeline: &impl std::fmt::Display) -> Change {
        Change {
            who: who.to_owned(),
            action,
            target: format!("pipeline/{pipeline}"),
            digest: None,
            plan_hash: None,
        }
    }
}
