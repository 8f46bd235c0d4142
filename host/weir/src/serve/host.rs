//! The seam of the control plane, question by question.

use super::allowed::Allowed;
use super::{child, comparison, document, dry_run, looking, offsets, on_disk, running, scratch};
use crate::failure::Failure;
use crate::memory;
use crate::metrics::process::ProcessMetrics;
use crate::metrics::serve::ServedMetrics;
use crate::sampling::Sampler;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use weir_control::host::{
    CheckpointInfo, Comparison, DryRun, Host, Inspected, LettersAsked, LettersFound, Listener, OffsetsReset,
    OnlineCheck, OperatorTest, OperatorTested, PipelineDocument, PipelineOffsets, Refused, ResetOffsets,
    RunningPipeline, SavepointInfo, StartPipeline, SwapAsked, UpgradeStatus,
};
use weir_runtime::data_dir::DataDir;
use weir_state::backend::{SharedStateMemory, StateMemory};
use weir_wasm::Engine;

/// This process as a host of pipelines.
pub struct WeirHost {
    data_dir: DataDir,
    engine: Engine,
    allowed: Allowed,
    memory: SharedStateMemory,
    sampler: Sampler,
    /// Where clients find it.
    url: String,
    metrics: Arc<ServedMetrics>,
    state_memory_bytes: usize,
}

impl WeirHost {
    /// A host with a data directory. `state_memory_max` is for the keyed state of all pipelines, `url` for the commands
    /// that refusals name.
    pub fn new(
        data_dir: DataDir,
        allowed: Allowed,
        state_memory_max: Option<usize>,
        url: String,
    ) -> Result<WeirHost, Failure> {
        let engine =
            Engine::new(Some(data_dir.compiled())).map_err(|error| Failure::failed(error.to_string()))?;
        // This host has the lock, and tries nothing yet.
        scratch::remove_left_behind(data_dir.path());
        let bytes = state_memory_max.unwrap_or_else(memory::default_for_state);
        let memory = SharedStateMemory::new(StateMemory::of(bytes));
        let sampler =
            Sampler::start().map_err(|error| Failure::failed(format!("no thread for rates: {error}")))?;
        let metrics = Arc::default();
        Ok(WeirHost { data_dir, engine, allowed, memory, sampler, url, metrics, state_memory_bytes: bytes })
    }

    /// The metrics of its pipelines.
    pub fn metrics(&self) -> &Arc<ServedMetrics> {
        &self.metrics
    }

    /// Those of the process.
    pub fn process_metrics(&self) -> ProcessMetrics {
        ProcessMetrics::new(self.data_dir.path(), self.state_memory_bytes as u64)
    }

    pub(super) fn data_dir(&self) -> &DataDir {
        &self.data_dir
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    pub(super) fn memory(&self) -> &SharedStateMemory {
        &self.memory
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// `savepoint.dir` of the document that the pipeline was started with.
    pub(super) fn savepoint_dir(&self, pipeline: &str) -> Option<PathBuf> {
        let text = std::fs::read_to_string(self.directory(pipeline).join("pipeline.toml")).ok()?;
        let table: toml::Table = toml::from_str(&text).ok()?;
        let dir = table.get("savepoint")?.get("dir")?.as_str()?;
        Some(self.allowed.files.join(dir))
    }
}

/// The answer of `weir child test`.
#[derive(Deserialize)]
struct TestAnswer {
    output: Vec<Value>,
    rejections: Vec<Value>,
    cpu_us: u64,
    memory_bytes: u64,
}

impl Host for WeirHost {
    fn inspect(&self, component: &Path) -> Result<Inspected, Refused> {
        child::run("inspect", component, &self.data_dir.compiled(), "").map(|answer| answer.value)
    }

    fn test(&self, component: &Path, asked: &OperatorTest) -> Result<OperatorTested, Refused> {
        let input = serde_json::json!(asked).to_string();
        let answer = child::run::<TestAnswer>("test", component, &self.data_dir.compiled(), &input)?;
        let TestAnswer { output, rejections, cpu_us, memory_bytes } = answer.value;
        let logs = answer.said.iter().filter_map(|line| line.strip_prefix("log: ")).map(str::to_owned);
        Ok(OperatorTested { output, rejections, logs: logs.collect(), cpu_us, memory_bytes })
    }

    fn check(&self, document: &PipelineDocument) -> Result<(), Refused> {
        document::prepare(document, &self.allowed, &self.engine).map(|_| ())
    }

    fn explain(&self, document: &PipelineDocument) -> Result<Value, Refused> {
        looking::explain(self, document)
    }

    fn look(&self, document: &PipelineDocument) -> Result<Vec<OnlineCheck>, Refused> {
        looking::look(self, document)
    }

    fn schema(&self) -> Value {
        crate::pipeline_file::schema()
    }

    fn compare(&self, old: Option<&PipelineDocument>, new: &PipelineDocument) -> Result<Comparison, Refused> {
        comparison::compare(self, old, new)
    }

    fn start(
        &self,
        start: StartPipeline,
        listener: Arc<dyn Listener>,
    ) -> Result<Box<dyn RunningPipeline>, Refused> {
        running::start(self, &start, listener)
    }

    fn dry_run(&self, asked: &SwapAsked) -> Result<DryRun, Refused> {
        dry_run::dry_run(self, asked)
    }

    fn letters(&self, document: &PipelineDocument, asked: &LettersAsked) -> Result<LettersFound, Refused> {
        self.find_letters(document, asked)
    }

    fn checkpoints(&self, pipeline: &str) -> Result<Vec<CheckpointInfo>, Refused> {
        self.list_checkpoints(pipeline)
    }

    fn savepoints(&self, pipeline: &str) -> Result<Vec<SavepointInfo>, Refused> {
        self.list_savepoints(pipeline)
    }

    fn create_savepoint(&self, pipeline: &str, name: Option<&str>) -> Result<SavepointInfo, Refused> {
        self.make_savepoint(pipeline, name)
    }

    fn delete_savepoint(&self, pipeline: &str, name: &str) -> Result<(), Refused> {
        self.remove_savepoint(pipeline, name)
    }

    fn export_savepoint(&self, pipeline: &str, name: &str, to: &Path) -> Result<(), Refused> {
        self.write_savepoint(pipeline, name, to)
    }

    fn offsets(&self, document: &PipelineDocument) -> Result<PipelineOffsets, Refused> {
        offsets::show(self, document)
    }

    fn reset_offsets(
        &self,
        document: &PipelineDocument,
        asked: &ResetOffsets,
    ) -> Result<OffsetsReset, Refused> {
        offsets::reset(self, document, asked)
    }

    fn discard(&self, pipeline: &str) -> Result<(), Refused> {
        self.to_trash(pipeline)?;
        self.metrics.remove(pipeline);
        Ok(())
    }

    fn empty_trash(&self, older_than: Duration) -> Result<(), Refused> {
        self.take_out_trash(older_than)
    }

    fn upgrade(&self) -> UpgradeStatus {
        crate::commands::upgrade::status(self.data_dir.level().level())
    }

    fn finalize_upgrade(&self) -> Result<(), Refused> {
        self.data_dir.finalize().map(|_| ()).map_err(on_disk::refused)
    }
}
