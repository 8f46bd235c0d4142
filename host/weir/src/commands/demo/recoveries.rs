//! How often the host died, and how long it took each time until something new was decided.

use std::path::PathBuf;
use std::time::{Duration, Instant};
use weir_protocol::epoch::CheckpointId;

/// Deaths and recoveries of one pipeline.
#[derive(Debug)]
pub struct Recoveries {
    /// Deaths by SIGKILL, by the demo or by somebody who watches it.
    pub kills: u32,
    /// The pipeline's directory.
    pipeline: PathBuf,
    times: Vec<Duration>,
    died: Option<(Instant, CheckpointId)>,
}

impl Recoveries {
    /// None yet.
    pub fn new(pipeline: PathBuf) -> Recoveries {
        Recoveries { kills: 0, pipeline, times: Vec::new(), died: None }
    }

    /// The process is gone. Where nothing was decided yet there is nothing to recover.
    pub fn died(&mut self, at: Instant) {
        self.died = self.decided().map(|before| (at, before));
    }

    /// True until the next life has decided something.
    pub fn under_way(&mut self) -> bool {
        let Some((at, before)) = &self.died else { return false };
        if self.decided().is_none_or(|id| id.incarnation == before.incarnation) {
            return true;
        }
        self.times.push(at.elapsed());
        self.died = None;
        false
    }

    /// The last one.
    pub fn last(&self) -> Option<Duration> {
        self.times.last().copied()
    }

    /// The middle one, or the middle of the middle two.
    pub fn median(&self) -> Option<Duration> {
        let mut times = self.times.clone();
        times.sort();
        let upper = *times.get(times.len() / 2)?;
        let lower = times[(times.len() - 1) / 2];
        Some((lower + upper) / 2)
    }

    /// The longest one.
    pub fn longest(&self) -> Option<Duration> {
        self.times.iter().max().copied()
    }

    /// The last decision that the data directory tells of.
    fn decided(&self) -> Option<CheckpointId> {
        let hint = std::fs::read_to_string(self.pipeline.join("LAST_COMMITTED")).ok()?;
        CheckpointId::parse(hint.split_whitespace().next()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_decision_of_the_next_life_ends_a_recovery() {
        let directory = tempfile::tempdir().unwrap();
        let decide = |id: &str| std::fs::write(directory.path().join("LAST_COMMITTED"), id).unwrap();
        let mut recoveries = Recoveries::new(directory.path().to_owned());
        recoveries.died(Instant::now());
        assert!(!recoveries.under_way(), "nothing was decided");
        decide("3-01J9ZQ3W5X7Y8Z9A0B1C2D3E4F");
        recoveries.died(Instant::now());
        assert!(recoveries.under_way());
        decide("4-01J9ZQ3W5X7Y8Z9A0B1C2D3E4F");
        assert!(recoveries.under_way() && recoveries.median().is_none());
        decide("4-01J9ZQ3W5X7Y8Z9A0B1C2D3E4G");
        assert!(!recoveries.under_way());
        assert!(recoveries.last().is_some());
    }

    #[test]
    fn the_median_lies_between_the_middle_two() {
        let mut recoveries = Recoveries::new(PathBuf::new());
        let milliseconds = |number| Some(Duration::from_millis(number));
        assert_eq!(recoveries.median(), None);
        recoveries.times.extend([milliseconds(300), milliseconds(100)].into_iter().flatten());
        assert_eq!((recoveries.median(), recoveries.longest()), (milliseconds(200), milliseconds(300)));
        recoveries.times.extend(milliseconds(110));
        assert_eq!(recoveries.median(), milliseconds(110));
    }
}
