//! The file that an operator is tried on: records, and between them the steps of time.
//!
//! A line is a record (see `weir_local::record_lines`), which may begin with `"port"` where the operator has several
//! inputs, or a step of time:
//!
//! | line | what happens |
//! |---|---|
//! | `{"port":"left","key":"k","value":"v"}` | a record for the input port `left` |
//! | `{"advance_watermark":1700000000000}` | event time: milliseconds since 1970, or a time as in RFC 3339 |
//! | `{"advance_watermark":"end"}` | the input has ended: all event-time timers fire |
//! | `{"advance_now":"5s"}` | processing time goes on by a duration, or by a number of milliseconds |
//! | `{"advance_now":"2026-01-31T12:00:00Z"}` | processing time goes on to a time |

use crate::failure::Failure;
use crate::pipeline_file::units;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use weir_local::record_lines::LineReader;
use weir_protocol::batch::Batch;
use weir_protocol::plan::FileFormat;

/// What happens next.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a file has few steps, and most of them are rows")]
pub enum Step {
    /// Records of one input port; the offset of a row's origin is its line, counted from 1.
    Rows {
        /// The input port.
        port: u32,
        /// The records.
        batch: Batch,
    },
    /// The watermark moves.
    Watermark(i64),
    /// Processing time moves.
    Now(i64),
}

/// Reads the steps of a file for an operator with these input ports.
pub fn read(path: &Path, inputs: &[String]) -> Result<Vec<Step>, Failure> {
    let shown = path.display().to_string();
    let text = std::fs::read(path)
        .map_err(|error| Failure::configuration(format!("{shown} cannot be read: {error}")))?;
    parse(&shown, &text, inputs)
}

/// Reads the steps of a text; `shown` is its name in messages.
pub fn parse(shown: &str, text: &[u8], inputs: &[String]) -> Result<Vec<Step>, Failure> {
    let topic: Arc<str> = shown.into();
    let mut sample = Sample {
        inputs,
        topic,
        reader: LineReader::default(),
        steps: Vec::new(),
        now_ms: 0,
        watermark_ms: i64::MIN,
    };
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        sample
            .line(line, number)
            .map_err(|why| Failure::configuration(format!("{shown}:{number}: {why}")))?;
    }
    Ok(sample.steps)
}

struct Sample<'a> {
    inputs: &'a [String],
    topic: Arc<str>,
    reader: LineReader,
    steps: Vec<Step>,
    now_ms: i64,
    watermark_ms: i64,
}

impl Sample<'_> {
    fn line(&mut self, line: &[u8], number: usize) -> Result<(), String> {
        if let Some(step) = time_step(line)? {
            let step = match step {
                TimeStep::Watermark(to) if to < self.watermark_ms => {
                    return Err(format!(
                        "the watermark is at {} already and never goes down",
                        self.watermark_ms
                    ));
                }
                TimeStep::Watermark(to) => {
                    self.watermark_ms = to;
                    Step::Watermark(to)
                }
                TimeStep::NowBy(by) => {
                    self.now_ms = self.now_ms.saturating_add(by);
                    Step::Now(self.now_ms)
                }
                TimeStep::NowTo(to) if to < self.now_ms => {
                    return Err(format!(
                        "processing time is at {} ms already and never goes down",
                        self.now_ms
                    ));
                }
                TimeStep::NowTo(to) => {
                    self.now_ms = to;
                    Step::Now(to)
                }
            };
            self.steps.push(step);
            return Ok(());
        }
        let (port, rest) = split_port(line)?;
        let port = self.port(port.as_deref())?;
        let line = rest.as_deref().unwrap_or(line);
        let record = self.reader.read(FileFormat::JsonLines, line).map_err(|error| error.to_string())?;
        let Some(record) = record else { return Ok(()) };
        if !matches!(self.steps.last(), Some(Step::Rows { port: last, .. }) if *last == port) {
            self.steps.push(Step::Rows { port, batch: Batch::default() });
        }
        if let Some(Step::Rows { batch, .. }) = self.steps.last_mut() {
            batch.push(record.timestamp, record.key, record.value, record.headers);
            batch.origins.push(&self.topic, 0, number as i64);
        }
        Ok(())
    }

    fn port(&self, name: Option<&str>) -> Result<u32, String> {
        let Some(name) = name else { return Ok(0) };
        let found = self.inputs.iter().position(|input| input == name);
        found.map(|port| port as u32).ok_or_else(|| {
            format!("the operator has no input port {name:?}; its inputs are {}", self.inputs.join(", "))
        })
    }
}

enum TimeStep {
    Watermark(i64),
    NowBy(i64),
    NowTo(i64),
}

/// A step of time, where the line is one.
fn time_step(line: &[u8]) -> Result<Option<TimeStep>, String> {
    if !contains(line, b"\"advance_") {
        return Ok(None);
    }
    let Ok(Value::Object(members)) = serde_json::from_slice::<Value>(line) else { return Ok(None) };
    let mut named = members.iter().filter(|(name, _)| name.starts_with("advance_"));
    let Some((name, value)) = named.next() else { return Ok(None) };
    if members.len() > 1 {
        return Err(format!("{name:?} stands in a line of its own"));
    }
    match name.as_str() {
        "advance_watermark" => watermark(value).map(|to| Some(TimeStep::Watermark(to))),
        "advance_now" => now(value).map(Some),
        _ => Err(format!("{name:?} is not known; expected advance_watermark or advance_now")),
    }
}

fn watermark(value: &Value) -> Result<i64, String> {
    let found = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text == "end" => Some(i64::MAX),
        Value::String(text) => time_ms(text),
        _ => None,
    };
    found.ok_or_else(|| {
        format!("advance_watermark is {value}; expected milliseconds since 1970, a time such as \"2026-01-31T12:00:00Z\", or \"end\"")
    })
}

fn now(value: &Value) -> Result<TimeStep, String> {
    let found = match value {
        Value::Number(number) => number.as_i64().filter(|by| *by >= 0).map(TimeStep::NowBy),
        Value::String(text) => match units::duration(text) {
            Some(by) => i64::try_from(by.as_millis()).ok().map(TimeStep::NowBy),
            None => time_ms(text).map(TimeStep::NowTo),
        },
        _ => None,
    };
    found.ok_or_else(|| {
        format!("advance_now is {value}; expected a duration such as \"5s\", a number of milliseconds to go on by, or a time such as \"2026-01-31T12:00:00Z\"")
    })
}

fn time_ms(text: &str) -> Option<i64> {
    // A number without a unit could be a duration as well.
    if text.contains('-') { units::timestamp_ms(text) } else { None }
}

type PortAndRest = (Option<String>, Option<Vec<u8>>);

/// Takes `"port":"…"` off the beginning of an object, where it stands there; the rest is byte for byte as it was.
fn split_port(line: &[u8]) -> Result<PortAndRest, String> {
    let after =
        |text: &[u8], expected: &[u8]| text.trim_ascii_start().strip_prefix(expected).map(<[u8]>::to_vec);
    let Some(rest) =
        after(line, b"{").and_then(|rest| after(&rest, b"\"port\"")).and_then(|rest| after(&rest, b":"))
    else {
        return Ok((None, None));
    };
    let mut name = serde_json::Deserializer::from_slice(&rest).into_iter::<String>();
    let Some(Ok(port)) = name.next() else {
        return Err("\"port\" is not a text; expected the name of an input port".to_owned());
    };
    let rest = rest[name.byte_offset()..].trim_ascii_start();
    let rest = rest.strip_prefix(b",").unwrap_or(rest);
    Ok((Some(port), Some([b"{", rest].concat())))
}

fn contains(line: &[u8], wanted: &[u8]) -> bool {
    line.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Result<Vec<Step>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("input.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path, &["left".to_owned(), "right".to_owned()]).map_err(|failure| failure.message)
    }

    #[test]
    fn records_of_one_port_are_one_batch_until_time_or_the_port_changes() {
        let text = "{\"value\":\"a\"}\n\n{\"value\":\"b\"}\n{\"port\":\"right\",\"value\":\"c\"}\n{\"advance_now\":\"1s\"}\n{ \"port\" : \"right\" , \"value\":\"d\"}\n";
        let shape: Vec<String> = (steps(text).unwrap().iter())
            .map(|step| match step {
                Step::Rows { port, batch } => format!("{port}:{}", batch.rows),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(shape, ["0:2", "1:1", "Now(1000)", "1:1"]);
    }

    #[test]
    fn a_row_remembers_its_line() {
        let steps = steps("\n{\"value\":\"a\"}\n\n{\"value\":\"b\"}\n").unwrap();
        let Step::Rows { batch, .. } = &steps[0] else { panic!("{steps:?}") };
        assert_eq!((batch.origins.of(0).unwrap().offset, batch.origins.of(1).unwrap().offset), (2, 4));
    }

    #[test]
    fn time_is_given_in_all_the_ways_that_people_write_it() {
        let text = "{\"advance_now\":5}\n{\"advance_now\":\"2s\"}\n{\"advance_now\":\"1970-01-01T00:00:10Z\"}\n{\"advance_watermark\":-1}\n{\"advance_watermark\":\"1970-01-01T00:00:01.5Z\"}\n{\"advance_watermark\":\"end\"}\n";
        let expected =
            [Step::Now(5), Step::Now(2005), Step::Now(10_000), Step::Watermark(-1), Step::Watermark(1500)];
        let found = steps(text).unwrap();
        assert_eq!(found[..5], expected);
        assert_eq!(found[5], Step::Watermark(i64::MAX));
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named() {
        for (line, says) in [
            (
                "{\"advance_watermark\":\"soon\"}",
                "input.jsonl:1: advance_watermark is \"soon\"; expected milliseconds",
            ),
            ("{\"advance_now\":-1}", "advance_now is -1"),
            ("{\"advance_time\":1}", "expected advance_watermark or advance_now"),
            ("{\"advance_now\":1,\"value\":\"x\"}", "in a line of its own"),
            ("{\"port\":\"middle\",\"value\":\"x\"}", "no input port \"middle\"; its inputs are left, right"),
            ("{\"port\":1,\"value\":\"x\"}", "\"port\" is not a text"),
            ("{\"value\":\"x\",\"port\":\"left\"}", "port"),
        ] {
            let error = steps(line).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let back = steps("{\"advance_watermark\":5}\n{\"advance_watermark\":4}").unwrap_err();
        assert!(back.contains(":2: the watermark is at 5 already"), "{back}");
    }

    #[test]
    fn a_value_that_mentions_time_is_a_record() {
        let steps = steps("{\"value\":{\"advance_now\":1}}").unwrap();
        assert!(matches!(&steps[..], [Step::Rows { .. }]), "{steps:?}");
    }
}
