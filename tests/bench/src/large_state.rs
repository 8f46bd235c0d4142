//! State that is filled fast: `count_by_key` over long keys, whose bytes are what counts; and its size on disk.

use crate::fill::write_digits;
use crate::state::keys::mixed;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of a key.
pub const KEY_BYTES: usize = 256;
/// Bytes of a value of the input, which the state does not hold.
pub const VALUE_BYTES: usize = 16;
/// Bytes of a key and its count in the checkpoint, about.
const ENTRY_BYTES: u64 = KEY_BYTES as u64 + 14;
/// Digits of a key are 6 bits each.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How many keys make a state of so many bytes.
pub fn keys_of(bytes: u64) -> u64 {
    (bytes / ENTRY_BYTES).max(1)
}

/// Appends the key of a record: the first records have all keys one after the other, then they come at random.
pub fn write_key(record: u64, keys: u64, key: &mut Vec<u8>) {
    write_long_key(if record < keys { record } else { mixed(record) % keys }, key);
}

/// Appends a key of [`KEY_BYTES`] that does not compress.
fn write_long_key(number: u64, key: &mut Vec<u8>) {
    write_digits(key, b"k", number, 11);
    let mut random = mixed(number) | 1;
    while key.len() < KEY_BYTES {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        key.push(DIGITS[(random >> 58) as usize]);
    }
}

/// Bytes of the largest checkpoint of these pipelines; checkpoints share files by links, so each is counted by itself.
pub fn largest_checkpoint(pipelines: &Path) -> u64 {
    let folders = |path: &Path| -> Vec<PathBuf> {
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let checkpoints =
        folders(pipelines).into_iter().flat_map(|pipeline| folders(&pipeline.join("checkpoints")));
    checkpoints.map(|checkpoint| bytes_in(&checkpoint)).max().unwrap_or(0)
}

fn bytes_in(path: &Path) -> u64 {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| bytes_in(&entry.path())).sum(),
        Err(_) => fs::metadata(path).map(|metadata| metadata.len()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_have_one_length_and_differ() {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        write_long_key(1, &mut one);
        write_long_key(2, &mut other);
        assert_eq!((one.len(), other.len()), (KEY_BYTES, KEY_BYTES));
        assert_ne!(one[12..], other[12..]);
    }
}
