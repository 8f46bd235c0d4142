//! What the guest does with a batch, by the name in the configuration key `behaviour`.
//!
//! | name | what it does |
//! |---|---|
//! | `pass` | hands every record on |
//! | `drop_all` | emits nothing |
//! | `endless_loop` | never returns |
//! | `memory_hog` | allocates until memory does not grow, and traps |
//! | `memory_keep` | keeps `grow_bytes` more bytes with every call, and passes |
//! | `output_flood` | returns `grow_bytes` bytes of output per row |
//! | `measure` | adds its rows to the counter `rows`, sets `batch_rows` to them, and passes |
//! | `log_flood` | writes 100000 log lines, and passes |
//! | `deep_recursion` | recurses until the stack ends |
//! | `trap` | executes `unreachable` |
//! | `panic` | panics with a message |
//! | `err` | returns an error |
//! | `open_err`, `open_panic`, `open_endless` | fails before the first batch, at its opening |
//! | `offsets_out_of_order`, `offsets_past_data`, `wrong_count`, `count_without_rows` | malformed sizes |
//! | `rows_out_of_range`, `port_out_of_range`, `emitted_and_rejected`, `rejected_twice` | malformed rows |
//! | `trap_on_value`, `loop_on_value`, `err_on_value`, `reject_on_value` | only if a value contains `poison` |
//! | `grow_value` | the value `big` becomes `grow_bytes` bytes |

use std::cell::RefCell;
use std::hint::black_box;

use weir_sdk::{Batch, Column, Output, Rejection};

/// The configured behaviour.
pub struct Behaviour {
    name: String,
    grow_bytes: usize,
    kept: RefCell<Vec<Vec<u8>>>,
}

impl Behaviour {
    /// Reads `behaviour` (default `pass`) and `grow_bytes` (default 1048576).
    pub fn from_config() -> Result<Self, String> {
        let name = weir_sdk::config("behaviour").unwrap_or("pass".to_string());
        let grow_bytes = weir_sdk::config("grow_bytes").unwrap_or("1048576".to_string());
        let grow_bytes =
            grow_bytes.parse().map_err(|_| format!("grow_bytes \"{grow_bytes}\" is no number"))?;
        match name.as_str() {
            "open_err" => return Err("this guest does not open".to_string()),
            "open_panic" => panic!("this guest panics when it opens"),
            "open_endless" => endless_loop(),
            _ => {}
        }
        Ok(Behaviour { name, grow_bytes, kept: RefCell::default() })
    }

    /// Misbehaves.
    pub fn process(&self, batch: &Batch) -> Result<Output, String> {
        match self.name.as_str() {
            "pass" => Ok(pass(batch)),
            "drop_all" => Ok(Output::default()),
            "endless_loop" => endless_loop(),
            "memory_hog" => memory_hog(),
            "memory_keep" => {
                self.kept.borrow_mut().push(vec![1; self.grow_bytes]);
                Ok(pass(batch))
            }
            "measure" => {
                weir_sdk::metrics::add("rows", f64::from(batch.count));
                weir_sdk::metrics::set("batch_rows", f64::from(batch.count));
                Ok(pass(batch))
            }
            "log_flood" => {
                (0..100_000).for_each(|line| weir_sdk::log::info(format!("line {line}")));
                Ok(pass(batch))
            }
            "deep_recursion" => Err(format!("the stack holds {} frames", recurse(0))),
            "trap" => trap(),
            "panic" => panic!("this guest panics at every batch"),
            "err" => Err("this guest fails every batch".to_string()),
            "output_flood" => Ok(values(batch, |_| Some(vec![b'x'; self.grow_bytes]))),
            "grow_value" => Ok(values(batch, |value| (value == b"big").then(|| vec![b'x'; self.grow_bytes]))),
            "trap_on_value" | "loop_on_value" | "err_on_value" | "reject_on_value" => self.poisoned(batch),
            malformed => self::malformed(malformed, batch),
        }
    }

    fn poisoned(&self, batch: &Batch) -> Result<Output, String> {
        let is_poisoned = |row: &u32| {
            let value = batch.record(*row as usize).value().unwrap_or_default();
            value.windows(6).any(|window| window == b"poison")
        };
        let Some(row) = (0..batch.count).find(is_poisoned) else { return Ok(pass(batch)) };
        match self.name.as_str() {
            "trap_on_value" => panic!("row {row} is poisoned"),
            "loop_on_value" => endless_loop(),
            "err_on_value" => Err(format!("row {row} is poisoned")),
            _ => {
                let (refused, kept): (Vec<u32>, Vec<u32>) = (0..batch.count).partition(is_poisoned);
                let rejections =
                    refused.iter().map(|row| Rejection::new(*row as usize, "poisoned")).collect();
                Ok(Output { count: kept.len() as u32, rows: packed(&kept), rejections, ..Output::default() })
            }
        }
    }
}

/// Outputs that the host must refuse.
fn malformed(name: &str, batch: &Batch) -> Result<Output, String> {
    let count = batch.count;
    let passed = pass(batch);
    let ends =
        |ends: &[u32], data: &[u8]| Column { offsets: packed(ends), data: data.to_vec(), nulls: Vec::new() };
    let reject = || Rejection::new(0, "refused");
    Ok(match name {
        "offsets_out_of_order" => {
            let mut offsets: Vec<u32> = (0..=count).rev().collect();
            offsets[0] = 0;
            Output { values: ends(&offsets, b""), ..passed }
        }
        "offsets_past_data" => {
            let offsets: Vec<u32> = (0..=count).map(|entry| entry * 1000).collect();
            Output { values: ends(&offsets, b"short"), ..passed }
        }
        "wrong_count" => Output { values: ends(&vec![0; count as usize], b""), ..passed },
        "count_without_rows" => Output { count: count - 1, ..passed },
        "rows_out_of_range" => Output { rows: packed(&vec![count; count as usize]), ..passed },
        "port_out_of_range" => Output { ports: vec![7; count as usize], ..passed },
        "emitted_and_rejected" => Output { rejections: vec![reject()], ..passed },
        "rejected_twice" => Output { rejections: vec![reject(), reject()], ..Output::default() },
        unknown => return Err(format!("there is no behaviour \"{unknown}\"")),
    })
}

/// Every record as it is.
fn pass(batch: &Batch) -> Output {
    Output { count: batch.count, ..Output::default() }
}

/// Every record, with the values for which the function has another.
fn values(batch: &Batch, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Output {
    let mut offsets = vec![0];
    let mut data = Vec::new();
    for record in batch.records() {
        let value = record.value().unwrap_or_default();
        data.extend_from_slice(change(value).as_deref().unwrap_or(value));
        offsets.push(data.len() as u32);
    }
    Output { values: Column { offsets: packed(&offsets), data, nulls: Vec::new() }, ..pass(batch) }
}

fn packed(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Loops for ever; the counter keeps the compiler from seeing that.
pub(crate) fn endless_loop() -> ! {
    let mut rounds = 0u64;
    loop {
        rounds = black_box(rounds.wrapping_add(1));
    }
}

fn memory_hog() -> ! {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(vec![1; 1 << 20]);
        black_box(&hoard);
    }
}

/// Not a tail call, and each frame holds something. The stack ends long before the numbers do.
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    let frame = black_box([depth; 8]);
    black_box(recurse(frame[0] + 1)) + frame[7]
}

/// Traps without a panic's message.
pub(crate) fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}
