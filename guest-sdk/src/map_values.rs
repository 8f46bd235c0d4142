//! The form `map_values!`: one value in, one value out. The output carries nothing but the value column.

use crate::answer::Answer;
use crate::bindings::types::{Batch, Output, Rejection};
use crate::column_builder::ColumnBuilder;
use crate::declaration::OutputPort;
use crate::source_rows::SourceRows;
use crate::value_writer::ValueWriter;

/// Room for this many more bytes per record than came in, so that a short prefix or suffix makes nothing grow.
const GROWTH_BYTES_PER_RECORD: usize = 16;

/// A function without settings, in the shape of one with.
pub fn without_settings<A, F>(function: F) -> impl Fn(&(), &[u8], &mut ValueWriter) -> A
where
    F: Fn(&[u8], &mut ValueWriter) -> A,
{
    move |_, value, out| function(value, out)
}

/// Handles one batch.
#[inline]
pub fn run<T, A, F>(
    batch: &Batch,
    _outputs: &'static [OutputPort],
    settings: &T,
    function: F,
) -> Result<Output, String>
where
    A: Answer,
    F: Fn(&T, &[u8], &mut ValueWriter) -> A,
{
    let count = batch.count as usize;
    let source = &batch.values;
    let mut values =
        ColumnBuilder::with_capacity(count, source.data.len() + count * GROWTH_BYTES_PER_RECORD);
    let mut rows = SourceRows::default();
    let mut rejections = Vec::new();
    let mut start = 0;
    for (row, end) in source.ends().enumerate() {
        let value = &source.data[start..end];
        start = end;
        if source.is_null(row) {
            values.push_null();
            rows.push(row);
            continue;
        }
        match function(settings, value, values.writer()).into_result() {
            Ok(()) => {
                values.finish_entry();
                rows.push(row);
            }
            Err(reason) => {
                values.truncate(rows.count());
                rejections.push(Rejection::new(row, reason));
            }
        }
    }
    Ok(Output {
        count: rows.count() as u32,
        rows: rows.finish(count),
        values: values.finish(),
        rejections,
        ..Output::default()
    })
}
