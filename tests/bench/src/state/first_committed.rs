//! The first record that a consumer of committed data sees after a moment.

use super::Place;
use super::arguments::Arguments;
use crate::failure::Failure;
use crate::settings;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How long the broker may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long one look waits.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// A consumer that stands where committed data ends.
pub struct FirstCommitted {
    consumer: BaseConsumer,
}

impl FirstCommitted {
    /// What is committed to the topic until now is not seen.
    pub fn after_now(place: &Place, arguments: &Arguments, topic: &str) -> Result<FirstCommitted, Failure> {
        let group = format!("{}-first", place.id);
        let consumer: BaseConsumer = settings::consumer(&arguments.brokers, &group, 1).create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..super::PARTITIONS {
            // With read_committed the end is in front of the first record that is not decided.
            let (_, end) = consumer.fetch_watermarks(topic, partition, ANSWER_TIMEOUT)?;
            list.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
        consumer.assign(&list)?;
        Ok(FirstCommitted { consumer })
    }

    /// When it came; a failure where `failed` says so, or after the longest wait.
    pub fn wait(
        &self,
        longest: Duration,
        mut failed: impl FnMut() -> Option<Failure>,
    ) -> Result<Instant, Failure> {
        let begun = Instant::now();
        loop {
            match self.consumer.poll(LOOK_PAUSE) {
                Some(Ok(_)) => return Ok(Instant::now()),
                None | Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => return Err(error.into()),
            }
            if let Some(failure) = failed() {
                return Err(failure);
            }
            if begun.elapsed() > longest {
                return Err(Failure::new(format!("no committed record came for {longest:?}")));
            }
        }
    }
}
