//! `weir offsets reset`: a decision of its own, with other positions and no output.

use super::situation::Situation;
use super::{TargetOptions, consequence, shown};
use crate::failure::{Exit, Failure};
use std::collections::BTreeMap;
use weir_protocol::connector::StartPolicy;
use weir_protocol::decision::{Decision, DecisionRecord, Metadata};
use weir_protocol::epoch::{CheckpointId, Epoch};
use weir_protocol::manifest::Manifest;
use weir_protocol::position::{Partition, Positions};
use weir_protocol::verdict::FoundManifest;
use weir_runtime::recovery::{decision_offsets, handles_of, manifest_of};

/// Shows what the reset means, and with `execute` does it.
pub fn run(mut situation: Situation, target: &TargetOptions, execute: bool) -> Result<Exit, Failure> {
    refuse_foreign(&situation)?;
    let snapshot = snapshot(&situation)?;
    let targets = targets(&mut situation, target, snapshot.as_ref())?;
    for known in &situation.partitions {
        let Some(to) = targets[known.index].get(&known.partition).copied() else { continue };
        let from = shown(known.position.map(|position| position.offset));
        let name = format!("{} {}", known.source, known.partition);
        println!("{name:<40} {from:>12} -> {:<12} {}", to.offset, consequence(known.position, to));
    }
    if let Some(manifest) = snapshot.as_ref().filter(|manifest| manifest.keyed.is_some()) {
        println!("state, timers and event time stay as checkpoint {} left them", manifest.id);
    } else if situation.plan.is_keyed() {
        println!("no checkpoint with state is known: state begins EMPTY");
    }
    if !execute {
        println!("nothing was changed; --execute does it");
        return Ok(Exit::Done);
    }
    situation.refuse_running()?;
    let id = decide(&mut situation, &targets, snapshot.as_ref())?;
    println!("decided: checkpoint {id}; the pipeline goes on from these positions");
    Ok(Exit::Done)
}

/// Another pipeline's decisions are never overwritten.
fn refuse_foreign(situation: &Situation) -> Result<(), Failure> {
    let foreign = situation.partitions.iter().find_map(|known| match &known.metadata {
        Metadata::Decision(record) if record.owner != situation.owner => Some((known, record)),
        _ => None,
    });
    let Some((known, record)) = foreign else { return Ok(()) };
    let message = format!(
        "partition {} carries a decision of another pipeline (owner {}); give this one a `group` of its own",
        known.partition, record.owner
    );
    Err(Failure { exit: Exit::NeedsPerson, details: Vec::new(), message })
}

/// The manifest of the last checkpoint that is known: the decided one, or that of the hint.
fn snapshot(situation: &Situation) -> Result<Option<Manifest>, Failure> {
    if let Some(manifest) = &situation.manifest {
        return Ok(Some(manifest.clone()));
    }
    let Some(hint) = situation.store.hint()? else { return Ok(None) };
    let record = DecisionRecord { owner: situation.owner.clone(), id: hint.id, manifest: hint.manifest };
    Ok(match situation.store.load(&record) {
        FoundManifest::Found(manifest) => Some(manifest),
        _ => None,
    })
}

fn targets(
    situation: &mut Situation,
    target: &TargetOptions,
    snapshot: Option<&Manifest>,
) -> Result<Vec<Positions>, Failure> {
    if target.to_earliest {
        return situation.ask_sources(|source, partitions| source.resolve(partitions, StartPolicy::Earliest));
    }
    if target.to_latest {
        return situation.ask_sources(|source, partitions| source.ends(partitions));
    }
    let other = "use --to-earliest or --to-latest";
    let manifest = snapshot
        .ok_or_else(|| Failure::failed(format!("this data directory knows no checkpoint; {other}")))?;
    let mut targets = vec![Positions::new(); situation.plan.spec.sources.len()];
    for known in &situation.partitions {
        let position = manifest.position(&known.source, &known.partition).ok_or_else(|| {
            let (id, partition) = (&manifest.id, &known.partition);
            Failure::failed(format!("checkpoint {id} has no position of {partition}; {other}"))
        })?;
        targets[known.index].insert(known.partition.clone(), position);
    }
    Ok(targets)
}

/// Fences, publishes what the decided checkpoint had prepared, and decides the new positions.
fn decide(
    situation: &mut Situation,
    targets: &[Positions],
    snapshot: Option<&Manifest>,
) -> Result<CheckpointId, Failure> {
    let cannot = |error: std::io::Error| Failure::failed(format!("the checkpoint cannot be stored: {error}"));
    let spec = &situation.plan.spec;
    situation.connected.decisions.fence()?;
    if let Some(manifest) = &situation.manifest {
        for (sink, spec) in situation.connected.sinks.iter_mut().zip(&spec.sinks) {
            sink.recover(&handles_of(&spec.name, &manifest.prepared))?;
        }
    }
    let epoch = next_epoch(situation)?;
    let id = CheckpointId { epoch, incarnation: situation.incarnation.clone() };
    let named = spec.operators.iter().zip(&situation.operators);
    let operators: BTreeMap<String, String> =
        named.map(|(spec, factory)| (spec.name.clone(), factory.digest().to_owned())).collect();
    let parent = situation.record.as_ref().map(|record| record.id.clone());
    let now_ms = snapshot.map_or(0, |manifest| manifest.now_ms);
    let mut manifest =
        manifest_of(&situation.plan, &operators, id.clone(), parent, targets, Vec::new(), now_ms);
    if let Some(before) = snapshot {
        keep_state(situation, before, &mut manifest).map_err(cannot)?;
    }
    let hash = situation.store.store(&manifest).map_err(cannot)?;
    let record = DecisionRecord { owner: situation.owner.clone(), id: id.clone(), manifest: hash };
    let all: Vec<Partition> = situation.partitions.iter().map(|known| known.partition.clone()).collect();
    let decisions = &mut situation.connected.decisions;
    let offsets = decision_offsets(&decisions.covered(&all), targets, epoch);
    decisions.begin(epoch)?;
    decisions.flush(epoch)?;
    decisions.decide(&Decision { record: record.clone(), offsets })?;
    situation.store.write_hint(&record).map_err(cannot)?;
    Ok(id)
}

/// State goes on as it is; event time begins anew, or everything that is read again would be late.
fn keep_state(situation: &Situation, before: &Manifest, manifest: &mut Manifest) -> std::io::Result<()> {
    manifest.started_from.clone_from(&before.started_from);
    manifest.savepoint.clone_from(&before.savepoint);
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
