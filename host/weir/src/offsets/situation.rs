//! What is decided for a stopped pipeline, looked at without fencing anybody.

use super::refused;
use crate::called;
use crate::commands::PipelineOptions;
use crate::connectors::PlanConnectors;
use crate::failure::Failure;
use crate::online;
use crate::prepared_pipeline::{self, PreparedPipeline};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_kafka::{KafkaCluster, Level};
use weir_protocol::connector::{ConnectorError, ErrorKind, Source};
use weir_protocol::decision::{DecisionRecord, Metadata, Owner, decisions};
use weir_protocol::epoch::Incarnation;
use weir_protocol::manifest::Manifest;
use weir_protocol::plan::{Plan, SourceKind};
use weir_protocol::position::{Partition, Position, Positions};
use weir_protocol::remedy::Called;
use weir_protocol::reset::Unit;
use weir_protocol::verdict::{DecisionPlace, Hint};
use weir_runtime::checkpoint_store::CheckpointStore;
use weir_runtime::connect::{Connected, Connectors, Operators};
use weir_runtime::data_dir::DataDir;
use weir_runtime::format_file;
use weir_runtime::incarnation;
use weir_runtime::recovery::{Foreseen, handles_of};
use weir_wasm::Engine;

/// A partition of a source, and what is decided for it.
pub struct Known {
    /// The index of its source in the plan.
    pub index: usize,
    /// The name of its source.
    pub source: String,
    /// The partition.
    pub partition: Partition,
    /// Where it goes on.
    pub position: Option<Position>,
    /// Who said so.
    pub metadata: Metadata,
}

/// A pipeline at which is looked. Where this process may change it, its data directory is held while this lives.
pub struct Situation {
    _held: Option<DataDir>,
    /// Why a start would not open the data directory.
    unfit: Option<ConnectorError>,
    /// How a person calls the pipeline.
    pub called: Called,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Its operators.
    pub operators: Operators,
    /// Whose decisions are ours.
    pub owner: Owner,
    /// The incarnation that a reset would be.
    pub incarnation: Incarnation,
    /// The checkpoints.
    pub store: CheckpointStore,
    connectors: PlanConnectors,
    /// The connectors.
    pub connected: Connected,
    /// What is decided; the newest where partitions name several.
    pub record: Option<DecisionRecord>,
    /// The manifest of that, if it is there and whole; where partitions name several decisions, of the newest that is.
    pub manifest: Option<Manifest>,
    /// All partitions.
    pub partitions: Vec<Known>,
}

/// How a person calls the pipeline of a file.
fn called_by(pipeline: &PipelineOptions, data_dir: &Path, plan: &Plan) -> Called {
    let mut called = called::on_the_command_line(pipeline, data_dir);
    called::by_its_plan(&mut called, plan);
    called
}

/// How what is decided is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As it is, whatever is under way.
    Onlooking,
    /// Once nobody can decide any more, and waiting for offsets of a transaction that is under way.
    BehindTheFence,
}

/// The longest wait for a sign of life.
const LOOK_AGAIN_MAX: std::time::Duration = std::time::Duration::from_secs(15);

impl Situation {
    /// Reads the file, takes the data directory and asks the decision log.
    pub fn of_file(pipeline: &PipelineOptions, data_dir: &Path) -> Result<Situation, Failure> {
        let file = prepared_pipeline::read_file(&pipeline.file, &pipeline.overrides)?;
        let data_dir = DataDir::open(data_dir)?;
        let engine =
            Engine::new(Some(data_dir.compiled())).map_err(|error| Failure::failed(error.to_string()))?;
        let prepared = prepared_pipeline::prepare(&file, &engine)?;
        let spec = &prepared.plan.spec;
        let directory = data_dir.pipeline(&spec.name, &Owner::of(&spec.id_prefix, &spec.name))?;
        let called = called_by(pipeline, data_dir.path(), &prepared.plan);
        let store = CheckpointStore::open_at(&directory, spec.checkpoint.retain, data_dir.level().clone())?;
        let situation = Situation::look(prepared, directory, store, called)?;
        Ok(Situation { _held: Some(data_dir), ..situation })
    }

    /// The same beside whatever runs, to look only: nothing is locked and nothing is made.
    pub fn beside(pipeline: &PipelineOptions, data_dir: &Path) -> Result<Situation, Failure> {
        let file = prepared_pipeline::read_file(&pipeline.file, &pipeline.overrides)?;
        let engine = Engine::new(None).map_err(|error| Failure::failed(error.to_string()))?;
        let prepared = prepared_pipeline::prepare(&file, &engine)?;
        let called = called_by(pipeline, data_dir, &prepared.plan);
        Situation::look_beside(prepared, data_dir, called)
    }

    /// The same of a pipeline that is prepared already.
    pub fn look_beside(
        prepared: PreparedPipeline,
        data_dir: &Path,
        called: Called,
    ) -> Result<Situation, Failure> {
        let directory = DataDir::pipeline_path(data_dir, &prepared.plan.spec.name);
        let owner = Owner::of(&prepared.plan.spec.id_prefix, &prepared.plan.spec.name);
        let marking = format_file::read(data_dir).and_then(|marking| format_file::level(data_dir, &marking));
        let unfit = marking.map(drop).and_then(|()| DataDir::is_owned(&directory, &owner).map(drop)).err();
        let store = CheckpointStore::beside(&directory);
        let situation = Situation::look(prepared, directory, store, called)?;
        Ok(Situation { unfit, ..situation })
    }

    /// Asks the decision log. `called` is how a person calls the pipeline.
    pub fn look(
        prepared: PreparedPipeline,
        directory: PathBuf,
        store: CheckpointStore,
        called: Called,
    ) -> Result<Situation, Failure> {
        let plan = prepared.plan;
        let owner = Owner::of(&plan.spec.id_prefix, &plan.spec.name);
        let incarnation = incarnation::fresh();
        let connectors = PlanConnectors::new(plan.clone(), directory);
        let connected = connectors.connect(&incarnation)?;
        let mut situation = Situation {
            _held: None,
            unfit: None,
            called,
            plan,
            operators: prepared.operators,
            owner,
            incarnation,
            store,
            connectors,
            connected,
            record: None,
            manifest: None,
            partitions: Vec::new(),
        };
        situation.ask(Reading::Onlooking)?;
        Ok(situation)
    }

    /// The consumer group whose offsets are the decision, where they are.
    pub fn group(&self) -> Option<String> {
        let spec = &self.plan.spec;
        let own = self.partitions.iter().find(|known| self.is_covered(&known.partition))?;
        let SourceKind::Kafka { cluster, .. } = &spec.sources[own.index].kind else { return None };
        let named = spec.clusters.get(cluster)?.group.clone();
        Some(named.unwrap_or_else(|| format!("{}{}", spec.id_prefix, spec.name)))
    }

    fn is_covered(&self, partition: &Partition) -> bool {
        self.connected.decisions.covered(std::slice::from_ref(partition)).contains(partition)
    }

    /// True where the positions of a source count records.
    pub fn is_kafka(&self, source: usize) -> bool {
        matches!(self.plan.spec.sources[source].kind, SourceKind::Kafka { .. })
    }

    /// What the positions of a source count.
    pub fn unit(&self, source: &str) -> Unit {
        let spec = self.plan.spec.sources.iter().find(|spec| spec.name == source);
        match spec.map(|spec| &spec.kind) {
            Some(SourceKind::Files { .. }) => Unit::Bytes,
            _ => Unit::Records,
        }
    }

    /// Per source the cluster that it reads.
    pub fn clusters(&self) -> Result<Vec<Option<Arc<KafkaCluster>>>, Failure> {
        Ok(self.connectors.clusters_of_sources()?)
    }

    /// Refuses where somebody uses the group, or decides while we look: a reset is for a stopped pipeline. One that
    /// is idle meanwhile cannot be seen; it would be fenced, and end as superseded.
    pub fn refuse_running(&mut self) -> Result<(), Failure> {
        let errors = self.connectors.checks().into_iter().filter(|finding| finding.level == Level::Error);
        if let Some(error) = errors.map(|finding| finding.message).next() {
            return Err(refused(error));
        }
        // A pipeline without a cluster is held back by the lock of its data directory.
        if self.plan.spec.clusters.is_empty() {
            return Ok(());
        }
        let wait = (self.plan.spec.checkpoint.interval * 2).min(LOOK_AGAIN_MAX);
        tracing::info!("looking for {wait:?} whether the pipeline is running");
        std::thread::sleep(wait);
        let wanted: Vec<Partition> = self.partitions.iter().map(|known| known.partition.clone()).collect();
        let covered = self.connected.decisions.covered(&wanted);
        let now = self.connected.decisions.look(&covered)?;
        let now = decisions(&now).first().copied().cloned();
        match (&now, &self.record) {
            (Some(now), before) if before.as_ref() != Some(now) => Err(refused(format!(
                "the pipeline is running: checkpoint {} was decided just now; stop it first",
                now.id
            ))),
            _ => Ok(()),
        }
    }

    /// Fences every earlier life, reads what is decided anew, and publishes what the decided checkpoint had prepared. Where
    /// that is not what was looked at, nothing is to be changed.
    pub fn fence(&mut self) -> Result<(), Failure> {
        self.connected.decisions.fence()?;
        let record = self.record.take();
        let looked_at = std::mem::take(&mut self.partitions);
        self.ask(Reading::BehindTheFence)?;
        if self.record != record {
            let decided =
                self.record.as_ref().map_or_else(|| "nothing".to_owned(), |record| record.id.to_string());
            return Err(refused(format!(
                "the pipeline is running: checkpoint {decided} was decided while this looked, and nothing was changed; stop it first"
            )));
        }
        let now = |before: &Known| {
            let same = |now: &&Known| now.index == before.index && now.partition == before.partition;
            self.partitions.iter().find(same).map(|now| (now.position, &now.metadata))
        };
        if let Some(changed) = looked_at.iter().find(|one| now(one) != Some((one.position, &one.metadata))) {
            return Err(refused(format!(
                "the committed offset of {} was changed while this looked, and nothing was done: stop whoever commits in this group, then look again",
                changed.partition
            )));
        }
        let Some(manifest) = &self.manifest else { return Ok(()) };
        for (sink, spec) in self.connected.sinks.iter_mut().zip(&self.plan.spec.sinks) {
            sink.recover(&handles_of(&spec.name, &manifest.prepared))?;
        }
        Ok(())
    }

    /// Why a start would end at once, where it would, with the command that helps.
    pub fn refusal(&mut self) -> Result<Option<String>, Failure> {
        if let Some(unfit) = &self.unfit {
            return Ok(Some(unfit.told(&self.called)));
        }
        match self.look_ahead() {
            Err(error) if error.kind == ErrorKind::Transient => Err(error.into()),
            Err(error) => Ok(Some(error.told(&self.called))),
            Ok(_) => {
                let errors = self.connectors.checks().into_iter().filter(|one| one.level == Level::Error);
                Ok(errors.map(|finding| finding.message).next())
            }
        }
    }

    /// What a start would come to now; refused where that would be.
    pub fn foresee(&mut self) -> Result<Foreseen, Failure> {
        Ok(self.look_ahead()?)
    }

    fn look_ahead(&mut self) -> Result<Foreseen, ConnectorError> {
        online::foresee(&self.plan, &self.operators, &self.owner, &self.store, &mut self.connected)
    }

    fn ask(&mut self, reading: Reading) -> Result<(), Failure> {
        let mut all = Vec::new();
        for (index, source) in self.connected.sources.iter_mut().enumerate() {
            all.extend(source.partitions()?.into_iter().map(|partition| (index, partition)));
        }
        let wanted: Vec<Partition> = all.iter().map(|(_, partition)| partition.clone()).collect();
        let covered = self.connected.decisions.covered(&wanted);
        let committed = match reading {
            Reading::Onlooking => self.connected.decisions.look(&covered)?,
            Reading::BehindTheFence => self.connected.decisions.read(&covered)?,
        };
        let decisions = decisions(&committed);
        self.record = decisions.first().copied().cloned();
        self.manifest = decisions.into_iter().find_map(|record| self.store.load(record).found());
        // A local decision that was brought back from a copy: what was decided later is published. A hint that is damaged
        // is told by who needs it.
        let is_local = self.connected.place == DecisionPlace::LocalFile;
        let hint = self.store.hint().ok().flatten().filter(|_| is_local);
        if let (Some(decided), Some(hint)) = (&self.record, hint)
            && hint.id.epoch > decided.id.epoch
        {
            self.manifest = self.hinted(hint).or(self.manifest.take());
        }
        for (index, partition) in all {
            let source = self.plan.spec.sources[index].name.clone();
            let entry = committed.iter().find(|entry| entry.partition == partition);
            // Where the decision is a stand-in, the positions are in the manifest.
            let (position, metadata) = match entry {
                Some(entry) => (entry.position, entry.metadata.clone()),
                None => {
                    let position = self.manifest.as_ref().and_then(|m| m.position(&source, &partition));
                    let record = self.record.clone().filter(|_| position.is_some());
                    (position, record.map_or(Metadata::Empty, Metadata::Decision))
                }
            };
            self.partitions.push(Known { index, source, partition, position, metadata });
        }
        Ok(())
    }

    /// The manifest that a hint names.
    pub fn hinted(&self, hint: Hint) -> Option<Manifest> {
        let record = DecisionRecord { owner: self.owner.clone(), id: hint.id, manifest: hint.manifest };
        self.store.load(&record).found()
    }

    /// Where each partition ends now, as far as its source knows.
    pub fn ends(&mut self) -> Result<Vec<Option<i64>>, Failure> {
        let ends = self.ask_sources(|source, partitions| match source.ends(partitions) {
            // An endless generator has no end; that is no reason not to show where it stands.
            Err(error) if error.kind == ErrorKind::Permanent => Ok(Positions::new()),
            answer => answer,
        })?;
        let known = self.partitions.iter();
        Ok(known.map(|known| ends[known.index].get(&known.partition).map(|end| end.offset)).collect())
    }

    /// Asks each source about its partitions.
    pub fn ask_sources(
        &mut self,
        mut ask: impl FnMut(&mut dyn Source, &[Partition]) -> Result<Positions, ConnectorError>,
    ) -> Result<Vec<Positions>, Failure> {
        let mut answers = Vec::new();
        for (index, source) in self.connected.sources.iter_mut().enumerate() {
            let own = self.partitions.iter().filter(|known| known.index == index);
            let partitions: Vec<Partition> = own.map(|known| known.partition.clone()).collect();
            answers.push(ask(source.as_mut(), &partitions)?);
        }
        Ok(answers)
    }
}

#[cfg(test)]
#[path = "situation_tests.rs"]
mod tests;
