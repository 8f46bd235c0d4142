//! A swap to another version of an operator, in a native test: which state it may take over, and the migration.

use super::columns;
use super::store::{Store, Stored};
use crate::bindings::migration::Entries;
use crate::bindings::types::Column;
use crate::column::read_u32;
use crate::declaration::{Description, StateDeclaration, StateKind};
use crate::operator::Operator;

/// The old version's state and timers, as the next version finds them.
pub(super) fn take_over<Next: Operator>(mut store: Store, old: &Description) -> Result<Store, String> {
    let next = &Next::DESCRIPTION;
    for state in old.states {
        let name = state.name;
        let raised = next.states.iter().find(|each| each.name == name);
        let raised = raised.ok_or_else(|| format!("the state \"{name}\" is not declared any more"))?;
        if raised.kind != state.kind {
            return Err(format!("the state \"{name}\" has become another kind"));
        }
        if raised.version < state.version {
            return Err(format!(
                "the state \"{name}\" is of version {}, not {}",
                state.version, raised.version
            ));
        }
        if raised.version > state.version {
            migrate::<Next>(&mut store, raised, state.version)?;
        }
    }
    store.declare(next);
    Ok(store)
}

fn migrate<Next: Operator>(store: &mut Store, state: &StateDeclaration, from: u32) -> Result<(), String> {
    let old: Vec<_> = store.entries.extract_if(.., |(name, ..), _| name == state.name).collect();
    let is_value = state.kind == StateKind::Value;
    let page = Entries {
        count: old.len() as u32,
        keys: columns::column(old.iter().map(|((_, key, _), _)| key.clone())),
        subkeys: match is_value {
            true => Column::default(),
            false => columns::column(old.iter().map(|((.., subkey), _)| Some(subkey.clone()))),
        },
        values: columns::column(old.iter().map(|(_, stored)| Some(stored.bytes.clone()))),
    };
    let migrated = Next::migrate(state.name, from, &page)?;
    for entry in 0..migrated.count as usize {
        let source = read_u32(&migrated.rows, entry).map_or(entry, |row| row as usize);
        let ((name, key, subkey), stored) =
            old.get(source).ok_or_else(|| format!("rows: the page has no entry {source}"))?;
        let subkey = migrated.subkeys.get(entry).unwrap_or(subkey).to_vec();
        let bytes = migrated.values.get(entry).unwrap_or(&stored.bytes).to_vec();
        store.entries.insert((name.clone(), key.clone(), subkey), Stored { bytes, written: stored.written });
    }
    Ok(())
}
