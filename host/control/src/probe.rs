//! A listener for probes and metrics beside everything else: `/livez`, `/readyz`, `/metrics`, and nothing more. Plain
//! HTTP without a token, for the kubelet and Prometheus, so nothing of a record and no secret is ever answered here.
//!
//! It has a thread and a network of its own: whatever the rest of the process does, it answers. Clients cannot hold it:
//! a connection is one request and has [`CONNECTION_TIME_MAX`], and where all places are taken the oldest connection
//! makes room for the newest.

mod answers;

use answers::app;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Open connections.
pub const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take, from its first byte to its end.
pub const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of a request's line and headers.
pub const HEADER_BYTES_MAX: usize = 16 << 10;
/// Threads for what may block: reading locks, files and disks.
const BLOCKING_THREADS_MAX: usize = 4;
/// How long to wait where the system has no socket left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The form of metrics that a client understands best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus' own text, 0.0.4.
    PrometheusText,
}

/// What is asked for probes and metrics. A refusal is one line for a person, without anything of a record.
pub trait Probe: Send + Sync + 'static {
    /// Is the process stuck? Must not wait for anything.
    fn alive(&self) -> Result<(), String>;

    /// Has it recovered?
    fn ready(&self) -> Result<(), String>;

    /// All metrics as they are now.
    fn metrics(&self, format: MetricsFormat) -> String;
}

/// Answers until it is dropped.
pub struct ProbeListener {
    address: SocketAddr,
    runtime: Option<Runtime>,
    _stop: oneshot::Sender<()>,
}

impl ProbeListener {
    /// Takes the address, and begins to answer.
    pub fn start(listen: SocketAddr, probe: Arc<dyn Probe>) -> std::io::Result<ProbeListener> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("probes")
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(listen))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        runtime.spawn(serve(listener, app(probe), stopped));
        Ok(ProbeListener { address, runtime: Some(runtime), _stop: stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ProbeListener {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A scrape that hangs on a disk keeps nobody from ending.
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, app: Router, mut stopped: oneshot::Receiver<()>) {
    let mut open: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("no connection for a probe taken in: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS_MAX
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(connection(stream, app.clone())));
    }
}

async fn connection(stream: TcpStream, app: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    if let Ok(Err(error)) = timeout(CONNECTION_TIME_MAX, connection).await {
        tracing::debug!("a probe's connection ended: {error}");
    }
}
