//! The way back: from the parts of a decided checkpoint to an open database that holds what the subtask owns.
//!
//! The part with the most bytes becomes the database, by hard links; what other parts hold of the subtask's range is
//! copied out of them in order. The checkpoint itself is only read and linked, so a restore that fails can be repeated.

use crate::checkpoint_files::{is_sst, link_or_copy};
use crate::column_family::FamilyName;
use crate::database::{Database, Family, database_directory, scratch_directory};
use crate::failure;
use crate::migrate::migrate;
use crate::origin::Origin;
use crate::rescale::{copy_range, divide_anew, overlap, trim};
use crate::tuning::Tuning;
use rocksdb::{ColumnFamilyDescriptor, DB};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_protocol::connector::ConnectorError;
use weir_protocol::kill_point::reached;
use weir_protocol::state::{Migrator, OpenState, Restored, StateFile, StatePart};

/// RocksDB's own column family.
const DEFAULT_FAMILY: &str = "default";

/// Opens the database of a subtask in `open.live`.
pub(crate) fn open_database(
    open: &OpenState<'_>,
    migrator: Option<&mut dyn Migrator>,
    tuning: &Tuning,
) -> Result<(Arc<Database>, Restored), ConnectorError> {
    for directory in [database_directory(open.live), scratch_directory(open.live)] {
        fs::create_dir_all(&directory).map_err(|error| failure::of_io("creating", &directory, &error))?;
    }
    let mut restored = Restored::default();
    // Keys that are divided anew lie elsewhere: nothing of a part can be used as it is.
    let divided_anew = open.restored_groups != open.groups;
    let (base, others) =
        if divided_anew { (None, all_parts(open.restore)) } else { choose_base(open.restore) };
    let mut others: Vec<OtherPart<'_>> = (others.into_iter().enumerate())
        .map(|(number, (source, part))| OtherPart {
            source,
            part,
            origin: Origin::new(&open.live.join(format!("part-{number}")), source, part),
            linked: open.live.join(format!("part-{number}")),
        })
        .collect();
    let mut checksums = BTreeMap::new();
    if let Some((source, part)) = base {
        link_part(source, part, &database_directory(open.live), &mut restored)?;
        let tables = part.files.iter().filter(|file| is_sst(&file.name));
        checksums = tables.map(|file| (file.name.clone(), file.clone())).collect();
    }
    for other in &others {
        link_part(other.source, other.part, &other.linked, &mut restored)?;
    }
    reached("restore_linked");
    let origin = base.map(|(source, part)| Origin::new(&database_directory(open.live), source, part));
    let database = Arc::new(open_families(open, tuning, origin, &others, checksums)?);
    if let Some((_, part)) = base {
        trim_all(&database, open, part)?;
    }
    for other in others.drain(..) {
        copy_part(&database, open, &other, &mut restored)?;
    }
    let database = migrate_all(database, open, migrator, &mut restored)?;
    Ok((database, restored))
}

/// A part that is not the base.
struct OtherPart<'a> {
    source: &'a Path,
    part: &'a StatePart,
    /// Its links in the live directory: RocksDB opens no directory without writing to it.
    linked: PathBuf,
    /// What they are links of.
    origin: Origin,
}

type Part<'a> = (&'a Path, &'a StatePart);

fn all_parts(parts: &[(PathBuf, StatePart)]) -> Vec<Part<'_>> {
    parts.iter().map(|(path, part)| (path.as_path(), part)).collect()
}

/// The part with the most bytes, and the others.
fn choose_base(parts: &[(PathBuf, StatePart)]) -> (Option<Part<'_>>, Vec<Part<'_>>) {
    let bytes = |part: &StatePart| part.files.iter().map(|file| file.size).sum::<u64>();
    let mut parts: Vec<Part<'_>> = parts.iter().map(|(path, part)| (path.as_path(), part)).collect();
    // Of equals the first, so that the same checkpoint gives the same database.
    parts.sort_by_key(|(_, part)| std::cmp::Reverse(bytes(part)));
    let mut parts = parts.into_iter();
    (parts.next(), parts.collect())
}

/// Links the tables of a part and copies the small rest, which RocksDB goes on writing.
fn link_part(
    source: &Path,
    part: &StatePart,
    into: &Path,
    restored: &mut Restored,
) -> Result<(), ConnectorError> {
    fs::create_dir_all(into).map_err(|error| failure::of_io("creating", into, &error))?;
    for file in &part.files {
        let (from, to) = (source.join(&file.name), into.join(&file.name));
        let failed =
            |error: &io::Error| failure::of_io("linking or copying into the live directory", &from, error);
        if !is_sst(&file.name) {
            restored.copied_bytes += fs::copy(&from, &to).map_err(|error| failed(&error))?;
        } else if link_or_copy(&from, &to).map_err(|error| failed(&error))? {
            restored.linked_bytes += file.size;
        } else {
            restored.copied_bytes += file.size;
        }
    }
    Ok(())
}

/// Opens the database with all families that it has, drops those that shall go and adds those that it lacks.
fn open_families(
    open: &OpenState<'_>,
    tuning: &Tuning,
    base: Option<Origin>,
    others: &[OtherPart<'_>],
    checksums: BTreeMap<String, StateFile>,
) -> Result<Database, ConnectorError> {
    let directory = database_directory(open.live);
    let options = tuning.database_options();
    let failed = |doing: &str, error: &rocksdb::Error| match &base {
        Some(base) => base.of_rocksdb(doing, base.checkpoint(), error),
        None => failure::of_rocksdb(doing, &directory, error),
    };
    let found = match &base {
        Some(base) => families_of(tuning, &directory, base)?,
        None => BTreeSet::new(),
    };
    let mut wanted = declared(open);
    for name in found.iter().chain(&families_of_others(tuning, others)?) {
        if !is_dropped(open, name) {
            check_version(open, name)?;
            wanted.insert(name.clone());
        }
    }
    let opened = found.iter().map(String::as_str).chain([DEFAULT_FAMILY]);
    let descriptors =
        opened.map(|name| ColumnFamilyDescriptor::new(name, tuning.family_options(ttl_ms(open, name))));
    let mut db = DB::open_cf_descriptors(&options, &directory, descriptors)
        .map_err(|error| failed("opening the database", &error))?;
    for name in found.iter().filter(|name| is_dropped(open, name)) {
        db.drop_cf(name).map_err(|error| failed("dropping a state", &error))?;
    }
    for name in wanted.iter().filter(|name| !found.contains(*name) || is_dropped(open, name)) {
        db.create_cf(name, &tuning.family_options(ttl_ms(open, name)))
            .map_err(|error| failed("adding a state", &error))?;
    }
    Ok(Database::new(db, open.live, tuning.clone(), base, checksums))
}

/// The families in a directory of links.
fn families_of(
    tuning: &Tuning,
    directory: &Path,
    origin: &Origin,
) -> Result<BTreeSet<String>, ConnectorError> {
    let names = DB::list_cf(&tuning.database_options(), directory)
        .map_err(|error| origin.of_rocksdb("listing the column families", origin.checkpoint(), &error))?;
    Ok(names.into_iter().filter(|name| name != DEFAULT_FAMILY).collect())
}

fn families_of_others(tuning: &Tuning, others: &[OtherPart<'_>]) -> Result<BTreeSet<String>, ConnectorError> {
    let mut names = BTreeSet::new();
    for other in others {
        names.extend(families_of(tuning, &other.linked, &other.origin)?);
    }
    Ok(names)
}

/// The families of the declared states and timers.
fn declared(open: &OpenState<'_>) -> BTreeSet<String> {
    let states = open.shape.states.iter().map(FamilyName::of_state);
    let timers = open.shape.timers.iter().map(FamilyName::of_timer);
    states.chain(timers).map(|name| name.text()).collect()
}

/// True for a family of a state in `drop_states` or of a timer in `drop_timers`.
fn is_dropped(open: &OpenState<'_>, family: &str) -> bool {
    match FamilyName::parse(family) {
        Some(FamilyName::State { name, .. }) => open.drop_states.contains(&name),
        Some(FamilyName::Timer { name }) => open.drop_timers.contains(&name),
        None => false,
    }
}

/// The TTL of the state that a family belongs to; 0 where it has none or is not declared.
fn ttl_ms(open: &OpenState<'_>, family: &str) -> i64 {
    let Some(FamilyName::State { name, .. }) = FamilyName::parse(family) else { return 0 };
    let state = open.shape.states.iter().find(|state| state.name == name);
    state.map_or(0, |state| i64::from(state.ttl_seconds) * 1000)
}

/// A state of the checkpoint has the declared kind and version, or is about to be migrated.
fn check_version(open: &OpenState<'_>, family: &str) -> Result<(), ConnectorError> {
    let Some(FamilyName::State { kind, name, version }) = FamilyName::parse(family) else { return Ok(()) };
    let Some(state) = open.shape.states.iter().find(|state| state.name == name) else { return Ok(()) };
    let is_migrated =
        open.migrate.iter().any(|migrate| migrate.state == name && migrate.from_version == version);
    if kind == state.kind && (version == state.version || is_migrated) {
        return Ok(());
    }
    Err(ConnectorError::refused(format!(
        "operator {}: the checkpoint has state \"{name}\" as {} of version {version}, the component declares {} of \
         version {}; run a component that declares the former, or drop the state (drop_states)",
        open.operator,
        kind.name(),
        state.kind.name(),
        state.version
    )))
}

/// Takes out of the base what the subtask does not own.
fn trim_all(database: &Arc<Database>, open: &OpenState<'_>, part: &StatePart) -> Result<(), ConnectorError> {
    if open.ordinals.start <= part.ordinal_start && part.ordinal_end <= open.ordinals.end {
        return Ok(());
    }
    for family in families(database)? {
        trim(&family, &open.ordinals, &open.groups)?;
    }
    Ok(())
}

/// Copies out of another part what the subtask owns of it.
fn copy_part(
    database: &Arc<Database>,
    open: &OpenState<'_>,
    other: &OtherPart<'_>,
    restored: &mut Restored,
) -> Result<(), ConnectorError> {
    let tuning = database.tuning();
    let range = overlap(&open.ordinals, &other.part.ordinals());
    let names = families_of(tuning, &other.linked, &other.origin)?;
    let failed = |error: &rocksdb::Error| {
        other.origin.of_rocksdb("opening a part of the checkpoint", other.origin.checkpoint(), error)
    };
    let descriptors = names.iter().map(String::as_str).chain([DEFAULT_FAMILY]);
    let descriptors = descriptors.map(|name| ColumnFamilyDescriptor::new(name, tuning.family_options(0)));
    let source =
        DB::open_cf_descriptors_read_only(&tuning.database_options(), &other.linked, descriptors, false)
            .map_err(|error| failed(&error))?;
    for name in names.iter().filter(|name| !is_dropped(open, name)) {
        let family = Family { database: database.clone(), name: name.clone() };
        restored.copied_bytes += if open.restored_groups == open.groups {
            copy_range(&source, &other.origin, &family, &range, &open.groups)?
        } else {
            divide_anew(&source, &other.origin, &family, &open.ordinals, &open.groups)?
        };
    }
    drop(source);
    fs::remove_dir_all(&other.linked).map_err(|error| failure::of_io("removing", &other.linked, &error))
}

/// All families of a database that weir made.
fn families(database: &Arc<Database>) -> Result<Vec<Family>, ConnectorError> {
    let directory = database.directory();
    let names = DB::list_cf(&database.tuning().database_options(), &directory)
        .map_err(|error| database.failure_of("listing the column families", &directory, &error))?;
    let names = names.into_iter().filter(|name| name != DEFAULT_FAMILY);
    Ok(names.map(|name| Family { database: database.clone(), name }).collect())
}

/// Rewrites the states whose version was raised, and drops what they were. The checkpoint still has it.
fn migrate_all(
    mut database: Arc<Database>,
    open: &OpenState<'_>,
    mut migrator: Option<&mut dyn Migrator>,
    restored: &mut Restored,
) -> Result<Arc<Database>, ConnectorError> {
    for raised in open.migrate {
        let state = open.shape.states.iter().find(|state| state.name == raised.state).ok_or_else(|| {
            ConnectorError::permanent(format!(
                "operator {}: no state \"{}\" to migrate",
                open.operator, raised.state
            ))
        })?;
        let from =
            FamilyName::State { kind: state.kind, name: state.name.clone(), version: raised.from_version }
                .text();
        if database.rocks().cf_handle(&from).is_none() || raised.from_version == state.version {
            continue;
        }
        let Some(migrator) = migrator.as_deref_mut() else {
            return Err(ConnectorError::permanent(format!(
                "operator {}: state \"{}\" has to be migrated, and the component has no `migration`",
                open.operator, state.name
            )));
        };
        let source = Family { database: database.clone(), name: from.clone() };
        let target = Family { database: database.clone(), name: FamilyName::of_state(state).text() };
        restored.migrated_entries += migrate(&source, &target, state, raised.from_version, migrator)?;
        drop((source, target));
        let exclusive = Arc::get_mut(&mut database).expect("the families that shared the database are gone");
        exclusive.drop_family(&from)?;
    }
    if !open.migrate.is_empty() {
        reached("migration_done");
    }
    Ok(database)
}
