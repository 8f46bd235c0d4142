//! Reads the partitions of one subtask: one native call per batch, rows straight into columns.
//!
//! - **S1** A position is the offset of the first record not yet returned by `poll`; fetched messages that did not
//!   fit are kept for the next poll.
//! - **S2** The end of a partition is known from its end event or from the end given, never from the high watermark:
//!   behind the last record of a transaction lies a marker that is never delivered.

use crate::assigned::{Assigned, Assignment};
use crate::client::{Client, message_code, milliseconds};
use crate::client_error::{ClientError, ErrorCode};
use crate::cluster::Shared;
use crate::denied::{group, reading};
use crate::lost_position;
use crate::partition_list::PartitionList;
use rdkafka::bindings as native;
use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::batch::{Batch, push_header};
use weir_protocol::connector::{BatchLimits, ConnectorError, PartitionProgress, Polled, SourceReader};
use weir_protocol::position::{Partition, Positions};

/// How long the question for the range of a partition may take, when its position is not there any more.
const RANGE_TIMEOUT: Duration = Duration::from_secs(5);

type Message = *mut native::rd_kafka_message_t;

/// The reader of one subtask.
pub(crate) struct KafkaReader {
    /// Fetched and not yet returned: `fetched[taken..]`.
    fetched: Vec<Message>,
    taken: usize,
    assignment: Assignment,
    queue: *mut native::rd_kafka_queue_t,
    bounded: bool,
    header_entry: Vec<u8>,
    shared: Arc<Shared>,
    // The last field: everything above refers to it.
    client: Client,
}

// SAFETY: messages and queue are used by one thread at a time, which librdkafka allows to change.
unsafe impl Send for KafkaReader {}

impl KafkaReader {
    /// A reader that starts at the given positions.
    pub(crate) fn new(
        client: Client,
        shared: Arc<Shared>,
        start: &Positions,
        ends: Option<&Positions>,
    ) -> Result<KafkaReader, ConnectorError> {
        // SAFETY: the client is alive; the reference is given back in `drop`.
        let queue = unsafe { native::rd_kafka_queue_get_consumer(client.handle()) };
        let mut reader = KafkaReader {
            fetched: Vec::new(),
            taken: 0,
            assignment: Assignment::new(ends),
            queue,
            bounded: ends.is_some(),
            header_entry: Vec::new(),
            shared,
            client,
        };
        reader.add(start)?;
        Ok(reader)
    }

    /// Fills `fetched`, which is used up: what is there at once, or else the first within `wait` and what is there
    /// then. The native call waits for a full array, hence the two steps.
    fn fetch(&mut self, rows_max: usize, wait: Duration) {
        // The array is not cleared for each fetch: on a trickle of records that would cost more than the fetch.
        self.fetched.clear();
        self.fetched.reserve(rows_max);
        self.taken = 0;
        let (queue, messages) = (self.queue, self.fetched.as_mut_ptr());
        // SAFETY: the queue is alive, the array has room for `rows_max` entries; the call fills from the front and
        // says how many it wrote.
        unsafe {
            let mut count = native::rd_kafka_consume_batch_queue(queue, 0, messages, rows_max);
            if count == 0 {
                count = native::rd_kafka_consume_batch_queue(queue, milliseconds(wait), messages, 1);
                if count == 1 && rows_max > 1 {
                    // An error here must not take away the message that is already there.
                    count +=
                        native::rd_kafka_consume_batch_queue(queue, 0, messages.add(1), rows_max - 1).max(0);
                }
            }
            self.fetched.set_len(usize::try_from(count).unwrap_or(0));
        }
    }

    /// Appends fetched messages until the batch is full. Returns how many messages were taken.
    fn append(&mut self, batch: &mut Batch, limits: BatchLimits) -> Result<usize, ConnectorError> {
        let mut bytes = 0;
        let mut at = self.taken;
        while at < self.fetched.len() && batch.rows < limits.rows_max {
            let message = self.fetched[at];
            // SAFETY: messages in `fetched[taken..]` are alive.
            let (code, view) = unsafe { (message_code(message), &*message) };
            if code != ErrorCode::NONE {
                self.event(code, view)?;
                at += 1;
                continue;
            }
            let size = view.len + view.key_len;
            if batch.rows > 0 && bytes + size > limits.bytes_max {
                break;
            }
            bytes += size;
            let assigned = self.assignment.of(view.rkt, view.partition);
            if assigned.accepts(view.offset)? {
                // SAFETY: the message is alive.
                let leader_epoch = unsafe { native::rd_kafka_message_leader_epoch(view) };
                assigned.returned(view.offset, leader_epoch);
                batch.origins.push(assigned.topic(), view.partition, view.offset);
                // SAFETY: as above.
                unsafe { push_row(batch, view, &mut self.header_entry) };
            }
            at += 1;
        }
        Ok(at - self.taken)
    }

    fn event(&mut self, code: ErrorCode, message: &native::rd_kafka_message_t) -> Result<(), ConnectorError> {
        if code == ErrorCode::PARTITION_END {
            self.assignment.of(message.rkt, message.partition).ended(message.offset);
            return Ok(());
        }
        // SAFETY: the text of an error message lives as long as the message.
        let text = unsafe { native::rd_kafka_message_errstr(message).as_ref() }
            // SAFETY: as above; it ends with 0.
            .map_or_else(
                || code.text(),
                |text| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
            );
        let place = (!message.rkt.is_null()).then(|| {
            let assigned = self.assignment.of(message.rkt, message.partition);
            (assigned.partition().clone(), assigned.position().offset)
        });
        if code == ErrorCode::OFFSET_RESET || code == ErrorCode::OFFSET_OUT_OF_RANGE {
            return Err(self.lost_position(place, &text));
        }
        if code.is_transport() || code == ErrorCode::MAX_POLL_EXCEEDED {
            self.client.noted().error(code, &text);
            return Ok(());
        }
        let topic = place.as_ref().map(|(partition, _)| partition.topic.clone());
        let what = place.map_or_else(String::new, |(partition, _)| format!("partition {partition}: "));
        let mut needs = vec![group(&self.shared.group)];
        needs.extend(topic.map(|topic| reading(&topic)));
        let error = ClientError { text, ..ClientError::from_code(code) };
        let error = error.needing(&self.shared.grantee, &needs);
        Err(error.of(format!("reading {what}").trim_end_matches([' ', ':'])))
    }

    fn lost_position(
        &self,
        place: Option<(weir_protocol::position::Partition, i64)>,
        text: &str,
    ) -> ConnectorError {
        let Some((partition, offset)) = place else {
            return ConnectorError::refused(format!("a position does not exist any more: {text}"));
        };
        let range = self.assignment.range(&self.client, &partition, RANGE_TIMEOUT);
        lost_position::refused(partition, offset, range, Some(text))
    }

    /// Gives back messages that were taken.
    fn release(&mut self, taken: usize) {
        for message in &self.fetched[self.taken..self.taken + taken] {
            // SAFETY: each message is given back once: `taken` moves behind it.
            unsafe { native::rd_kafka_message_destroy(*message) };
        }
        self.taken += taken;
    }
}

impl SourceReader for KafkaReader {
    fn poll(
        &mut self,
        batch: &mut Batch,
        limits: BatchLimits,
        wait: Duration,
    ) -> Result<Polled, ConnectorError> {
        if self.bounded && self.assignment.all_ended() {
            return Ok(Polled::End);
        }
        if self.taken == self.fetched.len() {
            self.fetch(limits.rows_max, wait);
        }
        let taken = self.append(batch, limits)?;
        self.release(taken);
        if batch.rows > 0 {
            self.client.noted().answered();
            return Ok(Polled::Rows);
        }
        Ok(if self.bounded && self.assignment.all_ended() { Polled::End } else { Polled::Idle })
    }

    fn positions(&self) -> Positions {
        self.assignment.all().map(|assigned| (assigned.partition().clone(), assigned.position())).collect()
    }

    fn add(&mut self, start: &Positions) -> Result<(), ConnectorError> {
        let mut list = PartitionList::new();
        for (partition, position) in start {
            list.add(partition, *position, None)?;
        }
        if start.is_empty() {
            return Ok(());
        }
        // SAFETY: client and list are alive; the error object is taken over.
        let assigned = unsafe {
            ClientError::check(native::rd_kafka_incremental_assign(self.client.handle(), list.native()))
        };
        assigned.map_err(|error| error.of("assigning partitions"))?;
        for (partition, position) in start {
            self.assignment.add(partition, *position)?;
        }
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        self.assignment.all().map(|assigned: &Assigned| assigned.lag(&self.client)).sum()
    }

    fn progress(&self, visit: &mut dyn FnMut(&Partition, PartitionProgress)) {
        for assigned in self.assignment.all() {
            visit(assigned.partition(), assigned.progress(&self.client));
        }
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.release(self.fetched.len() - self.taken);
        // SAFETY: the reference of `new`, given back once, while the client is alive.
        unsafe { native::rd_kafka_queue_destroy(self.queue) }
    }
}

/// # Safety
///
/// `message` is a live message without an error.
#[inline]
unsafe fn push_row(batch: &mut Batch, message: &native::rd_kafka_message_t, header_entry: &mut Vec<u8>) {
    // SAFETY: by contract; key and payload have the lengths that stand beside them, null means none.
    unsafe {
        let key = bytes(message.key.cast(), message.key_len);
        let value = bytes(message.payload.cast(), message.len);
        let timestamp = native::rd_kafka_message_timestamp(message, ptr::null_mut());
        let mut headers: *mut native::rd_kafka_headers_t = ptr::null_mut();
        let found = ErrorCode::from(native::rd_kafka_message_headers(message, &mut headers));
        if found == ErrorCode::NONE {
            header_entry.clear();
            encode_headers(headers, header_entry);
            batch.push(timestamp, key, value, Some(header_entry));
        } else {
            batch.push(timestamp, key, value, None);
        }
    }
}

/// # Safety
///
/// `first` is null or points to `length` bytes that live as long as the message.
#[inline]
unsafe fn bytes<'a>(first: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by contract.
    (!first.is_null()).then(|| unsafe { std::slice::from_raw_parts(first, length) })
}

/// # Safety
///
/// `headers` are the live headers of a message.
unsafe fn encode_headers(headers: *const native::rd_kafka_headers_t, entry: &mut Vec<u8>) {
    for index in 0.. {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: by contract; past the last header the call answers an error.
        let found =
            unsafe { native::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size) };
        if ErrorCode::from(found) != ErrorCode::NONE {
            return;
        }
        // SAFETY: the name ends with 0, the value has the given size or is null.
        unsafe { push_header(entry, &CStr::from_ptr(name).to_string_lossy(), bytes(value.cast(), size)) };
    }
}
