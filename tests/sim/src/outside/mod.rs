//! Everything outside of an incarnation: what survives its end, the faults that befall it, and the defects that a test
//! plants.
//!
//! - [`broker`]: transactions, committed records, the decision
//! - [`source`], [`sink`]: the ends of the pipeline
//! - [`states`]: the keyed state and its copies in checkpoints
//! - [`operators`]: what runs in the middle

pub mod broker;
pub mod operators;
pub mod sink;
pub mod source;
pub mod states;

use crate::random::Random;
use crate::scenario::Scenario;
use crate::versions::Control;
use broker::Broker;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_protocol::connector::{ConnectorError, DecisionLog};
use weir_protocol::epoch::Incarnation;
use weir_protocol::verdict::DecisionPlace;
use weir_runtime::connect::{Connected, Connectors};

/// A mistake that a test plants, to show that a checker finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// A sink forgets a batch.
    LoseBatch,
    /// A sink writes a batch twice.
    DoubleBatch,
    /// A sink writes the rows of a batch in the wrong order.
    ReorderRows,
    /// A reader's positions are one record ahead of what it has returned.
    PositionsAhead,
    /// The decision that recovery reads is the one before the last.
    StaleDecision,
    /// The fence lets earlier incarnations go on.
    NoFence,
    /// State is restored from the checkpoint before the decided one.
    RestoreOlderState,
    /// A restored subtask lacks the last key group of what it owns.
    RestoreTooLittle,
    /// What a barrier froze goes on changing: rows behind the barrier are in the snapshot.
    FreezeLate,
    /// A call that failed leaves its writes behind.
    KeepFailedCall,
    /// A frozen state lacks its timers.
    ForgetTimers,
    /// Rows are older than the watermark allows.
    LateRows,
    /// Operators are given a processing time that goes down.
    TimeGoesDown,
    /// Jobs beside the stream are forgotten: no checkpoint is ever complete.
    ForgetJobs,
    /// A bad version's failures are not seen: what it is given comes out as if all were well.
    FailUnseen,
    /// Behind a death in probation nobody asks whether the new version's first epoch was decided.
    ForgetCandidate,
}

/// A fault of a commit that a test asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// It takes effect, and nobody hears of it.
    AnswerLost,
    /// It never takes effect.
    RequestLost,
}

/// What survives an incarnation, and the randomness of its faults.
pub struct Outside {
    /// The input.
    pub scenario: Arc<Scenario>,
    /// What Kafka holds.
    pub broker: Broker,
    /// The pipeline's directory.
    pub directory: PathBuf,
    /// Records of each partition that can be read now; the input ends only where it is the highest number.
    pub readable: usize,
    /// What the next commit meets.
    pub next_commit: Option<CommitFault>,
    /// What the control plane has on disk.
    pub control: Control,
    /// Decides over faults.
    pub random: Random,
    /// Faults befall the pipeline. False: only what the scheduler does.
    pub faults: bool,
    /// The planted mistake.
    pub defect: Option<Defect>,
    /// How often it was made.
    pub planted: usize,
    /// What happened, in order.
    pub log: Vec<String>,
    /// How often each kind of fault happened.
    pub counts: std::collections::BTreeMap<&'static str, usize>,
}

/// Shared by all doubles of all incarnations. There is one thread, so nobody waits.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Outside>>);

impl Shared {
    /// Around what survives.
    pub fn new(outside: Outside) -> Shared {
        Shared(Arc::new(Mutex::new(outside)))
    }

    /// To look and to change.
    pub fn lock(&self) -> MutexGuard<'_, Outside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outside {
    /// Notes something that happened.
    pub fn note(&mut self, what: impl Into<String>) {
        self.log.push(what.into());
    }

    /// A fault of this name, once in so many times.
    pub fn fault(&mut self, name: &'static str, one_in: u64) -> bool {
        let happens = self.random.one_in(one_in) && self.faults;
        if happens {
            *self.counts.entry(name).or_default() += 1;
            self.log.push(format!("fault: {name}"));
        }
        happens
    }

    /// The same as an error that may pass.
    pub fn may_fail(&mut self, name: &'static str, one_in: u64) -> Result<(), ConnectorError> {
        if self.fault(name, one_in) { Err(ConnectorError::transient(name)) } else { Ok(()) }
    }

    /// True where the planted mistake is this one and is to be made now: once in so many times.
    pub fn plants(&mut self, defect: Defect, one_in: u64) -> bool {
        if self.defect != Some(defect) || !self.random.one_in(one_in) {
            return false;
        }
        self.planted += 1;
        self.log.push(format!("defect: {defect:?}"));
        true
    }
}

/// Makes the doubles of one incarnation.
pub struct MemoryConnectors(pub Shared);

impl Connectors for MemoryConnectors {
    fn connect(&self, _: &Incarnation) -> Result<Connected, ConnectorError> {
        let producer = broker::Producer::default();
        Ok(Connected {
            sources: vec![Box::new(source::MemorySource(self.0.clone()))],
            sinks: [crate::pipeline::OUT, crate::pipeline::DEAD]
                .into_iter()
                .map(|index| Box::new(sink::MemorySink::new(self.0.clone(), producer.clone(), index)) as _)
                .collect(),
            decisions: Box::new(broker::MemoryDecisions::new(self.0.clone(), producer)),
            transaction_timeout: None,
            needs_manifest: None,
            place: DecisionPlace::ConsumerGroup,
            states: Arc::new(states::MemoryStates(self.0.clone())),
        })
    }

    fn observer(&self) -> Result<Box<dyn DecisionLog>, ConnectorError> {
        Ok(Box::new(broker::MemoryDecisions::new(self.0.clone(), broker::Producer::default())))
    }
}
