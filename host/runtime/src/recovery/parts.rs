//! What a checkpoint and a decision are put together from, at a start and while running.

use std::collections::BTreeMap;
use weir_protocol::connector::DecisionLog;
use weir_protocol::epoch::{CheckpointId, Epoch};
use weir_protocol::manifest::{Manifest, PreparedHandle, SourcePosition, VERSION};
use weir_protocol::plan::Plan;
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
