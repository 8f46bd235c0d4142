//! Counts what is in the output files, without any of the pipeline's code.

use super::pipelines::PARTITIONS;
use std::collections::HashSet;
use std::path::Path;

/// What was expected and what is there.
#[derive(Debug, PartialEq, Eq)]
pub struct Tally {
    /// Records that the generator makes.
    pub expected: u64,
    /// Lines in the files.
    pub found: u64,
    /// Expected records that are not there.
    pub lost: u64,
    /// Lines that are there again.
    pub duplicated: u64,
    /// Lines that nobody expected.
    pub foreign: u64,
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
        let mut seen = HashSet::new();
        let duplicated = lines.iter().filter(|line| !seen.insert(line.as_str())).count() as u64;
        let share = |partition: u64| records / PARTITIONS + u64::from(partition < records % PARTITIONS);
        let expected = (0..PARTITIONS)
            .flat_map(|partition| (0..share(partition)).map(move |offset| (partition, offset)))
            .map(|(partition, offset)| format!("processed_numbers-{partition}-{offset}"));
        let there = expected.filter(|line| seen.contains(line.as_str())).count() as u64;
        Tally {
            expected: records,
            found: lines.len() as u64,
            lost: records - there,
            duplicated,
            foreign: seen.len() as u64 - there,
        }
    }

    /// Each expected record once, and nothing else.
    pub fn is_exact(&self) -> bool {
        (self.lost, self.duplicated, self.foreign) == (0, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| format!("processed_numbers-{text}")).collect()
    }

    #[test]
    fn each_record_once_is_exact() {
        let tally = Tally::of(&lines(&["0-0", "0-1", "1-0", "2-0", "3-0"]), 5);
        assert!(tally.is_exact(), "{tally:?}");
    }

    #[test]
    fn what_is_lost_again_or_foreign_is_counted() {
        let tally = Tally::of(&lines(&["0-0", "0-0", "1-0", "9-9"]), 4);
        assert_eq!((tally.found, tally.lost, tally.duplicated, tally.foreign), (4, 2, 1, 1));
    }
}
