//! The operators of a plan: components read from disk, compiled, checked against their configuration.

use crate::guest_voice::{GuestMetrics, GuestVoice};
use std::sync::Arc;
use weir_protocol::connector::{ConnectorError, Operator};
use weir_protocol::plan::{OperatorSpec, Problem};
use weir_protocol::state::{Migrator, OperatorShape, SharedState};
use weir_runtime::connect::OperatorFactory;
use weir_wasm::{Engine, OperatorOptions, Prepared};

/// An operator of the plan that can be started.
pub struct Component {
    spec: OperatorSpec,
    prepared: Prepared,
    digest: String,
    metrics: GuestMetrics,
}

/// Reads, compiles and checks the component of one operator.
pub fn load(engine: &Engine, spec: &OperatorSpec, metrics: &GuestMetrics) -> Result<Component, Vec<Problem>> {
    let problem =
        |key: &str, message: String| Problem { path: format!("operator.{}.{key}", spec.name), message };
    let bytes = std::fs::read(&spec.component)
        .map_err(|error| vec![problem("component", format!("{} cannot be read: {error}", spec.component))])?;
    let prepared = engine
        .load(&bytes)
        .map_err(|error| vec![problem("component", format!("{}: {error}", spec.component))])?;
    let problems = prepared.check_config(&spec.config);
    if !problems.is_empty() {
        return Err(problems.into_iter().map(|message| problem("config", message)).collect());
    }
    let digest = prepared.digest().to_string();
    Ok(Component { spec: spec.clone(), prepared, digest, metrics: metrics.clone() })
}

impl Component {
    /// What it is to the plan.
    pub fn shape(&self) -> OperatorShape {
        self.prepared.description().shape()
    }

    fn voice(&self, subtask: usize) -> Arc<GuestVoice> {
        let operator = self.spec.name.clone();
        Arc::new(GuestVoice { operator, subtask, metrics: self.metrics.clone() })
    }
}

impl OperatorFactory for Component {
    fn digest(&self) -> &str {
        &self.digest
    }

    fn operator(
        &self,
        subtask: usize,
        state: Option<SharedState>,
    ) -> Result<Box<dyn Operator>, ConnectorError> {
        let options = OperatorOptions {
            name: self.spec.name.clone(),
            config: self.spec.config.clone(),
            limits: self.spec.limits.clone(),
            keeps_key: self.spec.keeps_key,
            state,
            guest: self.voice(subtask),
        };
        let started = self.prepared.operator(options);
        Ok(Box::new(started.map_err(|error| ConnectorError::permanent(error.to_string()))?))
    }

    fn migrator(&self) -> Result<Option<Box<dyn Migrator>>, ConnectorError> {
        let migrator = self.prepared.migrator(&self.spec.name, self.spec.limits.clone(), self.voice(0));
        Ok(migrator.map(|migrator| Box::new(migrator) as Box<dyn Migrator>))
    }
}
