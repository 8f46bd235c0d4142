//! Counts what is in the output files, without any of the pipeline's code.
//!
//! Each output record is a key and how many records of the key there have been. So the numbers of a key with n records
//! are 1 to n, each once: a lost record leaves a gap or an early end, a doubled one a number twice, and state that went
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
}

impl Tally {
    /// Reads all files of a directory.
    pub fn count(directory: &Path, records: u64) -> std::io::Result<Tally> {
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_file() {
                lines.extend(std::fs::read_to_string(path)?.lines().map(str::to_owned));
            }
        }
        Ok(Tally::of(&lines, records))
    }

    fn of(lines: &[String], records: u64) -> Tally {
        let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut tally = Tally { expected: records, found: lines.len() as u64, ..Tally::default() };
        for line in lines {
            match counted(line) {
                Some((key, number)) => numbers.entry(key).or_default().push(number),
                None => tally.foreign += 1,
            }
        }
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

    /// Each expected record once, each counted right, and nothing else.
    pub fn is_exact(&self) -> bool {
        (self.lost, self.duplicated, self.wrong_counts, self.foreign) == (0, 0, 0, 0)
    }
}

/// Key and number of an output line.
fn counted(line: &str) -> Option<(String, u64)> {
    let record: serde_json::Value = serde_json::from_str(line).ok()?;
    Some((record["key"].as_str()?.to_owned(), record["value"].as_str()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(records: &[(&str, u64)]) -> Vec<String> {
        let line = |(key, number): &(&str, u64)| format!("{{\"key\":\"{key}\",\"value\":\"{number}\"}}");
        records.iter().map(line).collect()
    }

    #[test]
    fn each_number_of_each_key_once_is_exact() {
        let tally = Tally::of(&lines(&[("a", 1), ("b", 1), ("a", 2)]), 3);
        assert!(tally.is_exact() && tally.keys == 2, "{tally:?}");
    }

    #[test]
    fn what_is_lost_again_or_counted_wrong_is_told() {
        let lost = Tally::of(&lines(&[("a", 1)]), 2);
        assert_eq!((lost.lost, lost.duplicated, lost.wrong_counts), (1, 0, 0));
        // State that went back counts a number again.
        let back = Tally::of(&lines(&[("a", 1), ("a", 1)]), 2);
        assert_eq!((back.lost, back.duplicated, back.wrong_counts), (1, 1, 0));
        // State that ran ahead of the output leaves a gap.
        let ahead = Tally::of(&lines(&[("a", 1), ("a", 3)]), 2);
        assert_eq!((ahead.lost, ahead.duplicated, ahead.wrong_counts), (0, 0, 1));
        let mut odd = lines(&[("a", 1)]);
        odd.push("nonsense".to_owned());
        assert_eq!(Tally::of(&odd, 1).foreign, 1);
    }
}
