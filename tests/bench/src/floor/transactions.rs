//! Two transactional producers in turn: while one commits, the other takes records.

use crate::failure::Failure;
use crate::settings;
use rdkafka::bindings as native;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

/// How long a transaction may live, and each call of one take: weir's default.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// One producer and the output topic on it.
pub struct Slot {
    topic: *mut native::rd_kafka_topic_t,
    producer: ThreadedProducer<DefaultProducerContext>,
}

// SAFETY: librdkafka's topic handles may be used from any thread.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Slot {
    fn start(brokers: &str, output: &str, index: usize) -> Result<Slot, Failure> {
        let mut config = settings::producer(brokers);
        config.set("transactional.id", format!("{output}-{index}"));
        config.set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string());
        let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
        producer.init_transactions(TRANSACTION_TIMEOUT)?;
        let name = CString::new(output).map_err(Failure::of("the output topic"))?;
        // SAFETY: the client is alive; no topic configuration is given, so the client's applies.
        let topic = unsafe {
            native::rd_kafka_topic_new(producer.client().native_ptr(), name.as_ptr(), std::ptr::null_mut())
        };
        if topic.is_null() {
            return Err(Failure::new(format!("topic {output}: the client does not accept the name")));
        }
        // The first record then knows its partition.
        producer.client().fetch_metadata(Some(output), TRANSACTION_TIMEOUT)?;
        Ok(Slot { topic, producer })
    }

    /// The native client, alive as long as the slot.
    pub fn client(&self) -> *mut native::rd_kafka_t {
        self.producer.client().native_ptr()
    }

    /// The native topic, alive as long as the slot.
    pub fn topic(&self) -> *mut native::rd_kafka_topic_t {
        self.topic
    }

    fn commit(&self, offsets: &TopicPartitionList, group: &ConsumerGroupMetadata) -> Result<(), Failure> {
        let timeout_ms = i32::try_from(TRANSACTION_TIMEOUT.as_millis()).unwrap_or(i32::MAX);
        // The crate's flush polls by itself; its thread does that already. A failed record fails the commit.
        // SAFETY: the client is alive.
        unsafe { native::rd_kafka_flush(self.client(), timeout_ms) };
        self.producer.send_offsets_to_transaction(offsets, group, TRANSACTION_TIMEOUT)?;
        Ok(self.producer.commit_transaction(TRANSACTION_TIMEOUT)?)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: owned, given back once, while the client is alive.
        unsafe { native::rd_kafka_topic_destroy(self.topic) }
    }
}

/// Both slots, one of them open.
pub struct Transactions {
    slots: [Slot; 2],
    open: RwLock<usize>,
    group: ConsumerGroupMetadata,
}

/// The open slot, held open.
pub struct Open<'a> {
    slots: &'a [Slot; 2],
    index: RwLockReadGuard<'a, usize>,
}

impl Open<'_> {
    /// The slot.
    pub fn slot(&self) -> &Slot {
        &self.slots[*self.index]
    }
}

impl Transactions {
    /// Initialises both and opens the first.
    pub fn start(brokers: &str, output: &str) -> Result<Transactions, Failure> {
        let slots = [Slot::start(brokers, output, 0)?, Slot::start(brokers, output, 1)?];
        slots[0].producer.begin_transaction()?;
        let member: BaseConsumer = settings::consumer(brokers, output, 1).create()?;
        let group = member.group_metadata().ok_or_else(|| Failure::new("a group was given"))?;
        Ok(Transactions { slots, open: RwLock::new(0), group })
    }

    /// The slot that takes records; no other is opened while it is held.
    pub fn open(&self) -> Open<'_> {
        Open { slots: &self.slots, index: self.open.read().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Opens the other slot and commits the one that was open, with the positions of that moment.
    pub fn commit_and_go_on(
        &self,
        input: &str,
        positions: impl Fn() -> BTreeMap<i32, i64>,
    ) -> Result<(), Failure> {
        let other = 1 - *self.open().index;
        self.slots[other].producer.begin_transaction()?;
        let (was_open, positions) = {
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            (std::mem::replace(&mut *open, other), positions())
        };
        self.slots[was_open].commit(&offsets(input, &positions)?, &self.group)
    }

    /// Commits the open slot. Nobody writes any more.
    pub fn commit(&self, input: &str, positions: &BTreeMap<i32, i64>) -> Result<(), Failure> {
        self.open().slot().commit(&offsets(input, positions)?, &self.group)
    }
}

fn offsets(input: &str, positions: &BTreeMap<i32, i64>) -> Result<TopicPartitionList, Failure> {
    let mut list = TopicPartitionList::new();
    for (partition, next) in positions {
        list.add_partition_offset(input, *partition, Offset::Offset(*next))?;
    }
    Ok(list)
}
