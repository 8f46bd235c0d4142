//! What a checkpoint and a decision are put together from, at a start and while running.

use std::collections::{BTreeMap, BTreeSet};
use weir_protocol::connector::DecisionLog;
use weir_protocol::epoch::{CheckpointId, Epoch};
use weir_protocol::manifest::{Manifest, PreparedHandle, SourcePosition, VERSION};
use weir_protocol::plan::{Plan, SinkKind};
use weir_protocol::position::{Partition, Position, Positions};

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
        started_from: None,
        savepoint: None,
        operator_watermarks: BTreeMap::new(),
        written_by: None,
    }
}

/// The handles of one sink.
pub fn handles_of(sink: &str, prepared: &[PreparedHandle]) -> Vec<PreparedHandle> {
    prepared.iter().filter(|handle| handle.sink == sink).cloned().collect()
}

/// What is prepared of sinks that the plan does not have. It is decided, so it is published when they are named again; a
/// sink that was only called something else does not know it under its new name.
pub(super) fn of_gone_sinks(plan: &Plan, prepared: &[PreparedHandle]) -> Vec<PreparedHandle> {
    // A sink of another kind under the same name does not know it either: files are all that is staged.
    let is_there = |handle: &&PreparedHandle| {
        let mut sinks = plan.spec.sinks.iter();
        sinks.any(|sink| sink.name == handle.sink && matches!(sink.kind, SinkKind::Files { .. }))
    };
    let gone: Vec<PreparedHandle> = prepared.iter().filter(|handle| !is_there(handle)).cloned().collect();
    let names: BTreeSet<&str> = gone.iter().map(|handle| handle.sink.as_str()).collect();
    for name in names {
        tracing::warn!(
            "sink.{name}: the pipeline does not have it any more. Its last output is decided, and where the run before ended in a crash it may not be published: it will be when a start names this sink again"
        );
    }
    gone
}

/// The offsets that a decision commits: the positions of covered partitions. A stand-in carries the epoch, also where a
/// source reads a topic of its name.
pub fn decision_offsets(
    decisions: &dyn DecisionLog,
    covered: &[Partition],
    positions: &[Positions],
    epoch: Epoch,
) -> Vec<(Partition, Position)> {
    let stand_in = decisions.is_stand_in();
    let own = |partition| positions.iter().find_map(|positions| positions.get(partition)).copied();
    covered
        .iter()
        .map(|partition| {
            let own = own(partition).filter(|_| !stand_in);
            (partition.clone(), own.unwrap_or_else(|| Position::at(epoch.0 as i64)))
        })
        .collect()
}
