//! The new version of an operator on its way to a subtask: made beside the stream, it takes over at a barrier.

use crate::connect::OperatorFactory;
use crate::state_opening::StateOpening;
use crate::version_tally::VersionTally;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use weir_protocol::connector::{ConnectorError, Operator};
use weir_protocol::epoch::Epoch;
use weir_protocol::plan::Plan;
use weir_protocol::state::SharedState;

/// A place that an operator has: one of its subtasks.
#[derive(Clone)]
pub struct OperatorPlace {
    /// The operator of the plan.
    pub operator: usize,
    /// The number of the task that runs it.
    pub task: usize,
    /// Which of its subtasks.
    pub subtask: usize,
    /// Its state with how that was opened, where it is keyed.
    pub keyed: Option<(SharedState, StateOpening)>,
}

/// One instance, made for one subtask.
pub struct PreparedInstance {
    /// The task that is to run it.
    pub task: usize,
    /// The instance.
    pub operator: Box<dyn Operator>,
}

impl std::fmt::Debug for PreparedInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PreparedInstance({})", self.task)
    }
}

/// What a preparation needs.
pub struct Preparation {
    /// Makes the instances.
    pub factory: Arc<dyn OperatorFactory>,
    /// The plan that they will run in.
    pub plan: Arc<Plan>,
    /// Where they will be.
    pub places: Vec<OperatorPlace>,
}

impl Preparation {
    /// Makes an instance for each place. A panic is the new version's, not the pipeline's.
    pub fn make(&self) -> Result<Vec<PreparedInstance>, ConnectorError> {
        let made =
            catch_unwind(AssertUnwindSafe(|| self.places.iter().map(|place| self.one(place)).collect()));
        made.unwrap_or_else(|_| Err(ConnectorError::permanent("making an instance of it panicked")))
    }

    fn one(&self, place: &OperatorPlace) -> Result<PreparedInstance, ConnectorError> {
        let state = place.keyed.as_ref().map(|(state, _)| state.clone());
        let mut operator = self.factory.operator(place.subtask, state)?;
        operator.set_limits(&self.plan.spec.operators[place.operator].limits);
        Ok(PreparedInstance { task: place.task, operator })
    }
}

/// What a subtask gets before the barrier.
pub struct Successor {
    /// It takes over when this epoch has ended.
    pub behind: Epoch,
    /// The operator of the plan.
    pub operator: usize,
    /// The instance.
    pub instance: Box<dyn Operator>,
    /// The plan from then on.
    pub plan: Arc<Plan>,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Where its deeds are counted.
    pub tally: Arc<VersionTally>,
    /// Its state is opened anew before its first record.
    pub reopening: Option<StateOpening>,
}

impl std::fmt::Debug for Successor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Successor({} behind {})", self.operator, self.behind)
    }
}
