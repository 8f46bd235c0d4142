//! Entries of keyed state and timers as JSON lines, for people and programs.
//!
//! ```text
//! {"operator":"sum","state":"sum","kind":"map","key":"a","subkey":{"base64":"AAABi8/lkAA="},"value":{"base64":"KgAAAAAAAAA="}}
//! {"operator":"sum","timer":"window_end","clock":"event_time","key":"a","time":1700000060000}
//! ```
//!
//! Bytes that are UTF-8 without control characters are a text, others `{"base64":"…"}`; the position of a list's value
//! is a number.

use serde_json::{Map, Value};
use weir_protocol::state::{StateDeclaration, StateKind, TimerClock, TimerDeclaration};
use weir_state::inspect::{StoredEntry, StoredTimer};

/// The line of an entry.
pub fn entry(operator: &str, state: &StateDeclaration, entry: &StoredEntry<'_>) -> String {
    let mut line = Line::new(operator);
    line.put("state", state.name.as_str());
    line.put("kind", state.kind.name());
    line.put("key", key(entry.key));
    match (state.kind, entry.subkey.first_chunk::<8>()) {
        (StateKind::Map, _) => line.put("subkey", bytes(entry.subkey)),
        (StateKind::List, Some(position)) => line.put("position", u64::from_be_bytes(*position)),
        _ => {}
    }
    line.put("value", bytes(entry.value));
    if let Some(written_ms) = entry.written_ms {
        line.put("written", written_ms);
    }
    line.finish()
}

/// The line of a timer.
pub fn timer(operator: &str, timer: &TimerDeclaration, found: &StoredTimer<'_>) -> String {
    let mut line = Line::new(operator);
    line.put("timer", timer.name.as_str());
    line.put("clock", clock(timer.clock));
    line.put("key", key(found.key));
    line.put("time", found.time_ms);
    line.finish()
}

/// The name of a timer's clock.
pub fn clock(clock: TimerClock) -> &'static str {
    match clock {
        TimerClock::EventTime => "event_time",
        TimerClock::ProcessingTime => "processing_time",
    }
}

/// A record key; null is the key of records without one.
fn key(key: Option<&[u8]>) -> Value {
    key.map_or(Value::Null, bytes)
}

/// Bytes as a text, or as base 64 where they are none.
pub fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Value::from(text),
        _ => Value::Object(Map::from_iter([("base64".to_owned(), Value::from(base64(bytes)))])),
    }
}

/// RFC 4648 section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

/// A JSON object whose members stay in order.
struct Line(String);

impl Line {
    fn new(operator: &str) -> Line {
        Line(format!("{{\"operator\":{}", Value::from(operator)))
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.push_str(&format!(",\"{name}\":{}", value.into()));
    }

    fn finish(self) -> String {
        self.0 + "}"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(kind: StateKind) -> StateDeclaration {
        StateDeclaration { name: "s".to_owned(), kind, version: 1, ttl_seconds: 0 }
    }

    #[test]
    fn an_entry_shows_what_its_kind_has() {
        let found =
            StoredEntry { key: Some(b"k"), subkey: &[0, 0, 0, 0, 0, 0, 0, 9], value: b"v", written_ms: None };
        for (kind, expected) in [
            (StateKind::Value, r#"{"operator":"o","state":"s","kind":"value","key":"k","value":"v"}"#),
            (
                StateKind::Map,
                r#"{"operator":"o","state":"s","kind":"map","key":"k","subkey":{"base64":"AAAAAAAAAAk="},"value":"v"}"#,
            ),
            (
                StateKind::List,
                r#"{"operator":"o","state":"s","kind":"list","key":"k","position":9,"value":"v"}"#,
            ),
        ] {
            assert_eq!(entry("o", &state(kind), &found), expected);
        }
    }

    #[test]
    fn a_time_of_writing_is_shown_where_there_is_one() {
        let found = StoredEntry { key: None, subkey: &[], value: &[0xff, 1], written_ms: Some(-5) };
        let expected = r#"{"operator":"o","state":"s","kind":"value","key":null,"value":{"base64":"/wE="},"written":-5}"#;
        assert_eq!(entry("o", &state(StateKind::Value), &found), expected);
    }

    #[test]
    fn a_timer_says_when_it_fires_and_by_which_clock() {
        let declared = TimerDeclaration { name: "flush".to_owned(), clock: TimerClock::EventTime };
        let line = timer("o", &declared, &StoredTimer { key: Some(b"k"), time_ms: 7 });
        assert_eq!(line, r#"{"operator":"o","timer":"flush","clock":"event_time","key":"k","time":7}"#);
    }
}
