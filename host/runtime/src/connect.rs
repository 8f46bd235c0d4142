//! What the binary plugs into a pipeline: fresh connectors and operators for each incarnation.

use std::sync::Arc;
use std::time::Duration;
use weir_protocol::connector::{ConnectorError, DecisionLog, Operator, Sink, Source};
use weir_protocol::epoch::Incarnation;
use weir_protocol::state::{Migrator, SharedState, StateBackend};
use weir_protocol::verdict::DecisionPlace;

/// Everything outside of one incarnation.
pub struct Connected {
    /// The sources, in the order of the plan.
    pub sources: Vec<Box<dyn Source>>,
    /// The sinks, in the order of the plan.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Where checkpoints become true.
    pub decisions: Box<dyn DecisionLog>,
    /// How long a transaction of the decision log may stay open, where it has any.
    pub transaction_timeout: Option<Duration>,
    /// Why recovery cannot do without the manifest, `None` where the decision log holds the whole truth.
    pub needs_manifest: Option<&'static str>,
    /// Where the decision log keeps what it decides.
    pub place: DecisionPlace,
    /// Opens keyed state.
    pub states: Arc<dyn StateBackend>,
}

/// Makes connectors. Nothing of a failed incarnation is used again, so each one asks anew.
pub trait Connectors: Send + Sync {
    /// Connects everything for one incarnation.
    fn connect(&self, incarnation: &Incarnation) -> Result<Connected, ConnectorError>;

    /// A decision log to look with, not to decide: for telling whether another incarnation has gone on.
    fn observer(&self) -> Result<Box<dyn DecisionLog>, ConnectorError>;
}

/// An operator of the plan, compiled and checked.
pub trait OperatorFactory: Send + Sync {
    /// SHA-256 of its bytes, in hex.
    fn digest(&self) -> &str;

    /// An operator for one subtask. `state` is what its state functions reach, given where it declares any.
    fn operator(
        &self,
        subtask: usize,
        state: Option<SharedState>,
    ) -> Result<Box<dyn Operator>, ConnectorError>;

    /// What rewrites state of older versions, where the component can.
    fn migrator(&self) -> Result<Option<Box<dyn Migrator>>, ConnectorError>;
}

/// The operators, in the order of the plan's specification.
pub type Operators = Vec<Arc<dyn OperatorFactory>>;
