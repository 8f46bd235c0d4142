//! Rewriting a state of an older version, page by page, into a column family of its own.

use crate::arguments::{check_column, check_optional_column, entry};
use crate::database::Family;
use crate::key_layout::{StoredKey, split_map_key, split_value_key};
use crate::ordered::split_stored_value;
use crate::ordered_families::write_if_full;
use rocksdb::{DBRawIterator, WriteBatch};
use std::collections::BTreeSet;
use weir_protocol::batch::{Column, read_u32};
use weir_protocol::connector::ConnectorError;
use weir_protocol::state::{Entries, Migrated, Migrator, StateDeclaration, StateKind};

/// A page ends with this many entries,
const PAGE_ENTRIES: usize = 1000;
/// or with this many bytes of keys and values.
const PAGE_BYTES: usize = 1 << 20;

/// A page of entries as they are stored, and as the component sees them.
#[derive(Default)]
struct SourcePage {
    /// The key in the column family without the subkey, and what stands in front of the value.
    heads: Vec<(Vec<u8>, Vec<u8>)>,
    entries: Entries,
}

/// Rewrites all entries. Returns how many there were.
pub(crate) fn migrate(
    source: &Family,
    target: &Family,
    state: &StateDeclaration,
    from_version: u32,
    migrator: &mut dyn Migrator,
) -> Result<u64, ConnectorError> {
    let refuse = |what: String| {
        let (name, version) = (&state.name, state.version);
        ConnectorError::permanent(format!(
            "state \"{name}\": migrating from version {from_version} to {version}: {what}"
        ))
    };
    let mut stored = source.database.rocks().raw_iterator_cf(source.handle());
    stored.seek_to_first();
    let (mut read, mut written, mut may_collide) = (0, 0, false);
    loop {
        let page = read_page(&mut stored, source, state.kind)?;
        if page.entries.count == 0 {
            break;
        }
        let migrated = migrator
            .migrate(&state.name, from_version, &page.entries)
            .map_err(|error| refuse(error.to_string()))?;
        check(&migrated, &page.entries, state.kind).map_err(&refuse)?;
        write_page(target, &page, &migrated).map_err(|error| match error {
            WriteError::Collision(what) => refuse(what),
            WriteError::Failed(failed) => failed,
        })?;
        may_collide |= !migrated.subkeys.is_absent();
        read += page.entries.count as u64;
        written += migrated.count as u64;
    }
    if may_collide {
        let kept = count(target)?;
        if kept != written {
            let lost = written - kept;
            return Err(refuse(format!(
                "{lost} new entries have the subkey of another; sources must yield different subkeys"
            )));
        }
    }
    Ok(read)
}

fn read_page(
    stored: &mut DBRawIterator<'_>,
    family: &Family,
    kind: StateKind,
) -> Result<SourcePage, ConnectorError> {
    let mut page = SourcePage::default();
    let mut bytes = 0;
    while page.entries.count < PAGE_ENTRIES
        && bytes < PAGE_BYTES
        && let Some((key, value)) = stored.item()
    {
        let split = if kind == StateKind::Value { split_value_key } else { split_map_key };
        let StoredKey { key: record_key, subkey } = split(key).map_err(|what| family.damaged(what))?;
        // An entry whose time has run out is rewritten too, and is dropped later like any other.
        let (_, plain) = split_stored_value(value).map_err(|what| family.damaged(what))?;
        page.entries.keys.push(record_key);
        if kind != StateKind::Value {
            page.entries.subkeys.push(Some(subkey));
        }
        page.entries.values.push(Some(plain));
        page.entries.count += 1;
        page.heads
            .push((key[..key.len() - subkey.len()].to_vec(), value[..value.len() - plain.len()].to_vec()));
        bytes += key.len() + value.len();
        stored.next();
    }
    let (database, place) = (&family.database, family.database.directory());
    stored.status().map_err(|error| database.failure_of("reading a state to migrate", &place, &error))?;
    Ok(page)
}

/// What a migration may say of a page.
fn check(migrated: &Migrated, page: &Entries, kind: StateKind) -> Result<(), String> {
    let Migrated { count, rows, subkeys, values } = migrated;
    if rows.is_empty() && *count != 0 && *count != page.count {
        return Err(format!("found {count} new entries without rows, expected 0 or {}", page.count));
    }
    if !rows.is_empty() && rows.len() != count * 4 {
        return Err(format!("rows have {} bytes, expected 4 for each of {count} new entries", rows.len()));
    }
    let mut sources = BTreeSet::new();
    for row in 0..rows.len() / 4 {
        let source = read_u32(rows, row);
        if source as usize >= page.count {
            return Err(format!("row {row} names entry {source}, expected one below {}", page.count));
        }
        if !sources.insert(source) && (kind != StateKind::Map || subkeys.is_absent()) {
            return Err(format!("entry {source} is named twice, and both would be the same entry"));
        }
    }
    if kind != StateKind::Map && !subkeys.is_absent() {
        return Err(format!("found subkeys, expected none for {} state", kind.name()));
    }
    for (name, column) in [("subkeys", subkeys), ("values", values)] {
        check_optional_column("migrate", name, column.into(), *count).map_err(|error| error.to_string())?;
        if !column.is_absent() {
            check_column("migrate", name, column.into(), *count).map_err(|error| error.to_string())?;
        }
        if let Some(row) = column.nulls.iter().position(|null| *null != 0) {
            return Err(format!("{name}: entry {row} is null; to drop an entry, name it in no row"));
        }
    }
    Ok(())
}

enum WriteError {
    Collision(String),
    Failed(ConnectorError),
}

fn write_page(target: &Family, page: &SourcePage, migrated: &Migrated) -> Result<(), WriteError> {
    let mut batch = WriteBatch::default();
    let mut keys = BTreeSet::new();
    let inherited = |new: &Column, old: &Column, row: usize, source: usize| -> Vec<u8> {
        if new.is_absent() { entry(old.into(), source) } else { entry(new.into(), row) }
            .unwrap_or_default()
            .to_vec()
    };
    for row in 0..migrated.count {
        let source = if migrated.rows.is_empty() { row } else { read_u32(&migrated.rows, row) as usize };
        let (key_head, value_head) = &page.heads[source];
        let key = [&key_head[..], &inherited(&migrated.subkeys, &page.entries.subkeys, row, source)].concat();
        let value =
            [&value_head[..], &inherited(&migrated.values, &page.entries.values, row, source)].concat();
        batch.put_cf(target.handle(), &key, value);
        if !keys.insert(key) {
            return Err(WriteError::Collision(format!(
                "new entry {row} has the subkey of another of the same key"
            )));
        }
        write_if_full(target, &mut batch).map_err(WriteError::Failed)?;
    }
    target.database.write(batch).map_err(WriteError::Failed)
}

fn count(family: &Family) -> Result<u64, ConnectorError> {
    let mut entries = family.database.rocks().raw_iterator_cf(family.handle());
    entries.seek_to_first();
    let mut count = 0;
    while entries.valid() {
        count += 1;
        entries.next();
    }
    let (database, place) = (&family.database, family.database.directory());
    entries.status().map_err(|error| database.failure_of("counting migrated entries", &place, &error))?;
    Ok(count)
}
