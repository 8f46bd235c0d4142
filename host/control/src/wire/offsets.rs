//! Offsets. What is shown is [`crate::host::PipelineOffsets`], what was done [`crate::host::OffsetsReset`].

use crate::host::{ChosenTopic, OffsetsTarget, ResetOffsets, ResetState, TopicOffset};
use crate::problem::{Code, Problem};
use serde::Deserialize;
use std::time::UNIX_EPOCH;
use utoipa::ToSchema;

/// Where to go on; a few need one more key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetTo {
    /// At the first record that is still there.
    Earliest,
    /// At the end as it is now.
    Latest,
    /// Where it is committed now, whoever committed it.
    Current,
    /// At the last checkpoint that this server knows.
    Snapshot,
    /// At the first record at or after `datetime`.
    Datetime,
    /// At `offsets`; other partitions stay.
    Offset,
    /// `shift_by` records forward, or back.
    Shift,
    /// What is decided is written to the consumer group `group`; the pipeline stays where it is.
    Group,
}

/// A wish that a stopped pipeline goes on elsewhere.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
    /// Where.
    pub to: ResetTo,
    /// With `datetime`: a time in UTC.
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    pub datetime: Option<String>,
    /// With `offset`: which.
    pub offsets: Option<Vec<TopicOffset>>,
    /// With `shift`: how many.
    pub shift_by: Option<i64>,
    /// With `group`: which.
    #[schema(min_length = 1)]
    pub group: Option<String>,
    /// Only these; all topics where it is left out.
    #[serde(default)]
    pub topics: Vec<ChosenTopic>,
    /// What becomes of state per key, where it belongs to other positions.
    pub state: Option<ResetState>,
    /// Only say what it would mean, which is what happens unless it is false.
    #[serde(default = "yes")]
    pub dry_run: bool,
}

fn yes() -> bool {
    true
}

impl ResetRequest {
    /// What is asked, complete and without anything beside it.
    pub fn asked(self) -> Result<ResetOffsets, Problem> {
        let given = [
            ("datetime", self.datetime.is_some(), ResetTo::Datetime),
            ("offsets", self.offsets.is_some(), ResetTo::Offset),
            ("shift_by", self.shift_by.is_some(), ResetTo::Shift),
            ("group", self.group.is_some(), ResetTo::Group),
        ];
        for (key, is_given, of) in given {
            if is_given != (of == self.to) {
                let what = if is_given { "does not go with this `to`" } else { "is missing" };
                return Err(invalid(format!("{key}: it {what}")));
            }
        }
        let to = match (self.to, self.datetime, self.offsets, self.shift_by, self.group) {
            (_, Some(datetime), ..) => OffsetsTarget::Datetime(milliseconds(&datetime)?),
            (_, _, Some(offsets), ..) => OffsetsTarget::Offsets(offsets),
            (_, _, _, Some(by), _) => OffsetsTarget::ShiftBy(by),
            (.., Some(group)) if group.is_empty() => return Err(invalid("group: it is empty".to_owned())),
            (.., Some(group)) => OffsetsTarget::Group(group),
            (ResetTo::Earliest, ..) => OffsetsTarget::Earliest,
            (ResetTo::Latest, ..) => OffsetsTarget::Latest,
            (ResetTo::Snapshot, ..) => OffsetsTarget::Snapshot,
            _ => OffsetsTarget::Current,
        };
        Ok(ResetOffsets { to, topics: self.topics, state: self.state, dry_run: self.dry_run })
    }
}

fn milliseconds(text: &str) -> Result<i64, Problem> {
    let time = humantime::parse_rfc3339_weak(text).ok();
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_millis()).ok()).ok_or_else(|| {
        invalid("datetime: expected a time in UTC, such as \"2026-01-31T12:00:00.000Z\"".to_owned())
    })
}

fn invalid(message: String) -> Problem {
    Problem::new(Code::InvalidParameter, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> Result<ResetOffsets, String> {
        let request: ResetRequest = serde_json::from_str(json).map_err(|error| error.to_string())?;
        request.asked().map_err(|problem| problem.message)
    }

    #[test]
    fn a_reset_is_a_dry_run_unless_it_says_otherwise() {
        assert!(asked(r#"{"to":"earliest"}"#).unwrap().dry_run);
        assert!(!asked(r#"{"to":"earliest","dry_run":false}"#).unwrap().dry_run);
    }

    #[test]
    fn each_target_takes_its_own_key_and_no_other() {
        assert_eq!(asked(r#"{"to":"shift","shift_by":-3}"#).unwrap().to, OffsetsTarget::ShiftBy(-3));
        assert_eq!(
            asked(r#"{"to":"datetime","datetime":"1970-01-01T00:00:01Z"}"#).unwrap().to,
            OffsetsTarget::Datetime(1000)
        );
        assert_eq!(asked(r#"{"to":"group","group":"g"}"#).unwrap().to, OffsetsTarget::Group("g".to_owned()));
        for (json, said) in [
            (r#"{"to":"shift"}"#, "shift_by: it is missing"),
            (r#"{"to":"latest","shift_by":1}"#, "shift_by: it does not go with this `to`"),
            (r#"{"to":"datetime","datetime":"soon"}"#, "datetime: expected a time"),
            (r#"{"to":"group","group":""}"#, "group: it is empty"),
            (r#"{"to":"offset"}"#, "offsets: it is missing"),
            (r#"{"to":"earliest","execute":true}"#, "unknown field"),
        ] {
            let found = asked(json).unwrap_err();
            assert!(found.contains(said), "{json}: {found}");
        }
    }
}
