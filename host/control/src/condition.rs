//! How the service itself is, for probes: does it still turn, is it ready, and what does each pipeline do.

use crate::control::Control;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often the service looks whether it turns.
const TURN_INTERVAL: Duration = Duration::from_secs(1);
/// The service is stuck when it has not turned for so long: the places of its pipelines are held by somebody, or its
/// threads answer nothing.
pub const SERVICE_STUCK_AFTER: Duration = Duration::from_secs(60);
/// Stands for "nothing is to turn".
const RESTS: u64 = u64::MAX;

/// What a pipeline does, for those who only watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineCondition {
    /// Its name.
    pub pipeline: String,
    /// True where it is to run.
    pub desired_running: bool,
    /// What it does, in one word.
    pub actual: &'static str,
}

/// The words for what a pipeline does.
pub const ACTUAL_WORDS: [&str; 10] = [
    "stopped",
    "starting",
    "replaying",
    "running",
    "swapping",
    "restarting",
    "stopping",
    "failed",
    "finished",
    "superseded",
];

/// Tells how a service is, from any thread.
#[derive(Clone)]
pub struct Condition {
    control: Arc<Control>,
    turns: Arc<Turns>,
}

struct Turns {
    begun: Instant,
    /// Milliseconds since then.
    turned_at: AtomicU64,
    was_ready: AtomicBool,
}

impl Condition {
    pub(crate) fn new(control: Arc<Control>) -> Condition {
        let turns = Turns {
            begun: Instant::now(),
            turned_at: AtomicU64::new(RESTS),
            was_ready: AtomicBool::new(false),
        };
        Condition { control, turns: Arc::new(turns) }
    }

    /// Turns once a second on a thread of its own, until the service closes: takes the lock of every pipeline's place,
    /// and has the executor of requests do something.
    pub(crate) fn watch(&self, executor: Handle) -> std::io::Result<()> {
        let own = self.clone();
        let body = move || {
            while !*own.control.closing.borrow() {
                own.conditions();
                let (done, answered) = channel();
                executor.spawn(async move {
                    let _ = done.send(());
                });
                if answered.recv().is_err() {
                    break;
                }
                own.turns.turned_at.store(own.turns.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
                std::thread::sleep(TURN_INTERVAL);
            }
            // What stops has a time limit of its own.
            own.turns.turned_at.store(RESTS, Ordering::Relaxed);
        };
        std::thread::Builder::new().name("control-turns".to_owned()).spawn(body).map(|_| ())
    }

    /// An error where the service is stuck. Waits for nothing.
    pub fn alive(&self) -> Result<(), String> {
        let at = self.turns.turned_at.load(Ordering::Relaxed);
        let still = self.turns.begun.elapsed().saturating_sub(Duration::from_millis(at));
        match at != RESTS && still > SERVICE_STUCK_AFTER {
            true => Err(format!("the control plane has not turned for {} s", still.as_secs())),
            false => Ok(()),
        }
    }

    /// Ready from the moment at which every pipeline that is to run has begun, or has said why it does not, until the
    /// service closes. One that fails or restarts later keeps nobody from the API, which is needed to mend it.
    pub fn ready(&self) -> Result<(), String> {
        if *self.control.closing.borrow() {
            return Err("the service is closing".to_owned());
        }
        if self.turns.was_ready.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !self.control.ready.load(Ordering::SeqCst) {
            return Err("not every pipeline was given to its thread yet".to_owned());
        }
        let starting = |found: &PipelineCondition| found.desired_running && found.actual == "starting";
        if let Some(found) = self.conditions().into_iter().find(starting) {
            return Err(format!("pipeline {} is starting", found.pipeline));
        }
        self.turns.was_ready.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What each pipeline does.
    pub fn conditions(&self) -> Vec<PipelineCondition> {
        let all = self.control.slots.deployments().into_iter();
        all.map(|(pipeline, deployment)| PipelineCondition {
            pipeline,
            desired_running: deployment.desired_running,
            actual: deployment.actual.word(),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::Actual;

    #[test]
    fn each_state_has_a_word_of_the_list() {
        let text = String::new;
        let all = [
            Actual::Stopped,
            Actual::Starting,
            Actual::Replaying,
            Actual::Running,
            Actual::Swapping,
            Actual::Restarting(text()),
            Actual::Stopping,
            Actual::Failed(text()),
            Actual::Finished,
            Actual::Superseded(text()),
        ];
        assert_eq!(all.each_ref().map(Actual::word), ACTUAL_WORDS);
    }
}
