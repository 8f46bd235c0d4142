//! Reading a packed column: entry `i` is `data[offsets[i] .. offsets[i + 1]]`, offsets are unaligned little-endian.

use crate::bindings::types::Column;

impl Column {
    /// Whether the column is absent. What that means depends on where it is used: see the contract.
    #[inline]
    pub fn is_absent(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Entry `index`, or `None` if it is null, past the end, or the column is absent.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        if self.is_null(index) {
            return None;
        }
        let start = read_u32(&self.offsets, index)? as usize;
        let end = read_u32(&self.offsets, index + 1)? as usize;
        self.data.get(start..end)
    }

    /// Whether entry `index` is null.
    #[inline]
    pub fn is_null(&self, index: usize) -> bool {
        self.nulls.get(index).is_some_and(|null| *null != 0)
    }

    /// Where each entry ends, in order.
    #[inline]
    pub(crate) fn ends(&self) -> impl Iterator<Item = usize> + '_ {
        let ends = self.offsets.get(4..).unwrap_or_default();
        ends.chunks_exact(4).map(|end| u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize)
    }
}

impl Default for Column {
    /// An absent column.
    fn default() -> Self {
        Column { offsets: Vec::new(), data: Vec::new(), nulls: Vec::new() }
    }
}

/// Number `index` of packed `u32`.
#[inline]
pub(crate) fn read_u32(packed: &[u8], index: usize) -> Option<u32> {
    let bytes = packed.get(index * 4..index * 4 + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Number `index` of packed `s64`.
#[inline]
pub(crate) fn read_i64(packed: &[u8], index: usize) -> Option<i64> {
    let bytes = packed.get(index * 8..index * 8 + 8)?;
    Some(i64::from_le_bytes(bytes.try_into().ok()?))
}
