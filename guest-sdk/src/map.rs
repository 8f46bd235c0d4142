//! The forms `map!` and `router!`: any number of records out, through an emitter.

use crate::answer::Answer;
use crate::bindings::types::{Batch, Output};
use crate::declaration::OutputPort;
use crate::emitter::Emitter;
use crate::record::Record;

/// A function without settings, in the shape of one with.
pub fn without_settings<A, F>(function: F) -> impl Fn(&(), Record<'_>, &mut Emitter<'_>) -> A
where
    F: Fn(Record<'_>, &mut Emitter<'_>) -> A,
{
    move |_, record, emit| function(record, emit)
}

/// Handles one batch.
pub fn run<T, A, F>(
    batch: &Batch,
    outputs: &'static [OutputPort],
    settings: &T,
    function: F,
) -> Result<Output, String>
where
    A: Answer,
    F: Fn(&T, Record<'_>, &mut Emitter<'_>) -> A,
{
    let mut emitter = Emitter::new(batch, outputs);
    for record in batch.records() {
        emitter.begin_row(record.row());
        let answer = function(settings, record, &mut emitter).into_result();
        emitter.end_row(answer);
    }
    emitter.finish()
}
