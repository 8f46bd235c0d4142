//! A record as a line of text, both ways: the JSON-lines form and the raw form.
//!
//! One JSON object per line. Written are `{"key":…,"value":…,"timestamp":…,"headers":[{"name":…,"value":…}]}`, in that
//! order and without `headers` where there are none. Read are the same members in any order, and what `kcat -J`
//! prints: `payload` for the value, `ts` for the timestamp, `topic`, `partition`, `offset`, `tstype` and `broker`,
//! which are ignored. Any other member is an error, since it is most likely a typing mistake.
//!
//! - key, value, the value of a header: `null` is none (a value of null is a tombstone); a string is its UTF-8 bytes;
//!   `{"base64":"…"}` is bytes that are not text (written so only where they are not UTF-8); any other JSON is its
//!   text without white space, digits and order kept. A key may be missing, a value may not.
//! - timestamp: milliseconds since 1970; missing or null is -1, as Kafka writes "no timestamp".
//! - headers: `[{"name":"a","value":"b"}]`, `[["a","b"]]`, or flat as kcat prints them, `["a","b"]`.
//!
//! In the raw form the line is the value. It has neither key, timestamp nor headers, a tombstone is an empty line, and
//! a value that contains a line feed is read as two: it is for text made for people and other programs.

use crate::base64;
use crate::json_text::{Scanner, Unreadable, push_signed, push_string};
use std::ops::Range;
use weir_protocol::batch::{Batch, MalformedHeaders, headers, push_header};
use weir_protocol::plan::FileFormat;

/// The timestamp of a line that has none: Kafka's NO_TIMESTAMP.
pub const NO_TIMESTAMP: i64 = -1;

/// Adds a row of a batch as a line, with its line feed.
pub fn write_row(
    format: FileFormat,
    batch: &Batch,
    row: usize,
    text: &mut Vec<u8>,
) -> Result<(), MalformedHeaders> {
    match format {
        FileFormat::JsonLines => write_json(batch, row, text)?,
        FileFormat::RawLines => text.extend_from_slice(batch.values.bytes(row)),
    }
    text.push(b'\n');
    Ok(())
}

fn write_json(batch: &Batch, row: usize, text: &mut Vec<u8>) -> Result<(), MalformedHeaders> {
    text.extend_from_slice(b"{\"key\":");
    write_bytes(batch.keys.get(row), text);
    text.extend_from_slice(b",\"value\":");
    write_bytes(batch.values.get(row), text);
    text.extend_from_slice(b",\"timestamp\":");
    push_signed(text, batch.timestamp(row));
    let entry = if batch.headers.is_absent() { &[] } else { batch.headers.bytes(row) };
    let mut separator: &[u8] = b",\"headers\":[";
    for header in headers(entry) {
        let (name, value) = header?;
        text.extend_from_slice(separator);
        text.extend_from_slice(b"{\"name\":");
        push_string(text, name);
        text.extend_from_slice(b",\"value\":");
        write_bytes(value, text);
        text.push(b'}');
        separator = b",";
    }
    text.extend_from_slice(if separator == b"," { b"]}" } else { b"}" });
    Ok(())
}

fn write_bytes(bytes: Option<&[u8]>, text: &mut Vec<u8>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => text.extend_from_slice(b"null"),
        Some((_, Ok(string))) => push_string(text, string),
        Some((bytes, Err(_))) => {
            text.extend_from_slice(b"{\"base64\":\"");
            base64::encode(bytes, text);
            text.extend_from_slice(b"\"}");
        }
    }
}

/// A record as a line had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRecord<'a> {
    /// Milliseconds since 1970, or [`NO_TIMESTAMP`].
    pub timestamp: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, encoded as in a batch; none where there are none.
    pub headers: Option<&'a [u8]>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; expected {{\"key\":…,\"value\":…,\"timestamp\":…,\"headers\":[{{\"name\":…,\"value\":…}}]}} or a line of kcat -J"
)]
pub struct BadLine(String);

/// Reads lines. Its buffers are used again, so a line costs no allocation.
#[derive(Debug, Default)]
pub struct LineReader {
    /// Unescaped bytes of key and value.
    content: Vec<u8>,
    /// The encoded headers.
    headers: Vec<u8>,
    /// The name and then the value of one header.
    header: Vec<u8>,
}

/// What stands where in the buffers of a [`LineReader`].
#[derive(Default)]
struct Members {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    timestamp: Option<i64>,
    seen: [bool; 4],
}

impl LineReader {
    /// Reads a line, with or without its line feed. `None` for a line of JSON that is blank.
    pub fn read<'a>(
        &'a mut self,
        format: FileFormat,
        line: &'a [u8],
    ) -> Result<Option<LineRecord<'a>>, BadLine> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        match format {
            FileFormat::RawLines => {
                Ok(Some(LineRecord { timestamp: NO_TIMESTAMP, key: None, value: Some(line), headers: None }))
            }
            FileFormat::JsonLines if line.trim_ascii().is_empty() => Ok(None),
            FileFormat::JsonLines => self.read_json(line).map(Some),
        }
    }

    fn read_json(&mut self, line: &[u8]) -> Result<LineRecord<'_>, BadLine> {
        let text = std::str::from_utf8(line)
            .map_err(|error| BadLine(format!("not UTF-8 (byte {} of the line)", error.valid_up_to() + 1)))?;
        self.content.clear();
        self.headers.clear();
        let members = self.members(&mut Scanner::new(text)).map_err(|error| BadLine(error.to_string()))?;
        if !members.seen[1] {
            let what = "it has no value; a tombstone is written as \"value\":null";
            return Err(BadLine(what.to_owned()));
        }
        Ok(LineRecord {
            timestamp: members.timestamp.unwrap_or(NO_TIMESTAMP),
            key: members.key.map(|range| &self.content[range]),
            value: members.value.map(|range| &self.content[range]),
            headers: (!self.headers.is_empty()).then_some(&self.headers),
        })
    }

    fn members(&mut self, scanner: &mut Scanner<'_>) -> Result<Members, Unreadable> {
        let mut members = Members::default();
        scanner.expect(b'{')?;
        let mut more = !scanner.take(b'}');
        while more {
            self.header.clear();
            scanner.string(&mut self.header)?;
            scanner.expect(b':')?;
            let member = match self.header.as_slice() {
                b"key" => 0,
                b"value" | b"payload" => 1,
                b"timestamp" | b"ts" => 2,
                b"headers" => 3,
                b"topic" | b"partition" | b"offset" | b"tstype" | b"broker" => {
                    self.header.clear();
                    scanner.compact(&mut self.header)?;
                    more = scanner.another(b'}')?;
                    continue;
                }
                unknown => {
                    let name = String::from_utf8_lossy(unknown);
                    return scanner.unreadable(format!("{name:?} is no member of a record"));
                }
            };
            if std::mem::replace(&mut members.seen[member], true) {
                return scanner.unreadable("a member is there twice");
            }
            match member {
                0 => members.key = read_bytes(scanner, &mut self.content)?,
                1 => members.value = read_bytes(scanner, &mut self.content)?,
                2 if scanner.null() => {}
                2 => members.timestamp = Some(scanner.integer()?),
                _ if scanner.null() => {}
                _ => self.headers(scanner)?,
            }
            more = scanner.another(b'}')?;
        }
        scanner.end()?;
        Ok(members)
    }

    fn headers(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Unreadable> {
        scanner.expect(b'[')?;
        let mut more = !scanner.take(b']');
        while more {
            self.header.clear();
            let form = scanner.peek();
            let (name, value) = match form {
                b'"' => {
                    scanner.string(&mut self.header)?;
                    let name = self.header.len();
                    scanner.expect(b',')?;
                    (0..name, read_bytes(scanner, &mut self.header)?)
                }
                b'[' => self.header_pair(scanner)?,
                b'{' => self.header_object(scanner)?,
                _ => return scanner.unreadable("expected a header: {\"name\":…,\"value\":…}"),
            };
            let name = std::str::from_utf8(&self.header[name]).expect("a string of JSON is UTF-8");
            push_header(&mut self.headers, name, value.map(|range| &self.header[range]));
            more = scanner.another(b']')?;
        }
        Ok(())
    }

    fn header_pair(&mut self, scanner: &mut Scanner<'_>) -> Result<Header, Unreadable> {
        scanner.expect(b'[')?;
        scanner.string(&mut self.header)?;
        let name = 0..self.header.len();
        scanner.expect(b',')?;
        let value = read_bytes(scanner, &mut self.header)?;
        scanner.expect(b']')?;
        Ok((name, value))
    }

    fn header_object(&mut self, scanner: &mut Scanner<'_>) -> Result<Header, Unreadable> {
        let (mut name, mut value) = (None, None);
        scanner.expect(b'{')?;
        let mut more = !scanner.take(b'}');
        while more {
            let start = self.header.len();
            scanner.string(&mut self.header)?;
            scanner.expect(b':')?;
            let member =
                (self.header.get(start..) == Some(b"name"), self.header.get(start..) == Some(b"value"));
            self.header.truncate(start);
            match member {
                (true, _) if name.is_none() => {
                    scanner.string(&mut self.header)?;
                    name = Some(start..self.header.len());
                }
                (_, true) if value.is_none() => value = Some(read_bytes(scanner, &mut self.header)?),
                _ => return scanner.unreadable("a header has one name and one value, nothing else"),
            }
            more = scanner.another(b'}')?;
        }
        match (name, value) {
            (Some(name), Some(value)) => Ok((name, value)),
            _ => scanner.unreadable("a header has a name and a value (which may be null)"),
        }
    }
}

/// Name and value of a header, as ranges of a buffer.
type Header = (Range<usize>, Option<Range<usize>>);

/// Adds the bytes that a JSON value stands for to `buffer` and tells where; `None` for null.
fn read_bytes(scanner: &mut Scanner<'_>, buffer: &mut Vec<u8>) -> Result<Option<Range<usize>>, Unreadable> {
    const WRAPPED: (&[u8], &[u8]) = (b"{\"base64\":\"", b"\"}");
    let start = buffer.len();
    match scanner.peek() {
        b'"' => scanner.string(buffer)?,
        b'n' if scanner.null() => return Ok(None),
        _ => {
            scanner.compact(buffer)?;
            let (head, tail) = WRAPPED;
            let encoded = buffer[start..].strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
            // A quote inside means that the object has more members: then it is an object like any other.
            if let Some(length) = encoded.filter(|text| !text.contains(&b'"')).map(<[u8]>::len) {
                buffer.drain(start..start + head.len());
                buffer.truncate(start + length);
                if base64::decode_tail(buffer, start).is_none() {
                    return scanner.unreadable("the text in \"base64\" is not base 64 (with padding)");
                }
            }
        }
    }
    Ok(Some(start..buffer.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    type Row = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

    fn read(line: &str) -> Result<Row, BadLine> {
        let mut reader = LineReader::default();
        let record = reader.read(FileFormat::JsonLines, line.as_bytes())?.expect("not blank");
        let names = headers(record.headers.unwrap_or_default()).map(|header| {
            let (name, value) = header.unwrap();
            (name.to_owned(), value.map(<[u8]>::to_vec))
        });
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        Ok((record.timestamp, owned(record.key), owned(record.value), names.collect()))
    }

    fn bytes(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    fn any_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
        option::of(prop_oneof![vec(any::<u8>(), 0..20), any::<String>().prop_map(String::into_bytes)])
    }

    proptest! {
        #[test]
        fn a_record_survives_its_line(
            timestamp: i64, key in any_bytes(), value in any_bytes(),
            named in vec((any::<String>(), any_bytes()), 0..4),
        ) {
            let mut entry = Vec::new();
            for (name, value) in &named {
                push_header(&mut entry, name, value.as_deref());
            }
            let mut batch = Batch::default();
            let entry = (!entry.is_empty()).then_some(entry.as_slice());
            batch.push(timestamp, key.as_deref(), value.as_deref(), entry);
            let mut line = Vec::new();
            write_row(FileFormat::JsonLines, &batch, 0, &mut line).unwrap();
            let line = String::from_utf8(line).unwrap();
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
            prop_assert_eq!(read(&line).unwrap(), (timestamp, key, value, named));
        }

        #[test]
        fn no_line_is_a_panic(line in vec(any::<u8>(), 0..40)) {
            let _ = LineReader::default().read(FileFormat::JsonLines, &line);
        }

        #[test]
        fn every_cut_of_a_line_is_an_error(cut in 1usize..95) {
            let line = r#"{"key":"a\u00e9","value":{"b":[1,"x"]},"timestamp":5,"headers":[{"name":"n","value":{"base64":"/w=="}}]}"#;
            prop_assert!(read(&line[..cut]).is_err());
            prop_assert!(read(line).is_ok());
        }
    }

    #[test]
    fn the_written_form_is_stable() {
        let mut batch = Batch::default();
        let mut entry = Vec::new();
        push_header(&mut entry, "trace", None);
        push_header(&mut entry, "raw", Some(&[0xff]));
        batch.push(7, Some(b"k"), None, None);
        batch.push(8, None, Some("é\"\n\u{1}".as_bytes()), Some(&entry));
        let mut text = Vec::new();
        for row in 0..2 {
            write_row(FileFormat::JsonLines, &batch, row, &mut text).unwrap();
        }
        let expected = concat!(
            r#"{"key":"k","value":null,"timestamp":7}"#,
            "\n",
            r#"{"key":null,"value":"é\"\n\u0001","timestamp":8,"headers":[{"name":"trace","value":null},{"name":"raw","value":{"base64":"/w=="}}]}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn a_line_of_kcat_is_read() {
        let line = r#"{"topic":"t","partition":0,"offset":3,"tstype":"create","ts":1700000000123,"broker":1,"headers":["a","1","b",null],"key":"k","payload":"v"}"#;
        let named = vec![("a".to_owned(), bytes("1")), ("b".to_owned(), None)];
        assert_eq!(read(line).unwrap(), (1_700_000_000_123, bytes("k"), bytes("v"), named));
        let tombstone = r#"{"topic":"t","ts":1,"key":null,"payload":null}"#;
        assert_eq!(read(tombstone).unwrap(), (1, None, None, vec![]));
    }

    #[test]
    fn a_value_that_is_json_is_its_compact_text() {
        let read = |line| read(line).unwrap().2;
        assert_eq!(read(r#"{"value": {"b": 1.0, "a": [ 1, 2 ]}}"#), bytes(r#"{"b":1.0,"a":[1,2]}"#));
        assert_eq!(read(r#"{"value": 10000000000000000000000}"#), bytes("10000000000000000000000"));
        assert_eq!(read(r#"{"value": {"base64":"AP8="}}"#), Some(vec![0, 255]));
        assert_eq!(read(r#"{"value": {"base64":"AP8=","x":"y"}}"#), bytes(r#"{"base64":"AP8=","x":"y"}"#));
        assert_eq!(read(r#"{"value": ""}"#), bytes(""));
    }

    #[test]
    fn headers_may_be_pairs() {
        let named = read(r#"{"value":"v","headers":[["a","1"],["b",null]]}"#).unwrap().3;
        assert_eq!(named, [("a".to_owned(), bytes("1")), ("b".to_owned(), None)]);
    }

    #[test]
    fn a_bad_line_says_what_is_wrong_and_what_was_expected() {
        let cases = [
            (r#"{"key":"k"}"#, "tombstone"),
            (r#"{"vaule":"k"}"#, "\"vaule\" is no member"),
            (r#"{"value":"a","payload":"b"}"#, "twice"),
            (r#"{"value":"a","ts":1.5}"#, "whole number"),
            (r#"{"value":{"base64":"?"}}"#, "base 64"),
            (r#"{"value":"a"} x"#, "end of the line"),
            (r#"["value"]"#, "expected `{`"),
            (r#"{"value":"a","headers":[{"name":"x"}]}"#, "a name and a value"),
        ];
        for (line, expected) in cases {
            let message = read(line).unwrap_err().to_string();
            assert!(message.contains(expected), "{line}: {message}");
            assert!(message.contains("kcat -J"), "{message}");
        }
    }

    #[test]
    fn a_raw_line_is_the_value() {
        let mut reader = LineReader::default();
        let record = reader.read(FileFormat::RawLines, b"a b\r\n").unwrap().unwrap();
        assert_eq!((record.key, record.value), (None, Some(b"a b\r".as_slice())));
        assert!(reader.read(FileFormat::JsonLines, b" \r\n").unwrap().is_none());
    }
}
