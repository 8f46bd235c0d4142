//! A processor that does not come to describe itself, or only by trapping.

use weir_sdk::bindings::processing::{Description, Guest};
use weir_sdk::{Batch, Output};

/// The guest that the features choose.
pub struct ThisOperator;

impl Guest for ThisOperator {
    fn describe() -> Description {
        match cfg!(feature = "describe_endless") {
            true => crate::behaviour::endless_loop(),
            false => panic!("this guest panics when it is asked what it is"),
        }
    }

    fn open() -> Result<(), String> {
        Ok(())
    }

    fn process(batch: Batch) -> Result<Output, String> {
        Ok(Output { count: batch.count, ..Output::default() })
    }

    fn on_timers(_timer: String, _fired: Batch) -> Result<Output, String> {
        Ok(Output::default())
    }
}

#[cfg(target_arch = "wasm32")]
weir_sdk::bindings::processor::export_processor!(ThisOperator with_types_in weir_sdk::bindings::processor);
