//! Dead letters. What is listed is [`crate::host::LettersFound`].

use crate::host::{LettersAsked, LettersSelected};
use crate::problem::{Code, Problem};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Letters that are told, where nothing is said.
const LIMIT_DEFAULT: usize = 100;
/// Letters that are told at most.
const LIMIT_MAX: usize = 1000;

/// Letters that are read for one list, where there are enough to tell: who wants all of them counted asks for a dry run.
const READ_MAX: u64 = 10_000;

/// Letters that are read before a replay: where there are more, there is something to do.
const READ_BEFORE_REPLAY: u64 = 1000;

/// Which letters are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LettersQuery {
    /// Only of this operator, by its id in the pipeline, or of these, separated by commas.
    pub operator: Option<String>,
    /// Only those that failed in this way, or in these, separated by commas: `trap`, `timeout`, `rejection` and so on.
    pub kind: Option<String>,
    /// Only those that failed at this time or later: RFC 3339, milliseconds since 1970, or an age such as `2h`.
    pub since: Option<String>,
    /// Also those that a replay has dealt with.
    #[serde(default)]
    pub all: bool,
    /// With their records: keys, values and headers.
    #[serde(default)]
    pub records: bool,
    /// Only this letter, as `topic:partition:offset`; also one that a replay has dealt with.
    pub at: Option<String>,
    /// Letters at most; 100 where it is left out. The first 10,000 are counted.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

impl LettersQuery {
    /// Checked.
    pub fn asked(self) -> Result<LettersAsked, Problem> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::new(Code::InvalidParameter, format!("limit: expected 1 to {LIMIT_MAX}")));
        }
        let selected = LettersSelected {
            operators: each(self.operator.as_deref()),
            kinds: each(self.kind.as_deref()),
            since: self.since.clone(),
        };
        // Who names a letter gets it wherever it is.
        let read_max = self.at.is_none().then_some(READ_MAX);
        let LettersQuery { all, records, at, .. } = self;
        Ok(LettersAsked { selected, all, records, limit, read_max, at, replays: false })
    }
}

/// Names that are separated by commas, which no name has. None of them means no condition.
fn each(names: Option<&str>) -> Vec<String> {
    names.into_iter().flat_map(|names| names.split(',')).map(str::to_owned).collect()
}

/// Sends dead letters back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayRequest {
    /// Only of these operators, by their ids in the pipeline.
    pub operators: Vec<String>,
    /// Only those that failed in these ways.
    pub kinds: Vec<String>,
    /// Only those that failed at this time or later: RFC 3339, milliseconds since 1970, or an age such as `2h`.
    pub since: Option<String>,
    /// Also into a pipeline that has come to its end.
    pub restart_finished: bool,
    /// Only say what would be replayed.
    pub dry_run: bool,
}

impl ReplayRequest {
    /// What is asked before anything is stopped. A dry run counts all; a replay only has to know whether there is nothing
    /// to do, and reads them itself.
    pub fn look(&self) -> LettersAsked {
        let read_max = (!self.dry_run).then_some(READ_BEFORE_REPLAY);
        LettersAsked {
            selected: self.selected(),
            all: false,
            records: false,
            limit: 0,
            read_max,
            at: None,
            replays: true,
        }
    }

    /// Which letters.
    pub fn selected(&self) -> LettersSelected {
        LettersSelected {
            operators: self.operators.clone(),
            kinds: self.kinds.clone(),
            since: self.since.clone(),
        }
    }
}
