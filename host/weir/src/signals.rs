//! SIGTERM and SIGINT: the first asks for a graceful stop, the second stops at once.
//!
//! The handlers are installed explicitly, because process 1 of a container has no default ones.

use crate::failure::Exit;
use crate::logging::set_status_line;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, unbounded};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::time::Duration;
use weir_runtime::meters::Meters;

/// Installs the handlers; the answer yields one message when a stop is asked for.
pub fn watch(stop_timeout: Duration, meters: Arc<Meters>) -> std::io::Result<Receiver<()>> {
    let arrivals = arrivals()?;
    let (stop, stops) = bounded(1);
    std::thread::Builder::new().name("stop".to_owned()).spawn(move || {
        let Ok(signal) = arrivals.recv() else { return };
        tracing::info!(
            "{}: stopping after a last checkpoint, within {stop_timeout:?}; a second signal stops at once",
            name_of(signal)
        );
        let _ = stop.send(());
        let message = match arrivals.recv_timeout(stop_timeout) {
            Ok(signal) => format!("a second {}", name_of(signal)),
            Err(RecvTimeoutError::Timeout) => format!("stop_timeout ({stop_timeout:?}) is over"),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        set_status_line("");
        let undecided = meters.undecided();
        tracing::warn!(
            "{message}: stopped without a last checkpoint; about {undecided} records will be read again"
        );
        Exit::Done.leave();
    })?;
    Ok(stops)
}

/// The same for a server: each of its pipelines has a time of its own to stop in.
pub fn watch_server() -> std::io::Result<std::sync::mpsc::Receiver<()>> {
    let arrivals = arrivals()?;
    let (stop, stops) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("stop".to_owned()).spawn(move || {
        let Ok(signal) = arrivals.recv() else { return };
        tracing::info!(
            "{}: stopping all pipelines, each after a last checkpoint; a second signal stops at once",
            name_of(signal)
        );
        let _ = stop.send(());
        let Ok(signal) = arrivals.recv() else { return };
        tracing::warn!("a second {}: stopped without last checkpoints", name_of(signal));
        Exit::Done.leave();
    })?;
    Ok(stops)
}

fn arrivals() -> std::io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let (arrived, arrivals) = unbounded::<i32>();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        // Ends with the process.
        for signal in signals.forever() {
            let _ = arrived.send(signal);
        }
    })?;
    Ok(arrivals)
}

fn name_of(signal: i32) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        _ => "SIGTERM",
    }
}
