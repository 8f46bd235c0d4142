//! Stubs for `wasi:*@0.2`, for guests with a WASI runtime inside: no environment, no files, no network; a clock that
//! counts its readings, random bytes from a fixed seed, output to the log. Everything else traps with its name.
//!
//! The functions are found by name and called with dynamic values, so one table serves every `0.2.x`.

use crate::guest_log::ConsoleStream;
use crate::store_data::StoreData;
use crate::world::is_stubbed_wasi;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, Resource, ResourceAny, ResourceType, Val};
use wasmtime::{Engine, Error, Result, StoreContextMut};

/// Stands behind every WASI resource; the number tells the streams apart.
struct WasiHandle;

const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;
const POLLABLE: u32 = 3;
/// Nanoseconds between two readings of the clock, as in the preview 1 adapter.
const CLOCK_STEP_NS: u64 = 1000;
/// More random bytes in one call than any runtime asks for.
const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// What `check-write` permits.
const WRITE_BYTES: u64 = 64 << 10;

/// The clock and the generator of one instance.
pub struct WasiState {
    clock_ns: u64,
    seed: u64,
}

impl Default for WasiState {
    fn default() -> WasiState {
        WasiState { clock_ns: 0, seed: 0x9E37_79B9_7F4A_7C15 }
    }
}

impl WasiState {
    fn now_ns(&mut self) -> u64 {
        self.clock_ns += CLOCK_STEP_NS;
        self.clock_ns
    }

    /// xorshift64*, as in the preview 1 adapter.
    fn random_u64(&mut self) -> u64 {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn random_bytes(&mut self, count: u64) -> Result<Val> {
        if count > RANDOM_BYTES_MAX {
            return Err(Error::msg(format!("{count} random bytes in one call, at most {RANDOM_BYTES_MAX}")));
        }
        Ok(Val::List((0..count).map(|_| Val::U8((self.random_u64() >> 56) as u8)).collect()))
    }
}

/// Defines what `component` imports of `wasi:*@0.2`.
pub fn link(linker: &mut Linker<StoreData>, engine: &Engine, component: &Component) -> Result<()> {
    for (name, import) in component.component_type().imports(engine) {
        let (true, ComponentItem::ComponentInstance(interface)) = (is_stubbed_wasi(name), import.ty) else {
            continue;
        };
        let mut instance = linker.instance(name)?;
        let path = name.split('@').next().unwrap_or(name);
        for (item, export) in interface.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => {
                    let full_name = format!("{path}#{item}");
                    instance.func_new(item, move |mut store, _, parameters, results| {
                        let handles = take_handles(&mut store, parameters)?;
                        let answer = answer(&mut store, &full_name, parameters, &handles)?;
                        if let (Some(result), Some(answer)) = (results.first_mut(), answer) {
                            *result = answer;
                        }
                        Ok(())
                    })?;
                }
                ComponentItem::Resource(_) => {
                    instance.resource(item, ResourceType::host::<WasiHandle>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Reads the handles among the parameters and gives borrowed ones back, as every host function must.
fn take_handles(store: &mut StoreContextMut<'_, StoreData>, parameters: &[Val]) -> Result<Vec<u32>> {
    let mut handles = Vec::new();
    for parameter in parameters {
        match parameter {
            Val::Resource(handle) => handles.push(take_handle(store, *handle)?),
            Val::List(entries) => {
                for entry in entries {
                    if let Val::Resource(handle) = entry {
                        handles.push(take_handle(store, *handle)?);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(handles)
}

fn take_handle(store: &mut StoreContextMut<'_, StoreData>, handle: ResourceAny) -> Result<u32> {
    Ok(Resource::<WasiHandle>::try_from_resource_any(handle, &mut *store)?.rep())
}

fn give_handle(store: &mut StoreContextMut<'_, StoreData>, number: u32) -> Result<Val> {
    Ok(Val::Resource(Resource::<WasiHandle>::new_own(number).try_into_resource_any(&mut *store)?))
}

fn ok(value: Option<Val>) -> Val {
    Val::Result(Ok(value.map(Box::new)))
}

/// `stream-error.closed`: the end of input.
fn closed() -> Val {
    Val::Result(Err(Some(Box::new(Val::Variant("closed".into(), None)))))
}

/// What the function of that name answers; `None` for a function without a result.
fn answer(
    store: &mut StoreContextMut<'_, StoreData>,
    name: &str,
    parameters: &[Val],
    handles: &[u32],
) -> Result<Option<Val>> {
    let value = match name {
        "wasi:cli/environment#get-environment"
        | "wasi:cli/environment#get-arguments"
        | "wasi:filesystem/preopens#get-directories" => Val::List(Vec::new()),
        "wasi:cli/environment#initial-cwd"
        | "wasi:cli/terminal-stdin#get-terminal-stdin"
        | "wasi:cli/terminal-stdout#get-terminal-stdout"
        | "wasi:cli/terminal-stderr#get-terminal-stderr"
        | "wasi:filesystem/types#filesystem-error-code" => Val::Option(None),
        "wasi:cli/stdin#get-stdin" => give_handle(store, STDIN)?,
        "wasi:cli/stdout#get-stdout" => give_handle(store, STDOUT)?,
        "wasi:cli/stderr#get-stderr" => give_handle(store, STDERR)?,
        "wasi:clocks/monotonic-clock#now" => Val::U64(store.data_mut().wasi.now_ns()),
        "wasi:clocks/monotonic-clock#resolution" => Val::U64(CLOCK_STEP_NS),
        "wasi:clocks/wall-clock#now" => date_time(store.data_mut().wasi.now_ns()),
        "wasi:clocks/wall-clock#resolution" => date_time(CLOCK_STEP_NS),
        // A wait ends at once, as a sleep does in the preview 1 adapter.
        "wasi:clocks/monotonic-clock#subscribe-instant"
        | "wasi:clocks/monotonic-clock#subscribe-duration"
        | "wasi:io/streams#[method]input-stream.subscribe"
        | "wasi:io/streams#[method]output-stream.subscribe" => give_handle(store, POLLABLE)?,
        "wasi:io/poll#[method]pollable.ready" => Val::Bool(true),
        "wasi:io/poll#[method]pollable.block" => return Ok(None),
        "wasi:io/poll#poll" => Val::List((0..handles.len() as u32).map(Val::U32).collect()),
        "wasi:io/error#[method]error.to-debug-string" => Val::String("end of stream".into()),
        "wasi:random/random#get-random-u64" | "wasi:random/insecure#get-insecure-random-u64" => {
            Val::U64(store.data_mut().wasi.random_u64())
        }
        "wasi:random/random#get-random-bytes" | "wasi:random/insecure#get-insecure-random-bytes" => {
            let count = if let Some(Val::U64(count)) = parameters.first() { *count } else { 0 };
            store.data_mut().wasi.random_bytes(count)?
        }
        "wasi:random/insecure-seed#insecure-seed" => {
            let wasi = &mut store.data_mut().wasi;
            Val::Tuple(vec![Val::U64(wasi.random_u64()), Val::U64(wasi.random_u64())])
        }
        _ => match name.strip_prefix("wasi:io/streams#[method]") {
            Some(method) => return stream_answer(store, method, parameters, handles).map(Some),
            None => return Err(Error::msg(format!("{name} was called; weir gives operators no such thing"))),
        },
    };
    Ok(Some(value))
}

fn stream_answer(
    store: &mut StoreContextMut<'_, StoreData>,
    method: &str,
    parameters: &[Val],
    handles: &[u32],
) -> Result<Val> {
    match method {
        "input-stream.read"
        | "input-stream.blocking-read"
        | "input-stream.skip"
        | "input-stream.blocking-skip" => Ok(closed()),
        "output-stream.check-write" => Ok(ok(Some(Val::U64(WRITE_BYTES)))),
        "output-stream.flush" | "output-stream.blocking-flush" => Ok(ok(None)),
        "output-stream.write" | "output-stream.blocking-write-and-flush" => {
            let stream =
                if handles.first() == Some(&STDERR) { ConsoleStream::Error } else { ConsoleStream::Output };
            let Some(Val::List(values)) = parameters.get(1) else {
                return Err(Error::msg("an output stream was written to without bytes"));
            };
            let bytes: Vec<u8> =
                values.iter().map(|value| if let Val::U8(byte) = value { *byte } else { 0 }).collect();
            store.data().voice.get().log.console(stream, &bytes);
            Ok(ok(None))
        }
        _ => Err(Error::msg(format!(
            "wasi:io/streams {method} was called; weir gives operators no such thing"
        ))),
    }
}

fn date_time(nanoseconds: u64) -> Val {
    const SECOND: u64 = 1_000_000_000;
    Val::Record(vec![
        ("seconds".into(), Val::U64(nanoseconds / SECOND)),
        ("nanoseconds".into(), Val::U32((nanoseconds % SECOND) as u32)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instance_has_the_same_time_and_the_same_random_numbers() {
        let mut one = WasiState::default();
        let mut other = WasiState::default();
        assert_eq!((one.now_ns(), one.now_ns()), (1000, 2000));
        assert_eq!(one.random_u64(), other.random_u64());
        assert_ne!(one.random_u64(), one.random_u64());
        assert!(one.random_bytes(RANDOM_BYTES_MAX + 1).is_err());
    }
}
