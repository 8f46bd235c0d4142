//! An operator's log: lines are cut out of console bytes, cleaned, bounded in length and in number per second.

use crate::guest_sink::{GuestSink, Level};
use crate::one_line::clean_line;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The two streams of a guest's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleStream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

impl ConsoleStream {
    fn level(self) -> Level {
        match self {
            ConsoleStream::Output => Level::Info,
            ConsoleStream::Error => Level::Warn,
        }
    }
}

/// Outlives the instances of an operator, so that a guest that fails in every call cannot log without limit.
pub struct GuestLog {
    sink: Arc<dyn GuestSink>,
    line_bytes_max: usize,
    lines_per_second_max: u32,
    window_start: Option<Instant>,
    lines_in_window: u32,
    dropped: u64,
    pending: [Vec<u8>; 2],
    complaint: Option<String>,
}

impl GuestLog {
    /// An empty log.
    pub fn new(sink: Arc<dyn GuestSink>, line_bytes_max: usize, lines_per_second_max: u32) -> GuestLog {
        GuestLog {
            sink,
            line_bytes_max,
            lines_per_second_max,
            window_start: None,
            lines_in_window: 0,
            dropped: 0,
            pending: [Vec::new(), Vec::new()],
            complaint: None,
        }
    }

    /// A message of `log.write`. One of several lines stays one line.
    pub fn write(&mut self, level: Level, message: &str) {
        self.line(level, message.as_bytes());
    }

    /// Bytes of the console; each line ends with a newline, or with the call if that fails.
    pub fn console(&mut self, stream: ConsoleStream, mut bytes: &[u8]) {
        let slot = stream as usize;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.pending[slot]);
            self.keep(&mut line, &bytes[..end]);
            self.line(stream.level(), &line);
            line.clear();
            self.pending[slot] = line;
            bytes = &bytes[end + 1..];
        }
        let mut line = std::mem::take(&mut self.pending[slot]);
        self.keep(&mut line, bytes);
        self.pending[slot] = line;
    }

    /// Keeps what a line may have, and one byte more to know that it was cut.
    fn keep(&self, line: &mut Vec<u8>, bytes: &[u8]) {
        let room = (self.line_bytes_max + 1).saturating_sub(line.len());
        line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// A call begins: forgets what the last one complained of.
    pub fn begin_call(&mut self) {
        self.complaint = None;
    }

    /// What the guest said last before it failed: an error, or the line of a panic. Half a line is a line now, for
    /// its end will not come.
    pub fn end_failed_call(&mut self) -> Option<String> {
        for stream in [ConsoleStream::Output, ConsoleStream::Error] {
            let line = std::mem::take(&mut self.pending[stream as usize]);
            if !line.is_empty() {
                self.line(stream.level(), &line);
            }
        }
        self.complaint.take()
    }

    fn line(&mut self, level: Level, bytes: &[u8]) {
        let text = clean_line(bytes, self.line_bytes_max);
        if text.is_empty() {
            return;
        }
        if level >= Level::Warn {
            // A panic is followed by a stack trace; the panic is what a person wants to read.
            let panicked = self.complaint.as_ref().is_some_and(|line| line.contains("panic"));
            if level == Level::Error || !panicked {
                self.complaint = Some(text.clone());
            }
        }
        if self.admit() {
            self.sink.log(level, &text);
        }
    }

    fn admit(&mut self) -> bool {
        let now = Instant::now();
        let new_window = self.window_start.is_none_or(|start| now - start >= Duration::from_secs(1));
        if new_window {
            self.report_dropped();
            (self.window_start, self.lines_in_window) = (Some(now), 0);
        }
        if self.lines_in_window >= self.lines_per_second_max {
            self.dropped += 1;
            return false;
        }
        self.lines_in_window += 1;
        true
    }

    fn report_dropped(&mut self) {
        if self.dropped > 0 {
            self.sink.log_dropped(std::mem::take(&mut self.dropped));
        }
    }
}

impl Drop for GuestLog {
    fn drop(&mut self) {
        self.report_dropped();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::RecordingSink;

    fn log(line_bytes_max: usize, lines_per_second_max: u32) -> (GuestLog, Arc<RecordingSink>) {
        let sink = Arc::new(RecordingSink::default());
        (GuestLog::new(sink.clone(), line_bytes_max, lines_per_second_max), sink)
    }

    #[test]
    fn console_bytes_become_lines() {
        let (mut log, sink) = log(100, 100);
        log.console(ConsoleStream::Output, b"one\ntw");
        log.console(ConsoleStream::Error, b"oops\n");
        log.console(ConsoleStream::Output, b"o\n\nthree");
        assert_eq!(sink.lines(), ["Info one", "Warn oops", "Info two"]);
        log.end_failed_call();
        assert_eq!(sink.lines().last().unwrap(), "Info three");
    }

    #[test]
    fn long_lines_are_cut_and_control_characters_replaced() {
        let (mut log, sink) = log(8, 100);
        log.write(Level::Info, "a\x1b[31m\nb");
        log.write(Level::Info, "123456789");
        log.console(ConsoleStream::Output, &[b'x'; 100_000]);
        log.console(ConsoleStream::Output, b"\n");
        assert_eq!(sink.lines(), ["Info a [31m b", "Info 12345678 [cut]", "Info xxxxxxxx [cut]"]);
        assert!(log.pending[0].capacity() < 100);
    }

    #[test]
    fn lines_over_the_rate_are_counted_and_the_count_reported() {
        let (mut log, sink) = log(100, 2);
        (0..5).for_each(|n| log.write(Level::Info, &n.to_string()));
        assert_eq!(sink.lines(), ["Info 0", "Info 1"]);
        drop(log);
        assert_eq!(sink.lines().last().unwrap(), "dropped 3");
    }

    #[test]
    fn the_line_of_a_panic_is_remembered_over_its_stack_trace() {
        let (mut log, _) = log(100, 100);
        log.begin_call();
        log.console(ConsoleStream::Error, b"panic: boom\n\ngoroutine 1 [running]:\nmain.go:7\n");
        assert_eq!(log.end_failed_call().unwrap(), "panic: boom");
        log.begin_call();
        assert_eq!(log.end_failed_call(), None);
    }
}
