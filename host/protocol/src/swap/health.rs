//! Is the new version healthy? What both have done is compared by named rules.
//!
//! Only calls and rows are counted, never looked at; a rule that compares rates needs enough rows on both sides.

use crate::connector::FailureKind;
use crate::counted::counted;
use std::collections::BTreeMap;
use std::time::Duration;

/// Rates are compared only where each version has had so many rows: the first calls of a fresh instance find nothing in
/// any cache, and with fewer rows that would be what is compared.
pub const COMPARABLE_ROWS_MIN: u64 = 1000;

/// Checkpoint intervals that probation lasts where nothing else is asked for.
const PROBATION_INTERVALS: u32 = 3;

/// Probation lasts no longer where no transaction limits it: half of the 15 minutes that Kafka's brokers allow a
/// transaction, because the pipeline publishes nothing and takes no other change meanwhile.
pub const PROBATION_TIME_MAX: Duration = Duration::from_secs(450);

/// Rows that probation sees where nothing else is asked for.
const PROBATION_RECORDS: u64 = 1000;

/// What a new version must show, and what it may not.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// `probation.time`: how long probation lasts at least; none = 3 checkpoint intervals.
    pub probation_time: Option<Duration>,
    /// `probation.records`: rows that it sees at least.
    pub probation_records: u64,
    /// `rejection_points_max`: percentage points by which the share of rows that were not handled may lie above the old
    /// version's.
    pub rejection_points_max: f64,
    /// `slowdown_max`: CPU time per row as a multiple of the old version's.
    pub slowdown_max: f64,
    /// `output_share_change_max`: by how much the output rows per input row may differ from the old version's; none =
    /// they may differ.
    pub output_share_change_max: Option<f64>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            probation_time: None,
            probation_records: PROBATION_RECORDS,
            rejection_points_max: 1.0,
            slowdown_max: 5.0,
            output_share_change_max: None,
        }
    }
}

impl Rules {
    /// The rules with their probation time, or why they cannot be kept: probation is one epoch, and the epoch one
    /// transaction, which the broker ends at its timeout. Without a transaction [`PROBATION_TIME_MAX`] is the limit.
    pub fn check(&self, interval: Duration, transaction_timeout: Option<Duration>) -> Result<Rules, String> {
        let longest = transaction_timeout.map_or(PROBATION_TIME_MAX, |timeout| timeout / 2);
        let default = interval.saturating_mul(PROBATION_INTERVALS);
        let numbers = [self.rejection_points_max, self.slowdown_max];
        let numbers = numbers.into_iter().chain(self.output_share_change_max);
        if numbers.into_iter().any(|number| number.is_nan() || number < 0.0) {
            return Err(
                "rejection_points_max, slowdown_max and output_share_change_max are numbers from 0 on"
                    .to_owned(),
            );
        }
        let time = match (self.probation_time, transaction_timeout) {
            (None, _) => default.min(longest),
            (Some(asked), Some(timeout)) if asked > longest => {
                return Err(format!(
                    "probation.time = {asked:?} is longer than half of transaction_timeout = {timeout:?}: probation is one epoch, and its transaction would be aborted by the broker; ask for at most {longest:?}, or raise transaction_timeout"
                ));
            }
            (Some(asked), None) if asked > longest => {
                return Err(format!(
                    "probation.time = {asked:?} is too long: probation is one epoch, and until its end nothing is published and no other change is taken; ask for at most {longest:?}"
                ));
            }
            (Some(asked), _) => asked,
        };
        Ok(Rules { probation_time: Some(time), ..self.clone() })
    }
}

/// What a version of an operator has done, over all subtasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows given to it.
    pub rows: u64,
    /// Rows that were not handled: rejected by it, or at fault in a call that failed.
    pub rejected: u64,
    /// Rows that it returned.
    pub output_rows: u64,
    /// Calls, those of a search included.
    pub calls: u64,
    /// CPU time spent in calls, in nanoseconds: by the wall a busy machine would make a healthy version slow.
    pub busy_ns: u64,
    /// Failed calls by kind.
    pub failures: BTreeMap<FailureKind, u64>,
    /// Why it could not go on at all: no instance can be made, or its error policy stops the pipeline.
    pub stopped: Option<String>,
}

impl Tally {
    fn failed(&self, kind: FailureKind) -> u64 {
        self.failures.get(&kind).copied().unwrap_or(0)
    }
}

/// What a comparison has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Nothing is wrong.
    Good,
    /// The rule that was broken, in one line.
    Bad(String),
}

/// When a version is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// While probation lasts: bad is what no later row can make good.
    Early,
    /// With all that will be seen.
    AtEnd,
}

/// Compares what the new version has done in probation with what the old one has done before.
pub fn judge(rules: &Rules, before: &Tally, during: &Tally, judged: Judged) -> Health {
    let broken = stopped(during)
        .or_else(|| new_failures(before, during))
        .or_else(|| rejections(rules, before, during, judged))
        .or_else(|| slowdown(rules, before, during))
        .or_else(|| output_share(rules, before, during));
    broken.map_or(Health::Good, Health::Bad)
}

fn stopped(during: &Tally) -> Option<String> {
    during.stopped.clone()
}

/// A way to fail that the old version did not have.
fn new_failures(before: &Tally, during: &Tally) -> Option<String> {
    let mut new = during.failures.iter().filter(|(kind, count)| **count > 0 && before.failed(**kind) == 0);
    let (kind, count) = new.next()?;
    Some(format!("{} failed with {}, which the old version never did", counted(*count, "call"), kind.name()))
}

fn rejections(rules: &Rules, before: &Tally, during: &Tally, judged: Judged) -> Option<String> {
    let rows = match judged {
        // As if every row to come were handled.
        Judged::Early => during.rows.max(rules.probation_records),
        Judged::AtEnd => during.rows,
    };
    let (was, is) = (share(before.rejected, before.rows) * 100.0, share(during.rejected, rows) * 100.0);
    (is > was + rules.rejection_points_max).then(|| {
        format!(
            "{} of {} rows were not handled, {was:.2} % before; rejection_points_max = {} allows no more than that many points above",
            during.rejected, during.rows, rules.rejection_points_max
        )
    })
}

/// Both per row and per call: calls of fewer rows cost more for each, and that is the stream's doing.
fn slowdown(rules: &Rules, before: &Tally, during: &Tally) -> Option<String> {
    if !comparable(before, during) || before.busy_ns == 0 {
        return None;
    }
    let per_row = share(during.busy_ns, during.rows) / share(before.busy_ns, before.rows);
    let per_call = share(during.busy_ns, during.calls) / share(before.busy_ns, before.calls);
    (per_row > rules.slowdown_max && per_call > rules.slowdown_max).then(|| {
        format!(
            "{:.1} µs of CPU time per row, {:.1} µs before: slowdown_max = {}",
            share(during.busy_ns, during.rows) / 1000.0,
            share(before.busy_ns, before.rows) / 1000.0,
            rules.slowdown_max
        )
    })
}

fn output_share(rules: &Rules, before: &Tally, during: &Tally) -> Option<String> {
    let most = rules.output_share_change_max.filter(|_| comparable(before, during))?;
    let (was, is) = (share(before.output_rows, before.rows), share(during.output_rows, during.rows));
    ((is - was).abs() > most)
        .then(|| format!("{is:.3} output rows per row, {was:.3} before: output_share_change_max = {most}"))
}

fn comparable(before: &Tally, during: &Tally) -> bool {
    before.rows >= COMPARABLE_ROWS_MIN && during.rows >= COMPARABLE_ROWS_MIN
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}
