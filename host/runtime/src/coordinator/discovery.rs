//! What is looked for from time to time: partitions that appeared, and a decision of somebody else.

use super::{Coordinator, LOOK_INTERVAL};
use crate::subtask::Command;
use weir_protocol::checkpoint::Event;
use weir_protocol::connector::{ConnectorError, StartPolicy};
use weir_protocol::position::{Partition, Positions};
use weir_protocol::verdict::named;

impl Coordinator<'_> {
    /// New partitions whose start is decided go to subtasks in turn.
    pub(super) fn hand_out_pending(&mut self) {
        for (source, start) in std::mem::take(&mut self.pending) {
            for (partition, position) in start {
                let subtask = self.options.placement.subtask(source, &partition);
                self.ended.remove(&subtask);
                let start = Positions::from([(partition, position)]);
                let _ = self.subtasks[subtask].send(Command::AddPartitions { source, start });
            }
        }
    }

    pub(super) fn look_and_discover(&mut self) -> Result<(), ConnectorError> {
        let now = self.options.clock.monotonic();
        if self.cycle.in_checkpoint() || self.cycle.is_stopping() {
            return Ok(());
        }
        if now - self.looked >= LOOK_INTERVAL {
            self.looked = now;
            self.look()?;
        }
        if !self.options.until_end
            && now - self.discovered >= self.options.version.plan.spec.partition_discovery_interval
        {
            self.discovered = now;
            self.discover()?;
        }
        Ok(())
    }

    /// Somebody else who writes to our group ends this incarnation; the next one judges what it finds.
    fn look(&mut self) -> Result<(), ConnectorError> {
        let all: Vec<Partition> =
            self.options.version.plan.deciding(&self.known).flatten().cloned().collect();
        let covered = self.connected.decisions.covered(&all);
        let committed = match self.connected.decisions.look(&covered) {
            Ok(committed) => committed,
            Err(error) => {
                tracing::debug!("the decision cannot be looked at: {error}");
                return Ok(());
            }
        };
        let Some(found) = named(&committed) else { return Ok(()) };
        let foreign = found.owner != self.options.owner;
        let overtaken =
            found.id.epoch > self.parent.epoch && found.id.incarnation != self.options.incarnation;
        if foreign || overtaken {
            return Err(ConnectorError::fenced(format!(
                "the consumer group carries checkpoint {} of another life: somebody has taken over",
                found.id
            )));
        }
        Ok(())
    }

    fn discover(&mut self) -> Result<(), ConnectorError> {
        for (index, source) in self.connected.sources.iter_mut().enumerate() {
            let now = match source.partitions() {
                Ok(now) => now,
                Err(error) => {
                    tracing::debug!("partitions cannot be listed: {error}");
                    continue;
                }
            };
            let new: Vec<Partition> =
                now.into_iter().filter(|found| !self.known[index].contains(found)).collect();
            if new.is_empty() {
                continue;
            }
            let start = source.resolve(&new, StartPolicy::Earliest)?;
            tracing::info!(partitions = ?new.iter().map(ToString::to_string).collect::<Vec<_>>(), "new partitions");
            self.known[index].extend(new);
            self.pending.push((index, start));
        }
        if !self.pending.is_empty() && !self.pending_in_manifest {
            self.step(Event::Force)?;
        }
        Ok(())
    }
}
