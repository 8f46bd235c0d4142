//! Opens the state of one operator's subtask from a checkpoint: at the start of an incarnation, and again at the barrier
//! of a swap whose new version declares other state.

use crate::clock::Clock;
use crate::connect::OperatorFactory;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_protocol::compatibility::StateChange;
use weir_protocol::connector::ConnectorError;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::plan::Plan;
use weir_protocol::state::{KeyedState, Migrator, OpenState, StateBackend, StatePart};

/// Where the state of one subtask lives, and who declares it.
#[derive(Clone)]
pub struct StateOpening {
    /// The database.
    pub backend: Arc<dyn StateBackend>,
    /// The plan whose shape is opened.
    pub plan: Arc<Plan>,
    /// The operator of the plan.
    pub operator: usize,
    /// Makes the migrator, where a version was raised.
    pub factory: Arc<dyn OperatorFactory>,
    /// Which subtask of the operator.
    pub subtask: usize,
    /// How keys are divided.
    pub groups: KeyGroups,
    /// How they were divided when the parts were written.
    pub restored_groups: KeyGroups,
    /// What the subtask owns.
    pub ordinals: Range<u32>,
    /// What becomes of what the checkpoint holds.
    pub changes: StateChange,
    /// A directory that does not exist yet.
    pub live: PathBuf,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl StateOpening {
    /// Opens it with what it needs of a checkpoint's parts; none is a state that begins empty.
    pub fn open(
        &self,
        checkpoint: Option<&Path>,
        parts: &[StatePart],
    ) -> Result<Box<dyn KeyedState>, ConnectorError> {
        let spec = &self.plan.spec.operators[self.operator];
        let divided_anew = self.restored_groups != self.groups;
        let overlaps = |part: &&StatePart| {
            let meets = part.ordinal_start < self.ordinals.end && self.ordinals.start < part.ordinal_end;
            part.operator == spec.name && (divided_anew || meets)
        };
        let restore: Vec<(PathBuf, StatePart)> = checkpoint
            .iter()
            .flat_map(|checkpoint| {
                let parts = parts.iter().filter(overlaps);
                parts.map(|part| (checkpoint.join(part.directory()), part.clone()))
            })
            .collect();
        for name in self.changes.needless.iter().filter(|_| self.subtask == 0) {
            tracing::warn!(
                operator = spec.name,
                "drop_state names {name:?}, which neither the checkpoint nor the component has"
            );
        }
        let mut migrator = if self.changes.migrate.is_empty() { None } else { self.factory.migrator()? };
        let open = OpenState {
            operator: &spec.name,
            subtask: self.subtask,
            shape: &self.plan.shapes[self.operator],
            drop_states: &self.changes.drop_states,
            drop_timers: &self.changes.drop_timers,
            migrate: &self.changes.migrate,
            groups: self.groups,
            restored_groups: self.restored_groups,
            ordinals: self.ordinals.clone(),
            live: &self.live,
            restore: &restore,
            page_bytes_max: spec.limits.state_page_bytes_max,
            writes_bytes_max: spec.limits.state_writes_bytes,
            reads_bytes_max: spec.limits.state_reads_bytes,
        };
        let before = self.clock.monotonic();
        let migrator = migrator.as_mut().map(|migrator| migrator.as_mut() as &mut dyn Migrator);
        let (state, restored) = self.backend.open(&open, migrator)?;
        if !restore.is_empty() {
            let took_ms = (self.clock.monotonic() - before).as_millis() as u64;
            tracing::info!(
                operator = spec.name,
                subtask = self.subtask,
                linked_bytes = restored.linked_bytes,
                copied_bytes = restored.copied_bytes,
                migrated_entries = restored.migrated_entries,
                took_ms,
                "state restored"
            );
        }
        Ok(state)
    }
}
