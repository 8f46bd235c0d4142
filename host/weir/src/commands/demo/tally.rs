//! Counts what is in the output files, without any of the pipeline's code.
//!
//! Each output record is a key and how many records of the key there have been, and behind it the version that counted,
//! where that is not the first: `17`, `18 v2`. So the numbers of a key with n records are 1 to n, each once, whichever
//! versions wrote them: a lost record leaves a gap or an early end, a doubled one a number twice, and state that went
//! back or ran ahead shows as one of these.

use std::collections::BTreeMap;
use std::path::Path;

/// What was expected and what is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that the generator makes.
    pub expected: u64,
    /// Lines in the files.
    pub found: u64,
    /// Records that are missing.
    pub lost: u64,
    /// Numbers of a key that are there again.
    pub duplicated: u64,
    /// Keys whose highest number is not the number of their records.
    pub wrong_counts: u64,
    /// Lines that nobody expected.
    pub foreign: u64,
    /// Distinct keys.
    pub keys: u64,
    /// Lines by the version that wrote them.
    pub by_version: BTreeMap<u32, u64>,
}

impl Tally {
    /// Reads all files of a directory.
    pub fn count(directory: &Path, records: u64) -> std::io::Result<Tally> {
        let mut counted = Counted::default();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_file() {
                std::fs::read_to_string(path)?.lines().for_each(|line| counted.add(line));
            }
        }
        Ok(counted.tally(records))
    }

    /// Each expected record once, each counted right, and nothing else.
    pub fn is_exact(&self) -> bool {
        (self.lost, self.duplicated, self.wrong_counts, self.foreign) == (0, 0, 0, 0)
    }

    /// Records that a version wrote.
    pub fn by(&self, version: u32) -> u64 {
        self.by_version.get(&version).copied().unwrap_or(0)
    }
}

/// What the lines say.
#[derive(Default)]
struct Counted {
    numbers: BTreeMap<String, Vec<u64>>,
    by_version: BTreeMap<u32, u64>,
    found: u64,
    foreign: u64,
}

impl Counted {
    fn add(&mut self, line: &str) {
        self.found += 1;
        let Some((key, number, version)) = counted(line) else {
            self.foreign += 1;
            return;
        };
        self.numbers.entry(key).or_default().push(number);
        *self.by_version.entry(version).or_default() += 1;
    }

    fn tally(self, records: u64) -> Tally {
        let Counted { mut numbers, by_version, found, foreign } = self;
        let mut tally = Tally { expected: records, found, foreign, by_version, ..Tally::default() };
        let mut distinct = 0;
        for of_key in numbers.values_mut() {
            let all = of_key.len() as u64;
            of_key.sort_unstable();
            of_key.dedup();
            let once = of_key.len() as u64;
            tally.duplicated += all - once;
            tally.wrong_counts += u64::from(of_key.last() != Some(&once));
            distinct += once;
        }
        tally.keys = numbers.len() as u64;
        tally.lost = records.saturating_sub(distinct);
        tally.foreign += distinct.saturating_sub(records);
        tally
    }
}

/// Key, number and version of an output line.
fn counted(line: &str) -> Option<(String, u64, u32)> {
    let record: serde_json::Value = serde_json::from_str(line).ok()?;
    let (key, value) = (record["key"].as_str()?, record["value"].as_str()?);
    let (number, version) = match value.split_once(" v") {
        Some((number, version)) => (number, version.parse().ok()?),
        None => (value, 1),
    };
    Some((key.to_owned(), number.parse().ok()?, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(records: &[(&str, &str)], expected: u64) -> Tally {
        let mut counted = Counted::default();
        for (key, value) in records {
            counted.add(&format!("{{\"key\":\"{key}\",\"value\":\"{value}\"}}"));
        }
        counted.tally(expected)
    }

    #[test]
    fn each_number_of_each_key_once_is_exact_whichever_version_wrote_it() {
        let tally = tally(&[("a", "1"), ("b", "1"), ("a", "2 v2")], 3);
        assert!(tally.is_exact() && tally.keys == 2, "{tally:?}");
        assert_eq!((tally.by(1), tally.by(2), tally.by(3)), (2, 1, 0));
    }

    #[test]
    fn what_is_lost_again_or_counted_wrong_is_told() {
        let lost = tally(&[("a", "1")], 2);
        assert_eq!((lost.lost, lost.duplicated, lost.wrong_counts), (1, 0, 0));
        // State that went back counts a number again, also where another version does it.
        let back = tally(&[("a", "1"), ("a", "1 v2")], 2);
        assert_eq!((back.lost, back.duplicated, back.wrong_counts), (1, 1, 0));
        // State that ran ahead of the output leaves a gap.
        let ahead = tally(&[("a", "1"), ("a", "3")], 2);
        assert_eq!((ahead.lost, ahead.duplicated, ahead.wrong_counts), (0, 0, 1));
        let mut odd = Counted::default();
        odd.add("nonsense");
        odd.add("{\"key\":\"a\",\"value\":\"1 v\"}");
        assert_eq!(odd.tally(1).foreign, 2);
    }
}
