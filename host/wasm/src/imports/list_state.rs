//! `weir:operator/list-state`: a sequence per key that grows at its end.

use super::columns::{AnsweredPage, LentColumn};
use crate::state_access::ask_state;
use crate::store_data::StoreData;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, WasmList, WasmStr};

/// Links its functions.
pub fn link(instance: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    instance.func_wrap("append-many", append_many)?;
    instance.func_wrap("scan", scan)?;
    instance.func_wrap("clear-many", clear_many)
}

fn append_many(
    store: StoreContextMut<'_, StoreData>,
    (state, slots, values): (WasmStr, WasmList<u8>, LentColumn),
) -> wasmtime::Result<()> {
    let (state, slots) = (state.to_str(&store)?, slots.as_le_slice(&store));
    let values = values.read(&store);
    ask_state(&store, "list-state.append-many", |keyed| keyed.list_append_many(&state, slots, values))
}

fn scan(
    store: StoreContextMut<'_, StoreData>,
    (state, slots, starts, limit): (WasmStr, WasmList<u8>, LentColumn, u32),
) -> wasmtime::Result<(AnsweredPage,)> {
    let (state, slots) = (state.to_str(&store)?, slots.as_le_slice(&store));
    let starts = starts.read(&store);
    let page = ask_state(&store, "list-state.scan", |keyed| keyed.list_scan(&state, slots, starts, limit))?;
    Ok((page.into(),))
}

fn clear_many(
    store: StoreContextMut<'_, StoreData>,
    (state, slots): (WasmStr, WasmList<u8>),
) -> wasmtime::Result<()> {
    let (state, slots) = (state.to_str(&store)?, slots.as_le_slice(&store));
    ask_state(&store, "list-state.clear-many", |keyed| keyed.list_clear_many(&state, slots))
}
