//! What has happened, in numbers.

use crate::harness::keyed_model::Findings;
use crate::modules;
use crate::swaps::{Beside, Ending, Kind};
use std::collections::BTreeMap;
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
    /// Disks that were full until something had no room.
    pub full_disks: u64,
    /// Second copies of the pipeline.
    pub copies: u64,
    /// Second copies beside which the first was asked to stop.
    pub rolling_updates: u64,
    /// Lives of another binary than the one before.
    pub changes_of_binary: u64,
    /// Replays of all dead letters that came to their end.
    pub replays: u64,
    /// Kill -9 in a replay; they are among the kills of the host.
    pub killed_replays: u64,
    /// Lives with a bad operator.
    pub bad_operators: u64,
    /// Kill -9 of the host beside a swap; they are among its kills.
    pub kills_beside_swaps: u64,
    /// Swaps that were asked for while another was under way.
    pub second_requests: u64,
    /// Answers to generated modules by kind: taken as a version, refused.
    pub modules: BTreeMap<modules::Kind, [u64; 2]>,
    /// Output while nothing was uploaded.
    pub without_uploads: Window,
    /// Output while as much was uploaded as could be.
    pub with_uploads: Window,
    /// Records written to both topics.
    pub written: u64,
    /// Records read from all outputs.
    pub read: u64,
    /// What the model found.
    pub findings: Findings,
    /// Lives that ended as none should.
    pub wrong_lives: Vec<String>,
    network: BTreeMap<String, u64>,
    recoveries: Vec<Duration>,
    swaps: BTreeMap<Kind, BTreeMap<Ending, u64>>,
    beside: BTreeMap<&'static str, u64>,
    completions: Vec<Duration>,
    rollbacks: Vec<Duration>,
    went_on: Vec<Duration>,
}

/// A swap that was asked for.
#[derive(Debug)]
pub struct Asked {
    /// What was swapped in.
    pub kind: Kind,
    /// What happened beside it.
    pub beside: Beside,
    /// How it ended.
    pub ending: Ending,
}

/// What came out in a while.
#[derive(Debug, Default, Clone, Copy)]
pub struct Window {
    /// Records read from all outputs.
    pub records: u64,
    /// In so long.
    pub time: Duration,
    /// The longest time without one.
    pub longest_gap: Duration,
}

impl Window {
    /// Another one.
    pub fn add(&mut self, other: Window) {
        self.records += other.records;
        self.time += other.time;
        self.longest_gap = self.longest_gap.max(other.longest_gap);
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.records as f64 / self.time.as_secs_f64().max(0.001);
        write!(f, "{rate:.0} records/s, longest gap {:.2?}, in {:.0?}", self.longest_gap, self.time)
    }
}

impl Summary {
    /// From the start of a life to its first decided output.
    pub fn recovered(&mut self, time: Duration) {
        self.recoveries.push(time);
    }

    /// A fault of the network has happened.
    pub fn network(&mut self, action: proxy::Action) {
        *self.network.entry(format!("{action:?}")).or_default() += 1;
    }

    /// A swap has come to an end, or was refused.
    pub fn asked(&mut self, asked: Asked) {
        let Asked { kind, beside, ending } = asked;
        *self.swaps.entry(kind).or_default().entry(ending).or_default() += 1;
        let name = match beside {
            Beside::Nothing => "undisturbed",
            Beside::Recovery => "in recovery",
            Beside::Cancel(_) => "with a cancellation",
            Beside::Second(_) => "with a second request",
            Beside::Pause(..) => "with a pause",
            Beside::KillBroker(_) => "with a kill of the broker",
            Beside::Kill(_) => "with a kill of the host",
            Beside::Stop(_) => "with a stop",
        };
        *self.beside.entry(name).or_default() += 1;
    }

    /// From the request to the end of a swap beside which nothing happened.
    pub fn swap_took(&mut self, ending: Ending, time: Duration) {
        match ending {
            Ending::Completed => self.completions.push(time),
            Ending::RolledBack => self.rollbacks.push(time),
            _ => {}
        }
    }

    /// From the end of a rolled back swap to the next decided output.
    pub fn went_on_after_rollback(&mut self, time: Duration) {
        self.went_on.push(time);
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

/// The median and the longest.
fn times(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort();
    let p50 = times.get(times.len() / 2).copied().unwrap_or_default();
    let max = times.last().copied().unwrap_or_default();
    format!("p50 {p50:.2?}, max {max:.2?} ({} times)", times.len())
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { kills, stops, pauses, broker_kills, bad_operators, written, read, findings, .. } = self;
        writeln!(
            f,
            "host kills     {kills} (and {stops} stops, {pauses} pauses, {broker_kills} broker kills, {bad_operators} bad operators)"
        )?;
        let network: Vec<String> =
            self.network.iter().map(|(action, count)| format!("{action} {count}")).collect();
        writeln!(f, "network faults {} ({})", self.network.values().sum::<u64>(), network.join(", "))?;
        writeln!(
            f,
            "other faults   {} full disks, {} second copies, {} rolling updates, {} changes of the binary",
            self.full_disks, self.copies, self.rolling_updates, self.changes_of_binary
        )?;
        writeln!(
            f,
            "replays        {} of all dead letters, {} more were killed",
            self.replays, self.killed_replays
        )?;
        writeln!(f, "recoveries     start to first decided output: {}", times(&self.recoveries))?;
        self.write_swaps(f)?;
        self.write_modules(f)?;
        writeln!(f, "records        {written} written, {read} read")?;
        writeln!(f, "lost           {}", findings.lost)?;
        writeln!(f, "duplicated     {}", findings.duplicated)?;
        write!(f, "wrong in state {}", findings.wrong)?;
        findings.shown.iter().try_for_each(|finding| write!(f, "\n  {finding}"))?;
        self.wrong_lives.iter().try_for_each(|life| write!(f, "\n  {life}"))
    }
}

impl Summary {
    fn write_swaps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.swaps.values().flat_map(BTreeMap::values).sum();
        if all == 0 {
            return Ok(());
        }
        writeln!(f, "swaps          {all}, {} kills of the host beside them", self.kills_beside_swaps)?;
        for (kind, endings) in &self.swaps {
            let endings: Vec<String> =
                endings.iter().map(|(ending, count)| format!("{ending} {count}")).collect();
            writeln!(f, "  {:<17} {}", kind.to_string(), endings.join(", "))?;
        }
        let beside: Vec<String> = self.beside.iter().map(|(name, count)| format!("{count} {name}")).collect();
        writeln!(f, "  {}; {} second requests", beside.join(", "), self.second_requests)?;
        writeln!(f, "  request to completed: {}", times(&self.completions))?;
        writeln!(f, "  request to rolled back: {}", times(&self.rollbacks))?;
        writeln!(f, "  rolled back to the old version's output: {}", times(&self.went_on))
    }

    fn write_modules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.modules.values().flatten().sum();
        if all == 0 {
            return Ok(());
        }
        writeln!(f, "modules        {all} uploaded")?;
        for (kind, [taken, refused]) in &self.modules {
            writeln!(f, "  {:<31} taken {taken}, refused {refused}", kind.to_string())?;
        }
        writeln!(f, "  output without uploads: {}", self.without_uploads)?;
        writeln!(f, "  output with uploads:    {}", self.with_uploads)
    }
}
