//! When the broker appended output: the topic takes the broker's clock for its timestamps, and is read when all is over,
//! so that nobody reads while something is measured. Records of transactions that were aborted are there too.

use super::PARTITIONS;
use super::windows::Append;
use crate::failure::Failure;
use crate::reader::{Message, Reader, bytes};
use crate::settings;
use crate::topics::Topics;
use rdkafka::bindings as native;

/// What makes a topic's timestamps the broker's.
pub const BROKER_TIME: (&str, &str) = ("message.timestamp.type", "LogAppendTime");
/// What the output of the next version begins with.
const NEXT: &[u8] = b"next";

/// Reads a topic. With co-partitioned topics a subtask writes the partitions that it reads: a list per subtask.
pub fn read(
    topics: &Topics,
    brokers: &str,
    topic: &str,
    subtasks: usize,
) -> Result<Vec<Vec<Append>>, Failure> {
    let ends: Vec<(i32, i64)> = (0..).zip(topics.ends(topic)?).collect();
    let mut config = settings::consumer(brokers, &format!("{topic}-appended"), 1);
    config.set("isolation.level", "read_uncommitted");
    let mut reader = Reader::new(&config, topic, &ends)?;
    let mut appends = vec![Vec::new(); subtasks];
    while let Some(messages) = reader.fetch()? {
        for &message in messages {
            // SAFETY: the message is alive.
            let (partition, append) = unsafe { read_one(message) };
            let own: &mut Vec<Append> = &mut appends[subtask_of(partition, subtasks)];
            if own.last() != Some(&append) {
                own.push(append);
            }
        }
    }
    for own in &mut appends {
        own.sort_by_key(|append| (append.at, append.next));
        own.dedup();
    }
    Ok(appends)
}

/// A range of the partitions belongs to each subtask.
fn subtask_of(partition: i32, subtasks: usize) -> usize {
    let partition = usize::try_from(partition).unwrap_or(0);
    partition * subtasks / usize::try_from(PARTITIONS).unwrap_or(1)
}

/// # Safety
///
/// `message` is a live message.
unsafe fn read_one(message: *mut Message) -> (i32, Append) {
    // SAFETY: by contract.
    unsafe {
        let at = native::rd_kafka_message_timestamp(message, std::ptr::null_mut());
        let value = bytes((*message).payload, (*message).len);
        ((*message).partition, Append { at, next: value.starts_with(NEXT) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subtask_has_a_range_of_the_partitions() {
        assert_eq!([0, 1, 2, 3].map(|partition| subtask_of(partition, 2)), [0, 0, 1, 1]);
        assert_eq!([0, 1, 2, 3].map(|partition| subtask_of(partition, 1)), [0; 4]);
    }
}
