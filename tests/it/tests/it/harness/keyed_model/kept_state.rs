//! What the operators keep, as `weir state scan` shows it, beside what the model says they must.
//!
//! The encodings are those of the SDK, read here on their own: numbers of values little-endian, those of subkeys
//! big-endian with the sign bit flipped.

use super::{KeyedModel, WINDOW_MS, WITHIN_MS, key_of};
use crate::harness::record::Record;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A record of one key: its time, and the number that is its value.
type Kept = (String, i64, u64);

/// State and timers of all three operators.
#[derive(Debug, Default)]
pub struct KeptState {
    counts: BTreeMap<String, u64>,
    windows: BTreeMap<(String, i64), i64>,
    window_ends: BTreeSet<(String, i64)>,
    lefts: BTreeSet<Kept>,
    rights: BTreeSet<Kept>,
    expiries: BTreeSet<(String, i64)>,
    arrivals: BTreeSet<String>,
    /// Lines that make no sense, or that were there before.
    strange: Vec<String>,
}

impl KeptState {
    /// Takes a line of `weir state scan`.
    pub fn add(&mut self, line: &str) {
        if self.read(line).is_none() {
            self.strange.push(line.to_owned());
        }
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let line: Value = serde_json::from_str(line).ok()?;
        let key = line["key"].as_str()?.to_owned();
        let subkey = || bytes(&line["subkey"]);
        let value = || bytes(&line["value"]);
        let is_new = match (line["state"].as_str(), line["timer"].as_str()) {
            (Some("count"), _) => self.counts.insert(key, count(&value()?)?).is_none(),
            (Some("sum"), _) => {
                let window = (key, ordered(&subkey()?)?);
                self.windows.insert(window, unsigned(&value()?)? as i64).is_none()
            }
            (Some(side @ ("lefts" | "rights")), _) => {
                let (time, number) =
                    (ordered(subkey()?.get(..8)?)?, String::from_utf8(value()?).ok()?.parse().ok()?);
                let side = if side == "lefts" { &mut self.lefts } else { &mut self.rights };
                side.insert((key, time, number))
            }
            (Some("arrivals"), _) => self.arrivals.insert(key),
            (_, Some("window_end")) => self.window_ends.insert((key, line["time"].as_i64()?)),
            (_, Some("expired")) => self.expiries.insert((key, line["time"].as_i64()?)),
            _ => return None,
        };
        is_new.then_some(())
    }
}

impl KeyedModel {
    /// Compares what is kept at the end of the input: `sums` is what was emitted until then.
    pub fn saw_state(&mut self, kept: &KeptState, sums: &[Record]) {
        let emitted: BTreeSet<(String, i64)> =
            sums.iter().map(|sum| (key_of(sum), sum.timestamp + 1 - WINDOW_MS)).collect();
        let open: BTreeMap<_, _> = (self.sums.iter())
            .filter(|(window, _)| !emitted.contains(*window))
            .map(|(window, sum)| (window.clone(), *sum))
            .collect();
        let ends = open.keys().map(|(key, start)| (key.clone(), start + WINDOW_MS)).collect();
        let expiries = kept.lefts.iter().chain(&kept.rights);
        let expiries = expiries.map(|(key, time, _)| (key.clone(), time + WITHIN_MS + 1)).collect();
        self.same("counts", &kept.counts, &self.records.clone());
        self.same("open windows", &kept.windows, &open);
        self.same("ends of windows", &kept.window_ends, &ends);
        self.same("timers of the join", &kept.expiries, &expiries);
        let (lefts, rights) = (written(&self.lefts), written(&self.rights));
        // No watermark is ahead of the last record: what could still meet that one must be there.
        let last = lefts.iter().chain(&rights).map(|(_, time, _)| *time).max().unwrap_or_default();
        for (side, kept, written) in [("lefts", &kept.lefts, &lefts), ("rights", &kept.rights, &rights)] {
            for strange in kept.difference(written) {
                self.wrong(format!("{strange:?} among the {side} that are kept"));
            }
            for missing in written.difference(kept).filter(|(_, time, _)| time + WITHIN_MS >= last) {
                self.lost(format!("{missing:?} among the {side} that are kept"));
            }
        }
        self.is_plain(kept);
    }

    /// The same when all windows are closed: only counts are left.
    pub fn saw_drained_state(&mut self, kept: &KeptState) {
        self.same("counts", &kept.counts, &self.records.clone());
        self.same("open windows", &kept.windows, &BTreeMap::new());
        self.same("ends of windows", &kept.window_ends, &BTreeSet::new());
        self.same("lefts that are kept", &kept.lefts, &BTreeSet::new());
        self.same("rights that are kept", &kept.rights, &BTreeSet::new());
        self.same("timers of the join", &kept.expiries, &BTreeSet::new());
        self.same("arrivals", &kept.arrivals, &BTreeSet::new());
        self.is_plain(kept);
    }

    fn same<T>(&mut self, what: &str, found: &T, expected: &T)
    where
        T: PartialEq + Clone + IntoIterator<Item: PartialEq + std::fmt::Debug>,
    {
        if found == expected {
            return;
        }
        let first = |one: &T, other: &T| {
            let other: Vec<_> = other.clone().into_iter().collect();
            one.clone().into_iter().find(|entry| !other.contains(entry))
        };
        let (more, less) = (first(found, expected), first(expected, found));
        self.wrong(format!("state: {what}: found {more:?}, expected {less:?}"));
    }

    fn is_plain(&mut self, kept: &KeptState) {
        for line in &kept.strange {
            self.wrong(format!("state: {line}"));
        }
    }
}

fn written(side: &BTreeMap<String, Vec<(i64, u64)>>) -> BTreeSet<Kept> {
    let records = |(key, records): (&String, &Vec<(i64, u64)>)| -> Vec<Kept> {
        records.iter().map(|(time, number)| (key.clone(), *time, *number)).collect()
    };
    side.iter().flat_map(records).collect()
}

/// `count_by_key` keeps 8 bytes, its next version decimal text; a number of records has a zero byte, and text has none.
fn count(bytes: &[u8]) -> Option<u64> {
    match bytes.contains(&0) {
        true => unsigned(bytes),
        false => std::str::from_utf8(bytes).ok()?.parse().ok(),
    }
}

fn unsigned(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn ordered(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.try_into().ok()?) ^ i64::MIN)
}

/// A text, or `{"base64":"…"}`.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    if let Some(text) = value.as_str() {
        return Some(text.as_bytes().to_vec());
    }
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for digit in value["base64"].as_str()?.bytes().filter(|digit| *digit != b'=') {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, held) = (bits << 6 | u32::from(six), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::keyed_load::Side;

    /// A left at 1200 and a right at 1300 of one key; the window of an earlier left was emitted.
    const LINES: [&str; 8] = [
        r#"{"operator":"count","state":"count","kind":"value","key":"k","value":{"base64":"AgAAAAAAAAA="}}"#,
        r#"{"operator":"sums","state":"sum","kind":"map","key":"k","subkey":{"base64":"gAAAAAAAA+g="},"value":{"base64":"BAAAAAAAAAA="}}"#,
        r#"{"operator":"sums","timer":"window_end","clock":"event_time","key":"k","time":2000}"#,
        r#"{"operator":"join","state":"lefts","kind":"map","key":"k","subkey":{"base64":"gAAAAAAABLAAAAAAAAAAAQ=="},"value":"4"}"#,
        r#"{"operator":"join","state":"rights","kind":"map","key":"k","subkey":{"base64":"gAAAAAAABRQAAAAAAAAAAg=="},"value":"3"}"#,
        r#"{"operator":"join","state":"arrivals","kind":"value","key":"k","value":{"base64":"AwAAAAAAAAA="}}"#,
        r#"{"operator":"join","timer":"expired","clock":"event_time","key":"k","time":1401}"#,
        r#"{"operator":"join","timer":"expired","clock":"event_time","key":"k","time":1501}"#,
    ];

    fn found<'a>(lines: impl IntoIterator<Item = &'a str>) -> u64 {
        let mut model = KeyedModel::default();
        for (side, value, timestamp) in
            [(Side::Left, "2", 300), (Side::Left, "4", 1200), (Side::Right, "3", 1300)]
        {
            model.wrote(side, &Record { timestamp, ..Record::of(0, value).keyed("k") });
        }
        let sum = Record { timestamp: 999, ..Record::of(0, "").keyed("k") };
        let mut kept = KeptState::default();
        lines.into_iter().for_each(|line| kept.add(line));
        model.saw_state(&kept, &[sum]);
        model.findings().lost + model.findings().wrong
    }

    #[test]
    fn the_state_that_must_be_is_found_right() {
        assert_eq!(found(LINES), 0);
    }

    #[test]
    fn each_entry_that_is_left_out_changed_or_there_twice_is_found() {
        for at in (0..LINES.len()).filter(|at| !LINES[*at].contains("arrivals")) {
            let less = LINES.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, line)| *line);
            assert!(found(less) > 0, "without {}", LINES[at]);
            assert!(found(LINES.into_iter().chain([LINES[at]])) > 0, "{} twice", LINES[at]);
            let other_key = LINES[at].replace("\"key\":\"k\"", "\"key\":\"o\"");
            let changed = LINES.map(|line| if line == LINES[at] { other_key.as_str() } else { line });
            assert!(found(changed) > 0, "{other_key}");
        }
        let count = LINES[0].replace("AgAA", "AwAA");
        assert!(found(LINES.map(|line| if line == LINES[0] { count.as_str() } else { line })) > 0);
    }

    #[test]
    fn whatever_is_left_behind_a_drain_is_found() {
        let mut model = KeyedModel::default();
        for value in ["1", "2"] {
            model.wrote(Side::Left, &Record { timestamp: 0, ..Record::of(0, value).keyed("k") });
        }
        for (lines, wrong) in [(&LINES[..1], 0), (&LINES[..], 6)] {
            let mut kept = KeptState::default();
            lines.iter().for_each(|line| kept.add(line));
            model.saw_drained_state(&kept);
            assert_eq!(model.findings().wrong, wrong);
        }
    }
}
