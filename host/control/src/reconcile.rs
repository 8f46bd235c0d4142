//! Carries out what [`crate::deployment`] decides: each pipeline has a slot with its state, and a thread that launches,
//! stops and lets go, one after the other. Events step the state at once; only actions wait for the thread.

mod observer;
mod outcome;
pub mod start;

pub use outcome::end_swap;

use crate::control::Control;
use crate::deployment::{Action, Actual, Deployment, Event, next};
use crate::host::{RunningPipeline, StartPipeline};
use crate::name::Name;
use crate::pipelines;
use crate::pipelines::plan::resolve;
use crate::problem::{Code, Problem};
use crate::store::pipelines::Pipeline;
use crate::store::swaps::SwapState;
use crate::store::{events, revisions, swaps};
use observer::Observer;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Restarts whose causes a status shows.
const RESTARTS_SHOWN_MAX: usize = 20;

/// All pipelines that were touched since the service started.
#[derive(Default)]
pub struct Slots {
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    by_name: BTreeMap<String, Arc<Slot>>,
    /// A place that is made from now on launches nothing.
    closing: bool,
}

/// A pipeline's place.
pub struct Slot {
    name: Name,
    /// Held while somebody changes what the pipeline is or does.
    pub gate: Mutex<()>,
    inner: Mutex<Inner>,
    changed: Condvar,
    actions: Sender<Action>,
}

struct Inner {
    deployment: Deployment,
    running: Option<Arc<dyn RunningPipeline>>,
    restarts: VecDeque<(i64, String)>,
    incarnation: Option<String>,
}

/// What a slot shows.
pub struct Shown {
    /// What the pipeline does.
    pub actual: Actual,
    /// Its life, where it has one that takes requests.
    pub running: Option<Arc<dyn RunningPipeline>>,
    /// When it was restarted, and why; oldest first.
    pub restarts: Vec<(i64, String)>,
    /// The incarnation that runs, or ran last.
    pub incarnation: Option<String>,
}

impl Slots {
    /// The place of a pipeline, which is made where there is none.
    pub fn slot(&self, control: &Arc<Control>, name: &Name) -> Result<Arc<Slot>, Problem> {
        let mut places = self.lock();
        if let Some(slot) = places.by_name.get(name.as_str()) {
            return Ok(slot.clone());
        }
        let (actions, to_do) = channel();
        let slot = Arc::new(Slot {
            name: name.clone(),
            gate: Mutex::new(()),
            inner: Mutex::new(Inner {
                deployment: Deployment { closing: places.closing, ..Deployment::stopped() },
                running: None,
                restarts: VecDeque::new(),
                incarnation: None,
            }),
            changed: Condvar::new(),
            actions,
        });
        let (weak_control, weak_slot) = (Arc::downgrade(control), Arc::downgrade(&slot));
        std::thread::Builder::new()
            .name(format!("deploy-{name}"))
            .spawn(move || work(&weak_control, &weak_slot, &to_do))?;
        places.by_name.insert(name.to_string(), slot.clone());
        Ok(slot)
    }

    /// What is known of each, by name.
    pub fn deployments(&self) -> Vec<(String, Deployment)> {
        let slots: Vec<Arc<Slot>> = self.lock().by_name.values().cloned().collect();
        slots.iter().map(|slot| (slot.name.to_string(), slot.lock().deployment.clone())).collect()
    }

    /// A deleted pipeline has no place; its thread ends.
    pub fn remove(&self, name: &Name) {
        self.lock().by_name.remove(name.as_str());
    }

    /// All of them; those that come later launch nothing.
    fn close(&self) -> Vec<Arc<Slot>> {
        let mut places = self.lock();
        places.closing = true;
        places.by_name.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Something has happened.
    pub fn step(&self, event: &Event) {
        let mut inner = self.lock();
        let (deployment, actions) = next(&inner.deployment, event);
        inner.deployment = deployment;
        for action in actions {
            // Sent under the lock, so that actions are carried out in the order of their events. The receiver lives as
            // long as this slot.
            let _ = self.actions.send(action);
        }
        self.changed.notify_all();
    }

    /// What it shows.
    pub fn show(&self) -> Shown {
        let inner = self.lock();
        let takes_requests =
            inner.deployment.actual.is_alive() && inner.deployment.actual != Actual::Stopping;
        Shown {
            actual: inner.deployment.actual.clone(),
            running: inner.running.clone().filter(|_| takes_requests),
            restarts: inner.restarts.iter().cloned().collect(),
            incarnation: inner.incarnation.clone(),
        }
    }

    /// Nobody else changes this pipeline meanwhile.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_restart(&self, at: i64, cause: &str) {
        let restarts = &mut self.lock().restarts;
        if restarts.len() == RESTARTS_SHOWN_MAX {
            restarts.pop_front();
        }
        restarts.push_back((at, cause.to_owned()));
    }

    fn note_incarnation(&self, incarnation: &str) {
        self.lock().incarnation = Some(incarnation.to_owned());
    }

    /// Waits until the pipeline is over; false where it is not by then.
    fn wait_for_end(&self, deadline: Instant) -> bool {
        let mut inner = self.lock();
        while inner.deployment.actual.is_alive() || inner.running.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops every pipeline, and waits; what is desired stays. Names those that did not stop in time.
pub fn close_all(control: &Control, time_max: Duration) -> Vec<String> {
    let slots = control.slots.close();
    slots.iter().for_each(|slot| slot.step(&Event::CloseAsked));
    let deadline = Instant::now() + time_max;
    slots.iter().filter(|slot| !slot.wait_for_end(deadline)).map(|slot| slot.name.to_string()).collect()
}

/// The thread of a slot.
fn work(control: &Weak<Control>, slot: &Weak<Slot>, to_do: &Receiver<Action>) {
    while let Ok(action) = to_do.recv() {
        let (Some(control), Some(slot)) = (control.upgrade(), slot.upgrade()) else { return };
        match action {
            Action::Launch => launch(&control, &slot),
            Action::Stop => {
                let running = slot.lock().running.clone();
                // None where the launch was refused, which ends it as well.
                if let Some(running) = running {
                    running.stop();
                }
            }
            Action::Release => {
                let running = slot.lock().running.take();
                // It may join threads, and is dropped without the lock.
                drop(running);
                slot.changed.notify_all();
            }
        }
    }
}

fn launch(control: &Arc<Control>, slot: &Arc<Slot>) {
    let started = catch_unwind(AssertUnwindSafe(|| {
        let (pipeline, start) = what_to_start(control, &slot.name)?;
        let Pipeline { id: pipeline, start: asked, .. } = pipeline;
        let observer = Observer { control: control.clone(), slot: slot.clone(), pipeline, start: asked };
        Ok(control.host.start(start, Arc::new(observer))?)
    }));
    let started: Result<_, Problem> =
        started.unwrap_or_else(|_| Err(Problem::internal("the start of a pipeline panicked")));
    match started {
        Ok(running) => {
            slot.lock().running = Some(Arc::from(running));
            slot.changed.notify_all();
        }
        Err(problem) => {
            let cause = match problem.details.is_empty() {
                true => problem.message,
                false => format!("{}: {}", problem.message, problem.details.join("; ")),
            };
            tell_refused(control, &slot.name, &cause);
            slot.step(&Event::LaunchRefused(cause));
        }
    }
}

fn tell_refused(control: &Control, name: &Name, cause: &str) {
    let told = control.store.write(|transaction| {
        let pipeline = pipelines::find(transaction, name)?;
        events::insert(transaction, pipeline.id, control.now(), "failed", &json!({ "cause": cause }))
    });
    match told {
        Ok(()) => control.wake(),
        Err(error) => tracing::error!(pipeline = %name, "an event is lost: {error}"),
    }
}

/// The applied document, and that of a swap whose end is not known.
fn what_to_start(control: &Control, name: &Name) -> Result<(Pipeline, StartPipeline), Problem> {
    let (pipeline, toml, open) = control.store.read(|connection| {
        let pipeline = pipelines::find(connection, name)?;
        let revision = match pipeline.applied {
            Some(number) => revisions::find(connection, pipeline.id, number)?,
            None => None,
        };
        let toml = revision.map(|revision| revision.toml);
        let open = swaps::find_open(connection, pipeline.id)?;
        Ok((pipeline, toml, open))
    })?;
    let toml = toml.ok_or_else(|| Problem::new(Code::NotApplied, "the pipeline was never applied"))?;
    let document = resolve(control, name, &toml)?.document;
    let candidate = match open.filter(|swap| swap.state == SwapState::Probation) {
        Some(swap) => Some(resolve(control, name, &swap.to_toml)?.document),
        None => None,
    };
    let start = StartPipeline {
        document,
        candidate,
        from_savepoint: pipeline.start.savepoint.clone(),
        replay_output: pipeline.start.replay_output,
        again: pipeline.start.again,
        restart_finished: pipeline.start.restart_finished,
        replay: pipeline.start.replay.clone(),
    };
    Ok((pipeline, start))
}
