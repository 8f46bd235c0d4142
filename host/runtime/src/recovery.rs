//! The way back, and the way in: look, fence, read, judge, restore, and decide where this incarnation starts.
//!
//! The only order that is safe: the decision is read after every earlier incarnation is fenced. It is looked at before,
//! too, so that a second copy started by mistake does not kill the one that works.

mod facts;
mod foresee;
mod keyed;
mod parts;
mod replayed;

pub use self::parts::{decision_offsets, handles_of, manifest_of};

use crate::checkpoint_store::CheckpointStore;
use crate::connect::Connected;
use crate::keyed_start::KeyedStart;
use crate::version::Candidate;
pub use foresee::Foreseen;
use std::collections::BTreeMap;
use std::path::PathBuf;
use weir_protocol::connector::{ConnectorError, DecisionLog};
use weir_protocol::decision::{Decision, DecisionRecord, Owner};
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::kill_point::reached;
use weir_protocol::manifest::{Manifest, PreparedHandle, SourcePosition, SourceWatermark};
use weir_protocol::plan::replay::is_letters;
use weir_protocol::plan::{Guarantee, Plan};
use weir_protocol::position::{Partition, Position, Positions};
use weir_protocol::remedy::Remedy;
use weir_protocol::savepoint::{Decided, SavepointStart, SavepointVerdict, judge_start};
use weir_protocol::verdict::{Facts, KnownPartition, NewPartition, Refusal, Verdict, judge};

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
    /// Start from this savepoint, unless that has happened already.
    pub from_savepoint: Option<&'a FromSavepoint>,
    /// Read every byte of the state before anything else.
    pub verify: bool,
    /// A version of which only the decision tells whether it is the one that runs.
    pub candidate: Option<&'a Candidate>,
    /// The incarnations that this process has lived before this one.
    pub earlier: &'a [Incarnation],
}

/// A savepoint to start from.
#[derive(Debug, Clone, PartialEq)]
pub struct FromSavepoint {
    /// What the person calls it.
    pub asked: String,
    /// The savepoint, or why there is none: that matters only if the start has not happened yet.
    pub savepoint: Result<VerifiedSavepoint, String>,
    /// Output beyond the savepoint may be published again.
    pub replay_output: bool,
    /// Start from it although that has happened before.
    pub again: bool,
}

/// A savepoint of which every byte was read.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedSavepoint {
    /// Its manifest.
    pub manifest: Manifest,
    /// Where its files are.
    pub directory: PathBuf,
}

/// Where recovery goes on, as judged.
enum Judged<'a> {
    /// From what is decided.
    Decision(Verdict),
    /// From a savepoint, in an epoch behind everything that was decided.
    Savepoint {
        asked: &'a str,
        from: &'a VerifiedSavepoint,
        epoch: Epoch,
        resolve: Vec<NewPartition>,
        decided: Decided,
    },
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
    /// How far event time had come in the sources.
    pub watermarks: Vec<SourceWatermark>,
    /// And at the operators.
    pub operator_watermarks: BTreeMap<String, i64>,
    /// What keyed operators start from, where there are any.
    pub keyed: Option<KeyedStart>,
    /// The checkpoint of the savepoint that this line of checkpoints was started from.
    pub started_from: Option<CheckpointId>,
    /// What the person called that savepoint.
    pub savepoint: Option<String>,
    /// Every byte of the restored state was read.
    pub verified: bool,
    /// Where replays of dead letters have ended, of sinks that are not replayed now: carried from manifest to manifest.
    pub parked: Vec<SourcePosition>,
    /// What sinks have prepared that the pipeline does not have any more: carried likewise, until they are named again.
    pub unpublished: Vec<PreparedHandle>,
}

/// What recovery has come to.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// The pipeline goes on.
    From(Box<Recovered>),
    /// This checkpoint was drained to the end of the input, and all of it is published.
    AlreadyFinished(CheckpointId),
    /// This checkpoint is decided, and it is the candidate's: recover again with that. Nothing was changed.
    Candidate(CheckpointId),
}

/// Where to go on, before it is decided.
struct Restored {
    /// What is decided.
    decided: Option<CheckpointId>,
    /// The decided checkpoint, where it is this one's state that goes on.
    repeats: Option<CheckpointId>,
    parent: Option<CheckpointId>,
    started_from: Option<CheckpointId>,
    savepoint: Option<String>,
    epoch: Epoch,
    positions: Vec<Positions>,
    prepared: Vec<PreparedHandle>,
    now_ms: i64,
    watermarks: Vec<SourceWatermark>,
    operator_watermarks: BTreeMap<String, i64>,
    keyed: Option<KeyedStart>,
    /// Where replays of dead letters have ended, of sinks that are not replayed now.
    parked: Vec<SourcePosition>,
}

impl Recovery<'_> {
    /// Recovers. When this returns, the start of this incarnation is decided, or the pipeline was finished before, and no
    /// earlier incarnation can decide anything.
    pub fn run(&self, connected: &mut Connected) -> Result<Start, ConnectorError> {
        let partitions = self.partitions(connected)?;
        let covered = self.covered(connected.decisions.as_ref(), &partitions);
        let committed = connected.decisions.look(&covered)?;
        let judged = self.judge(&self.facts(connected, &partitions, committed)?)?;
        if self.finished(&judged).is_none() && self.candidates(&judged).is_none() {
            self.keyed_start(connected, &partitions, &judged)?;
        }
        reached("recovery_before_fence");
        connected.decisions.fence()?;
        reached("recovery_after_fence");
        let committed = connected.decisions.read(&covered)?;
        let judged = self.judge(&self.facts(connected, &partitions, committed)?)?;
        reached("recovery_after_read");
        if let Some(id) = self.candidates(&judged) {
            return Ok(Start::Candidate(id));
        }
        if let Some(id) = self.finished(&judged) {
            self.refuse_letters(&id)?;
            // Whoever finished it may have died before its last output was published.
            let restored = self.restore(connected, judged)?;
            self.recover_sinks(connected, &restored)?;
            return Ok(Start::AlreadyFinished(id));
        }
        let keyed = self.keyed_start(connected, &partitions, &judged)?;
        let mut restored = Restored { keyed, ..self.restore(connected, judged)? };
        replayed::place(self.plan, connected, &partitions, &mut restored.positions)?;
        self.recover_sinks(connected, &restored)?;
        reached("recovery_after_sinks");
        let recovered = self.decide_start(connected, restored, &covered)?;
        reached("recovery_after_start_decided");
        Ok(Start::From(Box::new(recovered)))
    }

    /// What the decision covers when the pipeline reads `partitions`.
    fn covered(&self, decisions: &dyn DecisionLog, partitions: &[KnownPartition]) -> Vec<Partition> {
        let deciding = partitions.iter().filter(|known| self.plan.decides(&known.source));
        decisions.covered(&deciding.map(|known| known.partition.clone()).collect::<Vec<_>>())
    }

    /// Letters do not come back into a pipeline whose windows are closed, unless a person says so.
    fn refuse_letters(&self, finished: &CheckpointId) -> Result<(), ConnectorError> {
        if !self.plan.is_replay() {
            return Ok(());
        }
        Err(ConnectorError::refused(format!(
            "no letter came back: pipeline {} was drained to the end of its input at checkpoint {finished}, and its windows are closed; --restart-finished replays all the same",
            self.plan.spec.name
        ))
        .helped_by(Remedy::RestartFinished))
    }

    /// The decided checkpoint, where it was drained to the end of the input and is not to be started again.
    fn finished(&self, judged: &Judged<'_>) -> Option<CheckpointId> {
        match judged {
            Judged::Decision(Verdict::Restore { manifest, .. }) if !self.restart_finished => {
                manifest.finished.then(|| manifest.id.clone())
            }
            _ => None,
        }
    }

    /// The decided checkpoint, where it is the candidate's.
    fn candidates(&self, judged: &Judged<'_>) -> Option<CheckpointId> {
        let (id, operators) = match judged {
            Judged::Decision(Verdict::Restore { manifest, .. }) => (&manifest.id, Some(&manifest.operators)),
            Judged::Decision(Verdict::RestoreFromOffsets { record, .. }) => (&record.id, None),
            _ => return None,
        };
        self.candidate.filter(|candidate| candidate.decided(id, operators)).map(|_| id.clone())
    }

    fn judge(&self, facts: &Facts) -> Result<Judged<'_>, ConnectorError> {
        if let Some(from) = self.from_savepoint {
            let start = SavepointStart {
                facts,
                asked: &from.asked,
                savepoint: from.savepoint.as_ref().map(|found| &found.manifest).map_err(String::as_str),
                replay_output: from.replay_output,
                again: from.again,
                ours: self.earlier,
            };
            match (judge_start(&start), &from.savepoint) {
                (SavepointVerdict::Start { epoch, resolve, decided }, Ok(found)) => {
                    return Ok(Judged::Savepoint {
                        asked: &from.asked,
                        from: found,
                        epoch,
                        resolve,
                        decided,
                    });
                }
                (SavepointVerdict::Start { .. }, Err(why)) => {
                    return Err(ConnectorError::refused(why.clone()).helped_by(Remedy::Savepoints));
                }
                (SavepointVerdict::Refuse(refusal), _) => {
                    return Err(ConnectorError::refused(refusal.to_string()).helped_by(refusal.remedy()));
                }
                (SavepointVerdict::Happened, _) => tracing::info!(
                    savepoint = from.asked,
                    "the pipeline was started from this savepoint before: it goes on from its newest decision"
                ),
            }
        }
        match judge(facts) {
            Verdict::Refuse(refusal) => Err(refused(&refusal)),
            verdict => Ok(Judged::Decision(verdict)),
        }
    }

    fn restore(&self, connected: &mut Connected, judged: Judged<'_>) -> Result<Restored, ConnectorError> {
        let mut restored = Restored {
            decided: None,
            repeats: None,
            parent: None,
            started_from: None,
            savepoint: None,
            epoch: Epoch::FIRST,
            positions: vec![Positions::new(); self.plan.spec.sources.len()],
            prepared: Vec::new(),
            now_ms: self.wall_ms,
            watermarks: Vec::new(),
            operator_watermarks: BTreeMap::new(),
            keyed: None,
            parked: Vec::new(),
        };
        let mut put = |source: &str, partition: Partition, position: Position| {
            // Positions of a source that left the plan are let go. Those of dead letters, and of a topic that left its
            // source, are kept for when it comes back.
            let spec = self.plan.spec.sources.iter().position(|spec| spec.name == source);
            match spec.filter(|index| self.plan.spec.sources[*index].kind.may_have(&partition)) {
                Some(index) => {
                    restored.positions[index].insert(partition, position);
                }
                None if spec.is_some() || is_letters(source) => {
                    restored.parked.push(SourcePosition { source: source.to_owned(), partition, position });
                }
                None => {}
            }
        };
        let verdict = match judged {
            Judged::Decision(verdict) => verdict,
            Judged::Savepoint { asked, from, epoch, resolve, decided } => {
                tracing::info!(savepoint = %from.manifest.id, %epoch, "started from a savepoint");
                let Manifest { id, positions, now_ms, watermarks, operator_watermarks, .. } =
                    from.manifest.clone();
                positions.into_iter().for_each(|old| put(&old.source, old.partition, old.position));
                restored.epoch = epoch;
                restored.decided = decided.id;
                restored.prepared = decided.prepared;
                restored.parent = Some(id.clone());
                restored.started_from = Some(id);
                restored.savepoint = Some(asked.to_owned());
                restored.now_ms = restored.now_ms.max(now_ms);
                restored.watermarks = watermarks;
                restored.operator_watermarks = operator_watermarks;
                self.resolve(connected, resolve, &mut restored.positions)?;
                return Ok(restored);
            }
        };
        let resolve = match verdict {
            Verdict::Refuse(refusal) => return Err(refused(&refusal)),
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
                restored.decided = Some(record.id.clone());
                restored.parent = Some(record.id);
                vec![]
            }
            Verdict::Restore { manifest, resolve } => {
                tracing::info!(checkpoint = %manifest.id, "restored");
                let only_started = manifest.is_savepoint_start();
                restored.repeats = Some(manifest.id.clone());
                for old in manifest.positions {
                    put(&old.source, old.partition, old.position);
                }
                restored.epoch = manifest.id.epoch.next();
                restored.decided = Some(manifest.id.clone());
                // A crash right behind a start from a savepoint has changed nothing of what that start may do.
                restored.parent = if only_started { manifest.parent } else { Some(manifest.id) };
                restored.started_from = manifest.started_from;
                restored.savepoint = manifest.savepoint;
                restored.now_ms = restored.now_ms.max(manifest.now_ms);
                restored.prepared = manifest.prepared;
                restored.watermarks = manifest.watermarks;
                restored.operator_watermarks = manifest.operator_watermarks;
                resolve
            }
        };
        self.resolve(connected, resolve, &mut restored.positions)?;
        replayed::forget_old_names(self.plan, &restored.positions, &mut restored.parked);
        Ok(restored)
    }

    fn recover_sinks(&self, connected: &mut Connected, restored: &Restored) -> Result<(), ConnectorError> {
        for (spec, sink) in self.plan.spec.sinks.iter().zip(&mut connected.sinks) {
            sink.recover(&handles_of(&spec.name, &restored.prepared))?;
        }
        if self.from_savepoint.is_some() && restored.decided.is_none() {
            // Nothing tells what was decided, so nothing is deleted.
            return Ok(());
        }
        self.store.delete_undecided(restored.decided.as_ref()).map_err(|error| {
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
        let unpublished = parts::of_gone_sinks(self.plan, &restored.prepared);
        manifest.prepared.clone_from(&unpublished);
        manifest.watermarks = restored.watermarks.clone();
        manifest.operator_watermarks = restored.operator_watermarks.clone();
        manifest.keyed = restored.keyed.as_ref().map(|keyed| keyed.states.clone());
        manifest.started_from = restored.started_from.clone();
        manifest.savepoint = restored.savepoint.clone();
        manifest.positions.extend(restored.parked.iter().cloned());
        let checkpoint = restored.keyed.as_ref().and_then(|keyed| keyed.checkpoint.as_ref());
        if let (Some(checkpoint), Some(keyed)) = (checkpoint, &manifest.keyed) {
            self.store.link_state(checkpoint, &id, &keyed.parts).map_err(|error| {
                ConnectorError::transient(format!(
                    "the state in {} cannot be linked: {error}",
                    checkpoint.display()
                ))
            })?;
        }
        let hash = self.store.store(&manifest).map_err(|error| {
            ConnectorError::transient(format!("checkpoint {id} cannot be stored: {error}"))
        })?;
        let record = DecisionRecord { owner: self.owner.clone(), id: id.clone(), manifest: hash };
        let offsets = decision_offsets(connected.decisions.as_ref(), covered, &restored.positions, id.epoch);
        connected.decisions.begin(id.epoch)?;
        connected.decisions.flush(id.epoch)?;
        connected.decisions.decide(&Decision { record: record.clone(), offsets })?;
        let cannot =
            |what: &str, error: std::io::Error| ConnectorError::transient(format!("{what}: {error}"));
        self.store.write_hint(&record).map_err(|error| cannot("the hint cannot be written", error))?;
        if let Some(repeated) = &restored.repeats {
            let repeated = self.store.delete_repeated(repeated);
            repeated.map_err(|error| cannot("the start that this one repeats cannot be deleted", error))?;
        }
        connected.decisions.retire(id.epoch)?;
        let keyed =
            restored.keyed.map(|keyed| KeyedStart { checkpoint: Some(self.store.path(&id)), ..keyed });
        let Restored {
            positions,
            now_ms,
            watermarks,
            operator_watermarks,
            started_from,
            savepoint,
            parked,
            ..
        } = restored;
        Ok(Recovered {
            start: id,
            positions,
            now_ms,
            watermarks,
            operator_watermarks,
            keyed,
            started_from,
            savepoint,
            verified: self.verify,
            parked,
            unpublished,
        })
    }
}

fn refused(refusal: &Refusal) -> ConnectorError {
    ConnectorError::refused(refusal.to_string()).helped_by(refusal.remedy())
}
