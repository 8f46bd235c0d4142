//! Measures what a call costs: `call_cost COMPONENT [KEY=VALUE ...]`. Batches of 1000 rows of 100-byte values; CPU time
//! of the calling thread per record, both copies included, best of five.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{CallContext, Operator};
use weir_protocol::plan::OperatorLimits;
use weir_wasm::{Engine, OperatorOptions, SilentGuestSink, thread_cpu_time};

const ROUNDS: usize = 5;

fn batch(rows: usize) -> Batch {
    let mut batch = Batch::default();
    for row in 0..rows {
        let key = format!("key-{:08}", row % 100);
        let value = format!("{row:0100}");
        batch.push(row as i64, Some(key.as_bytes()), Some(value.as_bytes()), None);
    }
    batch
}

fn measure(operator: &mut impl Operator, rows: usize, calls: usize) -> Result<f64, Box<dyn Error>> {
    let batch = batch(rows);
    let mut best = f64::INFINITY;
    for round in 0..=ROUNDS {
        let start = thread_cpu_time();
        for call in 0..calls {
            let now_ms = (round * calls + call) as i64;
            let context = CallContext { port: 0, now_ms, watermark_ms: i64::MIN, time: None };
            std::hint::black_box(operator.call(&batch, context)?);
        }
        let spent = (thread_cpu_time() - start).as_nanos() as f64 / (calls * rows) as f64;
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
    let config: BTreeMap<String, String> = arguments
        .filter_map(|argument| argument.split_once('=').map(|(name, value)| (name.into(), value.into())))
        .collect();
    let prepared = Engine::new(None)?.load(&std::fs::read(&path)?)?;
    let mut operator = prepared.operator(OperatorOptions {
        name: "measured".into(),
        config,
        limits: OperatorLimits::default(),
        keeps_key: false,
        guest: Arc::new(SilentGuestSink),
    })?;
    println!("{path}: {} of {} bytes", prepared.world(), prepared.size());
    println!("1000 rows: {:8.1} ns per record", measure(&mut operator, 1000, 2000)?);
    println!("   1 row : {:8.1} ns per call", measure(&mut operator, 1, 100_000)?);
    Ok(())
}
