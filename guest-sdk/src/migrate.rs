//! Reading the state of an older version: `fn migrate` entry by entry, as the contract's pages.

pub use crate::bindings::migration::{Entries, Migrated};
use crate::codec::Codec;
use crate::column_builder::ColumnBuilder;
use crate::source_rows::SourceRows;
use crate::state::{List, Map, Value};
use crate::subkey::Subkey;

/// An entry as the older version wrote it.
#[derive(Clone, Copy)]
pub struct OldEntry<'a> {
    key: Option<&'a [u8]>,
    subkey: &'a [u8],
    value: &'a [u8],
}

impl<'a> OldEntry<'a> {
    /// The key, which stays as it is.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// The subkey of a map's entry, decoded as what the older version declared.
    pub fn subkey<K: Subkey>(&self) -> Result<K, String> {
        K::decode(self.subkey)
    }

    /// The value, decoded as what the older version declared.
    pub fn value<T: Codec>(&self) -> Result<T, String> {
        T::decode(self.value)
    }

    /// The value's bytes.
    pub fn value_bytes(&self) -> &'a [u8] {
        self.value
    }
}

/// A state whose entries a `fn migrate` yields.
pub trait Migrating {
    /// What it yields: a value, or a subkey and a value.
    type Entry;

    /// Appends the encoded subkey, if entries have one, and the encoded value.
    fn write(entry: &Self::Entry, subkey: &mut Vec<u8>, value: &mut Vec<u8>);
    /// Whether the subkeys are the author's.
    const HAS_SUBKEYS: bool;
}

impl<T: Codec> Migrating for Value<T> {
    type Entry = T;
    const HAS_SUBKEYS: bool = false;

    fn write(entry: &T, _subkey: &mut Vec<u8>, value: &mut Vec<u8>) {
        entry.encode(value);
    }
}

/// Positions stay as they are.
impl<T: Codec> Migrating for List<T> {
    type Entry = T;
    const HAS_SUBKEYS: bool = false;

    fn write(entry: &T, _subkey: &mut Vec<u8>, value: &mut Vec<u8>) {
        entry.encode(value);
    }
}

impl<K: Subkey, V: Codec> Migrating for Map<K, V> {
    type Entry = (K, V);
    const HAS_SUBKEYS: bool = true;

    fn write(entry: &(K, V), subkey: &mut Vec<u8>, value: &mut Vec<u8>) {
        entry.0.encode(subkey);
        entry.1.encode(value);
    }
}

/// Rewrites a page. The function yields the new entry, or `None` to drop it; an `Err` ends the swap.
pub fn page<S: Migrating, E: std::fmt::Display>(
    state: &str,
    from_version: u32,
    page: &Entries,
    mut function: impl FnMut(u32, OldEntry<'_>) -> Result<Option<S::Entry>, E>,
) -> Result<Migrated, String> {
    let entries = page.count as usize;
    let mut rows = SourceRows::default();
    let (mut subkeys, mut values) = (
        ColumnBuilder::with_capacity(entries, 0),
        ColumnBuilder::with_capacity(entries, page.values.data.len()),
    );
    let (mut subkey, mut value) = (Vec::new(), Vec::new());
    for row in 0..entries {
        let old = OldEntry {
            key: page.keys.get(row),
            subkey: page.subkeys.get(row).unwrap_or_default(),
            value: page.values.get(row).unwrap_or_default(),
        };
        let new = function(from_version, old).map_err(|error| {
            let key = String::from_utf8_lossy(old.key.unwrap_or_default());
            format!("version {from_version} of the state \"{state}\", key \"{key}\": {error}")
        })?;
        let Some(new) = new else { continue };
        subkey.clear();
        value.clear();
        S::write(&new, &mut subkey, &mut value);
        rows.push(row);
        subkeys.push(&subkey);
        values.push(&value);
    }
    let count = rows.count() as u32;
    let subkeys = if S::HAS_SUBKEYS { subkeys.finish() } else { ColumnBuilder::default().finish() };
    Ok(Migrated { count, rows: rows.finish(entries), subkeys, values: values.finish() })
}
