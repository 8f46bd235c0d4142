//! Up to where replays of dead letters have come.
//!
//! - **L1** The manifest says it, from replay to replay, by partition: a sink may be called something else since.
//! - **L2** Where it does not, the decision log does, but for what was decided behind a savepoint that the pipeline has gone
//!   back to: those replays are undone with everything else.

use super::ours;
use crate::decision::CommittedOffset;
use crate::manifest::Manifest;
use crate::plan::replay::is_letters;
use crate::position::{Partition, Position};

/// What there is that could say it.
#[derive(Debug, Clone, Copy)]
pub struct Replayed<'a> {
    /// The decided manifest, where it is at hand.
    pub manifest: Option<&'a Manifest>,
    /// What the decision log holds of the letters' partitions; nothing where another partition stands in for them.
    pub committed: &'a [CommittedOffset],
    /// The sources of letters that the plan has.
    pub sources: &'a [&'a str],
}

impl Replayed<'_> {
    /// The first letter of a partition that no replay has dealt with. None where there was no replay.
    pub fn to(&self, source: &str, partition: &Partition) -> Option<Position> {
        self.in_manifest(source, partition).or_else(|| self.in_log(partition))
    }

    fn in_manifest(&self, source: &str, partition: &Partition) -> Option<Position> {
        let known = self.manifest?.positions.iter().filter(|known| known.partition == *partition);
        // Another sink of the plan may write to a topic of the same name on another cluster.
        let own = known.filter(|known| known.source == source || self.is_name_of_before(&known.source));
        own.map(|known| known.position).max_by_key(|position| position.offset)
    }

    /// True for letters under a name that the plan does not have.
    pub fn is_name_of_before(&self, source: &str) -> bool {
        is_letters(source) && !self.sources.contains(&source)
    }

    fn in_log(&self, partition: &Partition) -> Option<Position> {
        let entry = self.committed.iter().find(|entry| entry.partition == *partition)?;
        let decided = ours(&entry.metadata)?;
        let gone_back_to = self.manifest.and_then(|manifest| manifest.started_from.as_ref());
        let is_undone = gone_back_to.is_some_and(|savepoint| decided.id.epoch > savepoint.epoch);
        entry.position.filter(|_| !is_undone)
    }
}
