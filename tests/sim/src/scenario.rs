//! What a seed decides before anything runs: the input, and how the pipeline is set up.

use crate::random::Random;
use weir_protocol::key_group::murmur2;

/// The topic that is read.
pub const TOPIC: &str = "in";

/// The length of the keyed operator's windows in milliseconds.
pub const WINDOW_MS: i64 = 100;

/// How far a timestamp may lie behind the highest one of its partition, in milliseconds.
pub const OUT_OF_ORDER_MS: i64 = 50;

/// One record of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: String,
    /// Its event time in milliseconds.
    pub timestamp: i64,
    /// The keyed operator traps on it: it becomes a dead letter.
    pub poison: bool,
}

impl Record {
    /// The end of the window that it belongs to, in milliseconds.
    pub fn window_end(&self) -> i64 {
        window_end(self.timestamp)
    }
}

/// The end of the window of a timestamp.
pub fn window_end(timestamp: i64) -> i64 {
    (timestamp.div_euclid(WINDOW_MS) + 1) * WINDOW_MS
}

/// The input, and how the pipeline is set up.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Records by partition and offset.
    pub input: Vec<Vec<Record>>,
    /// Rows of one batch at the most.
    pub batch_rows_max: usize,
    /// Time between checkpoints.
    pub checkpoint_interval_ms: u64,
    /// Decided checkpoints that are kept.
    pub retain: u32,
    /// Keys lie in the partition that Kafka's partitioner gives them, and the pipeline relies on it.
    pub co_partitioned: bool,
}

impl Scenario {
    /// What a seed decides.
    pub fn new(seed: u64) -> Scenario {
        let mut random = Random::new(seed, 1);
        let partitions = 1 + random.index(4);
        let co_partitioned = random.one_in(3);
        let keys: Vec<String> = (0..partitions * 6).map(|number| format!("key-{number}")).collect();
        let mut input = Vec::new();
        for partition in 0..partitions {
            let home =
                |key: &&String| (murmur2(key.as_bytes()) & 0x7fff_ffff) as usize % partitions == partition;
            let own: Vec<&String> = keys.iter().filter(|key| !co_partitioned || home(key)).collect();
            let records = if own.is_empty() { 0 } else { random.below(50) };
            let record = |offset: u64| Record {
                key: own[random.index(own.len())].clone(),
                timestamp: offset as i64 * 10 + random.below(OUT_OF_ORDER_MS as u64 - 1) as i64,
                poison: false,
            };
            input.push((0..records).map(record).collect::<Vec<Record>>());
        }
        // Three batches of nothing but poison would trip the breaker.
        for _ in 0..random.below(3) {
            let partition = random.index(partitions);
            if !input[partition].is_empty() {
                let offset = random.index(input[partition].len());
                input[partition][offset].poison = true;
            }
        }
        Scenario {
            input,
            batch_rows_max: 1 + random.index(8),
            checkpoint_interval_ms: 200 + random.below(400),
            retain: 2 + random.below(3) as u32,
            co_partitioned,
        }
    }

    /// Number of partitions of the topic.
    pub fn partitions(&self) -> usize {
        self.input.len()
    }

    /// The value of a record: where it stands, and whether it is poison.
    pub fn value(&self, partition: usize, offset: usize) -> String {
        let poison = if self.input[partition][offset].poison { "poison " } else { "" };
        format!("{poison}{partition}-{offset}")
    }
}
