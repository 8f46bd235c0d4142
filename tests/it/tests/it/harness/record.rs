//! A Kafka record as tests see it, and the made-up ones that they produce.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// One record. For one that is to be produced the offset means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// The timestamp of the first made-up record of this run. It is of today: of a producer whose records are older than a
/// day the broker forgets the sequence numbers when it restarts, and could then store a record of the load twice.
pub fn first_timestamp() -> i64 {
    static FIRST: OnceLock<i64> = OnceLock::new();
    *FIRST.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        now.as_millis() as i64 - 3_600_000
    })
}

const KEYS: u64 = 97;

impl Record {
    /// A record with this value, without key and headers.
    pub fn of(partition: i32, value: &str) -> Record {
        let value = Some(value.as_bytes().to_vec());
        Record { partition, offset: 0, timestamp: first_timestamp(), key: None, value, headers: Vec::new() }
    }

    /// A key for this record.
    pub fn keyed(mut self, key: &str) -> Record {
        self.key = Some(key.as_bytes().to_vec());
        self
    }

    /// The record with this number in its partition: its value is its id, `<partition>-<number>`.
    pub fn numbered(partition: i32, number: u64) -> Record {
        Record {
            timestamp: first_timestamp() + number as i64,
            headers: vec![
                ("id".to_owned(), Some(number.to_string().into_bytes())),
                ("nothing".to_owned(), None),
            ],
            ..Record::of(partition, &format!("{partition}-{number}")).keyed(&format!("key-{}", number % KEYS))
        }
    }

    /// `count` numbered records for each partition.
    pub fn numbered_batch(partitions: i32, count: u64) -> Vec<Record> {
        (0..count)
            .flat_map(|number| (0..partitions).map(move |partition| Record::numbered(partition, number)))
            .collect()
    }

    /// The value as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }

    /// The value of a header as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().rev().find(|(known, _)| known == name)?;
        Some(String::from_utf8_lossy(found.1.as_deref().unwrap_or_default()).into_owned())
    }
}
