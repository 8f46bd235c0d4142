//! Dead letters on their way back: which of them a replay takes, whose input each enters, and as what record.
//!
//! - **D1** A letter that a replay passes is dealt with: it has entered an operator, or it was written again behind the
//!   letters that were there when the replay began; what is no letter of this pipeline is passed and left. So one position per partition tells what is open, and that position
//!   is part of the decision.
//! - **D2** What enters the operator is the record as it was: its key, value, timestamp and own headers, with
//!   [`names::ATTEMPT`] counting how often it came back.

use crate::batch::{headers, push_header};
use crate::connector::FailureKind;
use crate::error_policy::names;

/// Which letters are wanted. Nothing named = all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of these operators.
    pub operators: Vec<String>,
    /// That failed in these ways.
    pub kinds: Vec<FailureKind>,
    /// That failed at this time or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
}

/// An operator's input that letters may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The operator's name in the pipeline.
    pub operator: String,
    /// The name of the input port.
    pub port: String,
}

/// What a replay does with the letters of one sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Whose letters, with its id prefix: others may write to the same topic.
    pub pipeline: String,
    /// Which letters.
    pub selection: Selection,
    /// The operators that write dead letters to the sink, port by port.
    pub targets: Vec<Target>,
}

/// What the headers of a dead letter say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Letter {
    /// The pipeline, with its id prefix; letters of older versions do not name it.
    pub pipeline: Option<String>,
    /// The operator that failed.
    pub operator: String,
    /// How: a name of [`FailureKind`].
    pub kind: String,
    /// What was said.
    pub message: String,
    /// SHA-256 of the operator's bytes.
    pub digest: String,
    /// Topic, partition and offset of the source record.
    pub origin: Option<(String, i32, i64)>,
    /// The input port; letters of older versions do not name it.
    pub port: Option<String>,
    /// The timer whose call failed.
    pub timer: Option<String>,
    /// When it failed, in milliseconds since 1970; letters of older versions do not tell.
    pub time_ms: Option<i64>,
    /// What was cut, where the record did not fit.
    pub cut: Option<String>,
    /// How often the record has come back before.
    pub attempt: u32,
    /// The record's own headers, without any of the above.
    pub own: Vec<u8>,
}

/// Why a letter stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stays {
    /// It was not asked for.
    #[error("not selected")]
    NotSelected,
    /// Nothing says which operator failed.
    #[error("it is no dead letter of weir: it has no header weir-error-operator")]
    Foreign,
    /// Another pipeline writes to the same topic.
    #[error("it is a letter of pipeline {0}")]
    OtherPipeline(String),
    /// Only a part of the record is there.
    #[error("the record was cut to fit the sink ({0})")]
    Cut(String),
    /// There is no record.
    #[error("timer {0} failed, and a timer has no record that could come back")]
    Timer(String),
    /// Nobody would take it.
    #[error("operator {0} writes no dead letters to this sink in the pipeline as it is now")]
    NoOperator(String),
    /// The operator has other ports now.
    #[error("operator {operator} has no input port {port:?} now")]
    NoPort {
        /// The operator.
        operator: String,
        /// The port that the letter names.
        port: String,
    },
    /// The operator has several ports, and the letter does not say which.
    #[error("operator {0} has several input ports, and a letter of this age does not name one")]
    PortUnknown(String),
}

impl Stays {
    /// True for what is not ours: it is passed over where it is, and not written again.
    pub fn is_passed_over(&self) -> bool {
        matches!(self, Stays::Foreign | Stays::OtherPipeline(_))
    }
}

impl Letter {
    /// Reads the headers of a record; none where it is no dead letter.
    pub fn read(entry: &[u8]) -> Option<Letter> {
        let all: Vec<(&str, Option<&[u8]>)> = headers(entry).map_while(Result::ok).collect();
        // A record may have been a dead letter of another pipeline before: only the last block is ours.
        let operator = all.iter().rposition(|(name, _)| *name == names::OPERATOR)?;
        let places = [names::OFFSET, names::PARTITION, names::TOPIC];
        let mut first = operator;
        for name in places {
            if first > 0 && all[first - 1].0 == name {
                first -= 1;
            }
        }
        let ours = &all[first..];
        let text = |name: &str| {
            let found = ours.iter().find(|(known, _)| *known == name)?;
            Some(String::from_utf8_lossy(found.1.unwrap_or_default()).into_owned())
        };
        let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
        let attempt = |(name, value): &(&str, Option<&[u8]>)| {
            (*name == names::ATTEMPT)
                .then(|| std::str::from_utf8(value.unwrap_or_default()).ok()?.parse().ok())
        };
        let mut letter = Letter {
            pipeline: text(names::PIPELINE),
            operator: text(names::OPERATOR)?,
            kind: text(names::KIND).unwrap_or_default(),
            message: text(names::MESSAGE).unwrap_or_default(),
            digest: text(names::DIGEST).unwrap_or_default(),
            port: text(names::PORT),
            timer: text(names::TIMER),
            time_ms: number(names::TIME),
            cut: text(names::CUT),
            attempt: all[..first].iter().find_map(attempt).flatten().unwrap_or(0),
            ..Letter::default()
        };
        if let (Some(topic), Some(partition), Some(offset)) =
            (text(names::TOPIC), number(names::PARTITION), number(names::OFFSET))
        {
            letter.origin = Some((topic, i32::try_from(partition).unwrap_or_default(), offset));
        }
        for (name, value) in all[..first].iter().filter(|(name, _)| *name != names::ATTEMPT) {
            push_header(&mut letter.own, name, *value);
        }
        Some(letter)
    }

    /// The headers of the record as it comes back.
    pub fn headers_of_return(&self) -> Vec<u8> {
        let mut entry = self.own.clone();
        let attempt = self.attempt.saturating_add(1).to_string();
        push_header(&mut entry, names::ATTEMPT, Some(attempt.as_bytes()));
        entry
    }
}

impl Selection {
    /// True where the letter is asked for. `timestamp_ms` is the record's own, for letters that do not tell their time.
    pub fn wants(&self, letter: &Letter, timestamp_ms: i64) -> bool {
        let operator = self.operators.is_empty() || self.operators.contains(&letter.operator);
        let kind = self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.name() == letter.kind);
        let since = self.since_ms.is_none_or(|since| letter.time_ms.unwrap_or(timestamp_ms) >= since);
        operator && kind && since
    }
}

impl Replay {
    /// The target that a letter enters, or why it stays.
    pub fn target(&self, letter: Option<&Letter>, timestamp_ms: i64) -> Result<usize, Stays> {
        let letter = letter.ok_or(Stays::Foreign)?;
        if let Some(other) = letter.pipeline.as_ref().filter(|pipeline| **pipeline != self.pipeline) {
            return Err(Stays::OtherPipeline(other.clone()));
        }
        if !self.selection.wants(letter, timestamp_ms) {
            return Err(Stays::NotSelected);
        }
        if let Some(timer) = &letter.timer {
            return Err(Stays::Timer(timer.clone()));
        }
        if letter.origin.is_none() && letter.port.is_none() {
            // Older versions did not name the timer, and only timers have no source record.
            return Err(Stays::Timer("(unnamed)".to_owned()));
        }
        if let Some(cut) = &letter.cut {
            return Err(Stays::Cut(cut.clone()));
        }
        let of_operator = |target: &&Target| target.operator == letter.operator;
        let mut ports = self.targets.iter().enumerate().filter(|(_, target)| of_operator(target));
        let operator = letter.operator.clone();
        match &letter.port {
            Some(port) => {
                if !self.targets.iter().any(|target| of_operator(&target)) {
                    return Err(Stays::NoOperator(operator));
                }
                let found = ports.find(|(_, target)| target.port == *port);
                found.map(|(index, _)| index).ok_or(Stays::NoPort { operator, port: port.clone() })
            }
            None => match (ports.next(), ports.next()) {
                (None, _) => Err(Stays::NoOperator(operator)),
                (Some((only, _)), None) => Ok(only),
                (Some(_), Some(_)) => Err(Stays::PortUnknown(operator)),
            },
        }
    }
}

#[cfg(test)]
mod tests;
