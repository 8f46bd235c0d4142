//! Writing entries that are already in order as one SST file, which the database then takes over as it is: no memtable,
//! no flush.

use crate::database::Family;
use crate::failure;
use crate::key_layout::push_value_key;
use crate::value::epoch_log::EpochLog;
use crate::value::sorted_log::SortedLog;
use rocksdb::SstFileWriter;
use std::path::Path;
use weir_protocol::connector::ConnectorError;
use weir_protocol::key_group::KeyGroups;

/// Brings a log of a value state into its column family.
pub(crate) fn ingest_log(family: &Family, log: &EpochLog, groups: &KeyGroups) -> Result<(), ConnectorError> {
    if log.len() == 0 {
        return Ok(());
    }
    let sorted = SortedLog::new(log, groups);
    let mut key = Vec::new();
    ingest(family, |file| {
        sorted.for_each(|ordinal, written| {
            key.clear();
            push_value_key(ordinal, written.key, &mut key);
            match written.value {
                Some(stored) => file.put(&key, stored),
                None => file.delete(&key),
            }
        })
    })
}

/// Writes a file with `fill`, which adds at least one entry, all in order, and takes it over. Returns its bytes.
pub(crate) fn ingest(
    family: &Family,
    fill: impl FnOnce(&mut SstFileWriter<'_>) -> Result<(), rocksdb::Error>,
) -> Result<(), ConnectorError> {
    let path = family.database.scratch_file();
    let options = family.database.tuning().family_options(0);
    write(&options, &path, fill).map_err(|error| {
        let _ = std::fs::remove_file(&path);
        failure::of_rocksdb("writing an SST file", &path, &error)
    })?;
    family.ingest(&path)
}

fn write(
    options: &rocksdb::Options,
    path: &Path,
    fill: impl FnOnce(&mut SstFileWriter<'_>) -> Result<(), rocksdb::Error>,
) -> Result<(), rocksdb::Error> {
    let mut file = SstFileWriter::create(options);
    file.open(path)?;
    fill(&mut file)?;
    file.finish()
}
