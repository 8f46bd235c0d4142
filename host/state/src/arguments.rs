//! What a guest hands to a state function, checked before it is used.

use weir_protocol::batch::read_u32;
use weir_protocol::state::{ColumnRef, StateError};

/// Packed slots, each below `slots`. Returns how many there are.
pub(crate) fn check_slots(function: &str, packed: &[u8], slots: usize) -> Result<usize, StateError> {
    if !packed.len().is_multiple_of(4) {
        return Err(misuse(function, format!("slots have {} bytes, expected 4 per slot", packed.len())));
    }
    let rows = packed.len() / 4;
    let highest = (0..rows).map(|row| read_u32(packed, row)).max();
    match highest {
        Some(highest) if highest as usize >= slots => Err(misuse(
            function,
            format!("found slot {highest}, expected one below {slots}, the slot-count of the call"),
        )),
        _ => Ok(rows),
    }
}

/// A column with an entry per row.
pub(crate) fn check_column(
    function: &str,
    name: &str,
    column: ColumnRef<'_>,
    rows: usize,
) -> Result<(), StateError> {
    let wrong = |what: String| Err(misuse(function, format!("{name}: {what}")));
    let ColumnRef { offsets, data, nulls } = column;
    if offsets.is_empty() && rows == 0 && data.is_empty() && nulls.is_empty() {
        return Ok(());
    }
    if offsets.len() != (rows + 1) * 4 {
        let expected = (rows + 1) * 4;
        return wrong(format!(
            "offsets have {} bytes, expected {expected} for {rows} entries",
            offsets.len()
        ));
    }
    let (first, last) = (read_u32(offsets, 0), read_u32(offsets, rows));
    if first != 0 {
        return wrong(format!("the first offset is {first}, expected 0"));
    }
    if last as usize != data.len() {
        return wrong(format!("the last offset is {last}, expected {}, the bytes of data", data.len()));
    }
    if let Some(row) = (0..rows).find(|row| read_u32(offsets, row + 1) < read_u32(offsets, *row)) {
        return wrong(format!("offset {} is smaller than the one before it", row + 1));
    }
    if nulls.is_empty() {
        return Ok(());
    }
    if nulls.len() != rows {
        return wrong(format!("nulls have {} bytes, expected {rows} or none", nulls.len()));
    }
    match nulls.iter().position(|null| *null > 1) {
        Some(row) => wrong(format!("null {row} is {}, expected 0 or 1", nulls[row])),
        None => check_null_lengths(function, name, column),
    }
}

/// A column with an entry per row, or an absent one.
pub(crate) fn check_optional_column(
    function: &str,
    name: &str,
    column: ColumnRef<'_>,
    rows: usize,
) -> Result<(), StateError> {
    if column.offsets.is_empty() && column.data.is_empty() && column.nulls.is_empty() {
        return Ok(());
    }
    check_column(function, name, column, rows)
}

/// A column in which no entry is null.
pub(crate) fn check_no_nulls(function: &str, name: &str, column: ColumnRef<'_>) -> Result<(), StateError> {
    match column.nulls.iter().position(|null| *null != 0) {
        Some(row) => Err(misuse(function, format!("{name}: entry {row} is null, expected a value"))),
        None => Ok(()),
    }
}

/// Packed times, one per row.
pub(crate) fn check_times(function: &str, times: &[u8], rows: usize) -> Result<(), StateError> {
    if times.len() == rows * 8 {
        return Ok(());
    }
    Err(misuse(function, format!("times have {} bytes, expected 8 for each of {rows} slots", times.len())))
}

/// Entry `row` of a checked column, `None` where it is null or the column is absent.
#[inline]
pub(crate) fn entry<'a>(column: ColumnRef<'a>, row: usize) -> Option<&'a [u8]> {
    if column.offsets.is_empty() || column.nulls.get(row).is_some_and(|null| *null != 0) {
        return None;
    }
    Some(&column.data[read_u32(column.offsets, row) as usize..read_u32(column.offsets, row + 1) as usize])
}

/// The guest asked for something malformed.
pub(crate) fn misuse(function: &str, what: String) -> StateError {
    StateError::Misuse(format!("{function}: {what}"))
}

/// The limit of one answer, so that a guest that asks for the same large value again and again gets a message instead of
/// the host's memory.
pub(crate) fn check_answer(function: &str, bytes: usize, bytes_max: usize) -> Result<(), StateError> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let what =
        format!("the answer is longer than {bytes_max} bytes (limits.state_reads); ask for less at a time");
    Err(misuse(function, what))
}

fn check_null_lengths(function: &str, name: &str, column: ColumnRef<'_>) -> Result<(), StateError> {
    let ColumnRef { offsets, nulls, .. } = column;
    let wrong = (0..nulls.len())
        .find(|row| nulls[*row] != 0 && read_u32(offsets, *row) != read_u32(offsets, row + 1));
    match wrong {
        Some(row) => {
            Err(misuse(function, format!("{name}: entry {row} is null and has bytes, expected none")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::batch::Column;

    #[test]
    fn malformed_arguments_are_told_with_what_was_expected() {
        let packed = |slots: &[u32]| slots.iter().flat_map(|slot| slot.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(check_slots("f", &packed(&[0, 2]), 3), Ok(2));
        let says = |result: Result<usize, StateError>, what: &str| {
            let error = result.expect_err("malformed").to_string();
            assert!(error.contains(what), "{error}");
        };
        says(check_slots("f", &packed(&[0, 3]), 3), "found slot 3, expected one below 3");
        says(check_slots("f", &[0; 5], 3), "5 bytes");

        let mut good = Column::default();
        [Some(&b"ab"[..]), None, Some(b"c")].into_iter().for_each(|entry| good.push(entry));
        let check = |column: &Column, what: &str| {
            let result = check_column("f", "values", column.into(), 3);
            match what {
                "" => assert_eq!(result, Ok(())),
                _ => says(result.map(|()| 0), what),
            }
        };
        check(&good, "");
        check(&Column::default(), "offsets have 0 bytes");
        check(&Column { offsets: packed(&[0, 2, 2, 4]), ..good.clone() }, "the last offset is 4");
        check(&Column { offsets: packed(&[0, 3, 2, 3]), ..good.clone() }, "offset 2 is smaller");
        check(&Column { offsets: packed(&[1, 2, 2, 3]), ..good.clone() }, "the first offset is 1");
        check(&Column { nulls: vec![0, 1], ..good.clone() }, "nulls have 2 bytes");
        check(&Column { nulls: vec![0, 2, 0], ..good.clone() }, "null 1 is 2");
        check(&Column { nulls: vec![1, 0, 0], ..good.clone() }, "entry 0 is null and has bytes");
        assert_eq!(check_optional_column("f", "starts", (&Column::default()).into(), 3), Ok(()));
    }
}
