//! The form `map_batches!`: the author handles the columns.

use crate::bindings::types::{Batch, Output};
use crate::declaration::OutputPort;

/// A function without settings, in the shape of one with.
pub fn without_settings<F>(function: F) -> impl Fn(&(), &Batch) -> Result<Output, String>
where
    F: Fn(&Batch) -> Result<Output, String>,
{
    move |_, batch| function(batch)
}

/// Handles one batch.
pub fn run<T, F>(
    batch: &Batch,
    _outputs: &'static [OutputPort],
    settings: &T,
    function: F,
) -> Result<Output, String>
where
    F: Fn(&T, &Batch) -> Result<Output, String>,
{
    function(settings, batch)
}
