//! The input: keys of 7 bytes, values that begin with the record's number and go on with words.

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

/// Writes the input and checks its count. Returns how long it took.
pub fn fill(place: &Place, arguments: &Arguments) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let share = arguments.records.div_ceil(PRODUCERS);
    thread::scope(|scope| {
        let part = |index: u64| {
            let (from, to) = (index * share, ((index + 1) * share).min(arguments.records));
            scope.spawn(move || fill_part(&arguments.brokers, &place.input, from, to, arguments.value_bytes))
        };
        let parts: Vec<_> = (0..PRODUCERS).map(part).collect();
        parts.into_iter().try_for_each(|part| part.join().expect("filling does not panic"))
    })?;
    let written = place.topics.written(&place.input)?;
    if written != arguments.records {
        return Err(Failure::new(format!("the input has {written} records, not {}", arguments.records)));
    }
    Ok(begun.elapsed())
}

fn fill_part(brokers: &str, topic: &str, from: u64, to: u64, value_bytes: usize) -> Result<(), Failure> {
    let producer: ThreadedProducer<DefaultProducerContext> = settings::producer(brokers).create()?;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for number in from..to {
        write_record(number, value_bytes, &mut key, &mut value);
        loop {
            match producer.send(BaseRecord::to(topic).key(&key).payload(&value)) {
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

/// Key and value of a record, the same in every bench.
fn write_record(number: u64, value_bytes: usize, key: &mut Vec<u8>, value: &mut Vec<u8>) {
    key.clear();
    write_digits(key, b"k", number % KEYS, KEY_BYTES - 1);
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

fn write_digits(to: &mut Vec<u8>, before: &[u8], mut number: u64, digits: usize) {
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
        write_record(1_234_567, 100, &mut key, &mut value);
        assert_eq!((key.as_slice(), value.len()), (b"k234567".as_slice(), 100));
        assert!(value.starts_with(b"000001234567 "));
    }
}
