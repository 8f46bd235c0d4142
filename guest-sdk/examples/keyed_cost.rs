//! What a keyed count costs in the guest: `cargo run --release -p weir-sdk --example keyed_cost`.
//!
//! The operator is called as the host calls it, with slots given, and state is answered from memory by the test kit,
//! whose sorted map is what many keys cost here. The numbers hold neither the host's hashing nor WebAssembly. They are
//! CPU time of this thread, for which Linux is needed.

use weir_sdk::testing::{KeyedCalls, record};

weir_sdk::keyed! {
    output out keeps_key;
    state count: Value<u64>;

    fn process(_record, emit) {
        let n = count.get().unwrap_or(0) + 1;
        count.set(n);
        emit.write_value(|out| out.put_decimal(n));
    }
}

/// Rows of a call.
const ROWS: usize = 1000;
/// Calls of one measurement; the best of [`MEASUREMENTS`] counts.
const CALLS: usize = 1000;
const MEASUREMENTS: usize = 5;

fn main() {
    println!("keys per call   ns per record");
    for keys in [1, 100, 1000] {
        let rows = (0..ROWS).map(|row| record(format!("key-{:04}", row * 7919 % keys), vec![b'x'; 100]));
        let mut calls = KeyedCalls::<ThisOperator>::new(rows);
        let mut best = f64::INFINITY;
        for _ in 0..MEASUREMENTS {
            let start = cpu_ns();
            for _ in 0..CALLS {
                calls.process();
            }
            best = best.min((cpu_ns() - start) as f64 / (CALLS * ROWS) as f64);
        }
        println!("{keys:13} {best:15.1}");
    }
}

/// CPU time of this thread in nanoseconds: the first number of the scheduler's statistics.
fn cpu_ns() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = statistics.split_whitespace().next().and_then(|number| number.parse().ok());
    first.expect("the kernel keeps statistics of the scheduler")
}
