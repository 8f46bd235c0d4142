//! Connections: so many at a time, each with limits on headers and on the time that they take.

use super::DRAIN_TIME_MAX;
use crate::control::Control;
use crate::options::Limits;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long to wait where the system has no socket left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes connections in until it is told to stop, then waits for requests under way.
pub async fn serve(
    listener: &TcpListener,
    tls: Option<TlsAcceptor>,
    app: Router,
    limits: &Limits,
    mut stopped: oneshot::Receiver<()>,
    control: &Control,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let closing = control.closing.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = accept(listener, &places) => accepted,
            _ = &mut stopped => break,
        };
        let Some((stream, place)) = accepted else { continue };
        let connection =
            Connection { place, app: app.clone(), limits: limits.clone(), closing: closing.clone() };
        match tls.clone() {
            None => tokio::spawn(connection.serve(stream)),
            Some(tls) => tokio::spawn(connection.serve_tls(stream, tls)),
        };
    }
    control.closing.send_replace(true);
    // All places are free again when the last connection is gone.
    let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    if timeout(DRAIN_TIME_MAX, places.acquire_many(all)).await.is_err() {
        tracing::warn!("requests under way are cut off");
    }
}

/// The next connection, when there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!("no connection taken in: {error}");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

struct Connection {
    place: OwnedSemaphorePermit,
    app: Router,
    limits: Limits,
    closing: watch::Receiver<bool>,
}

impl Connection {
    async fn serve_tls(self, stream: TcpStream, tls: TlsAcceptor) {
        match timeout(self.limits.header_time_max, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => tracing::debug!("no TLS: {error}"),
            Err(_) => tracing::debug!("no TLS: too slow"),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Connection { place, app, limits, mut closing } = self;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time_max)
            .max_buf_size(limits.header_bytes_max)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = closes(&mut closing) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!("a connection ended: {error}");
        }
        drop(place);
    }
}

/// Comes when the service ends. What it waits on holds a lock, which must not be held across another wait.
async fn closes(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}
