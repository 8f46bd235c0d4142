//! What a pipeline runs, and what it may run instead: the versions that a supervisor holds over its incarnations.

use crate::connect::Operators;
use crate::version_tally::VersionTally;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_protocol::epoch::CheckpointId;
use weir_protocol::plan::{OperatorLimits, Plan};

/// A checked graph with its operators.
#[derive(Clone)]
pub struct Version {
    /// The checked graph.
    pub plan: Arc<Plan>,
    /// The operators, in the order of the plan.
    pub operators: Operators,
}

impl Version {
    /// Digests by operator.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let operators = self.plan.spec.operators.iter().zip(&self.operators);
        // A router is no component, and gone with the replay.
        let operators = operators.filter(|(spec, _)| !spec.is_router());
        operators.map(|(spec, factory)| (spec.name.clone(), factory.digest().to_owned())).collect()
    }

    /// The index of an operator.
    pub fn operator(&self, name: &str) -> Option<usize> {
        self.plan.spec.operators.iter().position(|spec| spec.name == name)
    }
}

/// A version of which only the decision tells whether it is the one that runs.
#[derive(Clone)]
pub struct Candidate {
    /// What would run.
    pub version: Version,
    /// The swap in this process that it comes from; none where it was under way when the process before ended.
    pub swap: Option<UndecidedSwap>,
}

/// A swap whose incarnation ended while the first epoch of the new version was being decided.
#[derive(Clone)]
pub struct UndecidedSwap {
    /// The operator of the plan.
    pub operator: usize,
    /// What its new version has done.
    pub tally: Arc<VersionTally>,
    /// The last checkpoint of the old version. What this incarnation decided behind it is the new version's.
    pub last_of_old: CheckpointId,
    /// Why the incarnation ended.
    pub reason: String,
}

impl Candidate {
    /// True where the decided checkpoint is this version's. `operators` are the digests in its manifest, where there is
    /// one.
    pub fn decided(&self, id: &CheckpointId, operators: Option<&BTreeMap<String, String>>) -> bool {
        match &self.swap {
            Some(swap) => id.incarnation == swap.last_of_old.incarnation && id.epoch > swap.last_of_old.epoch,
            None => operators.is_some_and(|operators| *operators == self.version.digests()),
        }
    }
}

struct Held {
    current: Version,
    candidate: Option<Candidate>,
    /// The candidate of the start is what runs.
    from_start: bool,
}

/// The versions of one pipeline; its supervisor and the running incarnation share them.
pub struct Versions(Mutex<Held>);

impl Versions {
    /// A pipeline that runs `current`, unless the decision names `candidate`: a swap to it was on probation when the
    /// process before ended.
    pub fn new(current: Version, candidate: Option<Version>) -> Versions {
        let candidate = candidate.map(|version| Candidate { version, swap: None });
        Versions(Mutex::new(Held { current, candidate, from_start: false }))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs.
    pub fn current(&self) -> Version {
        self.held().current.clone()
    }

    /// What may be decided to run.
    pub fn candidate(&self) -> Option<Candidate> {
        self.held().candidate.clone()
    }

    /// True where the candidate of the start is what runs.
    pub fn is_candidate_of_start(&self) -> bool {
        self.held().from_start
    }

    /// A swap has come to its end: this is what runs.
    pub fn complete(&self, version: Version) {
        let mut held = self.held();
        (held.current, held.candidate, held.from_start) = (version, None, false);
    }

    /// The decision of a swap's first epoch is unknown.
    pub fn doubt(&self, candidate: Candidate) {
        self.held().candidate = Some(candidate);
    }

    /// The decision names the candidate: it is what runs.
    pub fn take_candidate_as_current(&self) -> Option<Candidate> {
        let mut held = self.held();
        let candidate = held.candidate.take()?;
        held.current = candidate.version.clone();
        held.from_start = candidate.swap.is_none();
        Some(candidate)
    }

    /// The decision does not name the candidate: it is forgotten.
    pub fn drop_candidate(&self) -> Option<Candidate> {
        self.held().candidate.take()
    }

    /// An operator's limits are others from now on.
    pub fn set_limits(&self, operator: usize, limits: &OperatorLimits) {
        let mut held = self.held();
        let mut plan = (*held.current.plan).clone();
        plan.spec.operators[operator].limits = limits.clone();
        held.current.plan = Arc::new(plan);
    }
}
