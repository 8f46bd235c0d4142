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
