//! librdkafka's list of topic partitions, owned.

use crate::client::c_text;
use crate::client_error::ErrorCode;
use rdkafka::bindings as native;
use std::ffi::{CStr, CString};
use std::ptr;
use weir_protocol::connector::ConnectorError;
use weir_protocol::position::{Partition, Position};

/// The offset that stands for "none".
pub(crate) const NO_OFFSET: i64 = native::RD_KAFKA_OFFSET_INVALID as i64;

/// An owned list.
pub(crate) struct PartitionList {
    list: *mut native::rd_kafka_topic_partition_list_t,
}

// SAFETY: the list is plain memory owned by this value.
unsafe impl Send for PartitionList {}

/// One entry as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub partition: Partition,
    pub offset: i64,
    pub leader_epoch: i32,
    /// Bytes that are not UTF-8 are replaced: a foreign tool may have written anything.
    pub metadata: String,
    pub code: ErrorCode,
}

impl PartitionList {
    pub(crate) fn new() -> PartitionList {
        // SAFETY: the size is a hint.
        PartitionList { list: unsafe { native::rd_kafka_topic_partition_list_new(16) } }
    }

    /// Partitions without offsets.
    pub(crate) fn of(partitions: &[Partition]) -> Result<PartitionList, ConnectorError> {
        let mut list = PartitionList::new();
        for partition in partitions {
            list.add(partition, Position::at(NO_OFFSET), None)?;
        }
        Ok(list)
    }

    /// Adds an entry.
    pub(crate) fn add(
        &mut self,
        partition: &Partition,
        position: Position,
        metadata: Option<&str>,
    ) -> Result<(), ConnectorError> {
        let topic = c_text(&partition.topic)?;
        let metadata = metadata.map(c_text).transpose()?;
        // SAFETY: the list is alive and copies the topic. The new entry has no metadata; it takes over an
        // allocation of `malloc`, which `strdup` makes.
        unsafe {
            let entry =
                native::rd_kafka_topic_partition_list_add(self.list, topic.as_ptr(), partition.number);
            (*entry).offset = position.offset;
            native::rd_kafka_topic_partition_set_leader_epoch(entry, position.leader_epoch);
            if let Some(metadata) = metadata {
                (*entry).metadata = duplicate(&metadata).cast();
                (*entry).metadata_size = metadata.as_bytes().len();
            }
        }
        Ok(())
    }

    /// The native list, valid as long as `self`.
    pub(crate) fn native(&self) -> *mut native::rd_kafka_topic_partition_list_t {
        self.list
    }

    /// All entries.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        // SAFETY: the list is alive.
        unsafe { read_entries(self.list) }
    }
}

/// # Safety
///
/// `list` is a live list, or null for none.
pub(crate) unsafe fn read_entries(list: *const native::rd_kafka_topic_partition_list_t) -> Vec<Entry> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: by contract; `elems` holds `cnt` entries; topics end with 0; metadata has the given size.
    unsafe {
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        (0..count).map(|index| read_entry((*list).elems.add(index))).collect()
    }
}

/// # Safety
///
/// `entry` is a live entry of a list.
pub(crate) unsafe fn read_entry(entry: *const native::rd_kafka_topic_partition_t) -> Entry {
    // SAFETY: by contract.
    unsafe {
        let topic = CStr::from_ptr((*entry).topic).to_string_lossy();
        let metadata: &[u8] = if (*entry).metadata.is_null() {
            &[]
        } else {
            std::slice::from_raw_parts((*entry).metadata.cast(), (*entry).metadata_size)
        };
        Entry {
            partition: Partition::new(topic.as_ref(), (*entry).partition),
            offset: (*entry).offset,
            leader_epoch: native::rd_kafka_topic_partition_get_leader_epoch(entry),
            metadata: String::from_utf8_lossy(metadata).into_owned(),
            code: ErrorCode(ptr::addr_of!((*entry).err).cast::<i32>().read()),
        }
    }
}

/// A copy that librdkafka may `free`.
fn duplicate(text: &CString) -> *mut std::ffi::c_char {
    unsafe extern "C" {
        fn strdup(text: *const std::ffi::c_char) -> *mut std::ffi::c_char;
    }
    // SAFETY: the text ends with 0; the copy is handed to the list, which frees it.
    unsafe { strdup(text.as_ptr()) }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: owned by this value, destroyed once.
        unsafe { native::rd_kafka_topic_partition_list_destroy(self.list) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_the_native_list() {
        let mut list = PartitionList::new();
        let partition = Partition::new("orders", 3);
        list.add(&partition, Position { offset: 17, leader_epoch: 4 }, Some("w1;x")).unwrap();
        let entry = &list.entries()[0];
        assert_eq!((&entry.partition, entry.offset, entry.leader_epoch), (&partition, 17, 4));
        assert_eq!(entry.metadata, "w1;x");
        assert!(list.add(&Partition::new("a\0b", 0), Position::at(0), None).is_err());
    }
}
