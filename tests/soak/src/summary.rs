//! What has happened, in numbers.

use crate::harness::keyed_model::Findings;
use std::fmt;
use std::time::Duration;

/// All that is printed at the end.
#[derive(Debug, Default)]
pub struct Summary {
    /// Kill -9 of the host.
    pub kills: u64,
    /// Stops by SIGTERM that came to their end.
    pub stops: u64,
    /// SIGSTOP and SIGCONT.
    pub pauses: u64,
    /// Kill -9 of the broker.
    pub broker_kills: u64,
    /// Lives with a bad operator.
    pub bad_operators: u64,
    /// Records written to both topics.
    pub written: u64,
    /// Records read from all outputs.
    pub read: u64,
    /// What the model found.
    pub findings: Findings,
    /// Lives that ended as none should.
    pub wrong_lives: Vec<String>,
    recoveries: Vec<Duration>,
}

impl Summary {
    /// From the start of a life to its first decided output.
    pub fn recovered(&mut self, time: Duration) {
        self.recoveries.push(time);
    }

    /// A life ended as none should.
    pub fn went_wrong(&self) -> bool {
        !self.wrong_lives.is_empty()
    }

    /// Nothing at all is wrong.
    pub fn is_clean(&self) -> bool {
        !self.went_wrong() && self.findings.is_clean()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { kills, stops, pauses, broker_kills, bad_operators, written, read, findings, .. } = self;
        let mut times = self.recoveries.clone();
        times.sort();
        let p50 = times.get(times.len() / 2).copied().unwrap_or_default();
        let max = times.last().copied().unwrap_or_default();
        writeln!(
            f,
            "host kills     {kills} (and {stops} stops, {pauses} pauses, {broker_kills} broker kills, {bad_operators} bad operators)"
        )?;
        writeln!(
            f,
            "recoveries     {} (start to first decided output: p50 {p50:.2?}, max {max:.2?})",
            times.len()
        )?;
        writeln!(f, "records        {written} written, {read} read")?;
        writeln!(f, "lost           {}", findings.lost)?;
        writeln!(f, "duplicated     {}", findings.duplicated)?;
        write!(f, "wrong in state {}", findings.wrong)?;
        findings.shown.iter().try_for_each(|finding| write!(f, "\n  {finding}"))?;
        self.wrong_lives.iter().try_for_each(|life| write!(f, "\n  {life}"))
    }
}
