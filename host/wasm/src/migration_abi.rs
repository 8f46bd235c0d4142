//! The records of `migration` as wasmtime copies them, and the check of what a migration returned.

use crate::abi::{LiftedColumn, LoweredColumn};
use wasmtime::component::{ComponentType, Lift, Lower};
use weir_protocol::batch::read_u32;
use weir_protocol::output::{BadOutput, check_column};
use weir_protocol::state::{Entries, Migrated, StateKind};

/// Bytes of a list's position.
const POSITION_BYTES: usize = 8;

/// `migration.entries` on its way in.
#[derive(ComponentType, Lower)]
#[component(record)]
pub struct LoweredEntries<'a> {
    count: u32,
    keys: LoweredColumn<'a>,
    subkeys: LoweredColumn<'a>,
    values: LoweredColumn<'a>,
}

impl<'a> From<&'a Entries> for LoweredEntries<'a> {
    fn from(entries: &'a Entries) -> LoweredEntries<'a> {
        LoweredEntries {
            // A page is bounded by `state_page_bytes_max`, far below 2^32.
            count: entries.count as u32,
            keys: (&entries.keys).into(),
            subkeys: (&entries.subkeys).into(),
            values: (&entries.values).into(),
        }
    }
}

/// `migration.migrated` on its way out.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct LiftedMigrated {
    count: u32,
    rows: Vec<u8>,
    subkeys: LiftedColumn,
    values: LiftedColumn,
}

impl From<LiftedMigrated> for Migrated {
    fn from(migrated: LiftedMigrated) -> Migrated {
        Migrated {
            count: migrated.count as usize,
            rows: migrated.rows,
            subkeys: migrated.subkeys.into(),
            values: migrated.values.into(),
        }
    }
}

/// What `migrate` takes: the state's name, the version of the entries, the entries.
pub type MigrateParameters<'a> = (&'a str, u32, LoweredEntries<'a>);
/// What it returns.
pub type MigrateResults = (Result<LiftedMigrated, String>,);

/// Bytes that the guest returned.
pub fn size_bytes(migrated: &Migrated) -> usize {
    migrated.rows.len() + migrated.subkeys.size_bytes() + migrated.values.size_bytes()
}

/// Checks all that the contract says, except that no two new entries are the same: a page cannot tell.
pub fn check(migrated: &Migrated, sources: usize, kind: StateKind) -> Result<(), BadOutput> {
    let count = migrated.count;
    let bad = |column, problem: String| Err(BadOutput { column, problem });
    if migrated.rows.is_empty() {
        if count != 0 && count != sources {
            return bad("rows", format!("absent, so count must be 0 or {sources}, found {count}"));
        }
    } else if migrated.rows.len() != count * 4 {
        return bad("rows", format!("{} bytes for {count} entries", migrated.rows.len()));
    }
    let rows = (0..migrated.rows.len() / 4).map(|index| read_u32(&migrated.rows, index));
    if let Some(row) = rows.into_iter().find(|row| *row as usize >= sources) {
        return bad("rows", format!("entry {row} does not exist, the page has {sources}"));
    }
    check_column("subkeys", &migrated.subkeys, count)?;
    check_column("values", &migrated.values, count)?;
    if !migrated.subkeys.is_absent() && kind == StateKind::Value && count > 0 {
        return bad("subkeys", "an entry of a value state has none".into());
    }
    for (name, column) in [("subkeys", &migrated.subkeys), ("values", &migrated.values)] {
        if let Some(index) = (0..column.len()).find(|index| column.is_null(*index)) {
            let problem = format!("entry {index} is null; an entry is dropped by leaving it out of rows");
            return bad(name, problem);
        }
    }
    let is_no_position = |index: &usize| migrated.subkeys.bytes(*index).len() != POSITION_BYTES;
    if kind == StateKind::List
        && let Some(index) = (0..migrated.subkeys.len()).find(is_no_position)
    {
        return bad(
            "subkeys",
            format!("entry {index} of a list state is no position of {POSITION_BYTES} bytes"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::batch::Column;

    fn column(entries: &[&str]) -> Column {
        let mut column = Column::default();
        entries.iter().for_each(|entry| column.push(Some(entry.as_bytes())));
        column
    }

    fn checked(kind: StateKind, change: impl Fn(&mut Migrated)) -> Result<(), &'static str> {
        let mut migrated = Migrated { count: 2, values: column(&["a", "b"]), ..Migrated::default() };
        change(&mut migrated);
        check(&migrated, 2, kind).map_err(|bad| bad.column)
    }

    #[test]
    fn entries_may_be_left_out_repeated_and_renamed() {
        let value = |change: &dyn Fn(&mut Migrated)| checked(StateKind::Value, change);
        assert_eq!(value(&|_| {}), Ok(()));
        assert_eq!(value(&|m| *m = Migrated::default()), Ok(()));
        assert_eq!(value(&|m| m.values = Column::default()), Ok(()));
        assert_eq!(value(&|m| m.rows = [1u32, 0].map(u32::to_le_bytes).concat()), Ok(()));
        assert_eq!(checked(StateKind::Map, |m| m.subkeys = column(&["", "x"])), Ok(()));
        assert_eq!(checked(StateKind::List, |m| m.subkeys = column(&["01234567", "76543210"])), Ok(()));
    }

    #[test]
    fn each_lie_of_a_migration_is_named_by_its_column() {
        let value = |change: &dyn Fn(&mut Migrated)| checked(StateKind::Value, change);
        assert_eq!(value(&|m| (m.count, m.values) = (1, column(&["a"]))), Err("rows"));
        assert_eq!(value(&|m| m.rows = vec![0; 7]), Err("rows"));
        assert_eq!(value(&|m| m.rows = [0u32, 2].map(u32::to_le_bytes).concat()), Err("rows"));
        assert_eq!(value(&|m| m.values = column(&["a"])), Err("values"));
        assert_eq!(value(&|m| m.subkeys = column(&["", ""])), Err("subkeys"));
        assert_eq!(checked(StateKind::List, |m| m.subkeys = column(&["0", "1"])), Err("subkeys"));
        let null = |m: &mut Migrated| {
            m.values = column(&["a"]);
            m.values.push(None);
        };
        assert_eq!(value(&null), Err("values"));
    }
}
