//! Why a chore ended early: what is said, and the exit code.

use std::io;
use std::path::Path;

/// The machine lacks something; the message says what to do.
pub const CODE_MACHINE: u8 = 2;
/// Something that was tried failed.
pub const CODE_FAILED: u8 = 1;

/// A chore that ended early.
#[derive(Debug)]
pub struct Stop {
    /// What is printed to stderr; empty where a child has said everything already.
    pub message: String,
    /// The exit code of xtask.
    pub code: u8,
}

impl Stop {
    /// Something that was tried failed.
    pub fn failed(message: impl Into<String>) -> Stop {
        Stop { message: message.into(), code: CODE_FAILED }
    }

    /// The machine lacks something.
    pub fn machine(message: impl Into<String>) -> Stop {
        Stop { message: message.into(), code: CODE_MACHINE }
    }

    /// A child ended with this code and has said why.
    pub fn silent(code: u8) -> Stop {
        Stop { message: String::new(), code }
    }

    /// A file or folder could not be used; made for `map_err`.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> Stop {
        move |error| Stop::failed(format!("{}: {error}", path.display()))
    }
}
