//! `[savepoint] every`: savepoints that nobody has to ask for, and the end of old ones.

use crate::commands::savepoint::{name_of_time, now_ms};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;
use weir_protocol::connector::ConnectorError;
use weir_protocol::savepoint::until_next;
use weir_runtime::checkpoint_store::CheckpointStore;
use weir_runtime::savepoint_store::{NewSavepoint, SavepointStore};

/// What is done how often.
pub struct Schedule {
    /// Time between two savepoints.
    pub every: Duration,
    /// Savepoints of the schedule that are kept.
    pub keep: usize,
    /// Where they go.
    pub store: SavepointStore,
    /// The pipeline's directory.
    pub pipeline: PathBuf,
    /// Where the bytes of operators are.
    pub components: PathBuf,
}

/// A schedule at work; it ends with this.
pub struct RunningSchedule {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Schedule {
    /// Starts a thread. A savepoint that fails is told and tried again the next time: the stream does not wait for it.
    pub fn start(self) -> std::io::Result<RunningSchedule> {
        let (stop, stopped) = bounded::<()>(0);
        let body = move || {
            let mut wait = self.until_first();
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                match self.take() {
                    Ok(path) => tracing::info!(savepoint = %path.display(), "savepoint taken"),
                    Err(error) => tracing::warn!("no savepoint: {error}"),
                }
                wait = self.every;
            }
        };
        let thread = std::thread::Builder::new().name("savepoints".to_owned()).spawn(body)?;
        Ok(RunningSchedule { stop: Some(stop), thread: Some(thread) })
    }

    /// The time that is left of the one under way when the last process ended.
    fn until_first(&self) -> Duration {
        let listed = self.store.list().unwrap_or_default();
        let made = listed.into_iter().filter_map(|listed| listed.savepoint.ok());
        let newest_ms = made.filter(|made| made.scheduled).map(|made| made.created_ms).max();
        let decided = CheckpointStore::open(&self.pipeline, 1).and_then(|store| store.hint());
        until_next(self.every, newest_ms, now_ms(), matches!(decided, Ok(Some(_))))
    }

    fn take(&self) -> Result<PathBuf, ConnectorError> {
        let created_ms = now_ms();
        let name = name_of_time(created_ms);
        let (pipeline, components) = (self.pipeline.as_path(), self.components.as_path());
        self.store.create(&NewSavepoint {
            name: &name,
            pipeline,
            components,
            scheduled: true,
            created_ms,
        })?;
        for old in self.store.prune(self.keep)? {
            tracing::info!(savepoint = old, "old savepoint removed");
        }
        Ok(self.store.path(&name))
    }
}

impl Drop for RunningSchedule {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
