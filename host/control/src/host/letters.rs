//! Dead letters, as they are asked for and as they are told.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Which letters; nothing named = all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LettersSelected {
    /// Of these operators, by their ids in the pipeline.
    pub operators: Vec<String>,
    /// That failed in these ways: `trap`, `timeout`, `rejection` and so on, as `weir-error-kind` names them.
    pub kinds: Vec<String>,
    /// That failed at this time or later: RFC 3339, milliseconds since 1970, or an age such as `2h`.
    pub since: Option<String>,
}

/// What is asked about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LettersAsked {
    /// Which.
    pub selected: LettersSelected,
    /// Also those that a replay has dealt with.
    pub all: bool,
    /// With their records.
    pub records: bool,
    /// How many are told at the most.
    pub limit: usize,
    /// How many are read when there are enough to tell; none reads and counts all.
    pub read_max: Option<u64>,
    /// Only this letter, as `topic:partition:offset`; also one that a replay has dealt with.
    pub at: Option<String>,
    /// They are to come back: refused where that cannot be.
    pub replays: bool,
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeadLetters)]
pub struct LettersFound {
    /// The letters, as `weir dlq list --json` writes them, and with `records` as `weir dlq show` does.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Value>,
    /// Open letters that a replay would take.
    pub replayable: u64,
    /// Open letters that it would leave.
    pub staying: u64,
    /// False where there are more letters than were looked at: all numbers are those of the first.
    #[serde(default)]
    pub complete: bool,
    /// Letters that `items` would hold without its limit.
    #[serde(default)]
    pub matching: u64,
    /// Those that a replay would take, counted.
    #[serde(default)]
    pub by_kind: Vec<LettersOfKind>,
    /// Those that it would leave, counted.
    #[serde(default)]
    pub by_reason: Vec<LettersOfReason>,
    /// What is no letter of this pipeline, and passed over.
    #[serde(default)]
    pub passed_over: u64,
}

/// Letters of one operator that failed in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LettersOfKind {
    /// The operator.
    pub operator: String,
    /// How it failed.
    pub kind: String,
    /// How many there are.
    pub count: u64,
}

/// Letters that would stay for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LettersOfReason {
    /// Why.
    pub reason: String,
    /// How many there are.
    pub count: u64,
}
