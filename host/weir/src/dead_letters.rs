//! What is in the sinks of dead letters: which letters are open, and what a replay would do with each.

pub mod lines;
pub mod listing;
pub mod selection;
pub mod summary;

use self::summary::Summary;
use crate::connectors::PlanConnectors;
use std::path::Path;
use std::time::{Duration, Instant};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{BatchLimits, ConnectorError, Polled, StartPolicy};
use weir_protocol::decision::CommittedOffset;
use weir_protocol::feature_level::FeatureLevel;
use weir_protocol::plan::replay::{is_letters, sink_of_letters};
use weir_protocol::plan::{Decider, Plan, SourceKind, SourceSpec};
use weir_protocol::position::{Partition, Position, Positions};
use weir_protocol::replay::{Letter, Replay, Stays};
use weir_protocol::verdict::{Refusal, Replayed, named};
use weir_runtime::checkpoint_store::CheckpointStore;
use weir_runtime::connect::{Connected, Connectors};
use weir_runtime::incarnation;

/// The longest wait for the next letter of a sink that has more.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How much is read at once.
const LIMITS: BatchLimits = BatchLimits { rows_max: 1000, bytes_max: 4 << 20 };

/// Refused where a replay's end would only be in manifests that the weir before passes over: the same letters would come
/// back once more behind it.
pub fn may_be_replayed(plan: &Plan, level: FeatureLevel) -> Result<(), String> {
    let decides = matches!(plan.decider(|a, b| a == b), Decider::SourcePartitions(_));
    let letters = plan.spec.sources.iter().filter(|spec| is_letters(&spec.name));
    match letters.into_iter().find(|spec| !decides || !spec.kind.decides()) {
        Some(spec) if level < MANIFEST_CARRIES_LETTERS => Err(format!(
            "sink.{}: where the replay of its letters ends is kept in manifests only, and the data directory is of feature level {level}: a weir of before that runs this pipeline once more would forget it",
            sink_of_letters(&spec.name).unwrap_or_default()
        )),
        _ => Ok(()),
    }
}

/// The first level whose readers all carry on what a manifest says of letters.
const MANIFEST_CARRIES_LETTERS: FeatureLevel = FeatureLevel(2);

/// The letters of a pipeline, sink by sink. Looking at them fences nobody and changes nothing.
pub struct DeadLetters {
    connected: Connected,
    sinks: Vec<SinkOfLetters>,
    /// Why nobody knows where the last replay ended.
    unknown: Option<Refusal>,
}

struct SinkOfLetters {
    source: usize,
    name: String,
    sink: String,
    replay: Replay,
    first: Positions,
    open: Positions,
    ends: Positions,
    /// Bytes that the sink takes of one record.
    record_bytes_max: Option<usize>,
}

/// One letter.
pub struct Found<'a> {
    /// The sink that it was written to.
    pub sink: &'a str,
    /// Where it is.
    pub partition: Partition,
    /// Its offset there.
    pub offset: i64,
    /// The batch that holds it.
    pub batch: &'a Batch,
    /// Its row.
    pub row: usize,
    /// What its headers say; none where it is no dead letter of weir.
    pub letter: Option<Letter>,
    /// False where a replay has dealt with it.
    pub open: bool,
    /// Why a replay would leave it.
    pub stays: Option<Stays>,
    /// Bytes that its sink takes of one record.
    pub record_bytes_max: Option<usize>,
}

impl Found<'_> {
    /// False for what was not selected, and for what is no letter of this pipeline.
    pub fn is_asked_for(&self) -> bool {
        let stays = self.stays.as_ref();
        !stays.is_some_and(|stays| *stays == Stays::NotSelected || stays.is_passed_over())
    }

    /// One line where a replay would have to write it again and its sink does not take it: a topic's limit can be lowered.
    pub fn cannot_be_passed(&self) -> Option<String> {
        let most = self.record_bytes_max?;
        let stays = self.stays.as_ref().filter(|stays| !stays.is_passed_over())?;
        let of = |column: &weir_protocol::batch::Column| {
            if column.is_absent() { 0 } else { column.bytes(self.row).len() }
        };
        let bytes = of(&self.batch.keys) + of(&self.batch.values) + of(&self.batch.headers);
        (bytes > most).then(|| {
            format!(
                "sink.{}: the letter {}:{} stays ({stays}), and what stays is written again behind the others: it has {bytes} bytes, and its topic takes {most} now. It and the letters behind it stay open; raise max.message.bytes of topic {}, or replay it too",
                self.sink, self.partition, self.offset, self.partition.topic
            )
        })
    }
}

impl DeadLetters {
    /// Up to where there are letters now, by the names of their sources in the plan: once they are counted, up to the first
    /// that a replay could not pass.
    pub fn ends(&self) -> Vec<(String, Positions)> {
        self.sinks.iter().map(|of| (of.name.clone(), of.ends.clone())).collect()
    }

    /// Only the letters up to here, which are ends of before.
    #[must_use]
    pub fn until(mut self, ends: &[(String, Positions)]) -> DeadLetters {
        for of in &mut self.sinks {
            if let Some((_, ends)) = ends.iter().find(|(name, _)| *name == of.name) {
                of.ends = ends.clone();
            }
        }
        self
    }

    /// Looks. `plan` is the plan of the replay, `directory` the pipeline's own in the data directory.
    pub fn open(
        plan: &Plan,
        connectors: &PlanConnectors,
        directory: &Path,
    ) -> Result<DeadLetters, ConnectorError> {
        let incarnation = incarnation::fresh();
        let mut connected = connectors.connect(&incarnation)?;
        let mut all: Vec<Vec<Partition>> = Vec::new();
        for source in &mut connected.sources {
            all.push(source.partitions()?);
        }
        let deciding: Vec<Partition> = plan.deciding(&all).flatten().cloned().collect();
        let covered = connected.decisions.covered(&deciding);
        let committed = connected.decisions.look(&covered)?;
        let letters_of = |entry: &&CommittedOffset| {
            let mut letters = plan.spec.sources.iter().zip(&all).filter(|(spec, _)| is_letters(&spec.name));
            letters.any(|(_, partitions)| partitions.contains(&entry.partition))
        };
        let stand_in = connected.decisions.is_stand_in();
        let stream = committed.iter().filter(|entry| stand_in || !letters_of(entry));
        let stream: Vec<CommittedOffset> = stream.cloned().collect();
        let manifest =
            named(&stream).and_then(|record| CheckpointStore::beside(directory).load(record).found());
        let sink_of = |spec: &SourceSpec| {
            let named = sink_of_letters(&spec.name)?;
            plan.spec.sinks.iter().position(|sink| sink.name == named)
        };
        let names = plan.spec.sources.iter().map(|spec| spec.name.as_str());
        let names: Vec<&str> = names.filter(|name| is_letters(name)).collect();
        let of_letters = if stand_in { &[] } else { &committed[..] };
        let replayed = Replayed { manifest: manifest.as_ref(), committed: of_letters, sources: &names };
        let mut sinks = Vec::new();
        for (index, spec) in plan.spec.sources.iter().enumerate().filter(|(_, spec)| is_letters(&spec.name)) {
            let SourceKind::DeadLetters { replay, .. } = &spec.kind else { continue };
            let partitions = &all[index];
            let source = &mut connected.sources[index];
            let first = source.resolve(partitions, StartPolicy::Earliest)?;
            let ends = source.ends(partitions)?;
            let open = first.iter().map(|(partition, first)| {
                let end = ends.get(partition).map_or(i64::MAX, |end| end.offset);
                let to = replayed.to(&spec.name, partition);
                let decided = to.filter(|decided| (first.offset..=end).contains(&decided.offset));
                (partition.clone(), decided.unwrap_or(*first))
            });
            let open = open.collect();
            let sink = sink_of_letters(&spec.name).unwrap_or_default().to_owned();
            sinks.push(SinkOfLetters {
                source: index,
                name: spec.name.clone(),
                sink,
                replay: replay.clone(),
                first,
                open,
                ends,
                record_bytes_max: sink_of(spec).and_then(|index| connected.sinks[index].record_bytes_max()),
            });
        }
        let unknown = named(&stream).filter(|_| manifest.is_none()).and_then(|record| {
            let mut kept = plan.spec.sources.iter().zip(&all);
            let (_, partitions) = kept.find(|(spec, partitions)| {
                is_letters(&spec.name) && !spec.kind.decides() && !partitions.is_empty()
            })?;
            let why = "its manifest is missing".to_owned();
            Some(Refusal::LettersUnknown { partition: partitions[0].clone(), id: record.id.clone(), why })
        });
        Ok(DeadLetters { connected, sinks, unknown })
    }

    /// Refused where nobody knows which letters have come back before.
    pub fn may_come_back(&self) -> Result<(), ConnectorError> {
        let Some(refusal) = &self.unknown else { return Ok(()) };
        Err(ConnectorError::refused(refusal.to_string()).helped_by(refusal.remedy()))
    }

    /// Counts the open letters.
    pub fn count(&mut self) -> Result<Summary, ConnectorError> {
        let counted = self.count_unless(|| false)?;
        Ok(counted.expect("nobody asks it to stop"))
    }

    /// Counts the open letters; none where `stop` says so meanwhile. A letter that a replay would have to copy and cannot
    /// is where its partition ends from then on: it stays open, and so do those behind it.
    pub fn count_unless(&mut self, stop: impl Fn() -> bool) -> Result<Option<Summary>, ConnectorError> {
        let (mut summary, mut blocked, mut stopped) = (Summary::default(), Positions::new(), false);
        self.read(false, |found| {
            stopped = stop();
            if blocked.contains_key(&found.partition) {
                summary.add_behind(found);
            } else if let Some(note) = found.cannot_be_passed() {
                blocked.insert(found.partition.clone(), Position::at(found.offset));
                summary.add_blocked(note);
            } else {
                summary.add(found);
            }
            Ok(!stopped)
        })?;
        for (partition, end) in self.sinks.iter_mut().flat_map(|of| &mut of.ends) {
            if let Some(at) = blocked.get(partition) {
                *end = *at;
            }
        }
        Ok((!stopped).then_some(summary))
    }

    /// Reads letters until there are no more or `each` says that it is enough; with `dealt_with` also those that a replay
    /// has dealt with.
    pub fn read(
        &mut self,
        dealt_with: bool,
        mut each: impl FnMut(&Found<'_>) -> Result<bool, ConnectorError>,
    ) -> Result<(), ConnectorError> {
        for of in &self.sinks {
            let start = if dealt_with { &of.first } else { &of.open };
            if start
                .iter()
                .all(|(partition, at)| of.ends.get(partition).is_none_or(|end| at.offset >= end.offset))
            {
                continue;
            }
            let mut reader = self.connected.sources[of.source].reader(start, Some(&of.ends))?;
            let (mut batch, mut heard) = (Batch::default(), Instant::now());
            loop {
                batch.clear();
                let polled = reader.poll(&mut batch, LIMITS, Duration::from_millis(100))?;
                for row in 0..batch.rows {
                    if !each(&of.found(&batch, row))? {
                        return Ok(());
                    }
                }
                match polled {
                    Polled::End => break,
                    Polled::Rows => heard = Instant::now(),
                    Polled::Idle if heard.elapsed() > WAIT_MAX => {
                        return Err(ConnectorError::transient(format!(
                            "sink {}: no letter came for {WAIT_MAX:?}, though there are more",
                            of.sink
                        )));
                    }
                    Polled::Idle => {}
                }
            }
        }
        Ok(())
    }
}

impl SinkOfLetters {
    fn found<'a>(&'a self, batch: &'a Batch, row: usize) -> Found<'a> {
        let entry = if batch.headers.is_absent() { &[][..] } else { batch.headers.bytes(row) };
        let letter = Letter::read(entry);
        let stays = self.replay.target(letter.as_ref(), batch.timestamp(row)).err();
        let origin = batch.origins.of(row);
        let (partition, offset) = match origin {
            Some(origin) => (origin.partition, origin.offset),
            None => (Partition::new("", 0), -1),
        };
        let open = self.open.get(&partition).map_or(0, |at: &Position| at.offset);
        let record_bytes_max = self.record_bytes_max;
        let open = offset >= open;
        Found { sink: &self.sink, partition, offset, batch, row, letter, open, stays, record_bytes_max }
    }
}
