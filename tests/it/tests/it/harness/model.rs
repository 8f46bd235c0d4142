//! What a right output is: each record once, unchanged where the operator does not change it, in the order of its
//! source partition.

use super::murmur2::partition_of;
use super::record::Record;
use std::collections::{BTreeMap, BTreeSet};

/// How many differences are shown.
const SHOWN: usize = 10;

/// The texts of an output are those of the model, each once.
#[track_caller]
pub fn each_once<'a>(
    model: impl IntoIterator<Item = &'a String>,
    output: impl IntoIterator<Item = &'a String>,
) {
    let model: BTreeSet<&String> = model.into_iter().collect();
    let mut found: BTreeMap<&String, u32> = BTreeMap::new();
    output.into_iter().for_each(|text| *found.entry(text).or_default() += 1);
    let missing: Vec<_> = model.iter().filter(|text| !found.contains_key(**text)).collect();
    let doubled: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    let strange: Vec<_> = found.keys().filter(|text| !model.contains(**text)).collect();
    let first = |many: &[_]| format!("{:?}", &many[..many.len().min(SHOWN)]);
    assert!(
        missing.is_empty() && doubled.is_empty() && strange.is_empty(),
        "of {} records {} are missing {}, {} are more than once {:?}, {} should not be there {:?}",
        model.len(),
        missing.len(),
        first(&missing),
        doubled.len(),
        &doubled[..doubled.len().min(SHOWN)],
        strange.len(),
        &strange[..strange.len().min(SHOWN)],
    );
}

/// What the operator `prefix` makes of the values.
pub fn prefixed_texts(input: &[Record]) -> Vec<String> {
    input.iter().map(|record| format!("processed_{}", record.text())).collect()
}

/// The output of the operator `prefix`.
#[track_caller]
pub fn prefixed(input: &[Record], output: &[Record], partitions: i32) {
    let expected = prefixed_texts(input);
    let found: Vec<String> = output.iter().map(Record::text).collect();
    each_once(&expected, &found);
    let by_text: BTreeMap<&String, &Record> = expected.iter().zip(input).collect();
    for (text, record) in found.iter().zip(output) {
        let source = by_text[text];
        assert_eq!(record.key, source.key, "key of {text}");
        assert_eq!(record.timestamp, source.timestamp, "timestamp of {text}");
        assert_eq!(record.headers, source.headers, "headers of {text}");
        if let Some(key) = &source.key {
            assert_eq!(record.partition, partition_of(key, partitions), "partition of {text}");
        }
    }
    in_order(&found.iter().zip(output).map(|(text, record)| (record.partition, text)).collect::<Vec<_>>());
}

/// Numbers of one source partition rise within each output partition. A text ends in `<partition>-<number>`.
#[track_caller]
pub fn in_order(output: &[(i32, &String)]) {
    let mut last: BTreeMap<(i32, String), i64> = BTreeMap::new();
    for (partition, text) in output {
        let (source, number) = id_of(text);
        let before = last.insert((*partition, source), number);
        assert!(before.is_none_or(|before| before < number), "{text} comes after {before:?}");
    }
}

/// `processed_2-17` is number 17 of `processed_2`.
fn id_of(text: &str) -> (String, i64) {
    let (source, number) = text.rsplit_once('-').unwrap_or_else(|| panic!("{text} is no id"));
    (source.to_owned(), number.parse().unwrap_or_else(|_| panic!("{text} is no id")))
}
