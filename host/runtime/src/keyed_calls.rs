//! The state around an operator's calls: numbers the keys, checks that they belong here, and makes the writes of a call
//! part of the state or forgets them.

use std::ops::Range;
use std::sync::{MutexGuard, PoisonError};
use weir_protocol::batch::Batch;
use weir_protocol::connector::ConnectorError;
use weir_protocol::key_group::{GroupOrder, KeyGroups};
use weir_protocol::plan::NullKey;
use weir_protocol::remedy::Remedy;
use weir_protocol::slots::{SlotNumbering, Slots};
use weir_protocol::state::{KeyedState, SharedState};

/// What a keyed operator's task is given besides its operator.
pub struct KeyedCallsOptions {
    /// The operator's name, for messages.
    pub operator: String,
    /// Its state on this subtask; the operator's imports share it.
    pub state: SharedState,
    /// How keys are divided.
    pub groups: KeyGroups,
    /// What this subtask owns.
    pub ordinals: Range<u32>,
    /// What happens to a record without a key.
    pub null_key: NullKey,
}

/// The state of one operator on one subtask, as its task uses it.
pub struct KeyedCalls {
    options: KeyedCallsOptions,
    numbering: SlotNumbering,
    slots: Slots,
}

impl KeyedCalls {
    /// Around a state that was opened for this incarnation.
    pub fn new(options: KeyedCallsOptions) -> KeyedCalls {
        KeyedCalls { options, numbering: SlotNumbering::default(), slots: Slots::default() }
    }

    /// The state. Its users are on one thread, so nobody waits; one that panicked ended the incarnation.
    pub fn state(&self) -> MutexGuard<'_, Box<dyn KeyedState>> {
        self.options.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slots of the call that was begun last.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// A call with this input begins.
    pub fn begin(&mut self, input: &Batch, now_ms: i64) -> Result<(), ConnectorError> {
        self.numbering.assign(&input.keys, &mut self.slots);
        self.check_owner(input)?;
        let mut state = self.options.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.begin_call(&input.keys, &self.slots, now_ms);
        Ok(())
    }

    /// Rows that have no key, where the operator does not take them.
    pub fn rows_without_key(&self, input: &Batch) -> Vec<usize> {
        if self.options.null_key == NullKey::Group || input.keys.nulls.is_empty() {
            return Vec::new();
        }
        (0..input.rows).filter(|row| input.keys.is_null(*row)).collect()
    }

    /// A key that is not ours would be counted here and there: nothing may be written for it.
    fn check_owner(&self, input: &Batch) -> Result<(), ConnectorError> {
        let KeyedCallsOptions { groups, ordinals, .. } = &self.options;
        for (slot, hash) in self.slots.hashes.iter().enumerate() {
            let ordinal = groups.ordinal(*hash);
            let row = self.slots.first_rows[slot] as usize;
            if !ordinals.contains(&ordinal) {
                return Err(self.misplaced(input, row));
            }
            if let GroupOrder::CoPartitioned { partitions } = groups.order {
                let partition = ordinal / (groups.max_parallelism / partitions);
                // Rows of timers come from no partition.
                if input.origins.of(row).is_some_and(|origin| origin.partition.number as u32 != partition) {
                    return Err(self.misplaced(input, row));
                }
            }
        }
        Ok(())
    }

    fn misplaced(&self, input: &Batch, row: usize) -> ConnectorError {
        let (groups, operator) = (&self.options.groups, &self.options.operator);
        let key = String::from_utf8_lossy(input.keys.bytes(row)).chars().take(60).collect::<String>();
        let place = crate::operator_task::place(input, row);
        match groups.order {
            GroupOrder::CoPartitioned { partitions } => {
                let hash = weir_protocol::key_group::murmur2(input.keys.bytes(row));
                let belongs = groups.group(hash) % partitions;
                ConnectorError::refused(format!(
                    "operator {operator} got the key {key:?} at {place}, but by Kafka's default partitioner (murmur2) it belongs to partition {belongs} of {partitions}: the topic is not partitioned as co_partitioned = true says; take a savepoint, remove co_partitioned, and start from the savepoint"
                ))
                .helped_by(Remedy::NewSavepoint)
            }
            GroupOrder::Plain => ConnectorError::permanent(format!(
                "operator {operator} got the key {key:?} at {place}, which another subtask owns: a step in front of it promises to keep keys and does not; remove keeps_key there"
            )),
        }
    }

    /// The call has happened.
    pub fn commit(&mut self) -> Result<(), ConnectorError> {
        self.state().commit_call()
    }

    /// The call has not happened.
    pub fn discard(&mut self) -> Result<(), ConnectorError> {
        self.state().discard_call()
    }
}
