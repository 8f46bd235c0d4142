//! The way back, and the way in: look, fence, read, judge, restore, and decide where this incarnation starts.
//!
//! The only order that is safe: the decision is read after every earlier incarnation is fenced. It is looked at before,
//! too, so that a second copy started by mistake does not kill the one that works.

use crate::checkpoint_store::CheckpointStore;
use crate::connect::Connected;
use crate::keyed_start::{self, KeyedStart};
use std::collections::BTreeMap;
use weir_protocol::connector::{ConnectorError, DecisionLog, StartPolicy};
use weir_protocol::decision::{CommittedOffset, Decision, DecisionRecord, Owner};
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::kill_point::reached;
use weir_protocol::manifest::{Manifest, PreparedHandle, SourcePosition, SourceWatermark, VERSION};
use weir_protocol::plan::{Guarantee, Plan, SourceKind};
use weir_protocol::position::{Partition, Position, Positions};
use weir_protocol::verdict::{
    Facts, FoundManifest, KnownPartition, NewPartition, NewStart, Verdict, judge, named,
};

/// What recovery works with.
pub struct Recovery<'a> {
    /// The pipeline.
    pub plan: &'a Plan,
    /// Whose decisions are ours.
    pub owner: &'a Owner,
    /// This life.
    pub incarnation: &'a Incarnation,
    /// Checkpoints on disk.
    pub store: &'a CheckpointStore,
    /// The operators' digests, for the manifest.
    pub operators: &'a BTreeMap<String, String>,
    /// The clock, in milliseconds since 1970.
    pub wall_ms: i64,
    /// A pipeline that was drained to its end may start again.
    pub restart_finished: bool,
}

/// Where the pipeline goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// The decision that this incarnation has made before its first record.
    pub start: CheckpointId,
    /// Per source of the plan, where each partition starts.
    pub positions: Vec<Positions>,
    /// The highest processing time that operators were given.
    pub now_ms: i64,
    /// How far event time had come.
    pub watermarks: Vec<SourceWatermark>,
    /// What keyed operators start from, where there are any.
    pub keyed: Option<KeyedStart>,
}

/// Where to go on, before it is decided.
struct Restored {
    parent: Option<CheckpointId>,
    epoch: Epoch,
    positions: Vec<Positions>,
    prepared: Vec<PreparedHandle>,
    now_ms: i64,
    watermarks: Vec<SourceWatermark>,
    keyed: Option<KeyedStart>,
}

impl Recovery<'_> {
    /// Recovers. When this returns, the start of this incarnation is decided and no earlier one can decide anything.
    pub fn run(&self, connected: &mut Connected) -> Result<Recovered, ConnectorError> {
        let partitions = self.partitions(connected)?;
        let covered = covered(connected.decisions.as_ref(), &partitions);
        let committed = connected.decisions.look(&covered)?;
        let verdict = judge(&self.facts(connected, &partitions, committed)?);
        if let Verdict::Refuse(refusal) = verdict {
            return Err(ConnectorError::refused(refusal.to_string()));
        }
        self.keyed_start(connected, &partitions, &verdict)?;
        reached("recovery_before_fence");
        connected.decisions.fence()?;
        reached("recovery_after_fence");
        let committed = connected.decisions.read(&covered)?;
        let verdict = judge(&self.facts(connected, &partitions, committed)?);
        reached("recovery_after_read");
        let keyed = self.keyed_start(connected, &partitions, &verdict)?;
        let restored = Restored { keyed, ..self.restore(connected, verdict)? };
        self.recover_sinks(connected, &restored)?;
        reached("recovery_after_sinks");
        let recovered = self.decide_start(connected, restored, &covered)?;
        reached("recovery_after_start_decided");
        Ok(recovered)
    }

    /// What becomes of keyed state, judged before anybody is fenced and again after.
    fn keyed_start(
        &self,
        connected: &Connected,
        partitions: &[KnownPartition],
        verdict: &Verdict,
    ) -> Result<Option<KeyedStart>, ConnectorError> {
        let Verdict::Restore { manifest, .. } = verdict else {
            return keyed_start::judge(self.plan, partitions, None, None);
        };
        if manifest.finished && !self.restart_finished {
            return Err(ConnectorError::refused(format!(
                "pipeline {} is finished: checkpoint {} was drained to the end of its input, all windows are closed; to start it again all the same, run with --restart-finished",
                manifest.pipeline, manifest.id
            )));
        }
        let checkpoint = self.store.path(&manifest.id);
        let start = keyed_start::judge(self.plan, partitions, Some(manifest), Some(checkpoint.clone()))?;
        for part in start.iter().flat_map(|start| &start.states.parts) {
            connected.states.check_quickly(&checkpoint.join(part.directory()), part).map_err(|damage| {
                ConnectorError::refused(format!(
                    "checkpoint {} is decided and cannot be restored: {damage}; bring the file back, or start from a savepoint (weir run --from-savepoint)",
                    manifest.id
                ))
            })?;
        }
        Ok(start)
    }

    fn partitions(&self, connected: &mut Connected) -> Result<Vec<KnownPartition>, ConnectorError> {
        let mut known = Vec::new();
        for (spec, source) in self.plan.spec.sources.iter().zip(&mut connected.sources) {
            let policy = match &spec.kind {
                SourceKind::Kafka { start, .. } => *start,
                SourceKind::Generator { .. } | SourceKind::Files { .. } => StartPolicy::Earliest,
            };
            for partition in source.partitions()? {
                known.push(KnownPartition { source: spec.name.clone(), partition, policy, covered: false });
            }
        }
        let all: Vec<Partition> = known.iter().map(|known| known.partition.clone()).collect();
        let covered = connected.decisions.covered(&all);
        for known in &mut known {
            known.covered = covered.contains(&known.partition);
        }
        Ok(known)
    }

    fn facts(
        &self,
        connected: &Connected,
        partitions: &[KnownPartition],
        committed: Vec<CommittedOffset>,
    ) -> Result<Facts, ConnectorError> {
        let manifest = match named(&committed) {
            Some(record) => self.store.load(record),
            None => FoundManifest::NotNamed,
        };
        Ok(Facts {
            owner: self.owner.clone(),
            stand_in: !partitions.iter().any(|known| known.covered),
            committed,
            partitions: partitions.to_vec(),
            manifest,
            hint: self.store.hint()?,
            later_checkpoint: self.store.has_later_checkpoint()?,
            needs_manifest: match connected.needs_manifest {
                None if self.plan.is_keyed() => Some("its operators keep state"),
                other => other,
            },
        })
    }

    fn restore(&self, connected: &mut Connected, verdict: Verdict) -> Result<Restored, ConnectorError> {
        let mut restored = Restored {
            parent: None,
            epoch: Epoch::FIRST,
            positions: vec![Positions::new(); self.plan.spec.sources.len()],
            prepared: Vec::new(),
            now_ms: self.wall_ms,
            watermarks: Vec::new(),
            keyed: None,
        };
        let mut put = |source: &str, partition: Partition, position: Position| {
            // A source that left the plan has no place any more; its positions are let go.
            if let Some(index) = self.plan.spec.sources.iter().position(|spec| spec.name == source) {
                restored.positions[index].insert(partition, position);
            }
        };
        let resolve = match verdict {
            Verdict::Refuse(refusal) => return Err(ConnectorError::refused(refusal.to_string())),
            Verdict::FirstStart { resolve } => {
                tracing::info!(partitions = resolve.len(), "first start");
                resolve
            }
            Verdict::TakeOver { adopted, resolve } => {
                tracing::info!(
                    adopted = adopted.len(),
                    "the consumer group has offsets of another consumer: they are taken over"
                );
                adopted.into_iter().for_each(|known| put(&known.source, known.partition, known.position));
                resolve
            }
            Verdict::RestoreFromOffsets { record, positions, warning } => {
                if self.plan.spec.guarantee == Guarantee::AtMostOnce {
                    tracing::info!(checkpoint = %record.id, "restored from the committed offsets");
                } else {
                    tracing::warn!("{warning}");
                }
                positions.into_iter().for_each(|known| put(&known.source, known.partition, known.position));
                restored.epoch = record.id.epoch.next();
                restored.parent = Some(record.id);
                vec![]
            }
            Verdict::Restore { manifest, resolve } => {
                tracing::info!(checkpoint = %manifest.id, "restored");
                for old in manifest.positions {
                    put(&old.source, old.partition, old.position);
                }
                restored.epoch = manifest.id.epoch.next();
                restored.parent = Some(manifest.id);
                restored.now_ms = restored.now_ms.max(manifest.now_ms);
                restored.prepared = manifest.prepared;
                restored.watermarks = manifest.watermarks;
                resolve
            }
        };
        self.resolve(connected, resolve, &mut restored.positions)?;
        Ok(restored)
    }

    /// Asks the sources where new partitions start, policy by policy.
    fn resolve(
        &self,
        connected: &mut Connected,
        new: Vec<NewPartition>,
        positions: &mut [Positions],
    ) -> Result<(), ConnectorError> {
        for (index, spec) in self.plan.spec.sources.iter().enumerate() {
            let of_source: Vec<&NewPartition> = new.iter().filter(|new| new.source == spec.name).collect();
            let earliest: Vec<Partition> = of_source
                .iter()
                .filter(|new| new.start == NewStart::Earliest)
                .map(|new| new.partition.clone())
                .collect();
            if !earliest.is_empty() {
                positions[index].extend(connected.sources[index].resolve(&earliest, StartPolicy::Earliest)?);
            }
            let by_policy = of_source.iter().find_map(|new| match new.start {
                NewStart::Policy(policy) => Some(policy),
                NewStart::Earliest => None,
            });
            if let Some(policy) = by_policy {
                let partitions: Vec<Partition> = of_source
                    .iter()
                    .filter(|new| new.start != NewStart::Earliest)
                    .map(|new| new.partition.clone())
                    .collect();
                positions[index].extend(connected.sources[index].resolve(&partitions, policy)?);
            }
        }
        Ok(())
    }

    fn recover_sinks(&self, connected: &mut Connected, restored: &Restored) -> Result<(), ConnectorError> {
        for (spec, sink) in self.plan.spec.sinks.iter().zip(&mut connected.sinks) {
            sink.recover(&handles_of(&spec.name, &restored.prepared))?;
        }
        let decided = restored.parent.as_ref();
        self.store.delete_undecided(decided).map_err(|error| {
            ConnectorError::transient(format!("undecided checkpoints cannot be deleted: {error}"))
        })
    }

    /// Positions become true before the first record: a crash later finds where to go on whatever the day, and a copy
    /// that was fenced by us sees that we have gone on.
    fn decide_start(
        &self,
        connected: &mut Connected,
        restored: Restored,
        covered: &[Partition],
    ) -> Result<Recovered, ConnectorError> {
        let id = CheckpointId { epoch: restored.epoch, incarnation: self.incarnation.clone() };
        let (parent, positions) = (restored.parent.clone(), &restored.positions);
        let mut manifest =
            manifest_of(self.plan, self.operators, id.clone(), parent, positions, vec![], restored.now_ms);
        manifest.watermarks = restored.watermarks.clone();
        manifest.keyed = restored.keyed.as_ref().map(|keyed| keyed.states.clone());
        if let (Some(parent), Some(keyed)) = (&restored.parent, &manifest.keyed) {
            self.store.link_state(parent, &id, &keyed.parts).map_err(|error| {
                ConnectorError::transient(format!("the state of checkpoint {parent} cannot be linked: {error}"))
            })?;
        }
        let hash = self.store.store(&manifest).map_err(|error| {
            ConnectorError::transient(format!("checkpoint {id} cannot be stored: {error}"))
        })?;
        let record = DecisionRecord { owner: self.owner.clone(), id: id.clone(), manifest: hash };
        let offsets = decision_offsets(covered, &restored.positions, id.epoch);
        connected.decisions.begin(id.epoch)?;
        connected.decisions.flush(id.epoch)?;
        connected.decisions.decide(&Decision { record: record.clone(), offsets })?;
        let cannot =
            |what: &str, error: std::io::Error| ConnectorError::transient(format!("{what}: {error}"));
        self.store.write_hint(&record).map_err(|error| cannot("the hint cannot be written", error))?;
        self.store.delete_old(&id).map_err(|error| cannot("old checkpoints cannot be deleted", error))?;
        connected.decisions.retire(id.epoch)?;
        let keyed = restored.keyed.map(|keyed| KeyedStart { checkpoint: Some(self.store.path(&id)), ..keyed });
        let Restored { positions, now_ms, watermarks, .. } = restored;
        Ok(Recovered { start: id, positions, now_ms, watermarks, keyed })
    }
}

/// A manifest from the parts that a checkpoint collects.
pub fn manifest_of(
    plan: &Plan,
    operators: &BTreeMap<String, String>,
    id: CheckpointId,
    parent: Option<CheckpointId>,
    positions: &[Positions],
    prepared: Vec<PreparedHandle>,
    now_ms: i64,
) -> Manifest {
    let positions = plan.spec.sources.iter().zip(positions).flat_map(|(spec, positions)| {
        positions.iter().map(|(partition, position)| SourcePosition {
            source: spec.name.clone(),
            partition: partition.clone(),
            position: *position,
        })
    });
    Manifest {
        version: VERSION,
        pipeline: plan.spec.name.clone(),
        id,
        parent,
        positions: positions.collect(),
        now_ms,
        operators: operators.clone(),
        prepared,
        slots: 2,
        watermarks: Vec::new(),
        keyed: None,
        finished: false,
    }
}

/// The handles of one sink.
pub fn handles_of(sink: &str, prepared: &[PreparedHandle]) -> Vec<PreparedHandle> {
    prepared.iter().filter(|handle| handle.sink == sink).cloned().collect()
}

/// What the decision covers when the pipeline reads `partitions`.
fn covered(decisions: &dyn DecisionLog, partitions: &[KnownPartition]) -> Vec<Partition> {
    let all: Vec<Partition> = partitions.iter().map(|known| known.partition.clone()).collect();
    decisions.covered(&all)
}

/// The offsets that a decision commits: the positions of covered partitions; a stand-in carries the epoch.
pub fn decision_offsets(
    covered: &[Partition],
    positions: &[Positions],
    epoch: Epoch,
) -> Vec<(Partition, Position)> {
    covered
        .iter()
        .map(|partition| {
            let own = positions.iter().find_map(|positions| positions.get(partition)).copied();
            (partition.clone(), own.unwrap_or_else(|| Position::at(epoch.0 as i64)))
        })
        .collect()
}
