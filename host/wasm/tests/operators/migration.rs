//! State of an older version, rewritten by the component.

use crate::guests::{PLAIN, keyed, limits, load, migrating};
use std::sync::Arc;
use weir_protocol::batch::Column;
use weir_protocol::connector::CallError;
use weir_protocol::state::{Entries, Migrated, Migrator};
use weir_wasm::{SilentGuestSink, WasmMigrator};

fn migrator() -> WasmMigrator {
    load(&migrating()).migrator("guest", limits(), Arc::new(SilentGuestSink)).unwrap()
}

fn column(entries: &[&str]) -> Column {
    let mut column = Column::default();
    entries.iter().for_each(|entry| column.push(Some(entry.as_bytes())));
    column
}

fn page() -> Entries {
    let (keys, values) = (column(&["a", "b"]), column(&["1", "2"]));
    Entries { count: 2, keys, subkeys: Column::default(), values }
}

#[test]
fn a_page_is_rewritten_and_what_is_left_out_is_inherited() {
    let mut migrator = migrator();
    let kept = Migrated { count: 2, ..Migrated::default() };
    let first_twice = Migrated { count: 2, rows: vec![0; 8], values: column(&["a", "b"]), ..kept.clone() };
    for _ in 0..2 {
        assert_eq!(migrator.migrate("count", 0, &page()).unwrap(), first_twice);
        assert_eq!(migrator.migrate("count", 1, &page()).unwrap(), kept);
    }
    assert_eq!(migrator.migrate("count", 0, &Entries::default()).unwrap(), Migrated::default());
}

#[test]
fn a_page_that_fails_says_why_and_the_next_has_a_fresh_instance() {
    let mut migrator = migrator();
    let mut fails = |version| migrator.migrate("count", version, &page()).unwrap_err().to_string();
    assert_eq!(fails(2), "error: no way");
    let lie = "bad_output: the operator returned a bad output: rows: entry 7 does not exist, the page has 2";
    assert_eq!(fails(3), lie);
    let state = "trap: value-state.get-many was called in migrate; state and timers can be used only in process and on-timers";
    assert_eq!(fails(4), state);
    let endless = fails(5);
    assert!(endless.starts_with("timeout: the call took more than 2"), "{endless}");
    assert!(migrator.migrate("count", 1, &page()).is_ok());
}

#[test]
fn a_state_that_is_not_declared_cannot_be_migrated() {
    let error = migrator().migrate("sum", 1, &page()).unwrap_err();
    assert_eq!(error, CallError::Broken("operator guest declares no state \"sum\"".into()));
}

#[test]
fn a_component_without_migration_has_no_migrator() {
    assert!(load(&keyed(PLAIN)).migrator("guest", limits(), Arc::new(SilentGuestSink)).is_none());
}
