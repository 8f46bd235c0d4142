//! Lines for the task log. They stay even if the call fails; the host limits their rate and length.

use crate::imports;

pub use crate::imports::Level;

/// Writes a line of level debug.
pub fn debug(message: impl AsRef<str>) {
    imports::log(Level::Debug, message.as_ref());
}

/// Writes a line of level info.
pub fn info(message: impl AsRef<str>) {
    imports::log(Level::Info, message.as_ref());
}

/// Writes a line of level warn.
pub fn warn(message: impl AsRef<str>) {
    imports::log(Level::Warn, message.as_ref());
}

/// Writes a line of level error.
pub fn error(message: impl AsRef<str>) {
    imports::log(Level::Error, message.as_ref());
}
