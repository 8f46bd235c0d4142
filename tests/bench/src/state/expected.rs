//! Whether a consumer of committed data sees what it must: with `count_by_key` every count of every key once.

use super::keys::{Keys, mixed};
use super::pipeline::Kind;
use super::{Place, arguments::Arguments};
use crate::failure::Failure;
use crate::fill::NUMBER_DIGITS;
use crate::floor::PREFIX;
use crate::reader::{Reader, bytes};
use crate::settings;

/// Pairs of key and number in a form that does not depend on their order: a pair twice in place of another one is seen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    records: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, key: u64, number: u64) {
        self.records += 1;
        self.sum = self.sum.wrapping_add(mixed(mixed(key) ^ number));
    }

    fn expected(keys: &Keys, records: u64, kind: Kind) -> Tally {
        let mut tally = Tally::default();
        let mut counts = vec![0u32; keys.count as usize];
        for record in 0..records {
            let key = keys.of(record);
            if kind == Kind::Prefix {
                tally.add(key, record);
            } else {
                counts[key as usize] += 1;
                tally.add(key, u64::from(counts[key as usize]));
            }
        }
        tally
    }
}

/// Reads the output as a consumer with `isolation.level = read_committed` reads it.
pub fn check(
    place: &Place,
    arguments: &Arguments,
    keys: &Keys,
    kind: Kind,
    output: &str,
) -> Result<(), Failure> {
    let ends: Vec<(i32, i64)> = (0..).zip(place.topics.ends(output)?).collect();
    let config = settings::consumer(&arguments.brokers, &format!("{output}-check"), 1);
    let mut reader = Reader::new(&config, output, &ends)?;
    let mut tally = Tally::default();
    while let Some(messages) = reader.fetch().map_err(Failure::of("checking the output"))? {
        for &message in messages {
            // SAFETY: the message is alive.
            let (key, value) = unsafe {
                (bytes((*message).key, (*message).key_len), bytes((*message).payload, (*message).len))
            };
            let pair = Keys::read(key).zip(number(kind, value));
            let (key, number) = pair.ok_or_else(|| {
                let text = String::from_utf8_lossy;
                Failure::new(format!("the output has a wrong record: {:?}, {:?}", text(key), text(value)))
            })?;
            tally.add(key, number);
        }
    }
    let expected = Tally::expected(keys, arguments.records, kind);
    if tally == expected {
        return Ok(());
    }
    Err(Failure::new(format!("the output of {} is wrong: {tally:?}, expected {expected:?}", kind.name())))
}

/// The record's number or the key's count, from an output value.
fn number(kind: Kind, value: &[u8]) -> Option<u64> {
    let digits = match kind {
        Kind::Prefix => value.strip_prefix(PREFIX)?.get(..NUMBER_DIGITS)?,
        _ => value,
    };
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::keys::Distribution;
    use super::*;

    #[test]
    fn a_count_that_comes_twice_in_place_of_the_next_is_seen() {
        let keys = Keys::new(1, Distribution::Uniform);
        let (mut right, mut wrong) = (Tally::default(), Tally::default());
        [2, 1, 3].into_iter().for_each(|count| right.add(0, count));
        [1, 2, 2].into_iter().for_each(|count| wrong.add(0, count));
        assert_eq!(right, Tally::expected(&keys, 3, Kind::Count));
        assert_ne!(wrong, Tally::expected(&keys, 3, Kind::Count));
    }

    #[test]
    fn numbers_are_read_from_both_kinds_of_values() {
        assert_eq!(number(Kind::Prefix, b"processed_000000000042 order"), Some(42));
        assert_eq!(number(Kind::Count, b"17"), Some(17));
        assert_eq!(number(Kind::Count, b"seventeen"), None);
    }
}
