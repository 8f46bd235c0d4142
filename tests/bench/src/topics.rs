//! The topics of the bench: made, removed, and how far they are.

use crate::failure::Failure;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long the broker may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a new topic may take until the broker knows all of its partitions.
const CREATED_TIMEOUT: Duration = Duration::from_secs(30);
/// How soon the broker is asked again.
const ASK_PAUSE: Duration = Duration::from_millis(20);

/// Connections to ask with.
pub struct Topics {
    admin: AdminClient<DefaultClientContext>,
    asker: BaseConsumer,
    partitions: i32,
}

impl Topics {
    /// Topics of this number of partitions.
    pub fn connect(brokers: &str, partitions: i32) -> Result<Topics, Failure> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        // The end is then the high watermark: what is written, decided or not.
        config.set("isolation.level", "read_uncommitted");
        Ok(Topics { admin: config.create()?, asker: config.create()?, partitions })
    }

    /// Makes a topic and waits until it can be used.
    pub fn create(&self, topic: &str) -> Result<(), Failure> {
        self.create_with(topic, &[])
    }

    /// The same with settings of the topic.
    pub fn create_with(&self, topic: &str, settings: &[(&str, &str)]) -> Result<(), Failure> {
        let options = AdminOptions::new().operation_timeout(Some(ANSWER_TIMEOUT));
        let new = NewTopic::new(topic, self.partitions, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
        for result in wait(self.admin.create_topics([&new], &options))? {
            result.map_err(|(topic, error)| Failure::new(format!("making topic {topic}: {error}")))?;
        }
        let deadline = Instant::now() + CREATED_TIMEOUT;
        while !self.is_complete(topic)? {
            if Instant::now() > deadline {
                return Err(Failure::new(format!("topic {topic} does not appear")));
            }
            thread::sleep(ASK_PAUSE);
        }
        self.ends(topic).map(drop)
    }

    /// True where the broker has the topic.
    pub fn exists(&self, topic: &str) -> Result<bool, Failure> {
        let metadata = self.asker.fetch_metadata(None, ANSWER_TIMEOUT)?;
        Ok(metadata.topics().iter().any(|known| known.name() == topic))
    }

    /// Removes a topic that may be there, and waits until it is gone.
    pub fn delete_if_there(&self, topic: &str) -> Result<(), Failure> {
        if self.exists(topic)? {
            self.delete(topic);
        }
        let deadline = Instant::now() + CREATED_TIMEOUT;
        while self.exists(topic)? {
            if Instant::now() > deadline {
                return Err(Failure::new(format!("topic {topic} does not go away")));
            }
            thread::sleep(ASK_PAUSE);
        }
        Ok(())
    }

    /// True once each partition has a leader. Asking for the ends before would store the "unknown" for 30 seconds.
    fn is_complete(&self, topic: &str) -> Result<bool, Failure> {
        let metadata = self.asker.fetch_metadata(Some(topic), ANSWER_TIMEOUT)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        let led = partitions.filter(|partition| partition.error().is_none() && partition.leader() >= 0);
        Ok(i32::try_from(led.count()) == Ok(self.partitions))
    }

    /// Removes a topic. If that fails it stays, which harms nothing but the broker's disk.
    pub fn delete(&self, topic: &str) {
        let options = AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT));
        if let Err(error) = wait(self.admin.delete_topics(&[topic], &options)) {
            eprintln!("bench: topic {topic} stays: {error}");
        }
    }

    /// The high watermark of each partition. A topic that is complete may still have no leader for a moment.
    pub fn ends(&self, topic: &str) -> Result<Vec<i64>, Failure> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        loop {
            match self.ask_ends(topic) {
                Err(_) if Instant::now() < deadline => thread::sleep(ASK_PAUSE),
                answer => return answer,
            }
        }
    }

    /// One request.
    fn ask_ends(&self, topic: &str) -> Result<Vec<i64>, Failure> {
        let mut asked = TopicPartitionList::new();
        for partition in 0..self.partitions {
            asked.add_partition_offset(topic, partition, Offset::End)?;
        }
        let answer = self.asker.offsets_for_times(asked, ANSWER_TIMEOUT)?;
        let end = |partition| {
            let found = answer.find_partition(topic, partition);
            match found.as_ref().map(|entry| (entry.error(), entry.offset())) {
                Some((Ok(()), Offset::Offset(end))) => Ok(end),
                Some((Err(error), _)) => Err(error.into()),
                _ => Err(Failure::new(format!("topic {topic}: partition {partition} has no end"))),
            }
        };
        (0..self.partitions).map(end).collect()
    }

    /// What was written to a topic: records, and a marker per transaction and partition.
    pub fn written(&self, topic: &str) -> Result<u64, Failure> {
        Ok(self.ends(topic)?.iter().map(|end| u64::try_from(*end).unwrap_or(0)).sum())
    }
}

/// Waits for an answer on this thread.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}
