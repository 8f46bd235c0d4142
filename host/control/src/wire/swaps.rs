//! Swaps.

use super::duration;
use crate::clock::time_text;
use crate::document::ComponentName;
use crate::pipelines::swap::{Rules, Wanted};
use crate::problem::{Code, Problem};
use crate::store::swaps::{Swap, SwapState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum VersionAsked {
    /// A number.
    Number(i64),
    /// `"3"`, `"latest"`, or of another operator `"name@3"`.
    Text(String),
}

/// How long a new version is judged.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Probation {
    /// At least this long; default three checkpoint intervals.
    #[schema(example = "30s")]
    pub time: Option<String>,
    /// At least this many records; default 1,000.
    pub records: Option<u64>,
}

/// The health rules of a swap, and what it may cost; each has a default.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SwapRules {
    /// Rejected share in percentage points above the old version's; default 1.
    #[schema(minimum = 0)]
    pub rejection_points_max: Option<f64>,
    /// Time per record as a multiple of the old version's; default 5.
    #[schema(minimum = 0)]
    pub slowdown_max: Option<f64>,
    /// Output rows per input row, as a share that may differ from the old version's; off by default.
    #[schema(minimum = 0)]
    pub output_share_change_max: Option<f64>,
    /// The longest pause that a migration may make at the barrier; default 30 seconds. A dry run foretells it.
    pub pause_max: Option<String>,
}

/// Asks for a swap.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwapRequest {
    /// Which version.
    pub version: VersionAsked,
    /// How long it is judged.
    #[serde(default)]
    pub probation: Probation,
    /// By what.
    #[serde(default)]
    pub rules: SwapRules,
    /// Only try the migration, on a copy of the newest decided checkpoint.
    #[serde(default)]
    pub dry_run: bool,
    /// Also where these bytes were rolled back in this pipeline before.
    #[serde(default)]
    pub force: bool,
}

/// Asks for the way back; all of it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackRequest {
    /// How long the version is judged.
    pub probation: Probation,
    /// By what.
    pub rules: SwapRules,
    /// Also where these bytes were rolled back in this pipeline before.
    pub force: bool,
}

impl VersionAsked {
    /// What is meant.
    pub fn wanted(&self) -> Result<Wanted, Problem> {
        let number = |number: i64| match number > 0 {
            true => Ok(Wanted::Version(Some(number))),
            false => Err(Problem::new(Code::InvalidParameter, "version: numbers begin at 1")),
        };
        match self {
            VersionAsked::Number(value) => number(*value),
            VersionAsked::Text(text) if text == "latest" => Ok(Wanted::Version(None)),
            VersionAsked::Text(text) => match text.parse::<i64>() {
                Ok(value) => number(value),
                Err(_) => ComponentName::parse(text)
                    .map(Wanted::Component)
                    .map_err(|error| Problem::new(Code::InvalidParameter, format!("version: {error}"))),
            },
        }
    }
}

impl SwapRules {
    /// Checked.
    pub fn rules(&self, probation: &Probation) -> Result<Rules, Problem> {
        let factors = [
            ("rules.rejection_points_max", self.rejection_points_max),
            ("rules.slowdown_max", self.slowdown_max),
            ("rules.output_share_change_max", self.output_share_change_max),
        ];
        for (key, value) in factors {
            if value.is_some_and(|value| !value.is_finite() || value < 0.0) {
                return Err(Problem::new(Code::InvalidParameter, format!("{key}: expected 0 or more")));
            }
        }
        // The document says int64, as every number of an answer is one.
        if probation.records.is_some_and(|records| i64::try_from(records).is_err()) {
            let message = format!("probation.records: expected at most {}", i64::MAX);
            return Err(Problem::new(Code::InvalidParameter, message));
        }
        Ok(Rules {
            probation_time: duration("probation.time", probation.time.as_deref())?,
            probation_records: probation.records,
            rejection_points_max: self.rejection_points_max,
            slowdown_max: self.slowdown_max,
            output_share_change_max: self.output_share_change_max,
            pause_max: duration("rules.pause_max", self.pause_max.as_deref())?,
        })
    }
}

/// A swap.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Swap)]
pub struct SwapView {
    /// A ULID.
    pub id: String,
    /// The operator's id in the pipeline.
    pub operator: String,
    /// `name@number` before.
    pub from: String,
    /// `name@number` after.
    pub to: String,
    /// How far it is.
    pub state: SwapState,
    /// Why it did not come to its end.
    pub reason: Option<String>,
    /// Records that show why.
    pub samples: Vec<String>,
    /// The last epoch of the old version.
    pub epoch_before: Option<i64>,
    /// The first decided epoch of the new version.
    pub epoch_completed: Option<i64>,
    /// When it was asked for, RFC 3339.
    pub created_at: String,
    /// The token by which it was.
    pub created_by: String,
    /// When it ended, RFC 3339.
    pub ended_at: Option<String>,
}

impl From<Swap> for SwapView {
    fn from(row: Swap) -> SwapView {
        SwapView {
            id: row.id,
            operator: row.operator,
            from: row.from_version,
            to: row.to_version,
            state: row.state,
            reason: row.reason,
            samples: row.samples,
            epoch_before: row.epoch_before,
            epoch_completed: row.epoch_completed,
            created_at: time_text(row.created_at),
            created_by: row.created_by,
            ended_at: row.ended_at.map(time_text),
        }
    }
}
