//! Between two lives: dead letters come back. Nothing has been mended, so each fails again, and counts.

use super::{STUCK_AFTER, Soak};
use crate::harness::waiting::{LOOK_EVERY, pause};
use std::time::{Duration, Instant};

/// All records of a replay fail, which is what the breaker is made to stop.
const NO_BREAKER: [&str; 4] =
    ["--set", "operator.sums.breaker.share=1.0", "--set", "operator.join.breaker.share=1.0"];

impl Soak {
    /// One replay, to its end or to a kill.
    pub(super) fn replay(&mut self, kill_after: Option<Duration>, parallelism: usize) -> String {
        let set = format!("parallelism={parallelism}");
        let options = [&NO_BREAKER[..], &["--set", &set]].concat();
        let (started, mut weir) = (Instant::now(), self.keyed.job.command(&["dlq", "replay"], &options, &[]));
        let patience = kill_after.unwrap_or(STUCK_AFTER);
        while !weir.has_ended() && started.elapsed() < patience {
            pause(LOOK_EVERY);
        }
        if !weir.has_ended() {
            if kill_after.is_none() {
                return self.wrong(&mut weir, "a replay did not come to its end");
            }
            self.summary.killed_replays += 1;
            return self.kill(&mut weir, format!("kill -9 {patience:?} after the start of a replay"));
        }
        self.summary.replays += 1;
        let took = started.elapsed();
        let said = weir
            .log()
            .lines()
            .find(|line| line.ends_with(" replayed") || line.contains("nothing to replay"))
            .map(str::to_owned);
        match (weir.exit_code(), said) {
            (0, Some(said)) => format!("{said}, in {took:.2?}"),
            _ => self.wrong(&mut weir, "a replay did not end well"),
        }
    }
}
