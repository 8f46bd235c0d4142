//! The generator: a source of made-up records, each a pure function of seed, partition and offset.
//!
//! So a replay from any offset gives the same bytes, without anything being stored. A record:
//!
//! - key: `key-<n>`, n below `keys`, chosen by the seed; no key where `keys` is 0
//! - value: `<source>-<partition>-<offset>`, which no other record has; up to `value_bytes` a space and letters follow
//! - timestamp: [`FIRST_TIMESTAMP`] + offset, in milliseconds
//!
//! The rate is kept over the life of a reader: a stream that was held up catches up.

use crate::json_text::push_unsigned;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{BatchLimits, ConnectorError, Polled, Source, SourceReader, StartPolicy};
use weir_protocol::position::{Partition, Position, Positions};

/// The timestamp of offset 0: 2023-11-14T22:13:20Z.
pub const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

/// Records become due at multiples of this time, so that a high rate makes batches and not single rows.
const TICK: Duration = Duration::from_millis(5);

/// What a generator makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratorOptions {
    /// The source's name: the topic of its partitions and the beginning of each value.
    pub name: String,
    /// The same seed makes the same records.
    pub seed: u64,
    /// Records per second over all partitions; none = as fast as possible.
    pub rate: Option<u64>,
    /// Records over all partitions; none = endless.
    pub count: Option<u64>,
    /// Number of partitions, numbered from 0.
    pub partitions: u32,
    /// Distinct keys; 0 = records without a key.
    pub keys: u64,
    /// Bytes of each value; one that is shorter than its id is only its id.
    pub value_bytes: usize,
}

/// Time, as the rate needs it.
pub trait Clock: Send + Sync {
    /// Time since a fixed moment.
    fn now(&self) -> Duration;
    /// Lets this time pass.
    fn wait(&self, time: Duration);
}

/// The clock of the operating system.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The source.
pub struct Generator {
    options: Arc<GeneratorOptions>,
    topic: Arc<str>,
    clock: Arc<dyn Clock>,
}

impl Generator {
    /// A generator that keeps its rate by the operating system's clock.
    pub fn new(options: GeneratorOptions) -> Generator {
        Generator::with_clock(options, Arc::new(SystemClock::default()))
    }

    /// A generator that keeps its rate by the given clock.
    pub fn with_clock(options: GeneratorOptions, clock: Arc<dyn Clock>) -> Generator {
        let topic = options.name.as_str().into();
        Generator { options: Arc::new(options), topic, clock }
    }
}

impl GeneratorOptions {
    /// How many records the partition has; the first partitions have one more where the count does not divide.
    fn share(&self, partition: i32) -> Option<i64> {
        let (count, partitions) = (self.count?, u64::from(self.partitions.max(1)));
        let more = u64::try_from(partition).is_ok_and(|number| number < count % partitions);
        Some(i64::try_from(count / partitions + u64::from(more)).unwrap_or(i64::MAX))
    }

    fn number(&self, partition: &Partition) -> Result<i32, ConnectorError> {
        let known = *partition.topic == *self.name
            && (0..self.partitions as i64).contains(&i64::from(partition.number));
        if known {
            return Ok(partition.number);
        }
        let GeneratorOptions { name, partitions, .. } = self;
        Err(ConnectorError::refused(format!(
            "generator {name:?} has partitions 0 to {}, but the checkpoint has a position of {partition}: \
             set `partitions` to what it was",
            partitions.saturating_sub(1)
        )))
    }
}

impl Source for Generator {
    fn is_finite(&self) -> bool {
        self.options.count.is_some()
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, ConnectorError> {
        if self.options.partitions == 0 || i32::try_from(self.options.partitions).is_err() {
            let name = &self.options.name;
            let found = self.options.partitions;
            return Err(ConnectorError::permanent(format!(
                "source.{name}.partitions: {found}: expected 1 or more"
            )));
        }
        Ok((0..self.options.partitions as i32)
            .map(|number| Partition::new(self.topic.clone(), number))
            .collect())
    }

    fn resolve(
        &mut self,
        partitions: &[Partition],
        policy: StartPolicy,
    ) -> Result<Positions, ConnectorError> {
        let position = |partition: &Partition| {
            let share = self.options.share(self.options.number(partition)?);
            let offset = match policy {
                StartPolicy::CommittedOrEarliest | StartPolicy::Earliest => 0,
                // An endless generator has made nothing yet: its beginning is its end.
                StartPolicy::CommittedOrLatest | StartPolicy::Latest => share.unwrap_or(0),
                StartPolicy::Timestamp(time) => {
                    time.saturating_sub(FIRST_TIMESTAMP).clamp(0, share.unwrap_or(i64::MAX))
                }
            };
            Ok((partition.clone(), Position::at(offset)))
        };
        partitions.iter().map(position).collect()
    }

    fn ends(&mut self, partitions: &[Partition]) -> Result<Positions, ConnectorError> {
        let end = |partition: &Partition| {
            let share = self.options.share(self.options.number(partition)?);
            let end = share.ok_or_else(|| {
                let name = &self.options.name;
                ConnectorError::permanent(format!(
                    "source.{name} is endless: set `count` for a run that ends"
                ))
            })?;
            Ok((partition.clone(), Position::at(end)))
        };
        partitions.iter().map(end).collect()
    }

    fn reader(
        &mut self,
        start: &Positions,
        ends: Option<&Positions>,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        let mut reader = GeneratorReader {
            options: self.options.clone(),
            topic: self.topic.clone(),
            pace: Pace { clock: self.clock.clone(), start: Duration::ZERO, rate: None, made: 0 },
            ends: ends.cloned(),
            cursors: Vec::new(),
            first: 0,
            text: Vec::new(),
        };
        reader.add(start)?;
        Ok(Box::new(reader))
    }
}

/// Where one partition stands.
struct Cursor {
    number: i32,
    next: i64,
    end: Option<i64>,
}

impl Cursor {
    fn left(&self) -> u64 {
        self.end.map_or(u64::MAX, |end| u64::try_from(end - self.next).unwrap_or(0))
    }
}

struct GeneratorReader {
    options: Arc<GeneratorOptions>,
    topic: Arc<str>,
    pace: Pace,
    ends: Option<Positions>,
    cursors: Vec<Cursor>,
    /// Whose turn it is.
    first: usize,
    /// The key and value under construction.
    text: Vec<u8>,
}

impl SourceReader for GeneratorReader {
    fn poll(
        &mut self,
        batch: &mut Batch,
        limits: BatchLimits,
        wait: Duration,
    ) -> Result<Polled, ConnectorError> {
        let open = self.cursors.iter().filter(|cursor| cursor.left() > 0).count() as u64;
        if open == 0 {
            return Ok(Polled::End);
        }
        let due = self.pace.due(wait).min(limits.rows_max as u64);
        let chunk = due.div_ceil(open);
        let mut left = due;
        for _ in 0..self.cursors.len() {
            let full = batch.rows > 0 && batch.size_bytes() >= limits.bytes_max;
            if left == 0 || full {
                break;
            }
            left -= self.fill(batch, limits, chunk.min(left));
            self.first = (self.first + 1) % self.cursors.len();
        }
        self.pace.made += batch.rows as u128;
        Ok(if batch.rows == 0 { Polled::Idle } else { Polled::Rows })
    }

    fn positions(&self) -> Positions {
        let position =
            |cursor: &Cursor| (Partition::new(self.topic.clone(), cursor.number), Position::at(cursor.next));
        self.cursors.iter().map(position).collect()
    }

    fn add(&mut self, start: &Positions) -> Result<(), ConnectorError> {
        for (partition, position) in start {
            let number = self.options.number(partition)?;
            let end = self.ends.as_ref().and_then(|ends| ends.get(partition)).map(|end| end.offset);
            let end = [self.options.share(number), end].into_iter().flatten().min();
            self.cursors.push(Cursor { number, next: position.offset, end });
        }
        // This reader's part of the rate: as many of all partitions as it has.
        let part = (self.cursors.len() as u128, u128::from(self.options.partitions.max(1)));
        self.pace.restart(self.options.rate.map(|rate| (u128::from(rate) * part.0, part.1)));
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        self.options.count.map(|_| self.cursors.iter().map(Cursor::left).sum())
    }
}

impl GeneratorReader {
    /// Adds up to `rows` rows of the partition whose turn it is; returns how many.
    fn fill(&mut self, batch: &mut Batch, limits: BatchLimits, rows: u64) -> u64 {
        let cursor = &mut self.cursors[self.first];
        let rows = rows.min(cursor.left());
        for row in 0..rows {
            let key = push_record(&self.options, cursor.number, cursor.next, &mut self.text);
            let (key, value) = self.text.split_at(key);
            // Offsets and timestamp of the row beside its bytes.
            let size = batch.size_bytes() + self.text.len() + 16;
            if batch.rows > 0 && size > limits.bytes_max {
                return row;
            }
            let key = (self.options.keys > 0).then_some(key);
            batch.push(FIRST_TIMESTAMP.saturating_add(cursor.next), key, Some(value), None);
            batch.origins.push(&self.topic, cursor.number, cursor.next);
            cursor.next += 1;
        }
        rows
    }
}

/// Replaces `text` by key and value of a record; returns the length of the key.
fn push_record(options: &GeneratorOptions, partition: i32, offset: i64, text: &mut Vec<u8>) -> usize {
    // Partition and offset are not negative, so the casts keep their value.
    let mut random = Random(mix(options.seed ^ mix(partition as u64 ^ mix(offset as u64))));
    text.clear();
    if options.keys > 0 {
        text.extend_from_slice(b"key-");
        push_unsigned(text, random.next() % options.keys);
    }
    let key = text.len();
    text.extend_from_slice(options.name.as_bytes());
    text.push(b'-');
    push_unsigned(text, partition as u64);
    text.push(b'-');
    push_unsigned(text, offset as u64);
    if text.len() - key < options.value_bytes {
        text.push(b' ');
    }
    while text.len() - key < options.value_bytes {
        let letters = random.next().to_le_bytes().map(|byte| b'a' + (u16::from(byte) * 26 / 256) as u8);
        let missing = options.value_bytes - (text.len() - key);
        text.extend_from_slice(&letters[..missing.min(8)]);
    }
    key
}

/// SplitMix64 (Steele, Lea, Flood 2014): equal numbers for equal seeds on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// How many records may have been made by now.
struct Pace {
    clock: Arc<dyn Clock>,
    start: Duration,
    /// Records per second as a fraction; none = as fast as possible.
    rate: Option<(u128, u128)>,
    made: u128,
}

impl Pace {
    fn restart(&mut self, rate: Option<(u128, u128)>) {
        (self.start, self.rate, self.made) = (self.clock.now(), rate, 0);
    }

    /// Records due now; waits at most `wait` for the first.
    fn due(&self, wait: Duration) -> u64 {
        let Some((records, seconds)) = self.rate else { return u64::MAX };
        let now = self.elapsed();
        let due = self.due_after(now);
        if due > 0 || wait.is_zero() {
            return due;
        }
        let next =
            if records == 0 { u128::MAX } else { ((self.made + 1) * seconds * NANOS).div_ceil(records) };
        let next = next.div_ceil(TICK.as_nanos()).saturating_mul(TICK.as_nanos());
        let left = u64::try_from(next.saturating_sub(now.as_nanos())).unwrap_or(u64::MAX);
        self.clock.wait(Duration::from_nanos(left).min(wait));
        self.due_after(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.clock.now().saturating_sub(self.start)
    }

    fn due_after(&self, elapsed: Duration) -> u64 {
        let Some((records, seconds)) = self.rate else { return u64::MAX };
        let ticks = elapsed.as_nanos() / TICK.as_nanos();
        let allowed = ticks * TICK.as_nanos() * records / (seconds * NANOS);
        u64::try_from(allowed.saturating_sub(self.made)).unwrap_or(u64::MAX)
    }
}

const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
#[path = "generator_tests.rs"]
mod tests;
