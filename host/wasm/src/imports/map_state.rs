//! `weir:operator/map-state`: a sorted map per key.

use super::columns::{AnsweredColumn, AnsweredPage, LentColumn};
use crate::state_access::ask_state;
use crate::store_data::StoreData;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, WasmList, WasmStr};

/// Links its functions.
pub fn link(instance: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    instance.func_wrap("get-many", get_many)?;
    instance.func_wrap("put-many", put_many)?;
    instance.func_wrap("scan", scan)?;
    instance.func_wrap("clear-many", clear_many)
}

fn get_many(
    store: StoreContextMut<'_, StoreData>,
    (state, slots, subkeys): (WasmStr, WasmList<u8>, LentColumn),
) -> wasmtime::Result<(AnsweredColumn,)> {
    let (state, slots) = (state.to_str(&store)?, slots.as_le_slice(&store));
    let subkeys = subkeys.read(&store);
    let column = ask_state(&store, "map-state.get-many", |keyed| keyed.map_get_many(&state, slots, subkeys))?;
    Ok((column.into(),))
}

fn put_many(
    store: StoreContextMut<'_, StoreData>,
    (state, slots, subkeys, values): (WasmStr, WasmList<u8>, LentColumn, LentColumn),
) -> wasmtime::Result<()> {
    let (state, slots) = (state.to_str(&store)?, slots.as_le_slice(&store));
    let (subkeys, values) = (subkeys.read(&store), values.read(&store));
    ask_state(&store, "map-state.put-many", |keyed| keyed.map_put_many(&state, slots, subkeys, values))
}

fn scan(
    store: StoreContextMut<'_, StoreData>,
    (state, slots, starts, ends, limit): (WasmStr, WasmList<u8>, LentColumn, LentColumn, u32),
) -> wasmtime::Result<(AnsweredPage,)> {
    let (state, slots) = (state.to_str(&store)?, slots.as_le_slice(&store));
    let (starts, ends) = (starts.read(&store), ends.read(&store));
    let page =
        ask_state(&store, "map-state.scan", |keyed| keyed.map_scan(&state, slots, starts, ends, limit))?;
    Ok((page.into(),))
}

fn clear_many(
    store: StoreContextMut<'_, StoreData>,
    (state, slots): (WasmStr, WasmList<u8>),
) -> wasmtime::Result<()> {
    let (state, slots) = (state.to_str(&store)?, slots.as_le_slice(&store));
    ask_state(&store, "map-state.clear-many", |keyed| keyed.map_clear_many(&state, slots))
}
