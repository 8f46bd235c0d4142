//! The contract's `output`: made whole from what an operator emitted and refused.

use crate::bindings::types::{Column, Output, Rejection};

impl Default for Output {
    /// Nothing emitted, nothing refused.
    fn default() -> Self {
        Output {
            count: 0,
            rows: Vec::new(),
            ports: Vec::new(),
            timestamps: Vec::new(),
            keys: Column::default(),
            values: Column::default(),
            headers: Column::default(),
            rejections: Vec::new(),
        }
    }
}

impl Rejection {
    /// Refuses row `row`. The reason is one line for a person.
    pub fn new(row: usize, reason: impl Into<String>) -> Self {
        Rejection { row: row as u32, reason: reason.into() }
    }
}
