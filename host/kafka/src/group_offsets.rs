//! All that a group has committed, whichever topics that is of.

use crate::client::{Client, c_text};
use crate::client_error::{ClientError, ErrorCode};
use crate::partition_list::{Entry, read_entries};
use rdkafka::bindings as native;
use std::ptr;

impl Client {
    /// Every partition for which the group has committed something, as far as we may see its topic. What a transaction
    /// has not decided yet is an error of its partition. A group that nobody has heard of has none.
    pub(crate) fn all_committed(&self, group: &str) -> Result<Vec<Entry>, ClientError> {
        let name = c_text(group).map_err(|_| ClientError::from_code(ErrorCode::INVALID_GROUP))?;
        let ask = |queue: *mut native::rd_kafka_queue_t, options: *mut native::rd_kafka_AdminOptions_t| {
            // SAFETY: options and queue are alive for the call; the wish is ours and destroyed after the call, which
            // copies it; no list of partitions asks for all of them; an error object is taken over.
            unsafe {
                let error = native::rd_kafka_AdminOptions_set_require_stable_offsets(options, 1);
                ClientError::check(error)?;
                let mut wanted =
                    native::rd_kafka_ListConsumerGroupOffsets_new(name.as_ptr(), ptr::null_mut());
                native::rd_kafka_ListConsumerGroupOffsets(self.handle(), &mut wanted, 1, options, queue);
                native::rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
            }
            Ok(())
        };
        let read = |event: *mut native::rd_kafka_event_t| {
            let mut count = 0;
            // SAFETY: the event is alive and of this kind; the array has `count` entries; a group's error, where there is
            // one, and its list live as long as the event.
            unsafe {
                let result = native::rd_kafka_event_ListConsumerGroupOffsets_result(event);
                let groups = native::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &mut count);
                let mut found = Vec::new();
                for at in 0..count {
                    let group = *groups.add(at);
                    let error = native::rd_kafka_group_result_error(group);
                    if !error.is_null() {
                        ErrorCode::from(native::rd_kafka_error_code(error)).check()?;
                    }
                    found.extend(read_entries(native::rd_kafka_group_result_partitions(group)));
                }
                Ok(found)
            }
        };
        let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;
        self.question(operation, ask, read)?
    }
}
