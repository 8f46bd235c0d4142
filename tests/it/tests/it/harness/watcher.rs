//! An independent read_committed reader that looks at outputs all the time and tells the model what it sees.

use super::cluster::Cluster;
use super::cluster::record_of;
use super::keyed_model::{KeyedModel, Role};
use super::waiting::{DEADLINE, until};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long one look at the broker takes at most.
const LOOK: Duration = Duration::from_millis(100);

/// Errors of the client that are shown where it does not come to an end.
const ERRORS_KEPT: usize = 10;

/// Reads until it is told to finish.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Reading {
    consumer: BaseConsumer,
    topics: Vec<(Role, String)>,
    /// Per partition the next offset.
    next: BTreeMap<(String, i32), i64>,
    model: Arc<Mutex<KeyedModel>>,
    /// What the client said last beside records and ends.
    errors: Vec<String>,
}

impl Watcher {
    /// Reads all partitions of the topics, from their beginning.
    pub fn start(cluster: &Cluster, topics: &[(Role, String)], model: Arc<Mutex<KeyedModel>>) -> Watcher {
        let consumer = cluster.consumer("read_committed", "nobody");
        let mut next = BTreeMap::new();
        for (_, topic) in topics {
            next.extend(
                cluster
                    .partitions(&consumer, topic)
                    .into_iter()
                    .map(|partition| ((topic.clone(), partition), 0)),
            );
        }
        let mut reading = Reading { consumer, topics: topics.to_vec(), next, model, errors: Vec::new() };
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, cluster) = (stop.clone(), cluster.clone());
        let body = move || {
            reading.assign();
            while !stopped.load(Ordering::Relaxed) {
                reading.look();
            }
            for (_, topic) in reading.topics.clone() {
                until("the last transaction on the output to end", || {
                    (cluster.undecided(&topic) <= 0).then_some(())
                });
            }
            // A client that lived through kills of its broker may have given up a partition: a fresh one reads the rest.
            reading.consumer = cluster.consumer("read_committed", "nobody");
            reading.read_to_the_end();
        };
        Watcher { stop, thread: Some(std::thread::spawn(body)) }
    }

    /// Reads what is committed to its end.
    pub fn finish(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is finished once").join().expect("the reader ends well");
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Reading {
    fn assign(&self) {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in &self.next {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).expect("a partition");
        }
        self.consumer.assign(&list).expect("the partitions can be read");
    }

    /// Takes what there is. Returns the partition whose end was reached, if one was; a broker that is gone comes back.
    fn look(&mut self) -> Option<i32> {
        match self.consumer.poll(LOOK) {
            Some(Ok(message)) => {
                let next = self.next.get_mut(&(message.topic().to_owned(), message.partition()));
                *next.expect("it was assigned") = message.offset() + 1;
                let role = self
                    .topics
                    .iter()
                    .find(|(_, topic)| topic == message.topic())
                    .expect("it was assigned")
                    .0;
                let record = record_of(&message);
                self.model.lock().unwrap_or_else(PoisonError::into_inner).saw(role, &record);
                None
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => Some(partition),
            Some(Err(error)) => {
                self.errors.push(error.to_string());
                let most = self.errors.len().saturating_sub(ERRORS_KEPT);
                self.errors.drain(..most);
                None
            }
            None => None,
        }
    }

    /// An assignment tells the end of each partition once.
    fn read_to_the_end(&mut self) {
        self.assign();
        let mut open = self.next.len();
        let begun = std::time::Instant::now();
        while open > 0 {
            open -= usize::from(self.look().is_some());
            assert!(
                begun.elapsed() < DEADLINE * 2,
                "{open} partitions of the output have no end; the client said {:#?}",
                self.errors
            );
        }
    }
}
