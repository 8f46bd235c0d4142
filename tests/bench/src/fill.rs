//! The input: values that begin with the record's number and go on with words; keys of 7 bytes unless another bench
//! writes its own.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::plan::Place;
use crate::settings;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::thread;
use std::time::{Duration, Instant};

/// Digits of the record's number, at the front of its value.
pub const NUMBER_DIGITS: usize = 12;
/// Bytes of a key.
pub const KEY_BYTES: usize = 7;
/// Producers that fill at the same time.
const PRODUCERS: u64 = 2;
/// How many keys there are: more than a second sees.
const KEYS: u64 = 1_000_000;
/// How long the last records may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause of a producer whose queue is full.
const FULL_PAUSE: Duration = Duration::from_millis(1);
/// Events are made of words, so that they compress as events do, about three to one.
const WORDS: &[&str] = &[
    "order",
    "customer",
    "delivered",
    "pending",
    "amount",
    "currency",
    "EUR",
    "status",
    "shipped",
    "region",
    "north",
    "south",
    "quantity",
    "price",
    "discount",
    "returned",
];

/// Records to be written, by their numbers.
#[derive(Clone, Copy)]
pub struct Filling<'a> {
    /// `host:port` of the broker.
    pub brokers: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// Numbers of the records.
    pub numbers: (u64, u64),
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Appends the key of a record's number.
    pub write_key: &'a (dyn Fn(u64, &mut Vec<u8>) + Sync),
}

impl Filling<'_> {
    /// Writes all records, in no order.
    pub fn write(&self) -> Result<(), Failure> {
        let (first, end) = self.numbers;
        let share = (end - first).div_ceil(PRODUCERS);
        thread::scope(|scope| {
            let part = |index: u64| {
                let (from, to) = (first + index * share, (first + (index + 1) * share).min(end));
                scope.spawn(move || self.write_part(from, to))
            };
            let parts: Vec<_> = (0..PRODUCERS).map(part).collect();
            parts.into_iter().try_for_each(|part| part.join().expect("filling does not panic"))
        })
    }

    fn write_part(&self, from: u64, to: u64) -> Result<(), Failure> {
        let producer: ThreadedProducer<DefaultProducerContext> = settings::producer(self.brokers).create()?;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for number in from..to {
            key.clear();
            (self.write_key)(number, &mut key);
            write_value(number, self.value_bytes, &mut value);
            loop {
                match producer.send(BaseRecord::to(self.topic).key(&key).payload(&value)) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        thread::sleep(FULL_PAUSE)
                    }
                    Err((error, _)) => return Err(error.into()),
                }
            }
        }
        // The crate's flush polls in steps; nobody measures here.
        Ok(producer.flush(FLUSH_TIMEOUT)?)
    }
}

/// Writes the input and checks its count. Returns how long it took.
pub fn fill(place: &Place, arguments: &Arguments) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let filling = Filling {
        brokers: &arguments.brokers,
        topic: &place.input,
        numbers: (0, arguments.records),
        value_bytes: arguments.value_bytes,
        write_key: &write_key,
    };
    filling.write()?;
    let written = place.topics.written(&place.input)?;
    if written != arguments.records {
        return Err(Failure::new(format!("the input has {written} records, not {}", arguments.records)));
    }
    Ok(begun.elapsed())
}

/// The key of a record, the same in every bench.
fn write_key(number: u64, key: &mut Vec<u8>) {
    write_digits(key, b"k", number % KEYS, KEY_BYTES - 1);
}

/// The value of a record, the same in every bench.
fn write_value(number: u64, value_bytes: usize, value: &mut Vec<u8>) {
    value.clear();
    write_digits(value, b"", number, NUMBER_DIGITS);
    let mut random = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while value.len() < value_bytes {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        value.push(b' ');
        value.extend_from_slice(WORDS[(random >> 60) as usize].as_bytes());
    }
    value.truncate(value_bytes);
}

/// Appends a text and a number of so many digits.
pub fn write_digits(to: &mut Vec<u8>, before: &[u8], mut number: u64, digits: usize) {
    to.extend_from_slice(before);
    let start = to.len();
    to.resize(start + digits, b'0');
    for digit in to[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_asked_size_and_begins_with_its_number() {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        write_key(1_234_567, &mut key);
        write_value(1_234_567, 100, &mut value);
        assert_eq!((key.as_slice(), value.len()), (b"k234567".as_slice(), 100));
        assert!(value.starts_with(b"000001234567 "));
    }
}
