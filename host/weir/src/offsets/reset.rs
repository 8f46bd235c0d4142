//! A reset: a decision of its own, with other positions and no output.

use super::situation::Situation;
use super::{refused, shown};
use crate::failure::{Exit, Failure};
use std::collections::BTreeMap;
use weir_control::host::{OffsetsReset, OffsetsTarget, ResetOffsets, ResetState};
use weir_protocol::connector::{ConnectorError, ErrorKind, StartPolicy};
use weir_protocol::decision::{Decision, DecisionRecord, Metadata};
use weir_protocol::epoch::{CheckpointId, Epoch};
use weir_protocol::manifest::{Manifest, SourcePosition};
use weir_protocol::plan::replay::is_letters;
use weir_protocol::position::{Partition, Position, Positions};
use weir_protocol::reset::{
    Chosen, Move, PartitionFacts, ResetRefusal, StateChoice, StateFate, Target, moves, state_fate,
};
use weir_protocol::verdict::DecisionPlace;
use weir_runtime::recovery::{decision_offsets, manifest_of};

/// Says what the reset means, and does it unless that is all.
pub fn run(mut situation: Situation, asked: &ResetOffsets) -> Result<OffsetsReset, Failure> {
    refuse_foreign(&situation)?;
    let target = target(&asked.to);
    let snapshot = snapshot(&situation, &target)?;
    let chosen: Vec<Chosen> = asked
        .topics
        .iter()
        .map(|one| Chosen { topic: one.topic.clone(), partitions: one.partitions.clone() })
        .collect();
    let facts = facts(&mut situation, &target, snapshot.as_ref())?;
    let moves =
        moves(&target, &chosen, snapshot.as_ref().map(|manifest| &manifest.id), &facts).map_err(unfit)?;
    if target == Target::Snapshot {
        may_begin(&mut situation, &moves)?;
    }
    let state_of = snapshot.as_ref().filter(|manifest| manifest.keyed.is_some()).map(|manifest| &manifest.id);
    let choice = asked.state.map(|state| match state {
        ResetState::Keep => StateChoice::Keep,
        ResetState::Empty => StateChoice::Empty,
    });
    let fate = state_fate(situation.plan.is_keyed(), state_of, &facts, &moves, choice);
    let mut report = OffsetsReset {
        dry_run: true,
        moves: moves.iter().map(|to| shown(to, situation.unit(&to.source))).collect(),
        notes: notes(&situation, &facts, &moves, &fate),
        needs: None,
        decided: None,
        group: None,
    };
    if let StateFate::Undecided(why) = &fate {
        if !asked.dry_run {
            return Err(refused(why.to_string()));
        }
        report.needs = Some(why.to_string());
    }
    if asked.dry_run {
        return Ok(report);
    }
    situation.refuse_running()?;
    situation.fence()?;
    let id = decide(&mut situation, &moves, snapshot.as_ref(), &fate, false)?;
    Ok(OffsetsReset { dry_run: false, decided: Some(id.to_string()), ..report })
}

/// A topic may not reach to where the checkpoint was: it was made again, or records were deleted.
fn may_begin(situation: &mut Situation, moves: &[Move]) -> Result<(), Failure> {
    let away: Vec<Move> = moves.iter().filter(|to| to.from != Some(to.to)).cloned().collect();
    let targets = targets(situation, &away);
    for (source, start) in situation.connected.sources.iter_mut().zip(&targets) {
        source.check_start(start)?;
    }
    Ok(())
}

fn target(asked: &OffsetsTarget) -> Target {
    match asked {
        OffsetsTarget::Earliest => Target::Earliest,
        OffsetsTarget::Latest => Target::Latest,
        // A hand-over changes nothing here.
        OffsetsTarget::Current | OffsetsTarget::Group(_) => Target::Current,
        OffsetsTarget::Snapshot => Target::Snapshot,
        OffsetsTarget::Datetime(at) => Target::Datetime(*at),
        OffsetsTarget::ShiftBy(by) => Target::ShiftBy(*by),
        OffsetsTarget::Offsets(offsets) => {
            let named = offsets.iter();
            Target::Offsets(
                named.map(|one| (Partition::new(one.topic.as_str(), one.partition), one.offset)).collect(),
            )
        }
    }
}

/// What was asked for does not fit what there is.
fn unfit(refusal: ResetRefusal) -> Failure {
    Failure::configuration(refusal.to_string())
}

/// Another pipeline's decisions are never overwritten.
fn refuse_foreign(situation: &Situation) -> Result<(), Failure> {
    let foreign = situation.partitions.iter().find_map(|known| match &known.metadata {
        Metadata::Decision(record) if record.owner != situation.owner => Some((known, record)),
        _ => None,
    });
    let Some((known, record)) = foreign else { return Ok(()) };
    Err(refused(format!(
        "partition {} carries a decision of another pipeline (owner {}); give this one a `group` of its own",
        known.partition, record.owner
    )))
}

/// The manifest of the last checkpoint that is known: the decided one, or that of the hint.
fn snapshot(situation: &Situation, target: &Target) -> Result<Option<Manifest>, Failure> {
    let hint = situation.store.hint()?;
    let is_beyond = |id: &CheckpointId| hint.as_ref().filter(|hint| hint.id.epoch > id.epoch);
    let wanted = *target == Target::Snapshot;
    match (&situation.manifest, &situation.record) {
        // Nothing is newer than a local decision, but for a hint whose checkpoint is not here: its output is published.
        (Some(manifest), _) => match is_beyond(&manifest.id) {
            Some(hint) if wanted && situation.connected.place == DecisionPlace::LocalFile => {
                let (decided, newest) = (manifest.id.clone(), hint.id.clone());
                Err(unfit(ResetRefusal::PublishedBeyond { decided, newest }))
            }
            _ => Ok(Some(manifest.clone())),
        },
        // The cluster has lost what was decided later, output too: only what it has says where to go on.
        (None, Some(record)) if wanted && is_beyond(&record.id).is_some() => {
            let newest = hint.map_or_else(|| record.id.clone(), |hint| hint.id);
            Err(unfit(ResetRefusal::NotKept { decided: record.id.clone(), newest }))
        }
        (None, _) => Ok(hint.and_then(|hint| situation.hinted(hint))),
    }
}

/// What the rules want to know, asked of the sources.
fn facts(
    situation: &mut Situation,
    target: &Target,
    snapshot: Option<&Manifest>,
) -> Result<Vec<PartitionFacts>, Failure> {
    let none = vec![Positions::new(); situation.plan.spec.sources.len()];
    let counted: Vec<bool> = (0..none.len()).map(|source| situation.is_kafka(source)).collect();
    let asked = match target {
        Target::Earliest => {
            situation.ask_sources(|source, partitions| source.resolve(partitions, StartPolicy::Earliest))?
        }
        Target::Latest => {
            // A source without an end is no trouble of a moment: the wish does not fit it.
            let mut endless = false;
            let ends = situation.ask_sources(|source, partitions| {
                let ends = source.ends(partitions);
                ends.inspect_err(|error| endless |= error.kind == ErrorKind::Permanent)
            });
            let unfit =
                |failure| if endless { Failure { exit: Exit::Configuration, ..failure } } else { failure };
            ends.map_err(unfit)?
        }
        Target::Datetime(at) if counted.contains(&true) => {
            let at = StartPolicy::Timestamp(*at);
            situation.ask_sources(|source, partitions| unless_permanent(source.resolve(partitions, at)))?
        }
        _ => none.clone(),
    };
    let (earliest, ends) = match target {
        Target::Offsets(_) | Target::ShiftBy(_) if counted.contains(&true) => (
            situation.ask_sources(|source, partitions| {
                unless_permanent(source.resolve(partitions, StartPolicy::Earliest))
            })?,
            situation.ask_sources(|source, partitions| unless_permanent(source.ends(partitions)))?,
        ),
        _ => (none.clone(), none),
    };
    let known = situation.partitions.iter().map(|known| {
        let offset = |of: &[Positions]| of[known.index].get(&known.partition).map(|at| at.offset);
        let is_counted = counted[known.index];
        let datetime = matches!(target, Target::Datetime(_));
        PartitionFacts {
            source: known.source.clone(),
            partition: known.partition.clone(),
            current: known.position,
            snapshot: snapshot.and_then(|manifest| manifest.position(&known.source, &known.partition)),
            asked: asked[known.index].get(&known.partition).copied().filter(|_| is_counted || !datetime),
            range: offset(&earliest).zip(offset(&ends)).filter(|_| is_counted),
        }
    });
    Ok(known.collect())
}

/// A source that cannot tell says so by rule, partition by partition.
pub fn unless_permanent(answer: Result<Positions, ConnectorError>) -> Result<Positions, ConnectorError> {
    match answer {
        Err(error) if error.kind == ErrorKind::Permanent => Ok(Positions::new()),
        answer => answer,
    }
}

fn notes(situation: &Situation, facts: &[PartitionFacts], moves: &[Move], fate: &StateFate) -> Vec<String> {
    let mut notes = Vec::new();
    for to in moves {
        if let Some(wanted) = to.clamped_from {
            notes.push(format!("{}: {wanted} is not there; it goes on at {}", to.partition, to.to.offset));
        }
    }
    for known in facts.iter().filter(|known| !moves.iter().any(|to| to.partition == known.partition)) {
        notes.push(format!("{}: no position; the next start finds one for it", known.partition));
    }
    for known in &situation.partitions {
        if let Metadata::Unknown(text) = &known.metadata {
            notes.push(format!(
                "{}: what stands there now is another program's ({})",
                known.partition,
                text.escape_debug()
            ));
        }
    }
    match fate {
        StateFate::None | StateFate::Undecided(_) => {}
        StateFate::Agrees(id) => {
            notes.push(format!("state, timers and event time go on with it: they are those of checkpoint {id}"));
        }
        StateFate::Kept(id) => notes.push(format!(
            "state and timers stay as checkpoint {id} left them, though it was at other positions; event time begins anew"
        )),
        StateFate::Empty => notes.push("state begins EMPTY".to_owned()),
    }
    notes
}

/// Decides that nothing changes, behind the fence: whoever was fenced finds that another one has gone on. Nothing may be
/// in the way of a start.
pub fn decide_as_it_is(situation: &mut Situation) -> Result<CheckpointId, Failure> {
    let manifest = situation.manifest.clone();
    let fate = manifest.as_ref().map_or(StateFate::None, |manifest| StateFate::Agrees(manifest.id.clone()));
    let stays = situation.partitions.iter().filter_map(|known| {
        let position = known.position?;
        let (source, partition) = (known.source.clone(), known.partition.clone());
        Some(Move { source, partition, from: Some(position), to: position, clamped_from: None })
    });
    let stays: Vec<Move> = stays.collect();
    let finished = manifest.as_ref().is_some_and(|manifest| manifest.finished);
    decide(situation, &stays, manifest.as_ref(), &fate, finished)
}

/// Decides the new positions, behind the fence.
fn decide(
    situation: &mut Situation,
    moves: &[Move],
    snapshot: Option<&Manifest>,
    fate: &StateFate,
    finished: bool,
) -> Result<CheckpointId, Failure> {
    let cannot = |error: std::io::Error| Failure::failed(format!("the checkpoint cannot be stored: {error}"));
    let spec = &situation.plan.spec;
    let epoch = next_epoch(situation)?;
    let id = CheckpointId { epoch, incarnation: situation.incarnation.clone() };
    let named = spec.operators.iter().zip(&situation.operators);
    let operators: BTreeMap<String, String> =
        named.map(|(spec, factory)| (spec.name.clone(), factory.digest().to_owned())).collect();
    let parent = situation.record.as_ref().map(|record| record.id.clone());
    let now_ms = snapshot.map_or(0, |manifest| manifest.now_ms);
    let targets = targets(situation, moves);
    // What is decided and may not be published yet stays so, also of sinks that the pipeline does not have any more: the
    // next start that has them publishes it.
    let decided = situation.manifest.as_ref().or(snapshot);
    let prepared = decided.map_or_else(Vec::new, |manifest| manifest.prepared.clone());
    let mut manifest =
        manifest_of(&situation.plan, &operators, id.clone(), parent, &targets, prepared, now_ms);
    manifest.finished = finished;
    if let Some(before) = snapshot {
        // Letters that came back have done so, wherever the stream goes on; a topic that is not read now stays where it is.
        let plan = &situation.plan;
        let has_source = |name: &str| plan.spec.sources.iter().any(|source| source.name == name);
        let stays = |old: &&SourcePosition| {
            is_letters(&old.source) || (has_source(&old.source) && !plan.reads(&old.source, &old.partition))
        };
        manifest.positions.extend(before.positions.iter().filter(stays).cloned());
        carry_over(situation, before, fate, &mut manifest).map_err(cannot)?;
    }
    let hash = situation.store.store(&manifest).map_err(cannot)?;
    let record = DecisionRecord { owner: situation.owner.clone(), id: id.clone(), manifest: hash };
    let all: Vec<Partition> = moves.iter().map(|to| to.partition.clone()).collect();
    let decisions = &mut situation.connected.decisions;
    let offsets = decision_offsets(decisions.as_ref(), &decisions.covered(&all), &targets, epoch);
    let decision = Decision { record: record.clone(), offsets };
    if let Err(error) = decisions.begin(epoch).and_then(|()| decisions.flush(epoch)) {
        // Certainly not decided: what is left would look like what a decision that is gone had named.
        situation.store.delete(&id).map_err(cannot)?;
        return Err(error.into());
    }
    decisions.decide(&decision)?;
    situation.store.write_hint(&record).map_err(cannot)?;
    Ok(id)
}

fn targets(situation: &Situation, moves: &[Move]) -> Vec<Positions> {
    let position_of = |source: &str, partition: &Partition| -> Option<Position> {
        moves.iter().find(|to| to.source == source && to.partition == *partition).map(|to| to.to)
    };
    let mut targets = vec![Positions::new(); situation.plan.spec.sources.len()];
    for known in &situation.partitions {
        if let Some(to) = position_of(&known.source, &known.partition) {
            targets[known.index].insert(known.partition.clone(), to);
        }
    }
    targets
}

/// What goes on as it was. Where positions are others, event time begins anew, or everything that is read again would
/// be late.
fn carry_over(
    situation: &Situation,
    before: &Manifest,
    fate: &StateFate,
    manifest: &mut Manifest,
) -> std::io::Result<()> {
    manifest.started_from.clone_from(&before.started_from);
    manifest.savepoint.clone_from(&before.savepoint);
    if matches!(fate, StateFate::Agrees(_)) {
        manifest.watermarks.clone_from(&before.watermarks);
        manifest.operator_watermarks.clone_from(&before.operator_watermarks);
    }
    if !matches!(fate, StateFate::Agrees(_) | StateFate::Kept(_)) {
        return Ok(());
    }
    if before.is_savepoint_start() {
        // Its state is divided as in the savepoint still: the next start divides it anew.
        manifest.parent.clone_from(&before.parent);
    }
    manifest.keyed.clone_from(&before.keyed);
    let Some(keyed) = &before.keyed else { return Ok(()) };
    situation.store.link_state(&situation.store.path(&before.id), &manifest.id, &keyed.parts)
}

/// Behind everything that this pipeline ever decided, so that the rules against going back hold.
fn next_epoch(situation: &Situation) -> Result<Epoch, Failure> {
    let hint = situation.store.hint()?.map(|hint| hint.id.epoch);
    let decided = situation.record.as_ref().map(|record| record.id.epoch);
    let stored = situation.store.complete()?.last().map(|id| id.epoch);
    Ok(hint.max(decided).max(stored).map_or(Epoch::FIRST, Epoch::next))
}
