//! The sacrificial thread: blocking transactional calls run here, under a watchdog.
//!
//! `send_offsets_to_transaction` does not keep its own time-out and can block for ever. So the caller waits for an
//! answer at most as long as it says; then the thread and the native handle are given up, never destroyed.

use crate::client::Client;
use crossbeam_channel::{Sender, bounded, unbounded};
use std::sync::Arc;
use std::time::Duration;

type Job = Box<dyn FnOnce(&Client) + Send>;

/// The call did not answer in time; its outcome is unknown, and the client is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stuck;

/// The thread that makes the blocking calls of one client.
pub(crate) struct TransactionThread {
    jobs: Sender<Job>,
    client: Arc<Client>,
}

impl TransactionThread {
    /// Starts the thread. It ends with the last owner of this value, unless it is stuck.
    pub(crate) fn start(client: Arc<Client>) -> TransactionThread {
        let (jobs, commanded) = unbounded::<Job>();
        let own = client.clone();
        let run = move || {
            for job in commanded {
                job(&own);
            }
        };
        std::thread::Builder::new()
            .name("weir-kafka-transaction".to_owned())
            .spawn(run)
            .expect("a process that cannot start a thread cannot run a pipeline");
        TransactionThread { jobs, client }
    }

    /// The client whose calls are made here.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Makes one call and waits for its answer, at most `limit`.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        call: impl FnOnce(&Client) -> T + Send + 'static,
    ) -> Result<T, Stuck> {
        let (answer, answered) = bounded(1);
        let job = move |client: &Client| {
            // The caller may have given up; then nobody wants the answer.
            let _ = answer.send(call(client));
        };
        let sent = self.jobs.send(Box::new(job));
        let answer = sent.ok().and_then(|()| answered.recv_timeout(limit).ok());
        answer.ok_or_else(|| {
            self.client.leak();
            Stuck
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Kind, Settings};

    #[test]
    fn a_call_that_does_not_answer_is_given_up_at_its_limit() {
        let client = Client::new(Kind::Producer, "test", &Settings::default()).unwrap();
        let thread = TransactionThread::start(Arc::new(client));
        assert_eq!(thread.call(Duration::from_secs(10), |_| 7), Ok(7));
        let (_hold, held) = bounded::<()>(0);
        let stuck = thread.call(Duration::from_millis(10), move |_| {
            let _ = held.recv();
        });
        assert_eq!(stuck, Err(Stuck));
    }
}
