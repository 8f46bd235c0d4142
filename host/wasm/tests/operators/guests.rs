//! Builds the guests of `tests/wat`, and a sink that remembers what they said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{CallContext, CallError, CallFailure, Operator};
use weir_protocol::output::Output;
use weir_protocol::plan::OperatorLimits;
use weir_protocol::slots::Slots;
use weir_wasm::{Engine, GuestSink, Level, OperatorOptions, Prepared, WasmOperator};

pub fn wat_text(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/wat/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A core module of the text and the part that it shares with its siblings, without metadata.
pub fn module(body: &str, shared: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {}\n{})", wat_text(body), wat_text(shared))).unwrap()
}

pub fn mapper(name: &str) -> Vec<u8> {
    let mut module = module(&format!("{name}.wat"), "mapper.wat");
    weir_wasm::embed_world(&mut module, "mapper").unwrap();
    module
}

pub fn processor(name: &str) -> Vec<u8> {
    let mut module = module(&format!("{name}.wat"), "processor.wat");
    weir_wasm::embed_world(&mut module, "processor").unwrap();
    module
}

/// The processor `keyed.wat` with the functions that it leaves to `rest`.
pub fn keyed(rest: &str) -> Vec<u8> {
    keyed_in("processor", rest)
}

/// The same with the `migrate` of `migrate.wat`.
pub fn migrating() -> Vec<u8> {
    keyed_in("migrating-processor", &format!("{PLAIN}\n{}", wat_text("migrate.wat")))
}

/// What `keyed.wat` leaves open, doing nothing.
pub const PLAIN: &str = "(func $in_describe) (func $open)";

fn keyed_in(world: &str, rest: &str) -> Vec<u8> {
    let mut module = wat::parse_str(format!("(module {}\n{rest})", wat_text("keyed.wat"))).unwrap();
    weir_wasm::embed_world(&mut module, world).unwrap();
    module
}

/// A text that is a whole module of its own.
pub fn whole_mapper(name: &str) -> Vec<u8> {
    let mut module = wat::parse_str(wat_text(&format!("{name}.wat"))).unwrap();
    weir_wasm::embed_world(&mut module, "mapper").unwrap();
    module
}

pub fn load(bytes: &[u8]) -> Prepared {
    Engine::new(None).unwrap().load(bytes).unwrap()
}

pub fn refusal(bytes: &[u8]) -> String {
    let refusal =
        Engine::new(None).unwrap().load(bytes).err().expect("the guest should be refused").to_string();
    assert!(!refusal.contains('\n'), "{refusal}");
    refusal
}

pub struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl GuestSink for Recorder {
    fn log(&self, level: Level, line: &str) {
        self.push(format!("{level:?} {line}"));
    }

    fn log_dropped(&self, lines: u64) {
        self.push(format!("dropped {lines}"));
    }

    fn metric_add(&self, name: &str, delta: f64) {
        self.push(format!("{name} +{delta}"));
    }

    fn metric_set(&self, name: &str, value: f64) {
        self.push(format!("{name} ={value}"));
    }
}

pub fn limits() -> OperatorLimits {
    OperatorLimits { call: Duration::from_millis(200), memory_bytes: 32 << 20, ..OperatorLimits::default() }
}

pub fn options(limits: OperatorLimits) -> (OperatorOptions, Arc<Recorder>) {
    let recorder = Arc::new(Recorder(Mutex::default()));
    let options = OperatorOptions {
        name: "guest".into(),
        config: BTreeMap::new(),
        limits,
        keeps_key: false,
        state: None,
        guest: recorder.clone(),
    };
    (options, recorder)
}

pub fn start(bytes: &[u8], limits: OperatorLimits) -> (WasmOperator, Arc<Recorder>) {
    let (options, recorder) = options(limits);
    (load(bytes).operator(options).unwrap(), recorder)
}

pub fn batch(rows: usize) -> Batch {
    let topic: Arc<str> = "in".into();
    let mut batch = Batch::default();
    for row in 0..rows {
        batch.push(row as i64, Some(b"key"), Some(format!("value {row}").as_bytes()), None);
        batch.origins.push(&topic, 0, row as i64);
    }
    batch
}

pub const CONTEXT: CallContext = CallContext { port: 0, now_ms: 1, watermark_ms: i64::MIN, time: None };

pub fn call(operator: &mut WasmOperator, rows: usize) -> Result<Output, CallFailure> {
    operator.call(&batch(rows), &Slots::default(), CONTEXT).map_err(failed)
}

/// The failure of a call whose operator is not broken.
pub fn failed(error: CallError) -> CallFailure {
    match error {
        CallError::Failed(failure) => {
            assert!(!failure.message.contains('\n'), "{failure}");
            failure
        }
        CallError::Broken(message) => panic!("{message}"),
    }
}
