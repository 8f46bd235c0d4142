//! What `weir run` answers: of its one pipeline, as soon as there is one.

use super::catalogue::{PIPELINE_DESIRED_RUNNING, PIPELINE_STATE};
use super::exposition::Exposition;
use super::pipeline::PipelineMetrics;
use super::process::ProcessMetrics;
use std::sync::OnceLock;
use weir_control::{ACTUAL_WORDS, MetricsFormat, Probe};
use weir_runtime::meters::LifeState;

/// The probe of `weir run`.
pub struct RunProbe {
    process: ProcessMetrics,
    pipeline: OnceLock<(String, PipelineMetrics)>,
}

impl RunProbe {
    /// Before the pipeline is read.
    pub fn new(process: ProcessMetrics) -> RunProbe {
        RunProbe { process, pipeline: OnceLock::new() }
    }

    /// The pipeline that runs from now on.
    pub fn set(&self, name: &str, pipeline: PipelineMetrics) {
        // Set once, by the one who runs it.
        let _ = self.pipeline.set((name.to_owned(), pipeline));
    }
}

impl Probe for RunProbe {
    fn alive(&self) -> Result<(), String> {
        self.pipeline.get().map_or(Ok(()), |(_, pipeline)| pipeline.alive())
    }

    fn ready(&self) -> Result<(), String> {
        let Some((name, pipeline)) = self.pipeline.get() else {
            return Err("the pipeline is being prepared".to_owned());
        };
        match pipeline.state() {
            LifeState::Running => Ok(()),
            other => Err(format!("pipeline {name} is {}", other.name())),
        }
    }

    fn metrics(&self, format: MetricsFormat) -> String {
        let mut text = Exposition::new(format);
        self.process.write(&mut text);
        if let Some((name, pipeline)) = self.pipeline.get() {
            write_state(&mut text, name, pipeline.state().name());
            text.count(&PIPELINE_DESIRED_RUNNING, &[name], 1);
            pipeline.write(&mut text);
        }
        text.finish()
    }
}

/// 1 for the state that it is in.
pub(super) fn write_state(text: &mut Exposition, pipeline: &str, state: &str) {
    for word in ACTUAL_WORDS {
        text.add(&PIPELINE_STATE, &[pipeline, word], f64::from(u8::from(word == state)));
    }
}
