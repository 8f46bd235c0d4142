//! Records for tests, whole and owned.

use std::fmt;

/// A record as a test writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct SampleRecord {
    /// The key; none if the record has none.
    pub key: Option<Vec<u8>>,
    /// The value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Event time in milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp: i64,
    /// The headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A record with a key and a value.
pub fn record(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> SampleRecord {
    SampleRecord { key: Some(key.as_ref().to_vec()), ..keyless(value) }
}

/// A record without a key.
pub fn keyless(value: impl AsRef<[u8]>) -> SampleRecord {
    SampleRecord { key: None, value: Some(value.as_ref().to_vec()), timestamp: 0, headers: Vec::new() }
}

/// A record without a value.
pub fn tombstone(key: impl AsRef<[u8]>) -> SampleRecord {
    SampleRecord { value: None, ..record(key, "") }
}

impl SampleRecord {
    /// The same record with this event time.
    pub fn at(mut self, milliseconds: i64) -> Self {
        self.timestamp = milliseconds;
        self
    }

    /// The same record with one header more.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_string(), Some(value.as_ref().to_vec())));
        self
    }
}

impl fmt::Debug for SampleRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name, text(value))).collect();
        formatter
            .debug_struct("SampleRecord")
            .field("key", &text(&self.key))
            .field("value", &text(&self.value))
            .field("timestamp", &self.timestamp)
            .field("headers", &headers)
            .finish()
    }
}
