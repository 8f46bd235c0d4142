//! A Kafka cluster seen from outside of weir: topics, groups, producing, and reading as a read_committed consumer.

use super::record::Record;
use super::waiting::{DEADLINE, until};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// How long one answer of the broker may take.
const ANSWER: Duration = Duration::from_secs(30);

/// A committed offset with its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub partition: i32,
    pub offset: Option<i64>,
    pub metadata: String,
}

/// A cluster by its address.
#[derive(Debug, Clone)]
pub struct Cluster {
    address: String,
}

/// What is sent in the order of its partition, once.
pub fn producer(address: &str) -> ThreadedProducer<DefaultProducerContext> {
    let mut config = configuration(address);
    config.set("enable.idempotence", "true").set("linger.ms", "5");
    config.create().expect("a producer")
}

/// Waits only where the producer's queue is full.
pub fn send(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str, record: &Record) {
    until("room in the producer's queue", || {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: value.as_ref() });
        }
        let mut message: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(record.partition);
        message = message.timestamp(record.timestamp).headers(headers);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        match producer.send(message) {
            Ok(()) => Some(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => None,
            Err((error, _)) => panic!("producing to {topic}: {error}"),
        }
    });
}

fn configuration(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("reconnect.backoff.max.ms", "500");
    config
}

impl Cluster {
    pub fn at(address: &str) -> Cluster {
        Cluster { address: address.to_owned() }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        configuration(&self.address).create().expect("an admin client")
    }

    /// Makes a topic, and waits until clients can see all of it.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let result = wait(self.admin().create_topics([&new], &options())).expect("the broker answers");
        assert!(result.iter().all(Result::is_ok), "{topic}: {result:?}");
        self.await_partitions(topic, partitions);
    }

    /// Sets a property of a topic.
    pub fn set_topic(&self, topic: &str, key: &str, value: &str) {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(key, value);
        let result = wait(self.admin().alter_configs([&change], &options())).expect("the broker answers");
        assert!(result.iter().all(Result::is_ok), "{topic}: {result:?}");
    }

    /// Raises the number of partitions.
    pub fn add_partitions(&self, topic: &str, partitions: i32) {
        let new = NewPartitions::new(topic, partitions as usize);
        let result = wait(self.admin().create_partitions([&new], &options())).expect("the broker answers");
        assert!(result.iter().all(Result::is_ok), "{topic}: {result:?}");
        self.await_partitions(topic, partitions);
    }

    fn await_partitions(&self, topic: &str, partitions: i32) {
        let consumer = self.consumer("read_committed", "nobody");
        until("the topic's partitions to have leaders", || {
            let metadata = consumer.fetch_metadata(Some(topic), ANSWER).ok()?;
            let found = metadata.topics().iter().find(|found| found.name() == topic)?;
            let led = found.partitions().iter().filter(|partition| partition.leader() >= 0).count();
            (led == partitions as usize).then_some(())
        });
    }

    /// Deletes a consumer group with its offsets.
    pub fn delete_group(&self, group: &str) {
        let result = wait(self.admin().delete_groups(&[group], &options())).expect("the broker answers");
        assert!(result.iter().all(Result::is_ok), "{group}: {result:?}");
    }

    /// Deletes the records of these partitions before an offset, as a retention does.
    pub fn delete_records(&self, topic: &str, partitions: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Offset(before)).expect("an offset");
        }
        let result = wait(self.admin().delete_records(&list, &options())).expect("the broker answers");
        let failed = result.elements().iter().any(|element| element.error().is_err());
        assert!(!failed, "{topic}: {result:?}");
    }

    /// Produces records to the partitions that they name, and waits until they are stored.
    pub fn produce(&self, topic: &str, records: &[Record]) {
        let producer = producer(&self.address);
        records.iter().for_each(|record| send(&producer, topic, record));
        producer.flush(DEADLINE).expect("the records are stored");
    }

    /// Produces records in one transaction, which ends in a marker behind the last of them.
    pub fn produce_in_transaction(&self, topic: &str, records: &[Record], commit: bool) {
        let mut config = configuration(&self.address);
        config.set("transactional.id", super::names::unique("input"));
        let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
        producer.init_transactions(DEADLINE).expect("the broker knows the id");
        producer.begin_transaction().expect("a transaction begins");
        records.iter().for_each(|record| send(&producer, topic, record));
        producer.flush(DEADLINE).expect("the records are stored");
        let ended =
            if commit { producer.commit_transaction(DEADLINE) } else { producer.abort_transaction(DEADLINE) };
        ended.expect("the transaction ends");
    }

    /// A transaction of another program that has an offset of a group, and is open until the program ends it.
    pub fn offset_in_transaction(
        &self,
        group: &str,
        topic: &str,
    ) -> ThreadedProducer<DefaultProducerContext> {
        let mut config = configuration(&self.address);
        config.set("transactional.id", super::names::unique("offset"));
        let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
        producer.init_transactions(DEADLINE).expect("the broker knows the id");
        producer.begin_transaction().expect("a transaction begins");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(1)).expect("a valid offset");
        let member = self.consumer("read_committed", group).group_metadata().expect("it has a group");
        producer.send_offsets_to_transaction(&list, &member, DEADLINE).expect("the group takes the offset");
        producer
    }

    /// A consumer of nothing yet.
    pub fn consumer(&self, isolation: &str, group: &str) -> BaseConsumer {
        let mut config = configuration(&self.address);
        config.set("group.id", group).set("isolation.level", isolation);
        config.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        config.set("auto.offset.reset", "error").set("fetch.wait.max.ms", "50");
        config.create().expect("a consumer")
    }

    /// The numbers of a topic's partitions.
    pub fn partitions(&self, consumer: &BaseConsumer, topic: &str) -> Vec<i32> {
        until("the topic's metadata", || {
            let metadata = consumer.fetch_metadata(Some(topic), ANSWER).ok()?;
            let found = metadata.topics().first()?;
            let numbers: Vec<i32> = found.partitions().iter().map(|partition| partition.id()).collect();
            (!numbers.is_empty()).then_some(numbers)
        })
    }

    /// Offsets of a topic between its last stable offset and its end: what open transactions hold back.
    pub fn undecided(&self, topic: &str) -> i64 {
        let ends = |isolation: &str| -> i64 {
            let consumer = self.consumer(isolation, "nobody");
            let end = |partition: &i32| {
                until("the end of a partition", || consumer.fetch_watermarks(topic, *partition, ANSWER).ok())
                    .1
            };
            self.partitions(&consumer, topic).iter().map(end).sum()
        };
        // The stable ends are asked for last: what is decided in between makes the difference smaller.
        let all = ends("read_uncommitted");
        all - ends("read_committed")
    }

    /// All committed records, in the order of each partition, after no transaction is open any more: a commit's
    /// markers are written after its answer.
    pub fn read_committed(&self, topic: &str) -> Vec<Record> {
        until("the last transaction on the topic to end", || (self.undecided(topic) <= 0).then_some(()));
        self.read_stable(topic)
    }

    /// The committed records before the last stable offset, as a reader sees them now.
    pub fn read_stable(&self, topic: &str) -> Vec<Record> {
        let consumer = self.consumer("read_committed", "nobody");
        let partitions = self.partitions(&consumer, topic);
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            list.add_partition_offset(topic, *partition, Offset::Beginning).expect("a partition");
        }
        consumer.assign(&list).expect("the partitions can be read");
        let (mut records, mut open) = (Vec::new(), partitions);
        while !open.is_empty() {
            match consumer.poll(DEADLINE) {
                Some(Ok(message)) => records.push(record_of(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => open.retain(|other| *other != partition),
                // A broker that answers late is not gone, and one that is gone comes back: the client tries again.
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::OperationTimedOut,
                ))) => {}
                Some(Err(error)) => panic!("reading {topic}: {error}"),
                None => panic!("reading {topic}: no record and no end"),
            }
        }
        records
    }

    /// What the group has committed for a topic.
    pub fn committed(&self, group: &str, topic: &str) -> Vec<Committed> {
        let consumer = self.consumer("read_committed", group);
        let mut list = TopicPartitionList::new();
        for partition in self.partitions(&consumer, topic) {
            list.add_partition(topic, partition);
        }
        let found = until("the committed offsets", || consumer.committed_offsets(list.clone(), ANSWER).ok());
        let entries = found.elements().into_iter().map(|element| Committed {
            partition: element.partition(),
            offset: match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            },
            metadata: element.metadata().to_owned(),
        });
        entries.collect()
    }

    /// The epoch that a group's offsets name, also while a later one is pending.
    pub fn decided_epoch(&self, group: &str, topic: &str) -> Option<u64> {
        let consumer = self.consumer("read_uncommitted", group);
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, 0);
        let found = until("the committed offsets", || consumer.committed_offsets(list.clone(), ANSWER).ok());
        epoch_of(found.elements().first()?.metadata())
    }

    /// Commits plain offsets, as another consumer or `--reset-offsets` does.
    pub fn commit_plainly(&self, group: &str, topic: &str, offsets: &[(i32, i64)]) {
        let consumer = self.consumer("read_committed", group);
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).expect("an offset");
        }
        until("the offsets to be committed", || consumer.commit(&list, CommitMode::Sync).ok());
    }

    /// Commits what a group had committed before, metadata too, as a cluster does that is brought back from a copy.
    pub fn commit_as_it_was(&self, group: &str, topic: &str, before: &[Committed]) {
        let consumer = self.consumer("read_committed", group);
        let mut list = TopicPartitionList::new();
        for one in before {
            let mut entry = list.add_partition(topic, one.partition);
            entry.set_offset(Offset::Offset(one.offset.expect("it was committed"))).expect("an offset");
            entry.set_metadata(&one.metadata);
        }
        until("the offsets to be committed", || consumer.commit(&list, CommitMode::Sync).ok());
    }
}

/// The epoch in the metadata of a committed offset.
pub fn epoch_of(metadata: &str) -> Option<u64> {
    metadata.split(';').find_map(|part| part.strip_prefix("n=")).and_then(|number| number.parse().ok())
}

/// A record as it was read.
pub fn record_of(message: &impl Message) -> Record {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER))
}

/// The admin client answers with futures; a test has nothing else to do meanwhile.
fn wait<Answer>(future: impl Future<Output = Answer>) -> Answer {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}
