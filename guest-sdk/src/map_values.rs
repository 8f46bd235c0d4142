//! The form `map_values!`: one value in, one value out. The output carries nothing but the value column.

use crate::answer::Answer;
use crate::bindings::types::{Batch, Column, Output, Rejection};
use crate::declaration::OutputPort;
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
    let mut out = ValueWriter::with_capacity(source.data.len() + count * GROWTH_BYTES_PER_RECORD);
    let mut offsets = vec![0; 4 * (count + 1)];
    let mut free_offsets = offsets[4..].chunks_exact_mut(4);
    let mut rejections = Vec::new();
    let mut start = 0;
    let mut written = 0;
    for (row, end) in source.ends().enumerate() {
        let value = &source.data[start..end];
        start = end;
        if !source.is_null(row)
            && let Err(reason) = function(settings, value, &mut out).into_result()
        {
            out.truncate(written);
            rejections.push(Rejection::new(row, reason));
            continue;
        }
        written = out.data().len();
        if let Some(offset) = free_offsets.next() {
            offset.copy_from_slice(&(written as u32).to_le_bytes());
        }
    }
    let values = Column { offsets, data: out.into_data(), nulls: source.nulls.clone() };
    match rejections.is_empty() {
        true => Ok(Output { count: batch.count, values, ..Output::default() }),
        false => Ok(without_refused(batch.count, values, rejections)),
    }
}

/// The same with the refused rows left out. Their entries are missing from the offsets already; the nulls still have them.
#[cold]
fn without_refused(inputs: u32, mut values: Column, rejections: Vec<Rejection>) -> Output {
    let mut refused = rejections.iter().map(|rejection| rejection.row).peekable();
    let kept: Vec<u32> = (0..inputs).filter(|row| refused.next_if_eq(row).is_none()).collect();
    if kept.is_empty() {
        return Output { rejections, ..Output::default() };
    }
    values.offsets.truncate(4 * (kept.len() + 1));
    if !values.nulls.is_empty() {
        values.nulls = kept.iter().map(|row| values.nulls[*row as usize]).collect();
    }
    let rows = kept.iter().flat_map(|row| row.to_le_bytes()).collect();
    Output { count: kept.len() as u32, rows, values, rejections, ..Output::default() }
}
