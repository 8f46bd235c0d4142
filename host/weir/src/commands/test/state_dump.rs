//! What an operator has left in its state, as JSON lines: read out of a checkpoint, as `weir state` does it.

use crate::failure::Failure;
use crate::state_lines;
use std::path::Path;
use weir_protocol::epoch::Epoch;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::state::{OperatorShape, StatePart};
use weir_runtime::keyed_calls::KeyedCalls;
use weir_state::inspect::PartReader;

/// All entries of all states, then all timers. `directory` is the test's own.
pub fn dump(
    keyed: &KeyedCalls,
    shape: &OperatorShape,
    groups: &KeyGroups,
    directory: &Path,
) -> Result<Vec<String>, Failure> {
    let checkpoint = directory.join("checkpoint");
    let persisted = keyed.state().freeze(Epoch::FIRST)?.persist(&checkpoint)?;
    let part = StatePart {
        operator: "test".to_owned(),
        subtask: 0,
        ordinal_start: 0,
        ordinal_end: groups.max_parallelism,
        next_list_position: persisted.next_list_position,
        files: persisted.files,
    };
    let reader = PartReader::open(&checkpoint, &part, &directory.join("reader"))?;
    let mut lines = Vec::new();
    for state in &shape.states {
        reader.entries(state, None, &mut |entry| {
            lines.push(state_lines::entry("test", state, &entry));
            true
        })?;
    }
    for timer in &shape.timers {
        reader.timers(timer, &mut |found| {
            lines.push(state_lines::timer("test", timer, &found));
            true
        })?;
    }
    Ok(lines)
}
