//! What was seen of one seed: the input, what readers of committed data see, and every decided checkpoint.

use crate::outside::broker::Written;
use crate::outside::states::Contents;
use crate::pipeline::names;
use crate::scenario::Scenario;
use crate::versions::Version;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use weir_protocol::batch::read_u32;
use weir_protocol::decision::DecisionRecord;
use weir_protocol::epoch::CheckpointId;
use weir_protocol::manifest::{Manifest, SourceWatermark};

/// A record that readers of committed data see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The decision that it became visible with, by index.
    pub decision: usize,
    /// The record.
    pub written: Written,
}

/// A decided checkpoint, as it was on disk when it was decided.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Its name.
    pub id: CheckpointId,
    /// Committed records up to it.
    pub committed: usize,
    /// What the disk held, or what was wrong with it.
    pub checkpoint: Result<Checkpoint, String>,
}

/// What a decided checkpoint holds.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The checkpoint that it continues.
    pub parent: Option<CheckpointId>,
    /// Per partition the offset that is read next.
    pub positions: Vec<usize>,
    /// The highest processing time.
    pub now_ms: i64,
    /// How far event time had come.
    pub watermarks: Vec<SourceWatermark>,
    /// The state of all subtasks together.
    pub contents: Contents,
    /// The input has ended, and the pipeline was drained.
    pub finished: bool,
    /// The digest of the keyed operator.
    pub version: String,
}

impl Decided {
    /// Reads what a decision names.
    pub fn read(directory: &Path, record: &DecisionRecord, committed: usize) -> Decided {
        let path = directory.join("checkpoints").join(record.id.to_string());
        Decided { id: record.id.clone(), committed, checkpoint: read_checkpoint(&path, record) }
    }
}

fn read_checkpoint(path: &Path, record: &DecisionRecord) -> Result<Checkpoint, String> {
    let bytes = std::fs::read(path.join("manifest.json")).map_err(|error| error.kind().to_string())?;
    let manifest = Manifest::decode_decided(&bytes, &record.manifest).map_err(|error| error.to_string())?;
    let partitions = manifest.positions.iter().map(|p| p.partition.number + 1).max().unwrap_or(0);
    let mut positions = vec![0; partitions as usize];
    for position in &manifest.positions {
        positions[position.partition.number as usize] = position.position.offset as usize;
    }
    let mut contents = Contents::default();
    for part in manifest.keyed.iter().flat_map(|keyed| &keyed.parts) {
        let stored =
            Contents::read(&path.join(part.directory())).map_err(|error| error.kind().to_string())?;
        contents.take(stored, |_| true);
    }
    Ok(Checkpoint {
        parent: manifest.parent,
        positions,
        now_ms: manifest.now_ms,
        watermarks: manifest.watermarks,
        contents,
        finished: manifest.finished,
        version: manifest.operators.get(crate::pipeline::COUNT).cloned().unwrap_or_default(),
    })
}

impl Checkpoint {
    /// Rows per key.
    pub fn counts(&self) -> BTreeMap<String, u32> {
        let of_state = self.contents.entries.iter().filter(|((state, _, _), _)| state == names::COUNT);
        of_state.map(|((_, key, _), value)| (text(key), read_u32(value, 0))).collect()
    }

    /// Rows per key and end of window, of windows that have not fired.
    pub fn windows(&self) -> BTreeMap<(String, i64), u32> {
        let of_state = self.contents.entries.iter().filter(|((state, _, _), _)| state == names::WINDOWS);
        let end = |subkey: &[u8]| {
            let mut eight = [0; 8];
            eight.copy_from_slice(subkey);
            i64::from_be_bytes(eight)
        };
        of_state.map(|((_, key, subkey), value)| ((text(key), end(subkey)), read_u32(value, 0))).collect()
    }

    /// Timers of a declaration: key and time.
    pub fn timers(&self, name: &str) -> Vec<(String, i64)> {
        let own = self.contents.timers.iter().filter(|(timer, _, _)| timer == name);
        own.map(|(_, time, key)| (text(key), *time)).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How a history ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The input is read, and all of it is decided.
    Finished,
    /// The pipeline stopped for good.
    Stopped(String),
    /// It goes on for ever.
    Endless,
}

/// Everything that was seen of one seed.
pub struct History {
    /// What was given.
    pub scenario: Arc<Scenario>,
    /// What readers of committed data see, in order.
    pub committed: Vec<Committed>,
    /// Every decision, in order.
    pub decisions: Vec<Decided>,
    /// Swaps that were begun: from, to.
    pub swaps: Vec<(Version, Version)>,
    /// How it ended.
    pub ending: Ending,
    /// What happened, in order.
    pub log: Vec<String>,
    /// How often each fault happened.
    pub faults: BTreeMap<&'static str, usize>,
    /// How often the planted defect was made.
    pub planted: usize,
}

/// What a committed record says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// A row was counted: partition, offset, rows of its key so far.
    Row(usize, usize, u32),
    /// A window has ended: end, rows.
    Window(i64, u32),
    /// A key's reminder.
    Remind,
    /// A row came behind the watermark.
    Late(String),
    /// Processing time went down.
    Back(String),
    /// A dead letter: partition, offset.
    Dead(usize, usize),
    /// None of these.
    Unknown(String),
}

impl Committed {
    /// What it says.
    pub fn says(&self) -> Said {
        let value = &self.written.value;
        read_said(self.written.sink, value).unwrap_or_else(|| Said::Unknown(value.clone()))
    }
}

fn read_said(sink: usize, value: &str) -> Option<Said> {
    let place = |text: &str| {
        let (partition, offset) = text.split_once('-')?;
        Some((partition.parse::<usize>().ok()?, offset.parse::<usize>().ok()?))
    };
    if sink == crate::pipeline::DEAD {
        let (partition, offset) = place(value.strip_prefix("mapped poison ")?)?;
        return Some(Said::Dead(partition, offset));
    }
    let mut words = value.split(' ');
    match words.next()? {
        "row" => {
            let (partition, offset) = place(words.next()?)?;
            Some(Said::Row(partition, offset, words.next()?.parse().ok()?))
        }
        "window" => Some(Said::Window(words.next()?.parse().ok()?, words.next()?.parse().ok()?)),
        "remind" => Some(Said::Remind),
        "late" => Some(Said::Late(value.to_owned())),
        "back" => Some(Said::Back(value.to_owned())),
        _ => None,
    }
}
