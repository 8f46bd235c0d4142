//! From a pipeline file to a plan that can run: file, properties, components and graph, all problems at once.

use crate::components::{self, Component};
use crate::failure::Failure;
use crate::guest_voice::GuestMetrics;
use crate::pipeline_file::PipelineFile;
use std::path::Path;
use std::sync::Arc;
use weir_protocol::plan::{Plan, Problem};
use weir_protocol::position::Positions;
use weir_protocol::replay::Selection;
use weir_runtime::connect::{OperatorFactory, Operators};
use weir_runtime::replay::Router;
use weir_wasm::Engine;

/// A pipeline whose file holds no problem.
pub struct PreparedPipeline {
    /// The checked graph.
    pub plan: Arc<Plan>,
    /// Its operators, in the order of the plan's specification.
    pub operators: Operators,
    /// What the operators measure.
    pub metrics: GuestMetrics,
}

impl PreparedPipeline {
    /// The pipeline as a replay of its dead letters runs it: a router for every sink of them.
    pub fn with_replay(mut self, selection: &Selection) -> Result<PreparedPipeline, Vec<Problem>> {
        let plan = self.plan.with_replay(selection)?;
        let routers = plan.spec.operators.iter().filter(|spec| spec.is_router()).count();
        self.operators.extend((0..routers).map(|_| Arc::new(Router) as Arc<dyn OperatorFactory>));
        self.plan = Arc::new(plan);
        Ok(self)
    }
}

impl PreparedPipeline {
    /// A replay of the letters up to here.
    pub fn with_letters_until(&self, ends: &[(String, Positions)]) -> PreparedPipeline {
        let (operators, metrics) = (self.operators.clone(), self.metrics.clone());
        PreparedPipeline { plan: Arc::new(self.plan.with_letters_until(ends)), operators, metrics }
    }
}

/// Reads a file as far as that goes without its components.
pub fn read_file(path: &Path, overrides: &[String]) -> Result<PipelineFile, Failure> {
    let file = PipelineFile::read(path, overrides)?;
    let problems = problems_without_components(&file);
    if problems.is_empty() { Ok(file) } else { Err(file.locate(&problems).into()) }
}

/// What can be found before any component is loaded.
pub fn problems_without_components(file: &PipelineFile) -> Vec<Problem> {
    let mut problems = property_problems(file);
    if let Err(found) = Plan::check(file.spec.clone(), &vec![None; file.spec.operators.len()]) {
        problems.extend(found);
    }
    problems
}

/// Loads the components and checks the graph with their ports.
pub fn prepare(file: &PipelineFile, engine: &Engine) -> Result<PreparedPipeline, Failure> {
    let metrics = GuestMetrics::default();
    let (mut loaded, mut problems): (Vec<Option<Component>>, Vec<Problem>) = (Vec::new(), Vec::new());
    for spec in &file.spec.operators {
        match components::load(engine, spec, &metrics) {
            Ok(component) => loaded.push(Some(component)),
            Err(found) => {
                problems.extend(found);
                loaded.push(None);
            }
        }
    }
    let shapes: Vec<_> = loaded.iter().map(|component| component.as_ref().map(Component::shape)).collect();
    match Plan::check(file.spec.clone(), &shapes) {
        Ok(plan) if problems.is_empty() => {
            let shared = |component| Arc::new(component) as Arc<dyn OperatorFactory>;
            let operators = loaded.into_iter().flatten().map(shared).collect();
            Ok(PreparedPipeline { plan: Arc::new(plan), operators, metrics })
        }
        Ok(_) => Err(file.locate(&problems).into()),
        Err(found) => {
            problems.extend(found);
            Err(file.locate(&problems).into())
        }
    }
}

/// Starts each operator once, and ends it: its `open` may refuse a configuration in which every key is known.
pub fn open_operators(file: &PipelineFile, pipeline: &PreparedPipeline) -> Result<(), Failure> {
    let specs = pipeline.plan.spec.operators.iter().zip(&pipeline.operators);
    let refused = specs.filter_map(|(spec, operator)| {
        let message = operator.operator(0, None).err()?.message;
        Some(Problem { path: format!("operator.{}.config", spec.name), message })
    });
    let problems: Vec<Problem> = refused.collect();
    if problems.is_empty() { Ok(()) } else { Err(file.locate(&problems).into()) }
}

/// Properties that librdkafka does not know, or that are weir's.
fn property_problems(file: &PipelineFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, cluster) in &file.spec.clusters {
        for line in weir_kafka::check_cluster_properties(cluster) {
            let (table, message) = line.split_once(": ").unwrap_or(("properties", &line));
            // `table: key …`: the key's own place is better than the table's.
            problems.push(Problem { path: format!("kafka.{name}.{table}"), message: message.to_owned() });
        }
    }
    problems
}
