//! Packed numbers and small columns, as arguments of imports.

use crate::bindings::types::Column;
use crate::column_builder::ColumnBuilder;

/// `u32`s, little-endian.
pub(crate) fn pack(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut packed = Vec::with_capacity(4 * numbers.size_hint().0);
    for number in numbers {
        packed.extend_from_slice(&number.to_le_bytes());
    }
    packed
}

/// A column of these entries; `None` is a null.
pub(crate) fn column<'a>(entries: impl Iterator<Item = Option<&'a [u8]>>) -> Column {
    let mut builder = ColumnBuilder::with_capacity(entries.size_hint().0, 0);
    for entry in entries {
        match entry {
            Some(entry) => builder.push(entry),
            None => builder.push_null(),
        }
    }
    builder.finish()
}

/// A column of one entry.
pub(crate) fn single(entry: &[u8]) -> Column {
    column(std::iter::once(Some(entry)))
}
