//! Measures what a call costs: `call_cost COMPONENT [--json | --hex=VALUE] [KEY=VALUE ...]`. Batches of 1000 rows of 100-byte
//! values, which are digits, with `--json` an order of that size, with `--hex` the one that is given; CPU time
//! of the calling thread per record, both copies included, best of five. An operator with state is measured with 100
//! and with 1000 distinct keys, numbering them included; its state is in memory, in place of the database.

#[path = "../tests/operators/state_double.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "the double is the tests' own, and more is asked of it there"
)]
mod state_double;

use state_double::StateDouble;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{CallContext, Operator};
use weir_protocol::plan::OperatorLimits;
use weir_protocol::slots::{SlotNumbering, Slots};
use weir_protocol::state::SharedState;
use weir_wasm::{Engine, OperatorOptions, SilentGuestSink, thread_cpu_time};

const ROUNDS: usize = 5;

/// What the values of a batch are.
enum Values {
    Digits,
    Json,
    Given(Vec<u8>),
}

impl Values {
    fn chosen(argument: &str) -> Option<Values> {
        if argument == "--json" {
            return Some(Values::Json);
        }
        let hex = argument.strip_prefix("--hex=")?;
        let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        (0..hex.len()).step_by(2).map(byte).collect::<Option<_>>().map(Values::Given)
    }

    fn of(&self, row: usize) -> Vec<u8> {
        match self {
            Values::Digits => format!("{row:0100}").into_bytes(),
            Values::Json => format!(
                r#"{{"id":{:09},"customer":{{"name":"somebody","country":"DE"}},"amount":{:06}.25,"tags":["one","two"]}}"#,
                100_000_000 + row,
                100_000 + row
            )
            .into_bytes(),
            Values::Given(value) => value.clone(),
        }
    }
}

fn batch(values: &Values, rows: usize, keys: usize) -> Batch {
    let mut batch = Batch::default();
    for row in 0..rows {
        let key = format!("key-{:08}", row % keys);
        batch.push(row as i64, Some(key.as_bytes()), Some(&values.of(row)), None);
    }
    batch
}

/// Nanoseconds per record.
fn measure(
    operator: &mut impl Operator,
    state: Option<&SharedState>,
    batch: &Batch,
    calls: usize,
) -> Result<f64, Box<dyn Error>> {
    let (mut numbering, mut slots) = (SlotNumbering::default(), Slots::default());
    let mut best = f64::INFINITY;
    for round in 0..=ROUNDS {
        let start = thread_cpu_time();
        for call in 0..calls {
            let now_ms = (round * calls + call) as i64;
            let context = CallContext { port: 0, now_ms, watermark_ms: i64::MIN, time: None };
            if let Some(state) = state {
                numbering.assign(&batch.keys, &mut slots);
                state.lock().map_err(|error| error.to_string())?.begin_call(&batch.keys, &slots, now_ms);
            }
            std::hint::black_box(operator.call(batch, &slots, context)?);
            if let Some(state) = state {
                state.lock().map_err(|error| error.to_string())?.commit_call()?;
            }
        }
        let spent = (thread_cpu_time() - start).as_nanos() as f64 / (calls * batch.rows) as f64;
        // The first round warms up.
        if round > 0 {
            best = best.min(spent);
        }
    }
    Ok(best)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("expected the path of a component")?;
    let mut arguments = arguments.peekable();
    let values = arguments.next_if(|argument| argument.starts_with("--"));
    let values = match values {
        Some(argument) => Values::chosen(&argument).ok_or("expected --json or --hex=VALUE")?,
        None => Values::Digits,
    };
    let config: BTreeMap<String, String> = arguments
        .filter_map(|argument| argument.split_once('=').map(|(name, value)| (name.into(), value.into())))
        .collect();
    let prepared = Engine::new(None)?.load(&std::fs::read(&path)?)?;
    let shape = prepared.description().shape();
    let state: Option<SharedState> = shape.is_keyed().then(|| {
        let double = StateDouble::new(shape, Arc::default());
        Arc::new(Mutex::new(Box::new(double) as _))
    });
    let mut operator = prepared.operator(OperatorOptions {
        name: "measured".into(),
        config,
        limits: OperatorLimits::default(),
        keeps_key: false,
        state: state.clone(),
        guest: Arc::new(SilentGuestSink),
    })?;
    println!("{path}: {} of {} bytes", prepared.world(), prepared.size());
    let mut print = |what: &str, unit: &str, rows: usize, keys: usize, calls: usize| {
        let spent = measure(&mut operator, state.as_ref(), &batch(&values, rows, keys), calls)?;
        println!("{what}: {spent:8.1} ns per {unit}");
        Ok::<(), Box<dyn Error>>(())
    };
    print("1000 rows,  100 keys", "record", 1000, 100, 2000)?;
    if state.is_some() {
        print("1000 rows, 1000 keys", "record", 1000, 1000, 500)?;
    }
    print("   1 row            ", "call", 1, 1, 100_000)
}
