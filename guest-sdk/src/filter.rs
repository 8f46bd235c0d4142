//! The form `filter!`: row numbers out, not a byte copied.

use crate::answer::Keep;
use crate::bindings::types::{Batch, Output, Rejection};
use crate::declaration::OutputPort;
use crate::record::Record;
use crate::source_rows::SourceRows;

/// A function without settings, in the shape of one with.
pub fn without_settings<A, F>(function: F) -> impl Fn(&(), Record<'_>) -> A
where
    F: Fn(Record<'_>) -> A,
{
    move |_, record| function(record)
}

/// Handles one batch.
pub fn run<T, A, F>(
    batch: &Batch,
    _outputs: &'static [OutputPort],
    settings: &T,
    function: F,
) -> Result<Output, String>
where
    A: Keep,
    F: Fn(&T, Record<'_>) -> A,
{
    let mut rows = SourceRows::default();
    let mut rejections = Vec::new();
    for record in batch.records() {
        match function(settings, record).into_result() {
            Ok(true) => rows.push(record.row()),
            Ok(false) => {}
            Err(reason) => rejections.push(Rejection::new(record.row(), reason)),
        }
    }
    Ok(Output {
        count: rows.count() as u32,
        rows: rows.finish(batch.count as usize),
        rejections,
        ..Output::default()
    })
}
