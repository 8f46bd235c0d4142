//! `weir:operator/value-state`: one value per key.

use super::columns::{AnsweredColumn, LentColumn};
use crate::state_access::ask_state;
use crate::store_data::StoreData;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, WasmList, WasmStr};

/// Links its functions.
pub fn link(instance: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    instance.func_wrap("get-many", get_many)?;
    instance.func_wrap("put-many", put_many)
}

fn get_many(
    store: StoreContextMut<'_, StoreData>,
    (state, slots): (WasmStr, WasmList<u8>),
) -> wasmtime::Result<(AnsweredColumn,)> {
    let (state, slots) = (state.to_str(&store)?, slots.as_le_slice(&store));
    let column = ask_state(&store, "value-state.get-many", |keyed| keyed.value_get_many(&state, slots))?;
    Ok((column.into(),))
}

fn put_many(
    store: StoreContextMut<'_, StoreData>,
    (state, slots, values): (WasmStr, WasmList<u8>, LentColumn),
) -> wasmtime::Result<()> {
    let (state, slots) = (state.to_str(&store)?, slots.as_le_slice(&store));
    let values = values.read(&store);
    ask_state(&store, "value-state.put-many", |keyed| keyed.value_put_many(&state, slots, values))
}
