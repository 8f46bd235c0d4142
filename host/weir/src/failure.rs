//! How a command ends: the exit code, and the line that says why.

use crate::pipeline_file::BadPipelineFile;
use std::io::Write;
use std::time::Duration;
use weir_protocol::connector::{ConnectorError, ErrorKind};
use weir_protocol::remedy::{Called, Remedy};

/// The exit codes of weir, documented in `docs/PIPELINE.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or stopped as asked.
    Done,
    /// The pipeline failed, or a test found a difference.
    Failed,
    /// The command line or the pipeline file is wrong.
    Configuration,
    /// Another incarnation has gone on.
    Superseded,
    /// Recovery was refused: a person has to decide.
    NeedsPerson,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Configuration => 2,
            Exit::Superseded => 3,
            Exit::NeedsPerson => 4,
        }
    }

    /// Ends the process.
    pub fn leave(self) -> ! {
        leave(self.code().into())
    }
}

/// How long the end waits for standard output to be taken.
const FLUSHED_WITHIN: Duration = Duration::from_secs(1);

/// Ends the process without the exit handlers of C libraries. OpenSSL's frees what all its users share, while threads
/// that end beside us still use it: those of clients that are being closed, and of producers being replaced. The process
/// would now and then die by SIGSEGV at its very end.
pub fn leave(code: i32) -> ! {
    // A closed pipe is no reason to fail, and a reader that does not read none to stay.
    let (flushed, done) = std::sync::mpsc::channel();
    let flush = move || {
        let _ = std::io::stdout().flush();
        let _ = flushed.send(());
    };
    if std::thread::Builder::new().spawn(flush).is_ok() {
        let _ = done.recv_timeout(FLUSHED_WITHIN);
    }
    signal_hook::low_level::exit(code)
}

/// Why a command ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// Lines that go before the message: the problems of a file.
    pub details: Vec<String>,
    /// One line.
    pub message: String,
    /// The command that helps, where there is one.
    pub remedy: Option<Box<Remedy>>,
}

impl Failure {
    /// With this exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, details: Vec::new(), message: message.into(), remedy: None }
    }

    /// The same with the command that helps in its line.
    pub fn told(mut self, called: &Called) -> Failure {
        if let Some(remedy) = self.remedy.take() {
            self.message = format!("{}; {}", self.message, remedy.told(called));
        }
        self
    }

    /// The pipeline or the command failed.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Failed, message)
    }

    /// What the user wrote is at fault.
    pub fn configuration(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Configuration, message)
    }

    /// Writes the lines to standard error.
    pub fn print(&self) {
        for line in &self.details {
            eprintln!("{line}");
        }
        eprintln!("weir: error: {}", self.message);
    }
}

impl From<BadPipelineFile> for Failure {
    fn from(bad: BadPipelineFile) -> Failure {
        let message = match bad.lines.len() {
            1 => "the pipeline file has a problem".to_owned(),
            count => format!("the pipeline file has {count} problems"),
        };
        Failure { details: bad.lines, ..Failure::configuration(message) }
    }
}

impl From<ConnectorError> for Failure {
    fn from(error: ConnectorError) -> Failure {
        let exit = if error.kind == ErrorKind::Refused { Exit::NeedsPerson } else { Exit::Failed };
        Failure { remedy: error.remedy, ..Failure::new(exit, error.message) }
    }
}
