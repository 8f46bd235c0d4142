//! What the host checks of every output before it uses it. A message names the column at fault.

use crate::bindings::types::{Batch, Column, Output};
use crate::column::read_u32;
use crate::declaration::OutputPort;

/// Whether the host would take this output for an answer to this batch, or why not.
pub fn check(batch: &Batch, output: &Output, outputs: &[OutputPort]) -> Result<(), String> {
    let count = output.count as usize;
    let inputs = batch.count as usize;
    check_size("rows", output.rows.len(), 4 * count)?;
    check_size("ports", output.ports.len(), count)?;
    check_size("timestamps", output.timestamps.len(), 8 * count)?;
    check_column("keys", &output.keys, count)?;
    check_column("values", &output.values, count)?;
    check_column("headers", &output.headers, count)?;
    if count != 0 && batch.values.is_absent() && output.values.is_absent() {
        return Err("values: absent, and the source rows are timers, which have none".to_string());
    }
    if output.rows.is_empty() && count != 0 && count != inputs {
        return Err(format!("count is {count} without rows, and the batch has {inputs} rows"));
    }
    if let Some(port) = output.ports.iter().find(|port| usize::from(**port) >= outputs.len()) {
        return Err(format!("ports: there is no output port {port}"));
    }
    let mut fates = vec![Fate::Open; inputs];
    for record in 0..count {
        let row = read_u32(&output.rows, record).map_or(record, |row| row as usize);
        *fates.get_mut(row).ok_or(format!("rows: the batch has no row {row}"))? = Fate::Emitted;
        let port = output.ports.get(record).copied().unwrap_or_default();
        if !output.keys.is_absent() && outputs[usize::from(port)].keeps_key {
            return Err(format!("keys: the output port \"{}\" keeps keys", outputs[usize::from(port)].name));
        }
    }
    for rejection in &output.rejections {
        let row = rejection.row;
        let fate = fates.get_mut(row as usize).ok_or(format!("rejections: the batch has no row {row}"))?;
        match fate {
            Fate::Open => *fate = Fate::Refused,
            Fate::Emitted => return Err(format!("rejections: row {row} is emitted and refused")),
            Fate::Refused => return Err(format!("rejections: row {row} is refused twice")),
        }
    }
    Ok(())
}

/// What has become of an input row.
#[derive(Clone, Copy)]
enum Fate {
    Open,
    Emitted,
    Refused,
}

fn check_size(name: &str, actual: usize, expected: usize) -> Result<(), String> {
    match actual == 0 || actual == expected {
        true => Ok(()),
        false => Err(format!("{name}: {actual} bytes instead of {expected}")),
    }
}

fn check_column(name: &str, column: &Column, count: usize) -> Result<(), String> {
    check_size(&format!("{name}.nulls"), column.nulls.len(), count)?;
    if column.is_absent() {
        return match column.data.is_empty() {
            true => Ok(()),
            false => Err(format!("{name}.data: bytes without offsets")),
        };
    }
    check_size(&format!("{name}.offsets"), column.offsets.len(), 4 * (count + 1))?;
    let mut last = 0;
    for entry in 0..=count {
        let offset = read_u32(&column.offsets, entry).unwrap_or_default();
        if offset < last || (entry == 0 && offset != 0) {
            return Err(format!("{name}.offsets: {offset} follows {last} at entry {entry}"));
        }
        if entry > 0 && offset > last && column.is_null(entry - 1) {
            return Err(format!("{name}.nulls: entry {} is null and has bytes", entry - 1));
        }
        last = offset;
    }
    match last as usize == column.data.len() {
        true => Ok(()),
        false => Err(format!("{name}.offsets: end at {last}, and data has {} bytes", column.data.len())),
    }
}
