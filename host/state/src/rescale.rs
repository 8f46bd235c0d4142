//! Another range of ordinals than the one that a part of the checkpoint holds.

use crate::column_family::FamilyName;
use crate::database::Family;
use crate::key_layout::{ordinal_bytes, ordinal_of, ordinal_of_timer, split_map_key, split_value_key};
use crate::ordered_families::write_if_full;
use crate::origin::Origin;
use crate::sst;
use rocksdb::{DB, DBRawIterator, ReadOptions, WriteBatch};
use std::ops::Range;
use weir_protocol::connector::ConnectorError;
use weir_protocol::key_group::KeyGroups;
use weir_protocol::state::StateKind;

/// Behind every key that begins with an ordinal, which is below 32,768.
const BEHIND_ALL: [u8; 2] = [0xff; 2];

/// The ordinals that both ranges have.
pub(crate) fn overlap(one: &Range<u32>, other: &Range<u32>) -> Range<u32> {
    one.start.max(other.start)..one.end.min(other.end)
}

/// Takes out of a family what does not lie in the range.
pub(crate) fn trim(family: &Family, owned: &Range<u32>, groups: &KeyGroups) -> Result<(), ConnectorError> {
    if is_timer(family) {
        return trim_timers(family, owned, groups);
    }
    let (rocks, failed) = (family.database.rocks(), failed(family, "dropping entries of other subtasks"));
    let mut batch = WriteBatch::default();
    let (below, behind) = (ordinal_bytes(owned.start), ordinal_bytes(owned.end));
    for (from, until) in [([0; 2], below), (behind, BEHIND_ALL)] {
        if from < until {
            // Whole files go at once, the rest is hidden until a compaction drops it.
            rocks.delete_file_in_range_cf(family.handle(), from, until).map_err(&failed)?;
            batch.delete_range_cf(family.handle(), from, until);
        }
    }
    family.database.write(batch)
}

/// Timers lie in order of time: each is looked at.
fn trim_timers(family: &Family, owned: &Range<u32>, groups: &KeyGroups) -> Result<(), ConnectorError> {
    let mut batch = WriteBatch::default();
    let mut timers = family.database.rocks().raw_iterator_cf(family.handle());
    timers.seek_to_first();
    while let Some(timer) = timers.key() {
        let ordinal = ordinal_of_timer(timer, groups).map_err(|what| family.damaged(what))?;
        if !owned.contains(&ordinal) {
            batch.delete_cf(family.handle(), timer);
            write_if_full(family, &mut batch)?;
        }
        timers.next();
    }
    timers.status().map_err(failed(family, "reading timers"))?;
    drop(timers);
    family.database.write(batch)
}

/// Copies what lies in the range out of another database, whose links are open for reading. Returns the bytes.
pub(crate) fn copy_range(
    source: &DB,
    origin: &Origin,
    family: &Family,
    range: &Range<u32>,
    groups: &KeyGroups,
) -> Result<u64, ConnectorError> {
    let Some(handle) = source.cf_handle(&family.name) else { return Ok(0) };
    let mut options = ReadOptions::default();
    let is_timer = is_timer(family);
    if !is_timer {
        options.set_iterate_upper_bound(ordinal_bytes(range.end));
    }
    let mut entries = source.raw_iterator_cf_opt(handle, options);
    if is_timer {
        entries.seek_to_first();
    } else {
        entries.seek(ordinal_bytes(range.start));
    }
    let wanted = |key: &[u8]| match is_timer {
        true => ordinal_of_timer(key, groups).is_ok_and(|ordinal| range.contains(&ordinal)),
        false => true,
    };
    let bytes = copy_wanted(&mut entries, family, &wanted)?;
    entries.status().map_err(|error| {
        origin.of_rocksdb("reading a part of the checkpoint", origin.checkpoint(), &error)
    })?;
    Ok(bytes)
}

fn copy_wanted(
    entries: &mut DBRawIterator<'_>,
    family: &Family,
    wanted: &dyn Fn(&[u8]) -> bool,
) -> Result<u64, ConnectorError> {
    let skip = |entries: &mut DBRawIterator<'_>| {
        while entries.key().is_some_and(|key| !wanted(key)) {
            entries.next();
        }
    };
    skip(entries);
    // A file without entries cannot be written.
    if !entries.valid() {
        return Ok(0);
    }
    let mut bytes = 0;
    sst::ingest(family, |file| {
        while let Some((key, stored)) = entries.item() {
            file.put(key, stored)?;
            bytes += (key.len() + stored.len()) as u64;
            entries.next();
            skip(entries);
        }
        Ok(())
    })?;
    Ok(bytes)
}

/// Copies out of another database what lies in the range by another division of keys than it was written with. The
/// entries come in another order than they have here, so they are written one by one.
pub(crate) fn divide_anew(
    source: &DB,
    origin: &Origin,
    family: &Family,
    range: &Range<u32>,
    groups: &KeyGroups,
) -> Result<u64, ConnectorError> {
    let Some(handle) = source.cf_handle(&family.name) else { return Ok(0) };
    let mut entries = source.raw_iterator_cf_opt(handle, ReadOptions::default());
    let (mut batch, mut bytes, is_timer) = (WriteBatch::default(), 0, is_timer(family));
    let is_value =
        matches!(FamilyName::parse(&family.name), Some(FamilyName::State { kind: StateKind::Value, .. }));
    entries.seek_to_first();
    while let Some((key, stored)) = entries.item() {
        let ordinal = match (is_timer, is_value) {
            (true, _) => ordinal_of_timer(key, groups),
            (false, true) => split_value_key(key).map(|split| ordinal_of(split.key, groups)),
            (false, false) => split_map_key(key).map(|split| ordinal_of(split.key, groups)),
        };
        let ordinal = ordinal.map_err(|what| family.damaged(what))?;
        if range.contains(&ordinal) {
            let mut moved = key.to_vec();
            if !is_timer {
                moved[..2].copy_from_slice(&ordinal_bytes(ordinal));
            }
            batch.put_cf(family.handle(), &moved, stored);
            bytes += (key.len() + stored.len()) as u64;
            write_if_full(family, &mut batch)?;
        }
        entries.next();
    }
    entries.status().map_err(|error| {
        origin.of_rocksdb("reading a part of the checkpoint", origin.checkpoint(), &error)
    })?;
    family.database.write(batch)?;
    Ok(bytes)
}

fn is_timer(family: &Family) -> bool {
    FamilyName::parse(&family.name).is_some_and(|name| name.is_timer())
}

fn failed<'a>(family: &'a Family, doing: &'a str) -> impl Fn(rocksdb::Error) -> ConnectorError + 'a {
    move |error| family.database.failure_of(doing, &family.database.directory(), &error)
}
