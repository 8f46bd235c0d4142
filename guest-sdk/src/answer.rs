//! What an author's function may return: nothing, or a reason to refuse the record.

use std::fmt::Display;

/// What a function over a record may return: `()`, or a `Result` whose error refuses the record.
pub trait Answer {
    /// The reason for which the record is refused, if it is.
    fn into_result(self) -> Result<(), String>;
}

impl Answer for () {
    #[inline(always)]
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Display> Answer for Result<(), E> {
    #[inline]
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// What the function of [`filter!`](crate::filter!) may return: `bool`, or a `Result` whose error refuses the record.
pub trait Keep {
    /// Whether the record goes on, or the reason for which it is refused.
    fn into_result(self) -> Result<bool, String>;
}

impl Keep for bool {
    #[inline(always)]
    fn into_result(self) -> Result<bool, String> {
        Ok(self)
    }
}

impl<E: Display> Keep for Result<bool, E> {
    #[inline]
    fn into_result(self) -> Result<bool, String> {
        self.map_err(|error| error.to_string())
    }
}
