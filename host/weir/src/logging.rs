//! Log lines on standard error, which they share with the status line.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Begins logging. `RUST_LOG` says how much; the default is `info`.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| SharedTerminal);
    // A second start is a test's: the first one counts.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// The status line that stands at the bottom of the terminal, empty where there is none.
static STATUS_LINE: Mutex<String> = Mutex::new(String::new());

const CLEAR_LINE: &[u8] = b"\r\x1b[K";
/// A status line that is longer than the terminal is cut, not wrapped: a wrapped one could not be erased.
const WRAP_OFF: &str = "\x1b[?7l";
const WRAP_ON: &str = "\x1b[?7h";

/// Puts a new status line into the place of the old one; an empty one takes it away.
pub fn set_status_line(text: &str) {
    let mut line = STATUS_LINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if line.is_empty() && text.is_empty() {
        return;
    }
    let mut terminal = io::stderr().lock();
    *line = if text.is_empty() { String::new() } else { format!("{WRAP_OFF}{text}{WRAP_ON}") };
    // Standard error may be closed; the pipeline goes on.
    let _ = terminal.write_all(CLEAR_LINE).and_then(|()| terminal.write_all(line.as_bytes()));
    let _ = terminal.flush();
}

/// Writes whole log lines above the status line.
struct SharedTerminal;

impl Write for SharedTerminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = STATUS_LINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut terminal = io::stderr().lock();
        if line.is_empty() {
            terminal.write_all(bytes)?;
        } else {
            terminal.write_all(CLEAR_LINE)?;
            terminal.write_all(bytes)?;
            terminal.write_all(line.as_bytes())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for SharedTerminal {
    type Writer = SharedTerminal;

    fn make_writer(&'a self) -> SharedTerminal {
        SharedTerminal
    }
}
