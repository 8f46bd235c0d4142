//! Why the bench ends early.

use rdkafka::error::KafkaError;
use std::fmt::{self, Display};

/// A text for the person who started the bench.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure with its text.
    pub fn new(text: impl Into<String>) -> Failure {
        Failure(text.into())
    }

    /// Puts what was being done in front of an error.
    pub fn of<E: Display>(doing: impl Display) -> impl FnOnce(E) -> Failure {
        move |error| Failure(format!("{doing}: {error}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Failure {
        Failure(error.to_string())
    }
}
