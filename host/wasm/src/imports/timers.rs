//! `weir:operator/timers`: a set of (declared name, key, time).

use crate::state_access::ask_state;
use crate::store_data::StoreData;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, WasmList, WasmStr};

/// Links its functions.
pub fn link(instance: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    instance.func_wrap("register-many", register_many)?;
    instance.func_wrap("delete-many", delete_many)
}

fn register_many(
    store: StoreContextMut<'_, StoreData>,
    (timer, slots, times): (WasmStr, WasmList<u8>, WasmList<u8>),
) -> wasmtime::Result<()> {
    let (timer, slots, times) = (timer.to_str(&store)?, slots.as_le_slice(&store), times.as_le_slice(&store));
    ask_state(&store, "timers.register-many", |keyed| keyed.timer_register_many(&timer, slots, times))
}

fn delete_many(
    store: StoreContextMut<'_, StoreData>,
    (timer, slots, times): (WasmStr, WasmList<u8>, WasmList<u8>),
) -> wasmtime::Result<()> {
    let (timer, slots, times) = (timer.to_str(&store)?, slots.as_le_slice(&store), times.as_le_slice(&store));
    ask_state(&store, "timers.delete-many", |keyed| keyed.timer_delete_many(&timer, slots, times))
}
