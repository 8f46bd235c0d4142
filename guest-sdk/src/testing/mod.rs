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

mod case;
mod check;
mod columns;
mod outcome;
mod sample;

pub use case::Case;
pub use check::check;
pub use outcome::{Emitted, Outcome};
pub use sample::{SampleRecord, keyless, record, tombstone};
