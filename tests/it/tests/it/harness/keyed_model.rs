//! What `count_by_key`, `tumbling_sum` and `join` must make of a keyed load, judged record by record as the output is
//! read, and as a whole at the end.

use super::keyed_load::{POISON, Side};
use super::record::Record;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use weir_protocol::error_policy::names;

mod kept_state;

pub use kept_state::KeptState;

/// Length of the windows that the model sums.
pub const WINDOW_MS: i64 = 1000;
/// How near the records of a pair are.
pub const WITHIN_MS: i64 = 200;
/// How many findings are kept as text.
const SHOWN: usize = 20;

/// Which output a record was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Of `count_by_key`.
    Counts,
    /// Port `sums` of `tumbling_sum`.
    Sums,
    /// Port `late` of `tumbling_sum`.
    Late,
    /// Of `join`.
    Pairs,
    /// Dead letters.
    Dead,
}

/// All outputs.
pub const ROLES: [(Role, &str); 5] = [
    (Role::Counts, "counts"),
    (Role::Sums, "sums"),
    (Role::Late, "late"),
    (Role::Pairs, "pairs"),
    (Role::Dead, "dead"),
];

/// What is wrong.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Output that is missing.
    pub lost: u64,
    /// Output that is there twice.
    pub duplicated: u64,
    /// Output that only wrong state can have made.
    pub wrong: u64,
    /// The first of them.
    pub shown: Vec<String>,
}

impl Findings {
    /// Nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.wrong == 0
    }

    fn show(&mut self, text: String) {
        if self.shown.len() < SHOWN {
            self.shown.push(text);
        }
    }
}

/// Input and output so far.
#[derive(Debug, Default)]
pub struct KeyedModel {
    /// Records written, over both topics.
    pub written: u64,
    /// Output records read.
    pub read: u64,
    findings: Findings,
    lefts: BTreeMap<String, Vec<(i64, u64)>>,
    rights: BTreeMap<String, Vec<(i64, u64)>>,
    records: BTreeMap<String, u64>,
    counted: BTreeMap<String, u64>,
    sums: BTreeMap<(String, i64), i64>,
    summed: BTreeSet<(String, i64)>,
    /// Letters of `sums` that came back when their window was over: their values are not looked at then.
    late: BTreeSet<String>,
    pairs: HashSet<(u64, u64)>,
    dead: BTreeSet<(String, String)>,
    /// Letters by how often their record had come back.
    dead_seen: BTreeMap<(String, String), BTreeSet<u64>>,
}

impl KeyedModel {
    /// What has been found wrong so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// A record will be written.
    pub fn wrote(&mut self, side: Side, record: &Record) {
        self.written += 1;
        let (key, value) = (key_of(record), record.text());
        if side == Side::Left {
            *self.records.entry(key.clone()).or_default() += 1;
        }
        let Ok(id) = value.parse::<u64>() else {
            assert!(value.starts_with(POISON), "{value} is no value of the load");
            let readers: &[&str] = if side == Side::Left { &["sums", "join"] } else { &["join"] };
            self.dead.extend(readers.iter().map(|reader| ((*reader).to_owned(), value.clone())));
            return;
        };
        if side == Side::Left {
            let window = record.timestamp - record.timestamp.rem_euclid(WINDOW_MS);
            *self.sums.entry((key.clone(), window)).or_default() += id as i64;
        }
        let of_side = if side == Side::Left { &mut self.lefts } else { &mut self.rights };
        of_side.entry(key).or_default().push((record.timestamp, id));
    }

    /// A committed record of an output, in the order of its partition.
    pub fn saw(&mut self, role: Role, record: &Record) {
        self.read += 1;
        match role {
            Role::Counts => self.saw_count(record),
            Role::Sums => self.saw_sum(record),
            Role::Late => self.saw_late(record),
            Role::Pairs => self.saw_pair(record),
            Role::Dead => self.saw_dead(record),
        }
    }

    fn lost(&mut self, text: String) {
        self.findings.lost += 1;
        self.findings.show(format!("lost: {text}"));
    }

    fn duplicated(&mut self, text: String) {
        self.findings.duplicated += 1;
        self.findings.show(format!("duplicated: {text}"));
    }

    fn wrong(&mut self, text: String) {
        self.findings.wrong += 1;
        self.findings.show(format!("wrong: {text}"));
    }

    fn saw_count(&mut self, record: &Record) {
        let (key, count) = (key_of(record), record.text().parse::<u64>());
        let Ok(count) = count else { return self.wrong(format!("{key} has the count {:?}", record.text())) };
        let last = self.counted.entry(key.clone()).or_default();
        let before = std::mem::replace(last, (*last).max(count));
        let place =
            format!("count {count} of {key} behind {before}, at {}:{}", record.partition, record.offset);
        match count {
            count if count == before + 1 => {}
            count if count <= before => self.duplicated(place),
            _ => self.lost(place),
        }
    }

    fn saw_sum(&mut self, record: &Record) {
        let Ok(sum) =
            serde_json::from_slice::<serde_json::Value>(record.value.as_deref().unwrap_or_default())
        else {
            return self.wrong(format!("the sum {:?}", record.text()));
        };
        let (Some(start), Some(total)) = (sum["window_start"].as_i64(), sum["sum"].as_i64()) else {
            return self.wrong(format!("the sum {sum}"));
        };
        let window = (key_of(record), start);
        if record.timestamp != start + WINDOW_MS - 1 || sum["key"].as_str() != Some(&window.0) {
            self.wrong(format!("{sum} of key {} at {}", window.0, record.timestamp));
        }
        if !self.summed.insert(window.clone()) {
            self.duplicated(format!("the window of {sum}"));
        }
        // A window is over when every record of it is written, so the model knows its whole sum.
        match self.sums.get(&window) {
            Some(expected) if *expected == total => {}
            expected => self.wrong(format!("{sum}, expected {expected:?}")),
        }
    }

    fn saw_pair(&mut self, record: &Record) {
        let pair = serde_json::from_slice::<serde_json::Value>(record.value.as_deref().unwrap_or_default());
        let pair = pair.ok().and_then(|pair| Some((pair["left"].as_u64()?, pair["right"].as_u64()?)));
        let Some(pair) = pair else { return self.wrong(format!("the pair {:?}", record.text())) };
        if !self.pairs.insert(pair) {
            self.duplicated(format!("the pair {pair:?}"));
        }
    }

    /// Only a letter that came back can be late.
    fn saw_late(&mut self, record: &Record) {
        let came_back = record.header(names::ATTEMPT).is_some() && record.text().starts_with(POISON);
        if !came_back {
            self.wrong(format!("{} of {} is late, and nothing can be", record.text(), key_of(record)));
        } else if !self.late.insert(record.text()) {
            self.duplicated(format!("the late letter {}", record.text()));
        }
    }

    fn saw_dead(&mut self, record: &Record) {
        let letter = (record.header(names::OPERATOR).unwrap_or_default(), record.text());
        if !self.dead.contains(&letter) {
            self.wrong(format!("the dead letter {letter:?}"));
        }
        let attempt = record.header(names::ATTEMPT).map_or(Some(0), |text| text.parse().ok());
        let Some(attempt) = attempt else { return self.wrong(format!("the attempt of {letter:?}")) };
        if !self.dead_seen.entry(letter.clone()).or_default().insert(attempt) {
            self.duplicated(format!("the dead letter {letter:?}, attempt {attempt}"));
        }
    }

    /// What is open when everything is read: every letter once, as its last attempt left it.
    pub fn saw_open_letters(&mut self, open: &[(String, String, u64)]) {
        let mut seen = BTreeSet::new();
        for (operator, value, attempt) in open {
            let letter = (operator.clone(), value.clone());
            let last = self.dead_seen.get(&letter).and_then(|attempts| attempts.last().copied());
            if last != Some(*attempt) {
                self.wrong(format!("{letter:?} is open with attempt {attempt}, the last is {last:?}"));
            }
            if !seen.insert(letter.clone()) {
                self.duplicated(format!("the open letter {letter:?}"));
            }
        }
        for value in self.late.clone() {
            if !seen.insert(("sums".to_owned(), value.clone())) {
                self.duplicated(format!("the open letter {value} of sums, which came back and was late"));
            }
        }
        let gone: Vec<_> = self.dead.difference(&seen).cloned().collect();
        gone.into_iter().for_each(|letter| self.lost(format!("the open letter {letter:?}")));
    }

    /// All input is processed, all windows are closed, all output is read.
    pub fn end(&mut self) -> Findings {
        for (key, expected) in std::mem::take(&mut self.records) {
            let counted = self.counted.get(&key).copied().unwrap_or_default();
            if counted < expected {
                self.findings.lost += expected - counted - 1;
                self.lost(format!("{key} was counted to {counted} of {expected}"));
            } else if counted > expected {
                self.wrong(format!("{key} was counted to {counted} of {expected}"));
            }
        }
        let open: Vec<_> =
            self.sums.keys().filter(|window| !self.summed.contains(*window)).cloned().collect();
        open.into_iter().for_each(|window| self.lost(format!("the window {window:?}")));
        let attempts =
            |letter: &(String, String)| self.dead_seen.get(letter).map_or(0, |seen| seen.len() as u64);
        let last = |letter: &(String, String)| self.dead_seen.get(letter)?.last().copied();
        // Attempts are 0, 1, 2 to the last.
        let silent =
            self.dead.iter().filter(|letter| last(letter).is_none_or(|last| last + 1 != attempts(letter)));
        let silent: Vec<_> = silent.cloned().collect();
        silent.into_iter().for_each(|letter| self.lost(format!("an attempt of the dead letter {letter:?}")));
        let expected = self.expected_pairs();
        for pair in &expected {
            if !self.pairs.remove(pair) {
                self.lost(format!("the pair {pair:?}"));
            }
        }
        let strange: Vec<_> = self.pairs.drain().collect();
        strange.into_iter().for_each(|pair| self.wrong(format!("the pair {pair:?}")));
        self.findings.clone()
    }

    fn expected_pairs(&self) -> Vec<(u64, u64)> {
        let mut pairs = Vec::new();
        for (key, lefts) in &self.lefts {
            let mut rights = self.rights.get(key).cloned().unwrap_or_default();
            rights.sort_unstable();
            for (time, left) in lefts {
                let first = rights.partition_point(|(other, _)| other + WITHIN_MS < *time);
                let near = rights[first..].iter().take_while(|(other, _)| *other <= time + WITHIN_MS);
                pairs.extend(near.map(|(_, right)| (*left, *right)));
            }
        }
        pairs
    }
}

fn key_of(record: &Record) -> String {
    String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two lefts and a right of one key in one window, and the output that is right for them.
    fn output() -> Vec<(Role, Record)> {
        let of =
            |role, value: &str, timestamp| (role, Record { timestamp, ..Record::of(0, value).keyed("k") });
        vec![
            of(Role::Counts, "1", 0),
            of(Role::Counts, "2", 0),
            of(Role::Sums, "{\"key\":\"k\",\"window_start\":0,\"sum\":6}", 999),
            of(Role::Pairs, "{\"left\":2,\"right\":3}", 0),
        ]
    }

    /// What the model finds where this is the output: lost, duplicated, wrong.
    fn found(output: &[(Role, Record)]) -> (u64, u64, u64) {
        let mut model = KeyedModel::default();
        for (side, value, timestamp) in
            [(Side::Left, "2", 0), (Side::Left, "4", 900), (Side::Right, "3", 200)]
        {
            model.wrote(side, &Record { timestamp, ..Record::of(0, value).keyed("k") });
        }
        output.iter().for_each(|(role, record)| model.saw(*role, record));
        let Findings { lost, duplicated, wrong, .. } = model.end();
        (lost, duplicated, wrong)
    }

    #[test]
    fn a_right_output_is_found_right() {
        assert_eq!(found(&output()), (0, 0, 0));
    }

    #[test]
    fn each_output_that_is_left_out_or_there_twice_is_found() {
        for at in 0..output().len() {
            let (mut less, mut more) = (output(), output());
            less.remove(at);
            assert!(found(&less).0 > 0, "without {at}");
            let again = more[at].clone();
            more.insert(at + 1, again);
            assert_eq!(found(&more).1, 1, "with {at} twice");
        }
    }

    #[test]
    fn output_that_only_wrong_state_can_have_made_is_found() {
        for (at, value) in
            [(1, "two"), (2, "{\"key\":\"k\",\"window_start\":0,\"sum\":5}"), (3, "{\"left\":4,\"right\":3}")]
        {
            let mut output = output();
            output[at].1.value = Some(value.as_bytes().to_vec());
            assert!(found(&output).2 > 0, "{value}");
        }
        let mut late = output();
        late.push((Role::Late, late[0].1.clone()));
        assert_eq!(found(&late), (0, 0, 1));
    }

    #[test]
    fn a_dead_letter_that_is_missing_is_found() {
        let mut model = KeyedModel::default();
        model.wrote(Side::Right, &Record::of(0, "poison-7").keyed("k"));
        assert_eq!(model.end().lost, 1);
    }
}
