//! Where the replay of dead letters begins: behind the last one, as far as the letters are still there.

use crate::connect::Connected;
use weir_protocol::connector::{ConnectorError, StartPolicy};
use weir_protocol::manifest::SourcePosition;
use weir_protocol::plan::Plan;
use weir_protocol::plan::replay::is_letters;
use weir_protocol::position::{Partition, Position, Positions};
use weir_protocol::verdict::KnownPartition;

/// Letters can go: their topic has a retention, their files may be removed. What is gone is not waited for.
pub(super) fn place(
    plan: &Plan,
    connected: &mut Connected,
    known: &[KnownPartition],
    positions: &mut [Positions],
) -> Result<(), ConnectorError> {
    let sources = plan.spec.sources.iter().enumerate().filter(|(_, spec)| is_letters(&spec.name));
    for (index, spec) in sources {
        let there = known.iter().filter(|known| known.source == spec.name);
        let there: Vec<Partition> = there.map(|known| known.partition.clone()).collect();
        let own = &mut positions[index];
        own.retain(|partition, _| there.contains(partition));
        let earliest = connected.sources[index].resolve(&there, StartPolicy::Earliest)?;
        let ends = connected.sources[index].ends(&there)?;
        for (partition, position) in own.iter_mut() {
            let offset = |of: &Positions| of.get(partition).map_or(0, |position: &Position| position.offset);
            let (first, end) = (offset(&earliest), offset(&ends));
            if position.offset > end {
                tracing::warn!(
                    "{partition} ends at {end}, the last replay had come to {}: it was made anew, and its letters are read from the beginning",
                    position.offset
                );
                *position = Position::at(first);
            } else if position.offset < first {
                *position = Position::at(first);
            }
        }
    }
    Ok(())
}

/// What is read now is noted under its name of now: a sink that was called something else left a note that nobody keeps up.
pub(super) fn forget_old_names(plan: &Plan, positions: &[Positions], parked: &mut Vec<SourcePosition>) {
    let read = plan.spec.sources.iter().zip(positions).filter(|(spec, _)| is_letters(&spec.name));
    let read: Vec<&Positions> = read.map(|(_, positions)| positions).collect();
    parked.retain(|parked| !read.iter().any(|positions| positions.contains_key(&parked.partition)));
}
