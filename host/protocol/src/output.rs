//! What a call of an operator returned: checked before it is used, then turned into the next batches.
//!
//! The shape is `output` of `wit/types.wit`. A guest can return anything, so nothing here trusts it: [`Output::check`]
//! either proves that [`Output::apply`] cannot go wrong or names the column that is.

use crate::batch::{Batch, Column, Origins, headers, read_u32};

/// A row that the operator refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Index of the input row.
    pub row: u32,
    /// For a person, in one line.
    pub reason: String,
}

/// What a call emits and refuses. An absent column is inherited from the source rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Number of emitted records.
    pub count: u32,
    /// `u32` per emitted record: its source row; empty = record `i` comes from row `i`.
    pub rows: Vec<u8>,
    /// A byte per emitted record: the output port; empty = all to port 0.
    pub ports: Vec<u8>,
    /// `s64` per emitted record; empty = the source row's.
    pub timestamps: Vec<u8>,
    /// Absent = the source row's.
    pub keys: Column,
    /// Absent = the source row's.
    pub values: Column,
    /// Absent = the source row's.
    pub headers: Column,
    /// Rows that are refused.
    pub rejections: Vec<Rejection>,
}

/// What an output is checked against.
#[derive(Debug, Clone, Copy)]
pub struct OutputRules<'a> {
    /// Rows of the call's input.
    pub input_rows: usize,
    /// Per output port: does it promise to keep the key? A mapper has one port.
    pub keeps_key: &'a [bool],
    /// The input rows are timers, which have no values that a record could inherit.
    pub from_timers: bool,
}

/// An output that breaks the contract. The call fails as if it had trapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operator returned a bad output: {column}: {problem}")]
pub struct BadOutput {
    /// The column at fault.
    pub column: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

fn bad(column: &'static str, problem: impl Into<String>) -> BadOutput {
    BadOutput { column, problem: problem.into() }
}

/// Checks the layout of a column that a guest returned: absent, or `count` entries. The error names it by `name`.
pub fn check_column(name: &'static str, column: &Column, count: usize) -> Result<(), BadOutput> {
    if column.is_absent() {
        if column.data.is_empty() && column.nulls.is_empty() {
            return Ok(());
        }
        return Err(bad(name, "there are bytes but no offsets"));
    }
    if column.offsets.len() != (count + 1) * 4 {
        let found = column.offsets.len();
        return Err(bad(
            name,
            format!("{found} bytes of offsets, expected {} for {count} records", (count + 1) * 4),
        ));
    }
    if !column.nulls.is_empty() && column.nulls.len() != count {
        return Err(bad(name, format!("{} null flags for {count} records", column.nulls.len())));
    }
    let mut last = read_u32(&column.offsets, 0);
    if last != 0 {
        return Err(bad(name, format!("the first offset is {last}, expected 0")));
    }
    for index in 1..=count {
        let offset = read_u32(&column.offsets, index);
        if offset < last {
            return Err(bad(name, format!("offset {index} goes down from {last} to {offset}")));
        }
        last = offset;
    }
    if last as usize != column.data.len() {
        return Err(bad(
            name,
            format!("the last offset is {last}, the data has {} bytes", column.data.len()),
        ));
    }
    for index in 0..column.nulls.len() {
        if column.nulls[index] > 1 {
            return Err(bad(name, format!("null flag {index} is {}, expected 0 or 1", column.nulls[index])));
        }
        if column.nulls[index] == 1 && !column.bytes(index).is_empty() {
            return Err(bad(name, format!("entry {index} is null and has bytes")));
        }
    }
    Ok(())
}

impl Output {
    /// Number of emitted records.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True where nothing is emitted and nothing refused.
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.rejections.is_empty()
    }

    /// The source row of emitted record `index`.
    #[inline]
    pub fn source_row(&self, index: usize) -> usize {
        if self.rows.is_empty() { index } else { read_u32(&self.rows, index) as usize }
    }

    /// The port of emitted record `index`.
    #[inline]
    pub fn port(&self, index: usize) -> usize {
        self.ports.get(index).map_or(0, |port| usize::from(*port))
    }

    /// True where every input row is emitted once and in order, so that absent columns can be moved.
    fn is_one_to_one(&self, input_rows: usize) -> bool {
        self.rows.is_empty() && self.len() == input_rows
    }

    /// Bytes that the guest returned.
    pub fn size_bytes(&self) -> usize {
        let columns = self.keys.size_bytes() + self.values.size_bytes() + self.headers.size_bytes();
        let reasons: usize = self.rejections.iter().map(|rejection| rejection.reason.len()).sum();
        self.rows.len() + self.ports.len() + self.timestamps.len() + columns + reasons
    }

    /// Checks all that the contract says: sizes against `count`, rows and ports in range, offsets that never go
    /// down and end at the length of `data`, no row both emitted and refused.
    pub fn check(&self, rules: OutputRules<'_>) -> Result<(), BadOutput> {
        let count = self.len();
        self.check_rows(rules.input_rows)?;
        if !self.ports.is_empty() && self.ports.len() != count {
            return Err(bad("ports", format!("{} ports for {count} records", self.ports.len())));
        }
        let ports = rules.keeps_key.len();
        if ports == 0 && count > 0 {
            return Err(bad("count", "the operator has no output port"));
        }
        if let Some(port) = self.ports.iter().find(|port| usize::from(**port) >= ports) {
            return Err(bad("ports", format!("port {port} does not exist, there are {ports}")));
        }
        if !self.timestamps.is_empty() && self.timestamps.len() != count * 8 {
            return Err(bad("timestamps", format!("{} bytes for {count} records", self.timestamps.len())));
        }
        check_column("keys", &self.keys, count)?;
        check_column("values", &self.values, count)?;
        if rules.from_timers && count > 0 && self.values.is_absent() {
            return Err(bad("values", "absent, but the source rows are timers, which have no values"));
        }
        check_column("headers", &self.headers, count)?;
        for index in 0..self.headers.len() {
            if headers(self.headers.bytes(index)).any(|header| header.is_err()) {
                return Err(bad("headers", format!("entry {index} does not follow the layout")));
            }
        }
        if !self.keys.is_absent() && (0..count).any(|index| rules.keeps_key[self.port(index)]) {
            return Err(bad("keys", "a key was emitted on a port that keeps the key"));
        }
        self.check_rejections(rules.input_rows)
    }

    fn check_rows(&self, input_rows: usize) -> Result<(), BadOutput> {
        let count = self.len();
        if self.rows.is_empty() {
            if count != 0 && count != input_rows {
                let problem = format!("absent, so count must be 0 or {input_rows}, found {count}");
                return Err(bad("rows", problem));
            }
            return Ok(());
        }
        if self.rows.len() != count * 4 {
            return Err(bad("rows", format!("{} bytes for {count} records", self.rows.len())));
        }
        match (0..count).map(|index| self.source_row(index)).find(|row| *row >= input_rows) {
            Some(row) => Err(bad("rows", format!("row {row} does not exist, the batch has {input_rows}"))),
            None => Ok(()),
        }
    }

    fn check_rejections(&self, input_rows: usize) -> Result<(), BadOutput> {
        if self.rejections.is_empty() {
            return Ok(());
        }
        let mut refused = vec![false; input_rows];
        for rejection in &self.rejections {
            match refused.get_mut(rejection.row as usize) {
                None => {
                    let problem = format!("row {} does not exist, the batch has {input_rows}", rejection.row);
                    return Err(bad("rejections", problem));
                }
                Some(true) => return Err(bad("rejections", format!("row {} is named twice", rejection.row))),
                Some(named) => *named = true,
            }
        }
        match (0..self.len()).map(|index| self.source_row(index)).find(|row| refused[*row]) {
            Some(row) => Err(bad("rejections", format!("row {row} is both emitted and refused"))),
            None => Ok(()),
        }
    }

    /// Turns a checked output into the next batch, all ports together. Absent columns are moved where every row
    /// goes through, and gathered otherwise.
    #[must_use]
    pub fn apply(self, input: Batch) -> Batch {
        let count = self.len();
        if count == 0 {
            return Batch::default();
        }
        let one_to_one = self.is_one_to_one(input.rows);
        let column = |own: Column, inherited: Column| match (own.is_absent(), one_to_one) {
            (false, _) => own,
            (true, true) => inherited,
            (true, false) if inherited.is_absent() => inherited,
            (true, false) => inherited.gather((0..count).map(|i| read_u32(&self.rows, i) as usize)),
        };
        let timestamps = match (self.timestamps.is_empty(), one_to_one) {
            (false, _) => self.timestamps,
            (true, true) => input.timestamps,
            (true, false) => {
                let mut gathered = Vec::with_capacity(count * 8);
                for index in 0..count {
                    let row = read_u32(&self.rows, index) as usize;
                    gathered.extend_from_slice(&input.timestamps[row * 8..row * 8 + 8]);
                }
                gathered
            }
        };
        let origins: Origins = if one_to_one {
            input.origins
        } else {
            input.origins.gather((0..count).map(|i| read_u32(&self.rows, i) as usize))
        };
        Batch {
            rows: count,
            timestamps,
            keys: column(self.keys, input.keys),
            values: column(self.values, input.values),
            headers: column(self.headers, input.headers),
            origins,
        }
    }

    /// The output without the records whose source row is in `refused` (sorted), for rows that the host refuses
    /// after the call, such as a record that no sink could take.
    #[must_use]
    pub fn without_rows(&self, refused: &[usize], input_rows: usize) -> Output {
        let kept: Vec<usize> = (0..self.len())
            .filter(|index| refused.binary_search(&self.source_row(*index)).is_err())
            .collect();
        let column = |column: &Column| {
            if column.is_absent() { Column::default() } else { column.gather(kept.iter().copied()) }
        };
        let mut rows = Vec::with_capacity(kept.len() * 4);
        let mut timestamps = Vec::new();
        for index in &kept {
            rows.extend_from_slice(&(self.source_row(*index) as u32).to_le_bytes());
            if !self.timestamps.is_empty() {
                timestamps.extend_from_slice(&self.timestamps[index * 8..index * 8 + 8]);
            }
        }
        debug_assert!(refused.iter().all(|row| *row < input_rows));
        let ports =
            if self.ports.is_empty() { Vec::new() } else { kept.iter().map(|i| self.ports[*i]).collect() };
        Output {
            count: kept.len() as u32,
            rows,
            ports,
            timestamps,
            keys: column(&self.keys),
            values: column(&self.values),
            headers: column(&self.headers),
            rejections: self.rejections.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn input(rows: usize) -> Batch {
        let topic: Arc<str> = "in".into();
        let mut batch = Batch::default();
        for row in 0..rows {
            let text = format!("v{row}");
            batch.push(row as i64, Some(b"k"), Some(text.as_bytes()), None);
            batch.origins.push(&topic, 0, row as i64);
        }
        batch
    }

    fn check(output: &Output, rows: usize) -> Result<(), &'static str> {
        let rules = OutputRules { input_rows: rows, keeps_key: &[false, true], from_timers: false };
        output.check(rules).map_err(|bad| bad.column)
    }

    fn column(entries: &[&str]) -> Column {
        let mut column = Column::default();
        entries.iter().for_each(|entry| column.push(Some(entry.as_bytes())));
        column
    }

    fn rows(rows: &[u32]) -> Vec<u8> {
        rows.iter().flat_map(|row| row.to_le_bytes()).collect()
    }

    #[test]
    fn a_map_of_values_inherits_everything_else() {
        let output = Output { count: 2, values: column(&["a", "b"]), ..Output::default() };
        check(&output, 2).unwrap();
        let next = output.apply(input(2));
        assert_eq!(next.values.get(1), Some(b"b".as_slice()));
        assert_eq!(next.keys.get(1), Some(b"k".as_slice()));
        assert_eq!((next.timestamp(1), next.origins.of(1).unwrap().offset), (1, 1));
    }

    #[test]
    fn a_flat_map_repeats_and_reorders_rows() {
        let output = Output { count: 3, rows: rows(&[1, 1, 0]), ..Output::default() };
        check(&output, 2).unwrap();
        let next = output.apply(input(2));
        assert_eq!(next.values.get(0), Some(b"v1".as_slice()));
        assert_eq!(next.origins.of(2).unwrap().offset, 0);
    }

    #[test]
    fn each_lie_is_named_by_its_column() {
        let one = |change: &dyn Fn(&mut Output)| {
            let mut output = Output { count: 2, values: column(&["a", "b"]), ..Output::default() };
            change(&mut output);
            check(&output, 2)
        };
        assert_eq!(one(&|o| o.count = 1), Err("rows"));
        assert_eq!(one(&|o| o.rows = rows(&[0, 2])), Err("rows"));
        assert_eq!(one(&|o| o.rows = vec![0; 7]), Err("rows"));
        assert_eq!(one(&|o| o.ports = vec![0]), Err("ports"));
        assert_eq!(one(&|o| o.ports = vec![0, 2]), Err("ports"));
        assert_eq!(one(&|o| o.timestamps = vec![0; 15]), Err("timestamps"));
        assert_eq!(one(&|o| o.values.offsets = rows(&[0, 2, 1])), Err("values"));
        assert_eq!(one(&|o| o.values.offsets = rows(&[1, 1, 2])), Err("values"));
        assert_eq!(one(&|o| o.values.offsets = rows(&[0, 1, 3])), Err("values"));
        assert_eq!(one(&|o| o.values.nulls = vec![1, 0]), Err("values"));
        assert_eq!(one(&|o| o.values.offsets.clear()), Err("values"));
        assert_eq!(one(&|o| o.headers = column(&["x", ""])), Err("headers"));
        assert_eq!(one(&|o| (o.keys, o.ports) = (column(&["a", "b"]), vec![0, 1])), Err("keys"));
        let refuse = |row| Rejection { row, reason: String::new() };
        assert_eq!(one(&|o| o.rejections = vec![refuse(0)]), Err("rejections"));
        assert_eq!(one(&|o| o.rejections = vec![refuse(5)]), Err("rejections"));
        let twice = Output { rejections: vec![refuse(1), refuse(1)], ..Output::default() };
        assert_eq!(check(&twice, 2), Err("rejections"));
    }

    #[test]
    fn what_comes_of_a_timer_has_a_value_of_its_own_and_the_timers_key() {
        let check = |output: &Output| {
            let rules = OutputRules { input_rows: 2, keeps_key: &[true], from_timers: true };
            output.check(rules).map_err(|bad| bad.to_string())
        };
        let absent = "the operator returned a bad output: values: absent, but the source rows are timers, which have no values";
        let rows_alone = Output { count: 1, rows: rows(&[1]), ..Output::default() };
        assert_eq!(check(&rows_alone), Err(absent.into()));
        assert_eq!(check(&Output::default()), Ok(()));
        let refusal = Rejection { row: 0, reason: String::new() };
        assert_eq!(check(&Output { rejections: vec![refusal], ..Output::default() }), Ok(()));
        let output = Output { values: column(&["a"]), ..rows_alone };
        assert_eq!(check(&output), Ok(()));
        let mut fired = input(2);
        (fired.values, fired.origins) = Default::default();
        let next = output.apply(fired);
        assert_eq!((next.keys.bytes(0), next.values.bytes(0)), (b"k".as_slice(), b"a".as_slice()));
        assert!(next.headers.is_absent() && next.origins.of(0).is_none() && next.timestamp(0) == 1);
    }

    #[test]
    fn refused_rows_leave_the_others_in_order() {
        let output = Output { count: 3, values: column(&["a", "b", "c"]), ..Output::default() };
        let next = output.without_rows(&[1], 3).apply(input(3));
        assert_eq!((next.values.bytes(0), next.values.bytes(1)), (b"a".as_slice(), b"c".as_slice()));
        assert_eq!(next.origins.of(1).unwrap().offset, 2);
    }
}
