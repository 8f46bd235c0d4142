//! What can be asked of a running pipeline, and what it tells of itself.
//!
//! A [`Handle`] reaches the coordinator of whichever incarnation runs. Between two incarnations a request waits for the
//! next one, until whoever asks is tired of waiting.

use crate::version::Version;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::BTreeMap;
use std::time::Duration;
use weir_protocol::epoch::{Epoch, Incarnation};
use weir_protocol::plan::OperatorLimits;
use weir_protocol::swap::Rules;

/// How long an answer may take: a coordinator is busy for as long as a decision takes, and recovery goes before.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another swap has not come to its end.
    #[error("a swap of operator {0} is in progress")]
    SwapInProgress(String),
    /// There is no swap, or it is on probation.
    #[error("{0}")]
    NothingToCancel(&'static str),
    /// The change cannot be made while records flow.
    #[error("{0}")]
    NotASwap(String),
    /// No operator of this name.
    #[error("the pipeline has no operator {0:?}")]
    UnknownOperator(String),
    /// The pipeline stops, has ended, or does not answer.
    #[error("{0}")]
    NotRunning(&'static str),
}

/// Where an answer goes. A request is carried out only where somebody takes its answer.
pub type Answer = Sender<Result<(), Refusal>>;

/// What can be asked.
pub enum Request {
    /// Replace an operator by another version. What becomes of it comes as [`SwapNotice`].
    Swap {
        /// The operator's name.
        operator: String,
        /// What is to run.
        version: Version,
        /// When it is healthy.
        rules: Rules,
        /// Told when it is accepted.
        answer: Answer,
    },
    /// Give up a swap that is not on probation.
    CancelSwap {
        /// Told when it is done.
        answer: Answer,
    },
    /// Limits of a running operator, from its next call on. Those of its state hold from the next start on.
    SetLimits {
        /// The operator's name.
        operator: String,
        /// The limits.
        limits: OperatorLimits,
        /// Told when the subtasks have them before them.
        answer: Answer,
    },
}

/// Asks a running pipeline.
#[derive(Clone)]
pub struct Handle {
    requests: Sender<Request>,
}

/// A handle, and what goes into [`crate::supervisor::Run`].
pub fn channel() -> (Handle, Receiver<Request>) {
    let (requests, from) = unbounded();
    (Handle { requests }, from)
}

/// For a pipeline that nobody asks for anything.
pub fn no_requests() -> Receiver<Request> {
    crossbeam_channel::never()
}

impl Handle {
    /// Begins a swap. Returns when it is accepted.
    pub fn swap(&self, operator: &str, version: Version, rules: Rules) -> Result<(), Refusal> {
        let operator = operator.to_owned();
        self.ask(|answer| Request::Swap { operator, version, rules, answer })
    }

    /// Gives up a swap that has not come to probation.
    pub fn cancel_swap(&self) -> Result<(), Refusal> {
        self.ask(|answer| Request::CancelSwap { answer })
    }

    /// Sets the limits of an operator.
    pub fn set_limits(&self, operator: &str, limits: OperatorLimits) -> Result<(), Refusal> {
        let operator = operator.to_owned();
        self.ask(|answer| Request::SetLimits { operator, limits, answer })
    }

    fn ask(&self, request: impl FnOnce(Answer) -> Request) -> Result<(), Refusal> {
        // Without room: an answer is only ever taken by somebody who waits for it.
        let (answer, answered) = bounded(0);
        let gone = |_| Refusal::NotRunning("the pipeline has ended");
        self.requests.send(request(answer)).map_err(|_| Refusal::NotRunning("the pipeline has ended"))?;
        match answered.recv_timeout(ANSWER_TIMEOUT) {
            Ok(answer) => answer,
            Err(error @ crossbeam_channel::RecvTimeoutError::Disconnected) => Err(gone(error)),
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                Err(Refusal::NotRunning("the pipeline is starting or does not answer; ask again"))
            }
        }
    }
}

/// How far a swap has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwapNotice {
    /// The new version is instantiated, and waits for the next barrier.
    Prepared,
    /// The old version has let go at this epoch's barrier and is decided up to it; the next epoch is probation.
    Probation {
        /// The last epoch of the old version.
        epoch: Epoch,
    },
    /// The first epoch of the new version is decided.
    Completed {
        /// That epoch.
        epoch: Epoch,
    },
    /// Probation has failed. The old version starts when this is taken in.
    RolledBack {
        /// The health rule that was broken, in one line.
        reason: String,
        /// Up to three records that show it: place, kind, message.
        samples: Vec<String>,
    },
    /// The incarnation ended in probation for another reason; the old version goes on.
    Interrupted {
        /// Why.
        reason: String,
    },
    /// It did not come to probation.
    Abandoned {
        /// Why.
        reason: String,
    },
}

/// Told of what happens to a pipeline. Called on the pipeline's own threads, in order; the pipeline goes on when the call
/// returns.
pub trait Notices: Send + Sync {
    /// A life has begun: its start is decided. `is_candidate`: what runs is the candidate that was given at the start.
    fn running(
        &self,
        incarnation: &Incarnation,
        epoch: Epoch,
        operators: &BTreeMap<String, String>,
        is_candidate: bool,
    );

    /// A life has ended, another begins after a while.
    fn restarting(&self, cause: &str, wait: Duration);

    /// A new version's life has ended, the old one goes on at once. That is no restart of the pipeline.
    fn going_back(&self, cause: &str);

    /// A swap has come further.
    fn swap(&self, notice: SwapNotice);
}

/// Nobody wants to know.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNotices;

impl Notices for NoNotices {
    fn running(&self, _: &Incarnation, _: Epoch, _: &BTreeMap<String, String>, _: bool) {}

    fn restarting(&self, _: &str, _: Duration) {}

    fn going_back(&self, _: &str) {}

    fn swap(&self, _: SwapNotice) {}
}
