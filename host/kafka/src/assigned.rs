//! Where a reader stands in each of its partitions.

use crate::client::{Client, c_text, milliseconds};
use crate::client_error::ErrorCode;
use rdkafka::bindings as native;
use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::connector::{ConnectorError, PartitionProgress};
use weir_protocol::position::{Partition, Position, Positions};

type Topic = *mut native::rd_kafka_topic_t;

/// One partition of a reader.
pub(crate) struct Assigned {
    partition: Partition,
    name: CString,
    /// The client's handle of the topic, null until its first message; its address names the topic.
    handle: Topic,
    next: Position,
    end: Option<i64>,
}

impl Assigned {
    pub(crate) fn partition(&self) -> &Partition {
        &self.partition
    }

    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.partition.topic
    }

    pub(crate) fn position(&self) -> Position {
        self.next
    }

    /// False for a record at or past the given end. Seeing one proves that all before the end were seen. An error for one
    /// before the position: it would be processed twice, and leaving it out would trust a client that has lost its place.
    #[inline]
    pub(crate) fn accepts(&mut self, offset: i64) -> Result<bool, ConnectorError> {
        match self.end {
            Some(end) if offset >= end => {
                self.next.offset = self.next.offset.max(end);
                Ok(false)
            }
            _ if offset < self.next.offset => Err(self.goes_back(offset)),
            _ => Ok(true),
        }
    }

    #[cold]
    fn goes_back(&self, offset: i64) -> ConnectorError {
        ConnectorError::transient(format!(
            "topic {} partition {}: the client returned offset {offset} again, behind everything before offset {}; reading begins again at the last decision",
            self.partition.topic, self.partition.number, self.next.offset
        ))
    }

    /// The record at `offset` is in the batch.
    #[inline]
    pub(crate) fn returned(&mut self, offset: i64, leader_epoch: i32) {
        self.next = Position { offset: offset + 1, leader_epoch };
    }

    /// The end event: nothing that can be read lies before `offset`; markers do.
    pub(crate) fn ended(&mut self, offset: i64) {
        let offset = self.end.map_or(offset, |end| offset.min(end));
        self.next.offset = self.next.offset.max(offset);
    }

    fn has_ended(&self) -> bool {
        self.end.is_some_and(|end| self.next.offset >= end)
    }

    /// Records up to the end that the client knows from its last fetch; none before the first.
    pub(crate) fn lag(&self, client: &Client) -> Option<u64> {
        self.end_known(client).map(|end| u64::try_from(end - self.next.offset).unwrap_or(0))
    }

    /// The offset behind the last record, as the client knows it from its last fetch.
    fn end_known(&self, client: &Client) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is alive, the name ends with 0; a local call.
        let code = unsafe {
            native::rd_kafka_get_watermark_offsets(
                client.handle(),
                self.name.as_ptr(),
                self.partition.number,
                &mut low,
                &mut high,
            )
        };
        (ErrorCode::from(code) == ErrorCode::NONE && high >= 0).then_some(high)
    }

    /// How far it has come, and how far it could.
    pub(crate) fn progress(&self, client: &Client) -> PartitionProgress {
        PartitionProgress {
            position: self.next.offset,
            end: self.end_known(client),
            last_stable: client.noted().last_stable(&self.partition),
        }
    }
}

/// All partitions of a reader.
pub(crate) struct Assignment {
    all: Vec<Assigned>,
    /// The partition of the last message: messages come in runs.
    last: usize,
    ends: Option<Positions>,
}

impl Assignment {
    pub(crate) fn new(ends: Option<&Positions>) -> Assignment {
        Assignment { all: Vec::new(), last: 0, ends: ends.cloned() }
    }

    pub(crate) fn add(&mut self, partition: &Partition, start: Position) -> Result<(), ConnectorError> {
        // A partition that a bounded run does not know ends where it starts.
        let end = self.ends.as_ref().map(|ends| ends.get(partition).map_or(start.offset, |end| end.offset));
        self.all.push(Assigned {
            partition: partition.clone(),
            name: c_text(&partition.topic)?,
            handle: std::ptr::null_mut(),
            next: start,
            end,
        });
        Ok(())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Assigned> {
        self.all.iter()
    }

    pub(crate) fn all_ended(&self) -> bool {
        self.all.iter().all(Assigned::has_ended)
    }

    /// The partition of a message.
    #[inline]
    pub(crate) fn of(&mut self, handle: Topic, number: i32) -> &mut Assigned {
        let fits = |assigned: &Assigned| assigned.handle == handle && assigned.partition.number == number;
        if !self.all.get(self.last).is_some_and(fits) {
            self.last = match self.all.iter().position(fits) {
                Some(index) => index,
                None => self.first_message(handle, number),
            };
        }
        &mut self.all[self.last]
    }

    fn first_message(&mut self, handle: Topic, number: i32) -> usize {
        // SAFETY: the handle belongs to a live message; its name ends with 0.
        let topic = unsafe { CStr::from_ptr(native::rd_kafka_topic_name(handle)) }.to_string_lossy();
        let fits =
            |assigned: &Assigned| assigned.partition.number == number && *assigned.partition.topic == *topic;
        let index = self.all.iter().position(fits).expect("only assigned partitions are fetched");
        self.all[index].handle = handle;
        index
    }

    /// The first offset of a partition and the one behind its last.
    pub(crate) fn range(
        &self,
        client: &Client,
        partition: &Partition,
        timeout: Duration,
    ) -> Option<(i64, i64)> {
        let name = c_text(&partition.topic).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is alive, the name ends with 0.
        let code = unsafe {
            native::rd_kafka_query_watermark_offsets(
                client.handle(),
                name.as_ptr(),
                partition.number,
                &mut low,
                &mut high,
                milliseconds(timeout),
            )
        };
        (ErrorCode::from(code) == ErrorCode::NONE).then_some((low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::connector::ErrorKind;

    fn assigned(start: i64, end: Option<i64>) -> Assigned {
        Assigned {
            partition: Partition::new("t", 0),
            name: c_text("t").unwrap(),
            handle: std::ptr::null_mut(),
            next: Position::at(start),
            end,
        }
    }

    #[test]
    fn the_end_event_moves_the_position_past_the_markers() {
        let mut partition = assigned(0, Some(5));
        partition.returned(3, 1);
        assert!(!partition.has_ended());
        partition.ended(5);
        assert!(partition.has_ended());
        assert_eq!(partition.position(), Position { offset: 5, leader_epoch: 1 });
    }

    #[test]
    fn a_record_past_the_given_end_is_not_returned_and_proves_the_end() {
        let mut partition = assigned(0, Some(5));
        assert!(partition.accepts(4).unwrap());
        assert!(!partition.accepts(7).unwrap());
        assert!(partition.has_ended());
        assert_eq!(partition.position().offset, 5);
    }

    #[test]
    fn a_record_before_the_position_ends_the_incarnation_instead_of_being_processed_twice() {
        let mut partition = assigned(3, None);
        assert!(partition.accepts(3).unwrap());
        partition.returned(3, 1);
        let error = partition.accepts(3).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient);
        assert!(error.message.contains("topic t partition 0"), "{}", error.message);
        // Markers lie before the end event's offset: nothing that can be read follows there.
        partition.ended(6);
        partition.accepts(5).unwrap_err();
        assert!(partition.accepts(6).unwrap());
    }

    #[test]
    fn an_end_event_past_the_given_end_leaves_the_position_at_the_given_end() {
        let mut partition = assigned(2, Some(5));
        partition.ended(9);
        assert_eq!(partition.position().offset, 5);
    }

    #[test]
    fn an_empty_partition_has_ended_before_the_first_record() {
        assert!(assigned(0, Some(0)).has_ended());
        assert!(!assigned(0, None).has_ended());
    }
}
