//! What recovery finds before it judges: partitions, committed offsets, manifest, hint; and where new partitions start.

use super::Recovery;
use crate::connect::Connected;
use weir_protocol::connector::{ConnectorError, StartPolicy};
use weir_protocol::decision::CommittedOffset;
use weir_protocol::plan::SourceKind;
use weir_protocol::plan::replay::is_letters;
use weir_protocol::position::{Partition, Positions};
use weir_protocol::verdict::{Facts, FoundManifest, KnownPartition, NewPartition, NewStart, named};

impl Recovery<'_> {
    pub(super) fn partitions(
        &self,
        connected: &mut Connected,
    ) -> Result<Vec<KnownPartition>, ConnectorError> {
        let mut known = Vec::new();
        for (spec, source) in self.plan.spec.sources.iter().zip(&mut connected.sources) {
            let policy = match &spec.kind {
                SourceKind::Kafka { start, .. } => *start,
                SourceKind::Generator { .. } | SourceKind::Files { .. } | SourceKind::DeadLetters { .. } => {
                    StartPolicy::Earliest
                }
            };
            let letters = is_letters(&spec.name);
            for partition in source.partitions()? {
                let source = spec.name.clone();
                known.push(KnownPartition { source, partition, policy, covered: false, letters });
            }
        }
        let covered = self.covered(connected.decisions.as_ref(), &known);
        for known in &mut known {
            let decides = !connected.decisions.is_stand_in() && self.plan.decides(&known.source);
            known.covered = decides && covered.contains(&known.partition);
        }
        Ok(known)
    }

    pub(super) fn facts(
        &self,
        connected: &Connected,
        partitions: &[KnownPartition],
        committed: Vec<CommittedOffset>,
    ) -> Result<Facts, ConnectorError> {
        // Letters stand where the last replay ended, at a decision of then.
        let letters = |entry: &&CommittedOffset| {
            partitions
                .iter()
                .any(|known| known.letters && known.covered && known.partition == entry.partition)
        };
        let stream: Vec<CommittedOffset> =
            committed.iter().filter(|entry| !letters(entry)).cloned().collect();
        let manifest = match named(&stream) {
            Some(record) => self.store.load(record),
            None => FoundManifest::NotNamed,
        };
        Ok(Facts {
            owner: self.owner.clone(),
            stand_in: !partitions.iter().any(|known| known.covered),
            committed,
            partitions: partitions.to_vec(),
            manifest,
            hint: self.store.hint()?,
            later_checkpoint: self.store.has_later_checkpoint()?,
            needs_manifest: match connected.needs_manifest {
                None if self.plan.is_keyed() => Some("its operators keep state"),
                other => other,
            },
            place: connected.place,
        })
    }

    /// Asks the sources where new partitions start, policy by policy.
    pub(super) fn resolve(
        &self,
        connected: &mut Connected,
        new: Vec<NewPartition>,
        positions: &mut [Positions],
    ) -> Result<(), ConnectorError> {
        for (index, spec) in self.plan.spec.sources.iter().enumerate() {
            let of_source: Vec<&NewPartition> = new.iter().filter(|new| new.source == spec.name).collect();
            let earliest: Vec<Partition> = of_source
                .iter()
                .filter(|new| new.start == NewStart::Earliest)
                .map(|new| new.partition.clone())
                .collect();
            if !earliest.is_empty() {
                positions[index].extend(connected.sources[index].resolve(&earliest, StartPolicy::Earliest)?);
            }
            let by_policy = of_source.iter().find_map(|new| match new.start {
                NewStart::Policy(policy) => Some(policy),
                NewStart::Earliest | NewStart::At(_) => None,
            });
            for new in &of_source {
                if let NewStart::At(position) = new.start {
                    positions[index].insert(new.partition.clone(), position);
                }
            }
            if let Some(policy) = by_policy {
                let partitions: Vec<Partition> = of_source
                    .iter()
                    .filter(|new| matches!(new.start, NewStart::Policy(_)))
                    .map(|new| new.partition.clone())
                    .collect();
                positions[index].extend(connected.sources[index].resolve(&partitions, policy)?);
            }
        }
        Ok(())
    }
}
