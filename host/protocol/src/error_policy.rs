//! What a failed row becomes under an operator's error policy: the dead letter, and the names of its headers.
//!
//! A dead letter is the record as the operator received it (key, value, timestamp, headers), with the headers of
//! [`names`] added. One that does not fit its sink is cut, and says so.

use crate::batch::{Batch, Origin, push_header, read_u32};
use crate::connector::FailureKind;

/// The headers of a dead letter. Part of the public contract: `docs/PIPELINE.md` lists them.
pub mod names {
    /// Topic of the source record.
    pub const TOPIC: &str = "weir-error-topic";
    /// Partition of the source record, in decimal.
    pub const PARTITION: &str = "weir-error-partition";
    /// Offset of the source record, in decimal.
    pub const OFFSET: &str = "weir-error-offset";
    /// The operator's name in the pipeline.
    pub const OPERATOR: &str = "weir-error-operator";
    /// The pipeline: what its transactional ids begin with.
    pub const PIPELINE: &str = "weir-error-pipeline";
    /// SHA-256 of the operator's bytes.
    pub const DIGEST: &str = "weir-error-digest";
    /// How it failed: a name of [`crate::connector::FailureKind`].
    pub const KIND: &str = "weir-error-kind";
    /// What the operator or the engine said, one line.
    pub const MESSAGE: &str = "weir-error-message";
    /// The operator's input port that the record came in by.
    pub const PORT: &str = "weir-error-port";
    /// In place of the port: the timer whose call failed. Its letter is no record.
    pub const TIMER: &str = "weir-error-timer";
    /// Processing time of the failure, milliseconds since 1970.
    pub const TIME: &str = "weir-error-time";
    /// Present where the record did not fit: what was cut.
    pub const CUT: &str = "weir-error-cut";
    /// How often the record has entered its operator again by a replay. Stays with the record.
    pub const ATTEMPT: &str = "weir-replay-attempt";
}

/// A longer message is cut.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// Why a row of a call's input was not handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRow {
    /// Index of the input row.
    pub row: usize,
    /// How.
    pub kind: FailureKind,
    /// One line for a person.
    pub message: String,
}

/// Who failed.
#[derive(Debug, Clone, Copy)]
pub struct Blamed<'a> {
    /// The pipeline, with its id prefix.
    pub pipeline: &'a str,
    /// The operator's name in the pipeline.
    pub operator: &'a str,
    /// SHA-256 of its bytes, in hex.
    pub digest: &'a str,
    /// What it was given.
    pub given: Given<'a>,
    /// Processing time in milliseconds since 1970.
    pub now_ms: i64,
}

/// What an operator was given when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given<'a> {
    /// A record, by this input port.
    Record(&'a str),
    /// A timer that fired.
    Timer(&'a str),
}

/// One line of at most [`MESSAGE_BYTES_MAX`] bytes, without control characters.
pub fn one_line(message: &str) -> String {
    let mut line: String = message.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let over = line.len().saturating_sub(MESSAGE_BYTES_MAX);
    if over > 0 {
        shorten(&mut line, over);
    }
    line
}

/// Adds the dead letter of one failed row to a batch of them. `record_bytes_max` is the sink's limit.
pub fn push_dead_letter(
    letters: &mut Batch,
    input: &Batch,
    failed: &FailedRow,
    blamed: Blamed<'_>,
    record_bytes_max: Option<usize>,
) {
    let origin = input.origins.of(failed.row);
    let own = if input.headers.is_absent() { &[][..] } else { input.headers.bytes(failed.row) };
    // A timer has no value.
    let value = if input.values.is_absent() { None } else { input.values.get(failed.row) };
    let key = input.keys.get(failed.row);
    let mut headers = own.to_vec();
    let mut said = one_line(&failed.message);
    push_error_headers(&mut headers, origin.as_ref(), failed, &said, blamed);
    let mut size = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers.len();
    if let Some(over) = record_bytes_max.and_then(|most| size.checked_sub(most)).filter(|over| *over > 0)
        && shorten(&mut said, over)
    {
        // A record that came back and fails again carries more headers than the letter that it was.
        size -= headers.len();
        headers = own.to_vec();
        push_error_headers(&mut headers, origin.as_ref(), failed, &said, blamed);
        size += headers.len();
    }
    let timestamp = input.timestamp(failed.row);
    match record_bytes_max {
        Some(most) if size > most => {
            push_cut(letters, timestamp, (key, value, own), most, (origin.as_ref(), failed, blamed))
        }
        _ => letters.push(timestamp, key, value, Some(&headers)),
    }
    if let Some(origin) = origin {
        letters.origins.push(&origin.partition.topic, origin.partition.number, origin.offset);
    }
}

/// Takes so many bytes off the end of a message. False where it has not as many.
fn shorten(said: &mut String, over: usize) -> bool {
    let Some(room) = said.len().checked_sub(over + '…'.len_utf8()) else { return false };
    let end = (0..=room).rev().find(|at| said.is_char_boundary(*at)).unwrap_or(0);
    said.truncate(end);
    said.push('…');
    true
}

fn push_error_headers(
    entry: &mut Vec<u8>,
    origin: Option<&Origin>,
    failed: &FailedRow,
    said: &str,
    blamed: Blamed<'_>,
) {
    if let Some(origin) = origin {
        push_header(entry, names::TOPIC, Some(origin.partition.topic.as_bytes()));
        push_header(entry, names::PARTITION, Some(origin.partition.number.to_string().as_bytes()));
        push_header(entry, names::OFFSET, Some(origin.offset.to_string().as_bytes()));
    }
    push_header(entry, names::OPERATOR, Some(blamed.operator.as_bytes()));
    push_header(entry, names::PIPELINE, Some(blamed.pipeline.as_bytes()));
    push_header(entry, names::DIGEST, Some(blamed.digest.as_bytes()));
    push_header(entry, names::KIND, Some(failed.kind.name().as_bytes()));
    push_header(entry, names::MESSAGE, Some(said.as_bytes()));
    match blamed.given {
        Given::Record(port) => push_header(entry, names::PORT, Some(port.as_bytes())),
        Given::Timer(timer) => push_header(entry, names::TIMER, Some(timer.as_bytes())),
    }
    push_header(entry, names::TIME, Some(blamed.now_ms.to_string().as_bytes()));
}

type Record<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, &'a [u8]);

/// Leaves out the record's own headers first, then the end of its value, then its key.
fn push_cut(
    letters: &mut Batch,
    timestamp: i64,
    (key, value, own): Record<'_>,
    most: usize,
    (origin, failed, blamed): (Option<&Origin>, &FailedRow, Blamed<'_>),
) {
    let own_count = if own.len() < 4 { 0 } else { read_u32(own, 0) };
    let whole = value.map_or(0, <[u8]>::len);
    let mut entry = Vec::new();
    push_error_headers(&mut entry, origin, failed, &one_line(&failed.message), blamed);
    // The header that tells of the cut has a bounded length.
    const CUT_HEADER_BYTES: usize = 160;
    let room = most.saturating_sub(entry.len() + CUT_HEADER_BYTES);
    let key_kept = key.filter(|key| key.len() <= room);
    let room = room - key_kept.map_or(0, <[u8]>::len);
    let value_kept = value.map(|value| &value[..value.len().min(room)]);
    let kept = value_kept.map_or(0, <[u8]>::len);
    let key_word = if key.is_some() && key_kept.is_none() { ", the key is left out" } else { "" };
    let said = format!("{kept} of {whole} value bytes, {own_count} headers are left out{key_word}");
    push_header(&mut entry, names::CUT, Some(said.as_bytes()));
    letters.push(timestamp, key_kept, value_kept, Some(&entry));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::headers;
    use std::sync::Arc;

    const BLAMED: Blamed<'_> = Blamed {
        pipeline: "weir.p",
        operator: "prefix",
        digest: "ab12",
        given: Given::Record("in"),
        now_ms: 1234,
    };

    fn input(value: &[u8]) -> Batch {
        let topic: Arc<str> = "orders".into();
        let (mut batch, mut entry) = (Batch::default(), Vec::new());
        push_header(&mut entry, "trace", Some(b"7"));
        batch.push(99, Some(b"key"), Some(value), Some(&entry));
        batch.origins.push(&topic, 3, 41);
        batch
    }

    fn letter(value: &[u8], most: Option<usize>) -> (Batch, Vec<(String, String)>) {
        let failed = FailedRow { row: 0, kind: FailureKind::Trap, message: "boom\nat line 3".to_owned() };
        let mut letters = Batch::default();
        push_dead_letter(&mut letters, &input(value), &failed, BLAMED, most);
        let read = headers(letters.headers.bytes(0))
            .map(|header| header.unwrap())
            .map(|(name, value)| (name.to_owned(), String::from_utf8(value.unwrap().to_vec()).unwrap()))
            .collect();
        (letters, read)
    }

    #[test]
    fn a_dead_letter_is_the_record_with_the_reason_in_headers() {
        let (letters, headers) = letter(b"value", None);
        assert_eq!(
            (letters.keys.bytes(0), letters.values.bytes(0)),
            (b"key".as_slice(), b"value".as_slice())
        );
        assert_eq!(letters.timestamp(0), 99);
        let expected = [
            ("trace", "7"),
            (names::TOPIC, "orders"),
            (names::PARTITION, "3"),
            (names::OFFSET, "41"),
            (names::OPERATOR, "prefix"),
            (names::PIPELINE, "weir.p"),
            (names::DIGEST, "ab12"),
            (names::KIND, "trap"),
            (names::MESSAGE, "boom at line 3"),
            (names::PORT, "in"),
            (names::TIME, "1234"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers, expected);
        assert_eq!(letters.origins.of(0).unwrap().offset, 41);
    }

    #[test]
    fn a_dead_letter_that_does_not_fit_is_cut_and_says_so() {
        let (letters, headers) = letter(&[b'x'; 10_000], Some(1000));
        assert!(letters.record_bytes(0) <= 1000, "{}", letters.record_bytes(0));
        let (name, said) = headers.last().unwrap();
        assert_eq!(name, names::CUT);
        assert!(said.contains("of 10000 value bytes, 1 headers are left out"), "{said}");
        assert!(!letters.values.bytes(0).is_empty());
    }

    #[test]
    fn the_message_gives_way_before_anything_of_the_record_does() {
        let whole = letter(b"value", None).0.record_bytes(0);
        for over in 1..=11 {
            let (letters, headers) = letter(b"value", Some(whole - over));
            assert!(letters.record_bytes(0) <= whole - over, "{over}");
            assert_eq!(letters.values.bytes(0), b"value", "{over}");
            let message = headers.iter().find(|(name, _)| name == names::MESSAGE).unwrap();
            assert!(message.1.ends_with('…') && headers[0].0 == "trace", "{over}: {headers:?}");
        }
        assert_eq!(letter(b"value", Some(whole - 12)).1.last().unwrap().0, names::CUT);
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let line = one_line(&"ü".repeat(2000));
        assert!(line.len() <= MESSAGE_BYTES_MAX && line.ends_with('…'));
    }
}
