//! Bringing a frozen layer of maps, lists or timers into its column family.

use crate::database::Family;
use crate::ordered::FrozenLayer;
use rocksdb::WriteBatch;
use weir_protocol::connector::ConnectorError;

/// Bytes of a write: many entries at a time, and none needs a large piece of memory.
const WRITE_BYTES: usize = 1 << 20;

/// Clears the layer's prefixes, then puts and deletes its entries. The same again changes nothing, for nothing else is
/// written to the database in between.
pub(crate) fn write_layer(family: &Family, layer: &FrozenLayer) -> Result<(), ConnectorError> {
    let mut batch = WriteBatch::default();
    for prefix in &layer.cleared {
        batch.delete_range_cf(family.handle(), prefix.as_slice(), &behind_prefix(prefix));
        write_if_full(family, &mut batch)?;
    }
    for (key, stored) in &layer.entries {
        match stored {
            Some(stored) => batch.put_cf(family.handle(), key, stored),
            None => batch.delete_cf(family.handle(), key),
        }
        write_if_full(family, &mut batch)?;
    }
    family.database.write(batch)
}

/// Writes a batch that has grown large, and begins the next.
pub(crate) fn write_if_full(family: &Family, batch: &mut WriteBatch) -> Result<(), ConnectorError> {
    if batch.size_in_bytes() < WRITE_BYTES {
        return Ok(());
    }
    family.database.write(std::mem::take(batch))
}

/// The first key behind all keys with the prefix, which begins with an ordinal below 32,768.
fn behind_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}
