//! Reads partitions to their ends, a native call per batch, in the way of weir's own reader.

use crate::failure::Failure;
use crate::settings::FETCH_ROWS_MAX;
use rdkafka::ClientConfig;
use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::ptr;
use std::time::{Duration, Instant};

/// How long one fetch waits for a first record.
const WAIT_MS: i32 = 100;
/// How long nothing may come before the end.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// librdkafka's code for the end of a partition.
const PARTITION_END: i32 = RDKafkaErrorCode::PartitionEOF as i32;
/// Codes of what passes by itself.
const PASSING: &[i32] =
    &[RDKafkaErrorCode::AllBrokersDown as i32, RDKafkaErrorCode::BrokerTransportFailure as i32];

/// One record as librdkafka holds it.
pub type Message = native::rd_kafka_message_t;

/// A reader of some partitions of a topic.
pub struct Reader {
    fetched: Vec<*mut Message>,
    /// Per partition the next offset and the end.
    places: BTreeMap<i32, (i64, i64)>,
    queue: *mut native::rd_kafka_queue_t,
    // The last field: everything above refers to it.
    _consumer: BaseConsumer,
}

// SAFETY: messages and queue are used by one thread at a time, which librdkafka allows to change.
unsafe impl Send for Reader {}

impl Reader {
    /// Reads the partitions from the start to the ends that are given.
    pub fn new(config: &ClientConfig, topic: &str, ends: &[(i32, i64)]) -> Result<Reader, Failure> {
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        for (partition, _) in ends {
            list.add_partition_offset(topic, *partition, Offset::Offset(0))?;
        }
        consumer.incremental_assign(&list)?;
        // SAFETY: the client is alive; the reference is given back in `drop`.
        let queue = unsafe { native::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        let places = ends.iter().map(|(partition, end)| (*partition, (0, *end))).collect();
        Ok(Reader { fetched: Vec::new(), places, queue, _consumer: consumer })
    }

    /// The next offset of each partition.
    pub fn positions(&self) -> impl Iterator<Item = (i32, i64)> {
        self.places.iter().map(|(partition, (next, _))| (*partition, *next))
    }

    /// The next records, alive until the next call; none at the end.
    pub fn fetch(&mut self) -> Result<Option<&[*mut Message]>, Failure> {
        let mut heard = Instant::now();
        loop {
            self.release();
            if self.places.values().all(|(next, end)| next >= end) {
                return Ok(None);
            }
            self.fetch_some();
            if !self.fetched.is_empty() {
                heard = Instant::now();
            }
            self.take_events()?;
            if !self.fetched.is_empty() {
                return Ok(Some(&self.fetched));
            }
            if heard.elapsed() > SILENCE_MAX {
                return Err(Failure::new(format!("no record came for {SILENCE_MAX:?}: {:?}", self.places)));
            }
        }
    }

    /// What is there at once, or else the first within a while and what is there then: the native call waits for a
    /// full array.
    fn fetch_some(&mut self) {
        self.fetched.resize(FETCH_ROWS_MAX, ptr::null_mut());
        let (queue, messages) = (self.queue, self.fetched.as_mut_ptr());
        // SAFETY: the queue is alive, the array has that many entries; the call fills from the front.
        let count = unsafe {
            let mut count = native::rd_kafka_consume_batch_queue(queue, 0, messages, FETCH_ROWS_MAX);
            if count == 0 {
                count = native::rd_kafka_consume_batch_queue(queue, WAIT_MS, messages, 1);
                if count == 1 {
                    let rest = FETCH_ROWS_MAX - 1;
                    count += native::rd_kafka_consume_batch_queue(queue, 0, messages.add(1), rest).max(0);
                }
            }
            count
        };
        self.fetched.truncate(usize::try_from(count).unwrap_or(0));
    }

    /// Moves the positions and takes out what is not a record.
    fn take_events(&mut self) -> Result<(), Failure> {
        let places = &mut self.places;
        let mut failure = None;
        // Messages come in runs of one partition.
        let mut run: Option<(i32, i64)> = None;
        self.fetched.retain(|&message| {
            // SAFETY: the message is alive.
            let (code, partition, offset) =
                unsafe { (code(message), (*message).partition, (*message).offset) };
            if code == 0 {
                match &mut run {
                    Some((same, next)) if *same == partition => *next = offset + 1,
                    _ => {
                        if let Some((partition, next)) = run.replace((partition, offset + 1)) {
                            advance(places, partition, next);
                        }
                    }
                }
                return true;
            }
            if code == PARTITION_END {
                advance(places, partition, offset);
            } else if !PASSING.contains(&code) {
                failure =
                    Some(Failure::new(format!("reading partition {partition}: librdkafka's code {code}")));
            }
            // SAFETY: taken out of the list, so given back once.
            unsafe { native::rd_kafka_message_destroy(message) };
            false
        });
        if let Some((partition, next)) = run {
            advance(places, partition, next);
        }
        failure.map_or(Ok(()), Err)
    }

    fn release(&mut self) {
        for message in self.fetched.drain(..) {
            // SAFETY: each message leaves the list here and is given back once.
            unsafe { native::rd_kafka_message_destroy(message) };
        }
    }
}

fn advance(places: &mut BTreeMap<i32, (i64, i64)>, partition: i32, to: i64) {
    if let Some((next, _)) = places.get_mut(&partition) {
        *next = to.max(*next);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.release();
        // SAFETY: the reference of `new`, given back once, while the client is alive.
        unsafe { native::rd_kafka_queue_destroy(self.queue) }
    }
}

/// The code of a message, read as a number: the broker may know codes that the bindings do not.
///
/// # Safety
///
/// `message` is a live message.
#[inline]
pub unsafe fn code(message: *const Message) -> i32 {
    // SAFETY: by contract; the field is a C enum, which has the size of an `int`.
    unsafe { ptr::addr_of!((*message).err).cast::<i32>().read() }
}

/// Key or value of a record; an absent one is empty.
///
/// # Safety
///
/// `first` is null or points to `length` bytes that live as long as the message.
#[inline]
pub unsafe fn bytes<'a>(first: *const std::ffi::c_void, length: usize) -> &'a [u8] {
    // SAFETY: by contract.
    if first.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(first.cast(), length) } }
}
