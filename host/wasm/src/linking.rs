//! The functions of `weir:operator` that a guest may import, and what they do.

use crate::abi::{LiftedLevel, LiftedStream};
use crate::contract::CONTRACT_VERSION;
use crate::guest_log::ConsoleStream;
use crate::guest_sink::Level;
use crate::imports::{list_state, map_state, timers, value_state};
use crate::store_data::StoreData;
use crate::wasi_stubs;
use wasmtime::StoreContextMut;
use wasmtime::component::{Component, Linker, LinkerInstance};

/// Everything that `component` may import.
pub fn linker(engine: &wasmtime::Engine, component: &Component) -> wasmtime::Result<Linker<StoreData>> {
    let mut linker = Linker::new(engine);
    link_config(&mut interface(&mut linker, "config")?)?;
    link_log(&mut interface(&mut linker, "log")?)?;
    link_console(&mut interface(&mut linker, "console")?)?;
    link_metrics(&mut interface(&mut linker, "metrics")?)?;
    // Also for an operator without state: its bindings import them, whether it calls them or not.
    value_state::link(&mut interface(&mut linker, "value-state")?)?;
    map_state::link(&mut interface(&mut linker, "map-state")?)?;
    list_state::link(&mut interface(&mut linker, "list-state")?)?;
    timers::link(&mut interface(&mut linker, "timers")?)?;
    wasi_stubs::link(&mut linker, engine, component)?;
    Ok(linker)
}

fn interface<'a>(
    linker: &'a mut Linker<StoreData>,
    name: &str,
) -> wasmtime::Result<LinkerInstance<'a, StoreData>> {
    linker.instance(&format!("weir:operator/{name}@{CONTRACT_VERSION}"))
}

fn link_config(instance: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    instance.func_wrap("get", |store: StoreContextMut<'_, StoreData>, (name,): (String,)| {
        Ok((store.data().config.get(&name).cloned(),))
    })
}

fn link_log(instance: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    instance.func_wrap(
        "write",
        |store: StoreContextMut<'_, StoreData>, (level, message): (LiftedLevel, String)| {
            let level = match level {
                LiftedLevel::Debug => Level::Debug,
                LiftedLevel::Info => Level::Info,
                LiftedLevel::Warn => Level::Warn,
                LiftedLevel::Error => Level::Error,
            };
            store.data().voice.get().log.write(level, &message);
            Ok(())
        },
    )
}

fn link_console(instance: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    instance.func_wrap(
        "write",
        |store: StoreContextMut<'_, StoreData>, (to, data): (LiftedStream, Vec<u8>)| {
            let stream = match to {
                LiftedStream::Output => ConsoleStream::Output,
                LiftedStream::Error => ConsoleStream::Error,
            };
            store.data().voice.get().log.console(stream, &data);
            Ok(())
        },
    )
}

fn link_metrics(instance: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    instance.func_wrap("add", |store: StoreContextMut<'_, StoreData>, (name, delta): (String, f64)| {
        store.data().voice.get().metrics.add(&name, delta).map_err(wasmtime::Error::new)
    })?;
    instance.func_wrap("set", |store: StoreContextMut<'_, StoreData>, (name, value): (String, f64)| {
        store.data().voice.get().metrics.set(&name, value).map_err(wasmtime::Error::new)
    })
}
