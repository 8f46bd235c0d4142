//! What `weir serve` answers: of all pipelines that it has started, also after their end, until they are deleted.

use super::catalogue::PIPELINE_DESIRED_RUNNING;
use super::exposition::Exposition;
use super::pipeline::{PipelineMetrics, SwapCounts};
use super::process::ProcessMetrics;
use super::run::write_state;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use weir_control::{Condition, MetricsFormat, Probe};

/// The metrics of the pipelines of a server.
#[derive(Default)]
pub struct ServedMetrics(Mutex<BTreeMap<String, Served>>);

#[derive(Default)]
struct Served {
    pipeline: Option<Arc<PipelineMetrics>>,
    swaps: Arc<SwapCounts>,
}

impl ServedMetrics {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Served>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pipeline was started. Its swaps are counted over all of its starts.
    pub fn set(&self, name: &str, pipeline: PipelineMetrics) {
        self.all().entry(name.to_owned()).or_default().pipeline = Some(Arc::new(pipeline));
    }

    /// Where its swaps are counted.
    pub fn swaps(&self, name: &str) -> Arc<SwapCounts> {
        self.all().entry(name.to_owned()).or_default().swaps.clone()
    }

    /// It was deleted.
    pub fn remove(&self, name: &str) {
        self.all().remove(name);
    }

    fn write(&self, text: &mut Exposition) {
        for (name, served) in self.all().iter() {
            served.swaps.write(text, name);
            if let Some(pipeline) = &served.pipeline {
                pipeline.write(text);
            }
        }
    }
}

/// The probe of `weir serve`.
pub struct ServeProbe {
    process: ProcessMetrics,
    pipelines: Arc<ServedMetrics>,
    condition: OnceLock<Condition>,
}

impl ServeProbe {
    /// Before the service is bound.
    pub fn new(process: ProcessMetrics, pipelines: Arc<ServedMetrics>) -> ServeProbe {
        ServeProbe { process, pipelines, condition: OnceLock::new() }
    }

    /// The service that runs from now on.
    pub fn set(&self, condition: Condition) {
        // Set once, by the one who runs it.
        let _ = self.condition.set(condition);
    }
}

impl Probe for ServeProbe {
    /// The coordinator of one pipeline is no reason to end the others: that is told by its metric.
    fn alive(&self) -> Result<(), String> {
        self.condition.get().map_or(Ok(()), Condition::alive)
    }

    fn ready(&self) -> Result<(), String> {
        match self.condition.get() {
            Some(condition) => condition.ready(),
            None => Err("the service is starting".to_owned()),
        }
    }

    fn metrics(&self, format: MetricsFormat) -> String {
        let mut text = Exposition::new(format);
        self.process.write(&mut text);
        self.pipelines.write(&mut text);
        for found in self.condition.get().map(Condition::conditions).unwrap_or_default() {
            write_state(&mut text, &found.pipeline, found.actual);
            let desired = u64::from(found.desired_running);
            text.count(&PIPELINE_DESIRED_RUNNING, &[&found.pipeline], desired);
        }
        text.finish()
    }
}
