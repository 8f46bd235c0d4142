//! The stored form of a value: a header that says when it was written, then the value.
//!
//! | first byte | then |
//! |---|---|
//! | 0 | the value |
//! | 1 | time of writing (`i64` milliseconds, big-endian), the value |
//!
//! Persisted, keep stable. The time stands with the entry, so a TTL may be changed later: an entry without a time never
//! runs out, and without a TTL times are passed over.

const PLAIN: u8 = 0;
const TIMED: u8 = 1;

/// Writes and reads the header for one state at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ValueCodec {
    /// Milliseconds after which an entry that was not written again reads as absent; 0 = never.
    pub ttl_ms: i64,
    /// Processing time of the call.
    pub now_ms: i64,
}

impl ValueCodec {
    /// Bytes that the header of a written value takes.
    pub fn header_bytes(&self) -> usize {
        if self.ttl_ms > 0 { 9 } else { 1 }
    }

    /// Adds the stored form of a value to `stored`.
    #[inline]
    pub fn encode_into(&self, value: &[u8], stored: &mut Vec<u8>) {
        stored.reserve(self.header_bytes() + value.len());
        if self.ttl_ms > 0 {
            stored.push(TIMED);
            stored.extend_from_slice(&self.now_ms.to_be_bytes());
        } else {
            stored.push(PLAIN);
        }
        stored.extend_from_slice(value);
    }

    /// The stored form of a value.
    pub fn encode(&self, value: &[u8]) -> Vec<u8> {
        let mut stored = Vec::new();
        self.encode_into(value, &mut stored);
        stored
    }

    /// The value, `None` where its time has run out. An error says what is wrong with the stored bytes.
    #[inline]
    pub fn decode<'a>(&self, stored: &'a [u8]) -> Result<Option<&'a [u8]>, String> {
        let (written_ms, value) = split(stored)?;
        Ok(if self.has_run_out(written_ms) { None } else { Some(value) })
    }

    /// True where an entry written at that time reads as absent.
    #[inline]
    pub fn has_run_out(&self, written_ms: Option<i64>) -> bool {
        written_ms.is_some_and(|written_ms| {
            self.ttl_ms > 0 && written_ms.saturating_add(self.ttl_ms) <= self.now_ms
        })
    }
}

/// The time of writing, where there is one, and the value.
#[inline]
pub fn split(stored: &[u8]) -> Result<(Option<i64>, &[u8]), String> {
    match stored {
        [PLAIN, value @ ..] => Ok((None, value)),
        [TIMED, rest @ ..] => match rest.split_first_chunk::<8>() {
            Some((time, value)) => Ok((Some(i64::from_be_bytes(*time)), value)),
            None => Err(format!(
                "a stored value is damaged: its time has {} of 8 bytes; restore an earlier checkpoint",
                rest.len()
            )),
        },
        [flags, ..] => Err(format!(
            "a stored value begins with byte {flags}, expected 0 or 1: it is damaged, or was written by a newer weir"
        )),
        [] => Err("a stored value is damaged: it has no bytes; restore an earlier checkpoint".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_stored_form_stays_as_it_is() {
        assert_eq!(ValueCodec { ttl_ms: 0, now_ms: 7 }.encode(b"ab"), b"\x00ab");
        assert_eq!(ValueCodec { ttl_ms: 1, now_ms: 7 }.encode(b"ab"), b"\x01\0\0\0\0\0\0\0\x07ab");
    }

    #[test]
    fn damaged_values_are_told_apart() {
        for (stored, says) in [(&b""[..], "no bytes"), (b"\x01\0\0", "2 of 8"), (b"\x09x", "byte 9")] {
            let error = ValueCodec::default().decode(stored).expect_err("damaged");
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn an_entry_runs_out_when_its_ttl_has_passed_and_only_if_it_has_a_time() {
        let stored = ValueCodec { ttl_ms: 10, now_ms: 100 }.encode(b"v");
        let at = |ttl_ms, now_ms| ValueCodec { ttl_ms, now_ms }.decode(&stored).map(|value| value.is_some());
        assert_eq!(
            [at(10, 109), at(10, 110), at(11, 110), at(0, i64::MAX)].map(Result::unwrap),
            [true, false, true, true]
        );
        let plain = ValueCodec { ttl_ms: 0, now_ms: 100 }.encode(b"v");
        assert_eq!(ValueCodec { ttl_ms: 1, now_ms: i64::MAX }.decode(&plain), Ok(Some(&b"v"[..])));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(ttl_ms in 0i64..3, now_ms: i64, value: Vec<u8>) {
            let codec = ValueCodec { ttl_ms, now_ms: now_ms.min(i64::MAX - 3) };
            let stored = codec.encode(&value);
            prop_assert_eq!(stored.len(), codec.header_bytes() + value.len());
            prop_assert_eq!(codec.decode(&stored), Ok(Some(&value[..])));
        }
    }
}
