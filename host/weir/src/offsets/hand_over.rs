//! The way back: what is decided becomes plain offsets of another consumer group, from which another program goes on.

use super::reset;
use super::situation::{Known, Situation};
use super::{refused, shown};
use crate::failure::Failure;
use weir_control::host::{OffsetsReset, ResetOffsets};
use weir_kafka::KafkaCluster;
use weir_protocol::connector::StartPolicy;
use weir_protocol::decision::{CommittedOffset, Metadata};
use weir_protocol::position::{Partition, Position};
use weir_protocol::reset::{Move, Unit};
use weir_protocol::verdict::is_of_weir;

/// Partitions of one cluster, and where they go on.
struct Part {
    cluster: std::sync::Arc<KafkaCluster>,
    offsets: Vec<(Partition, Position)>,
    there: Vec<CommittedOffset>,
}

/// Says what would be written to the group, and writes it unless that is all. The pipeline stays where it is, by a new
/// decision: one that runs unseen would take itself for fenced by mistake, and start again.
pub fn run(mut situation: Situation, group: &str, asked: &ResetOffsets) -> Result<OffsetsReset, Failure> {
    if !asked.topics.is_empty() || asked.state.is_some() {
        return Err(Failure::configuration(
            "--to-group writes all that is decided, and changes no state: leave out --topic and --state",
        ));
    }
    if situation.record.is_none() {
        return Err(refused("nothing is decided yet: there is nothing to hand over".to_owned()));
    }
    // The decision must not hide what a start would be refused for.
    situation.foresee()?;
    if !asked.dry_run {
        // What refuses the group refuses it before anybody is fenced.
        parts_of(&situation, group)?;
        situation.refuse_running()?;
        // What an earlier life left open is undone, and what it had decided is published, before anybody goes on.
        situation.fence()?;
    }
    // Behind the fence, which compares what was found before with what is decided then.
    begin_new_partitions(&mut situation)?;
    let parts = parts_of(&situation, group)?;
    let mut report = OffsetsReset {
        dry_run: asked.dry_run,
        moves: Vec::new(),
        notes: Vec::new(),
        needs: None,
        decided: None,
        group: Some(group.to_owned()),
    };
    for part in &parts {
        report.moves.extend(part.moves(&situation).iter().map(|to| shown(to, Unit::Records)));
    }
    for known in situation.partitions.iter().filter(|known| !situation.is_kafka(known.index)) {
        report.notes.push(format!("{} is of no Kafka source, and in no group", known.partition));
    }
    for known in situation.partitions.iter().filter(|known| known.position.is_none()) {
        report.notes.push(format!(
            "{}: no position is decided, and none is written; the other program begins it where its own settings say",
            known.partition
        ));
    }
    if situation.plan.is_keyed() {
        report.notes.push("state stays here: what goes on from these offsets does not have it".to_owned());
    }
    if !asked.dry_run {
        report.decided = Some(reset::decide_as_it_is(&mut situation)?.to_string());
        for part in &parts {
            part.cluster.commit_plainly(group, &part.offsets)?;
        }
    }
    Ok(report)
}

/// Partitions that a topic got since the last decision: weir begins them at their first record, and another program would
/// often begin them at their end.
fn begin_new_partitions(situation: &mut Situation) -> Result<(), Failure> {
    let of_topic = |known: &Known| (known.index, known.partition.topic.clone());
    let known_topics: Vec<_> =
        situation.partitions.iter().filter(|known| known.position.is_some()).map(of_topic).collect();
    let is_new = |known: &Known| known.position.is_none() && known_topics.contains(&of_topic(known));
    if !situation.partitions.iter().any(is_new) {
        return Ok(());
    }
    let first = situation.ask_sources(|source, partitions| {
        reset::unless_permanent(source.resolve(partitions, StartPolicy::Earliest))
    })?;
    for known in situation.partitions.iter_mut().filter(|known| is_new(known)) {
        known.position = first[known.index].get(&known.partition).copied();
    }
    Ok(())
}

fn parts_of(situation: &Situation, group: &str) -> Result<Vec<Part>, Failure> {
    let clusters = situation.clusters()?;
    let mut parts: Vec<Part> = Vec::new();
    for known in &situation.partitions {
        let (Some(cluster), Some(position)) = (&clusters[known.index], known.position) else { continue };
        let offset = (known.partition.clone(), position);
        match parts.iter_mut().find(|part| std::sync::Arc::ptr_eq(&part.cluster, cluster)) {
            Some(part) => part.offsets.push(offset),
            None => {
                refuse_group(situation, cluster, group)?;
                parts.push(Part { cluster: cluster.clone(), offsets: vec![offset], there: Vec::new() });
            }
        }
    }
    if parts.is_empty() {
        return Err(refused("no Kafka source of this pipeline has a position to hand over".to_owned()));
    }
    for part in &mut parts {
        let wanted: Vec<Partition> = part.offsets.iter().map(|(partition, _)| partition.clone()).collect();
        part.there = part.cluster.committed_in(group, &wanted)?;
    }
    Ok(parts)
}

/// A group that is at work would overwrite what is written, and one that is ours needs no writing.
fn refuse_group(situation: &Situation, cluster: &KafkaCluster, group: &str) -> Result<(), Failure> {
    if situation.group().as_deref() == Some(group) {
        return Err(refused(format!(
            "{group} is the pipeline's own group: its committed offsets are what is decided, and a consumer that joins it goes on there; name another group, or none"
        )));
    }
    let facts = cluster.group_facts(group)?;
    if facts.members > 0 {
        return Err(refused(format!(
            "consumer group {group} has {} active members ({}): stop them, then hand over",
            facts.members, facts.state
        )));
    }
    refuse_decisions(&cluster.all_committed_in(group)?, group)
}

/// A group in which a pipeline of weir decides is its own, whatever it reads: its next start would be refused.
fn refuse_decisions(there: &[CommittedOffset], group: &str) -> Result<(), Failure> {
    let decision = there.iter().find_map(|entry| match &entry.metadata {
        Metadata::Decision(record) => Some((&entry.partition, format!("owner {}", record.owner))),
        Metadata::Unknown(found) if is_of_weir(found) => {
            Some((&entry.partition, format!("of a newer weir, {found:?}")))
        }
        _ => None,
    });
    let Some((partition, whose)) = decision else { return Ok(()) };
    Err(refused(format!(
        "consumer group {group} belongs to a pipeline of weir: {partition} carries its decision ({whose}); name another group"
    )))
}

impl Part {
    fn moves(&self, situation: &Situation) -> Vec<Move> {
        let offsets = self.offsets.iter();
        let moves = offsets.map(|(partition, to)| Move {
            source: source_of(situation, partition),
            partition: partition.clone(),
            from: self
                .there
                .iter()
                .find(|entry| entry.partition == *partition)
                .and_then(|entry| entry.position),
            to: *to,
            clamped_from: None,
        });
        moves.collect()
    }
}

fn source_of(situation: &Situation, partition: &Partition) -> String {
    let known = situation.partitions.iter().find(|known| known.partition == *partition);
    known.map(|known| known.source.clone()).unwrap_or_default()
}
