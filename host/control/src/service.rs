//! The service: bound to its address, then run until it is told to stop.

mod connections;
mod tls;

use crate::condition::Condition;
use crate::control::{Change, Control};
use crate::host::Host;
use crate::options::Options;
use crate::reconcile;
use crate::registry;
use crate::security::token;
use crate::store::{backup, events, pipelines};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// Threads of the HTTP server. They wait for the network; all work is on others.
const THREADS: usize = 2;
/// How often old events and trash go.
const TIDY_INTERVAL: Duration = Duration::from_secs(3600);
/// How long requests under way may take when the service ends.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// Why the service did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Everybody could read the tokens.
    #[error(
        "{0} can be reached by others: give --tls-cert and --tls-key, or --allow-plaintext where the network is trusted"
    )]
    PlaintextRefused(SocketAddr),
    /// The address.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The certificate or the key.
    #[error("TLS: {0}")]
    Tls(String),
    /// The data directory or the store.
    #[error("cannot open the data directory: {0}")]
    DataDirectory(String),
    /// The operating system gave no thread.
    #[error("cannot start the server: {0}")]
    Threads(std::io::Error),
    /// Some did not stop in time.
    #[error("these pipelines did not stop in time, and begin at their last checkpoint: {}", .0.join(", "))]
    PipelinesLeft(Vec<String>),
}

/// A service that is bound.
pub struct Service {
    control: Arc<Control>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    address: SocketAddr,
    runtime: Runtime,
    condition: Condition,
}

impl Service {
    /// Opens the store and takes the address. Nothing is answered, and no pipeline started, before it runs.
    pub fn bind(options: Options, host: Arc<dyn Host>) -> Result<Service, ServiceError> {
        let wanted = options.listen;
        if !wanted.ip().is_loopback() && options.tls.is_none() && !options.insecure_listen {
            return Err(ServiceError::PlaintextRefused(wanted));
        }
        let tls = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let opening = |problem: crate::problem::Problem| {
            let way_out = problem.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
            ServiceError::DataDirectory(format!("{}{way_out}", problem.message))
        };
        registry::prepare(&options.data_dir).map_err(opening)?;
        let control = Arc::new(Control::open(options, host).map_err(opening)?);
        token::ensure_admin(&control).map_err(opening)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("control")
            .enable_all()
            .build()
            .map_err(ServiceError::Threads)?;
        let listening = |error| ServiceError::Listen(wanted, error);
        let listener = runtime.block_on(TcpListener::bind(wanted)).map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        // Set once, here: the cell is new.
        let _ = control.listening.set(address);
        let condition = Condition::new(control.clone());
        Ok(Service { control, listener, tls, address, runtime, condition })
    }

    /// How it is, also while it runs.
    pub fn condition(&self) -> Condition {
        self.condition.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts every pipeline that is to run, and answers requests until a message comes, or the sender is gone. Then
    /// stops all pipelines; what is desired of them stays. Blocks.
    pub fn run(self, shutdown: Receiver<()>) -> Result<(), ServiceError> {
        let Service { control, listener, tls, runtime, condition, .. } = self;
        condition.watch(runtime.handle().clone()).map_err(ServiceError::Threads)?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("control-shutdown".to_owned())
            .spawn(move || {
                let _ = shutdown.recv();
                // Gone where the server has ended by itself.
                let _ = stop.send(());
            })
            .map_err(ServiceError::Threads)?;
        let app = crate::http::app(control.clone());
        let limits = control.options.limits.clone();
        runtime.spawn(reconcile::start::start_all(control.clone()));
        runtime.spawn(tidy(control.clone()));
        runtime.spawn(back_up(control.clone()));
        runtime.spawn(note_start(control.clone()));
        runtime.block_on(connections::serve(&listener, tls, app, &limits, stopped, &control));
        let left = reconcile::close_all(&control, limits.close_time_max);
        if let Err(error) = backup::write(&control.store, &control.options.data_dir) {
            tracing::warn!("no backup of what the host remembers: {error}");
        }
        runtime.shutdown_timeout(DRAIN_TIME_MAX);
        match left.is_empty() {
            true => Ok(()),
            false => Err(ServiceError::PipelinesLeft(left)),
        }
    }
}

/// Keeps a whole copy of the store, for those who copy the data directory.
async fn back_up(control: Arc<Control>) {
    let mut ticks = tokio::time::interval(control.options.backup_interval);
    loop {
        ticks.tick().await;
        let control = control.clone();
        let done = crate::http::blocking(move || {
            backup::write(&control.store, &control.options.data_dir).map(|_| ())
        });
        if let Err(error) = done.await {
            tracing::warn!("no backup of what the host remembers: {error}");
        }
    }
}

/// Remembers that this weir serves. A start does not wait for it.
async fn note_start(control: Arc<Control>) {
    let noted = crate::http::blocking(move || crate::upgrade::note_start(&control)).await;
    if let Err(error) = noted {
        tracing::warn!("which weir serves is not noted: {error}");
    }
}

/// Removes what is old, at once and then every hour.
async fn tidy(control: Arc<Control>) {
    let mut ticks = tokio::time::interval(TIDY_INTERVAL);
    loop {
        ticks.tick().await;
        let control = control.clone();
        let done = crate::http::blocking(move || {
            let retention = control.options.trash_retention;
            control.host.empty_trash(retention)?;
            let before =
                control.now().saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
            control.store.write(|transaction| {
                for name in pipelines::forget_deleted(transaction, before)? {
                    control.note(transaction, &Change::of_pipeline("weir", "trash.empty", &name))?;
                }
                events::forget_old(transaction, control.options.limits.events_kept_max)
            })
        });
        if let Err(error) = done.await {
            tracing::warn!("old events and trash stay: {error}");
        }
    }
}
