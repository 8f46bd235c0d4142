//! Watermarks: how far event time has come at a place of the graph.
//!
//! A watermark is a promise that no row older than it follows; rows that break it are *late*, which is the operator's
//! business. Merged over several inputs it is the lowest of those that are not idle, and never goes down.

mod source;

pub use source::SourceWatermarks;

/// Before the first watermark.
pub const NONE_MS: i64 = i64::MIN;

/// After the end of all input.
pub const END_MS: i64 = i64::MAX;

/// What is known of event time on one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watermark {
    /// No row older than this many milliseconds since 1970 is expected.
    At(i64),
    /// The input has had no rows for a while and holds nobody back.
    Idle,
}

/// The watermark of a place with several inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatermarkMerge {
    inputs: Vec<Watermark>,
    merged_ms: i64,
    idle: bool,
}

impl WatermarkMerge {
    /// A place with so many inputs, none of which has said anything.
    pub fn new(inputs: usize) -> WatermarkMerge {
        WatermarkMerge { inputs: vec![Watermark::At(NONE_MS); inputs], merged_ms: NONE_MS, idle: false }
    }

    /// Behind a restart: the place had this watermark before.
    pub fn start_at(&mut self, ms: i64) {
        self.merged_ms = self.merged_ms.max(ms);
    }

    /// What an input says now. Returns what the place says from now on, if that changed.
    pub fn update(&mut self, input: usize, says: Watermark) -> Option<Watermark> {
        self.inputs[input] = match (self.inputs[input], says) {
            // An input's own promise stands, whatever it says later.
            (Watermark::At(before), Watermark::At(now)) => Watermark::At(before.max(now)),
            (_, says) => says,
        };
        let active = self.inputs.iter().filter_map(|input| match input {
            Watermark::At(ms) => Some(*ms),
            Watermark::Idle => None,
        });
        match active.min() {
            None if self.idle => None,
            None => {
                self.idle = true;
                Some(Watermark::Idle)
            }
            Some(lowest) => {
                let changed = self.idle || lowest > self.merged_ms;
                self.idle = false;
                self.merged_ms = self.merged_ms.max(lowest);
                changed.then_some(Watermark::At(self.merged_ms))
            }
        }
    }

    /// The merged watermark in milliseconds; it holds while the inputs are idle.
    pub fn current_ms(&self) -> i64 {
        self.merged_ms
    }
}

#[cfg(test)]
mod tests;
