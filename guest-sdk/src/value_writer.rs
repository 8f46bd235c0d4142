//! Where an author's function writes a value: straight into the output column, with no buffer between.

use std::{fmt, io};

/// The value under construction.
///
/// `write!(out, "{}", number)` works without importing a trait, and cannot fail.
#[derive(Default)]
pub struct ValueWriter {
    data: Vec<u8>,
}

impl ValueWriter {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        ValueWriter { data: Vec::with_capacity(bytes) }
    }

    /// Appends bytes or text to the value.
    #[inline(always)]
    pub fn put(&mut self, bytes: impl AsRef<[u8]>) {
        self.data.extend_from_slice(bytes.as_ref());
    }

    /// Appends a whole number as decimal text; several times faster than `write!`.
    #[inline]
    pub fn put_decimal(&mut self, number: impl Into<i128>) {
        let number = number.into();
        match u64::try_from(number.unsigned_abs()) {
            Ok(magnitude) => {
                if number < 0 {
                    self.data.push(b'-');
                }
                self.put_digits(magnitude);
            }
            Err(_) => self.write_fmt(format_args!("{number}")),
        }
    }

    fn put_digits(&mut self, mut magnitude: u64) {
        // u64::MAX has 20 digits.
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (magnitude % 10) as u8;
            magnitude /= 10;
            if magnitude == 0 {
                break;
            }
        }
        self.data.extend_from_slice(&digits[start..]);
    }

    /// Appends formatted text; called by `write!`.
    pub fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) {
        // Growing a vector cannot fail; an error could only come from a `Display` that breaks its contract.
        let _ = io::Write::write_fmt(&mut self.data, arguments);
    }

    pub(crate) fn data(&self) -> &Vec<u8> {
        &self.data
    }

    pub(crate) fn data_mut(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    pub(crate) fn truncate(&mut self, bytes: usize) {
        self.data.truncate(bytes);
    }

    pub(crate) fn into_data(self) -> Vec<u8> {
        self.data
    }
}

impl io::Write for ValueWriter {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.data.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.data.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ValueWriter;

    #[test]
    fn a_decimal_is_what_display_writes() {
        for number in [0, 7, -7, 10, i128::from(u64::MAX), i128::from(i64::MIN), i128::MIN, i128::MAX] {
            let mut out = ValueWriter::default();
            out.put_decimal(number);
            assert_eq!(String::from_utf8(out.into_data()).unwrap(), number.to_string());
        }
    }
}
