//! Runs an operator natively, as the host would: `cargo test` is enough.
//!
//! ```
//! use weir_sdk::testing::{Case, record, tombstone};
//!
//! weir_sdk::map_values!(|value, out| { out.put("processed_"); out.put(value); });
//!
//! # fn main() {
//! let outcome = Case::new().record(record("key", "a")).record(tombstone("key")).run::<ThisOperator>().unwrap();
//! assert_eq!(outcome.emitted[0].record, record("key", "processed_a"));
//! assert_eq!(outcome.emitted[1].record, tombstone("key"));
//! # }
//! ```

//!
//! A keyed operator lives longer than a batch: [`Subtask`] keeps its state and its timers, and the test moves the clocks.
//!
//! ```
//! use weir_sdk::testing::{Subtask, record};
//!
//! weir_sdk::keyed! {
//!     state count: Value<u64>;
//!     timer report: EventTime;
//!
//!     fn process(record, _emit) {
//!         count.set(count.get().unwrap_or(0) + 1);
//!         report.set(1000);
//!     }
//!
//!     fn on_timer report(timer, emit) {
//!         emit.value(format!("{} at {}", count.get().unwrap_or(0), timer.time()));
//!     }
//! }
//!
//! # fn main() {
//! let mut subtask = Subtask::<ThisOperator>::new();
//! subtask.process([record("key", "a"), record("key", "b")]);
//! assert_eq!(subtask.advance_watermark(1000).values(), ["2 at 1000"]);
//! # }
//! ```

mod case;
mod check;
mod columns;
mod keyed_calls;
mod outcome;
mod sample;
pub(crate) mod store;
mod subtask;
mod swap;

pub use case::Case;
pub use check::check;
pub use keyed_calls::KeyedCalls;
pub use outcome::{Emitted, Outcome};
pub use sample::{SampleRecord, keyless, record, tombstone};
pub use subtask::Subtask;
