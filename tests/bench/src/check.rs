//! Whether a consumer of committed data sees every record of the input exactly once.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::fill::NUMBER_DIGITS;
use crate::floor::PREFIX;
use crate::plan::Place;
use crate::reader::{Reader, bytes};
use crate::settings;

/// What was read, in a form that does not depend on the order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    records: u64,
    sum: u64,
    /// Wrapping: with the sum it tells a record that is there twice from another one that is missing.
    sum_of_squares: u64,
}

impl Tally {
    fn add(&mut self, number: u64) {
        self.records += 1;
        self.sum = self.sum.wrapping_add(number);
        self.sum_of_squares = self.sum_of_squares.wrapping_add(number.wrapping_mul(number));
    }

    fn of_input(records: u64) -> Tally {
        let mut tally = Tally::default();
        (0..records).for_each(|number| tally.add(number));
        tally
    }
}

/// Reads the output as a consumer with `isolation.level = read_committed` reads it.
pub fn check(place: &Place, arguments: &Arguments, output: &str) -> Result<(), Failure> {
    let ends: Vec<(i32, i64)> = (0..).zip(place.topics.ends(output)?).collect();
    let config = settings::consumer(&arguments.brokers, &format!("{output}-check"), 1);
    let mut reader = Reader::new(&config, output, &ends)?;
    let mut tally = Tally::default();
    while let Some(messages) = reader.fetch().map_err(Failure::of("checking the output"))? {
        for &message in messages {
            // SAFETY: the message is alive.
            let value = unsafe { bytes((*message).payload, (*message).len) };
            let number = number(value, arguments.value_bytes).ok_or_else(|| {
                Failure::new(format!("the output has a wrong value: {:?}", String::from_utf8_lossy(value)))
            })?;
            tally.add(number);
        }
    }
    let expected = Tally::of_input(arguments.records);
    if tally == expected {
        return Ok(());
    }
    Err(Failure::new(format!("the output is not the input, once each: {tally:?}, expected {expected:?}")))
}

/// The number of a record, from its processed value.
fn number(value: &[u8], value_bytes: usize) -> Option<u64> {
    let original = value.strip_prefix(PREFIX).filter(|original| original.len() == value_bytes)?;
    std::str::from_utf8(original.get(..NUMBER_DIGITS)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_without_its_prefix_or_of_another_length_is_wrong() {
        assert_eq!(number(b"processed_000000000042 a", 14), Some(42));
        assert_eq!(number(b"000000000042 a", 14), None);
        assert_eq!(number(b"processed_000000000042 a", 15), None);
    }

    #[test]
    fn a_record_twice_in_place_of_another_is_seen() {
        let mut tally = Tally::default();
        [0, 2, 2, 2, 4, 5].into_iter().for_each(|number| tally.add(number));
        assert_ne!(tally, Tally::of_input(6));
    }
}
