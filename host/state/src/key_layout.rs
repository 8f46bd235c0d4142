//! Keys as they lie in the database.
//!
//! | column family | key |
//! |---|---|
//! | value state | ordinal `u16`, tag, key |
//! | map state | ordinal `u16`, tag, length of the key `u32`, key, subkey |
//! | list state | ordinal `u16`, tag, length of the key `u32`, key, position `u64` |
//! | timer | time (`i64` with its sign bit flipped), tag, key |
//!
//! Numbers are big-endian, so that bytes sort as numbers do. The tag is 0 for the null key (no bytes follow) and 1 for
//! every other. The ordinal is that of the key's group (`weir_protocol::key_group`), so what a subtask owns is a range
//! of the file; timers sort by time, because they fire in that order, and their ordinal is computed anew where it is
//! needed. Stored values are described in `ordered/stored_value.rs`; timers have none. Persisted, keep stable.

use crate::ordered::TimerKey;
use weir_protocol::key_group::{KeyGroups, murmur2};

const NULL_KEY: u8 = 0;
const SOME_KEY: u8 = 1;

/// An entry's key taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredKey<'a> {
    /// The record key, `None` = the null key.
    pub(crate) key: Option<&'a [u8]>,
    /// Map: the subkey. List: the position. Else empty.
    pub(crate) subkey: &'a [u8],
}

/// Appends the key of a value state.
#[inline]
pub(crate) fn push_value_key(ordinal: u32, key: Option<&[u8]>, to: &mut Vec<u8>) {
    to.extend_from_slice(&ordinal_bytes(ordinal));
    to.push(if key.is_some() { SOME_KEY } else { NULL_KEY });
    to.extend_from_slice(key.unwrap_or_default());
}

/// Appends what the keys of all entries of one map or list begin with.
pub(crate) fn push_map_prefix(ordinal: u32, key: Option<&[u8]>, to: &mut Vec<u8>) {
    let bytes = key.unwrap_or_default();
    to.extend_from_slice(&ordinal_bytes(ordinal));
    to.push(if key.is_some() { SOME_KEY } else { NULL_KEY });
    // A key came in a batch, whose columns are below 4 GiB.
    to.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    to.extend_from_slice(bytes);
}

/// The ordinal as the first two bytes of a key.
pub(crate) fn ordinal_bytes(ordinal: u32) -> [u8; 2] {
    // `MAX_PARALLELISM_LIMIT` is 32,768.
    (ordinal as u16).to_be_bytes()
}

/// Takes the key of a value state apart.
pub(crate) fn split_value_key(stored: &[u8]) -> Result<StoredKey<'_>, String> {
    match stored {
        [_, _, NULL_KEY] => Ok(StoredKey { key: None, subkey: &[] }),
        [_, _, SOME_KEY, key @ ..] => Ok(StoredKey { key: Some(key), subkey: &[] }),
        _ => Err(damaged(stored, "ordinal, tag 0 or 1, key")),
    }
}

/// Takes the key of a map or list state apart.
pub(crate) fn split_map_key(stored: &[u8]) -> Result<StoredKey<'_>, String> {
    let parts = || {
        let (tag, rest) = stored.get(2..)?.split_first()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (key, subkey) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        match *tag {
            NULL_KEY if key.is_empty() => Some(StoredKey { key: None, subkey }),
            SOME_KEY => Some(StoredKey { key: Some(key), subkey }),
            _ => None,
        }
    };
    parts().ok_or_else(|| damaged(stored, "ordinal, tag 0 or 1, length, key, subkey"))
}

/// The ordinal of a timer's key, computed anew.
pub(crate) fn ordinal_of_timer(stored: &[u8], groups: &KeyGroups) -> Result<u32, String> {
    let timer = TimerKey::from_stored(stored)?;
    Ok(ordinal_of(timer.key(), groups))
}

/// The ordinal of a record key, hashed anew.
pub(crate) fn ordinal_of(key: Option<&[u8]>, groups: &KeyGroups) -> u32 {
    groups.ordinal(murmur2(key.unwrap_or_default()))
}

fn damaged(stored: &[u8], expected: &str) -> String {
    format!(
        "a stored key of {} bytes is damaged, expected {expected}; restore an earlier checkpoint",
        stored.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_stays_as_it_is() {
        let mut stored = Vec::new();
        push_value_key(0x1234, Some(b"k"), &mut stored);
        assert_eq!(stored, b"\x12\x34\x01k");
        stored.clear();
        push_value_key(1, None, &mut stored);
        assert_eq!(stored, b"\x00\x01\x00");
        stored.clear();
        push_map_prefix(2, Some(b"key"), &mut stored);
        assert_eq!(stored, b"\x00\x02\x01\x00\x00\x00\x03key");
    }

    #[test]
    fn keys_that_are_cut_off_are_refused() {
        assert!(split_value_key(b"\x00\x00").is_err());
        assert!(split_value_key(b"\x00\x00\x02k").is_err());
        assert!(split_map_key(b"\x00\x00\x01\x00\x00\x00\x05key").is_err());
        assert!(ordinal_of_timer(b"\x00\x00\x00", &KeyGroups::plain(128)).is_err());
    }

    proptest! {
        #[test]
        fn a_key_is_read_back_as_it_was_written(
            ordinal in 0u32..32_768, key in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
            subkey in prop::collection::vec(any::<u8>(), 0..20)
        ) {
            let key = key.as_deref();
            let mut stored = Vec::new();
            push_value_key(ordinal, key, &mut stored);
            prop_assert_eq!(&stored[..2], &ordinal_bytes(ordinal)[..]);
            prop_assert_eq!(split_value_key(&stored).unwrap(), StoredKey { key, subkey: &[] });
            stored.clear();
            push_map_prefix(ordinal, key, &mut stored);
            stored.extend_from_slice(&subkey);
            prop_assert_eq!(&stored[..2], &ordinal_bytes(ordinal)[..]);
            prop_assert_eq!(split_map_key(&stored).unwrap(), StoredKey { key, subkey: &subkey });
        }

        #[test]
        fn the_ordinal_of_a_timer_is_that_of_its_key(
            time: i64, key in prop::option::of(prop::collection::vec(any::<u8>(), 0..40))
        ) {
            let groups = KeyGroups::plain(720);
            let timer = TimerKey::new(time, key.as_deref());
            let expected = groups.ordinal(murmur2(key.as_deref().unwrap_or_default()));
            prop_assert_eq!(ordinal_of_timer(timer.as_bytes(), &groups).unwrap(), expected);
        }

        #[test]
        fn keys_sort_by_ordinal_and_then_by_key(
            one in (0u32..300, prop::option::of("[a-c]{0,3}")), other in (0u32..300, prop::option::of("[a-c]{0,3}"))
        ) {
            let stored = |(ordinal, key): &(u32, Option<String>)| {
                let mut stored = Vec::new();
                push_value_key(*ordinal, key.as_deref().map(str::as_bytes), &mut stored);
                stored
            };
            prop_assert_eq!(stored(&one).cmp(&stored(&other)), one.cmp(&other));
        }
    }
}
