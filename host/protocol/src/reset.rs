//! `weir offsets reset`: where each partition goes on, what that means for the state, and what is refused.
//!
//! Named as `kafka-consumer-groups --reset-offsets` names it, with its habits: a shift stops at the ends of what is
//! there, what was not chosen stays as it is. An offset that somebody names must be there: a typing error is no wish.

mod datetime;

pub use datetime::parse_datetime;

use crate::counted::counted;
use crate::epoch::CheckpointId;
use crate::position::{Partition, Position};

/// Where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// At the first record that is still there.
    Earliest,
    /// At the end as it is now.
    Latest,
    /// Where it is decided or committed now, whoever said so.
    Current,
    /// At the last checkpoint that this data directory knows.
    Snapshot,
    /// At the first record at or after this time, in milliseconds since 1970.
    Datetime(i64),
    /// At these offsets; other partitions stay.
    Offsets(Vec<(Partition, i64)>),
    /// So many records forward, or back.
    ShiftBy(i64),
}

/// Partitions that were chosen: a topic, and some of its partitions or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The topic.
    pub topic: String,
    /// Its partitions; empty for all.
    pub partitions: Vec<i32>,
}

impl Chosen {
    /// Reads `TOPIC` or `TOPIC:0,1,2`, as `kafka-consumer-groups --topic` does.
    pub fn parse(text: &str) -> Option<Chosen> {
        let Some((topic, numbers)) = text.rsplit_once(':') else {
            return (!text.is_empty()).then(|| Chosen { topic: text.to_owned(), partitions: Vec::new() });
        };
        let partitions = numbers.split(',').map(partition_number).collect::<Option<Vec<i32>>>()?;
        (!topic.is_empty()).then(|| Chosen { topic: topic.to_owned(), partitions })
    }

    fn has(&self, partition: &Partition) -> bool {
        *partition.topic == *self.topic
            && (self.partitions.is_empty() || self.partitions.contains(&partition.number))
    }
}

/// Reads `TOPIC:PARTITION:OFFSET`.
pub fn parse_offset(text: &str) -> Option<(Partition, i64)> {
    let (rest, offset) = text.rsplit_once(':')?;
    let (topic, number) = rest.rsplit_once(':')?;
    let offset: i64 = offset.parse().ok()?;
    (!topic.is_empty() && offset >= 0).then_some((Partition::new(topic, partition_number(number)?), offset))
}

fn partition_number(text: &str) -> Option<i32> {
    text.parse().ok().filter(|number| *number >= 0)
}

/// What is known of one partition before a reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionFacts {
    /// The source of the plan.
    pub source: String,
    /// The partition.
    pub partition: Partition,
    /// Where it goes on now.
    pub current: Option<Position>,
    /// Where the last known checkpoint has it.
    pub snapshot: Option<Position>,
    /// Where what is asked for has it: its earliest record, its end, the first record after a time.
    pub asked: Option<Position>,
    /// The first record that is there and the end: for offsets that are numbers of records.
    pub range: Option<(i64, i64)>,
}

/// Where a partition goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The source of the plan.
    pub source: String,
    /// The partition.
    pub partition: Partition,
    /// Where it would have gone on.
    pub from: Option<Position>,
    /// Where it goes on.
    pub to: Position,
    /// What was asked for, where that is not there.
    pub clamped_from: Option<i64>,
}

/// What the positions of a source count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Records, as in a topic.
    Records,
    /// Bytes, as in a file.
    Bytes,
}

impl Move {
    /// What it means for the output.
    pub fn consequence(&self, unit: Unit) -> String {
        match self.from.map(|from| self.to.offset - from.offset) {
            None => "nothing was decided for it".to_owned(),
            Some(0) => "no change".to_owned(),
            Some(forward) if forward > 0 => of_units(forward, unit, "SKIPPED"),
            Some(back) => of_units(-back, unit, "REPEATED"),
        }
    }
}

fn of_units(number: i64, unit: Unit, what: &str) -> String {
    let are = if number == 1 { "is" } else { "are" };
    let one = match unit {
        Unit::Records => "record",
        Unit::Bytes => "byte",
    };
    format!("{} {are} {what}", counted(number.unsigned_abs(), one))
}

/// Why a reset is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResetRefusal {
    /// Nothing of that name is read.
    #[error("{what} is not read by this pipeline, which reads {known}")]
    NotRead {
        /// What was named.
        what: String,
        /// What there is.
        known: String,
    },
    /// An offset is named for a partition that was left out.
    #[error(
        "{partition} has an offset of its own and is left out by --topic: name it there too, or leave out --topic"
    )]
    LeftOut {
        /// The partition.
        partition: Partition,
    },
    /// A partition has two offsets.
    #[error("{partition} was given two offsets, {first} and {second}: leave one out")]
    Twice {
        /// The partition.
        partition: Partition,
        /// One of them.
        first: i64,
        /// The other.
        second: i64,
    },
    /// The offset is not there.
    #[error(
        "{partition} has no offset {offset}: it goes from {earliest} to {end}; choose one of these, or --to-earliest or --to-latest"
    )]
    OutOfRange {
        /// The partition.
        partition: Partition,
        /// What was asked for.
        offset: i64,
        /// The first that is there.
        earliest: i64,
        /// The end.
        end: i64,
    },
    /// The source's positions are no numbers of records.
    #[error(
        "source {from} is no Kafka source, its positions cannot be counted: use --to-earliest, --to-latest, --to-current or --to-snapshot"
    )]
    NotCounted {
        /// The source.
        from: String,
    },
    /// There is no position to shift.
    #[error(
        "nothing was decided for {partition}, so there is nothing to shift: use --to-earliest, --to-latest or --to-offset"
    )]
    NothingToShift {
        /// The partition.
        partition: Partition,
    },
    /// No checkpoint.
    #[error("this data directory knows no checkpoint; use --to-earliest, --to-latest or --to-current")]
    NoSnapshot,
    /// The decided checkpoint is not kept.
    #[error(
        "checkpoint {decided}, which is decided, is not kept here any more, and to go on from {newest}, which was decided later and is lost, would skip what was read between them; use --to-current to go on where {decided} was, or --to-earliest"
    )]
    NotKept {
        /// What is decided.
        decided: CheckpointId,
        /// The newest that was decided once.
        newest: CheckpointId,
    },
    /// The newest decided checkpoint is not kept, and its output is published.
    #[error(
        "checkpoint {newest} was decided and its output is published, but it is not here, and to go on from {decided} would publish what lies between them again; bring the data directory back whole, or use --to-current, which does that"
    )]
    PublishedBeyond {
        /// What the decision says.
        decided: CheckpointId,
        /// The newest that was decided.
        newest: CheckpointId,
    },
    /// The checkpoint does not know the partition.
    #[error(
        "checkpoint {id} has no position of {partition}; use --to-current, --to-earliest or --to-latest, or leave it out by --topic"
    )]
    NotInSnapshot {
        /// The checkpoint.
        id: CheckpointId,
        /// The partition.
        partition: Partition,
    },
    /// No partition has a position afterwards.
    #[error(
        "no partition would have a position: nothing is decided or committed yet; use --to-earliest or --to-latest"
    )]
    Nothing,
}

/// Where each partition goes on. Partitions that were not chosen stay; one without a position is left to the next start.
pub fn moves(
    target: &Target,
    chosen: &[Chosen],
    snapshot: Option<&CheckpointId>,
    facts: &[PartitionFacts],
) -> Result<Vec<Move>, ResetRefusal> {
    check_chosen(chosen, facts)?;
    check_offsets(target, chosen, facts)?;
    let mut moves = Vec::new();
    for known in facts {
        let (to, clamped_from) = if is_chosen(chosen, &known.partition) {
            goes_to(target, snapshot, known)?
        } else {
            (known.current, None)
        };
        let Some(to) = to else { continue };
        let (source, partition) = (known.source.clone(), known.partition.clone());
        moves.push(Move { source, partition, from: known.current, to, clamped_from });
    }
    if moves.is_empty() { Err(ResetRefusal::Nothing) } else { Ok(moves) }
}

fn is_chosen(chosen: &[Chosen], partition: &Partition) -> bool {
    chosen.is_empty() || chosen.iter().any(|one| one.has(partition))
}

fn check_chosen(chosen: &[Chosen], facts: &[PartitionFacts]) -> Result<(), ResetRefusal> {
    for one in chosen {
        let there = |number: Option<i32>| {
            let mut of_topic = facts.iter().filter(|known| *known.partition.topic == *one.topic);
            of_topic.any(|known| number.is_none_or(|number| known.partition.number == number))
        };
        if !there(None) {
            return Err(not_read(format!("topic {}", one.topic), facts));
        }
        if let Some(number) = one.partitions.iter().find(|number| !there(Some(**number))) {
            return Err(not_read(format!("{}:{number}", one.topic), facts));
        }
    }
    Ok(())
}

fn check_offsets(target: &Target, chosen: &[Chosen], facts: &[PartitionFacts]) -> Result<(), ResetRefusal> {
    let Target::Offsets(offsets) = target else { return Ok(()) };
    for (at, (partition, offset)) in offsets.iter().enumerate() {
        if !facts.iter().any(|known| known.partition == *partition) {
            return Err(not_read(partition.to_string(), facts));
        }
        if !is_chosen(chosen, partition) {
            return Err(ResetRefusal::LeftOut { partition: partition.clone() });
        }
        if let Some((_, first)) = offsets[..at].iter().find(|(earlier, _)| earlier == partition) {
            let partition = partition.clone();
            return Err(ResetRefusal::Twice { partition, first: *first, second: *offset });
        }
    }
    Ok(())
}

fn not_read(what: String, facts: &[PartitionFacts]) -> ResetRefusal {
    let mut topics: Vec<(&str, usize)> = Vec::new();
    for known in facts {
        match topics.iter_mut().find(|(topic, _)| *topic == &*known.partition.topic) {
            Some((_, count)) => *count += 1,
            None => topics.push((&known.partition.topic, 1)),
        }
    }
    let known: Vec<String> = topics
        .iter()
        .map(|(topic, count)| format!("{topic} ({})", counted(*count as u64, "partition")))
        .collect();
    ResetRefusal::NotRead { what, known: known.join(", ") }
}

type Goes = (Option<Position>, Option<i64>);

fn goes_to(
    target: &Target,
    snapshot: Option<&CheckpointId>,
    known: &PartitionFacts,
) -> Result<Goes, ResetRefusal> {
    let partition = || known.partition.clone();
    match target {
        Target::Earliest | Target::Latest | Target::Datetime(_) => match known.asked {
            Some(asked) => Ok((Some(keep_epoch(known, asked)), None)),
            None => Err(ResetRefusal::NotCounted { from: known.source.clone() }),
        },
        Target::Current => Ok((known.current, None)),
        Target::Snapshot => {
            let id = snapshot.ok_or(ResetRefusal::NoSnapshot)?;
            match known.snapshot {
                Some(position) => Ok((Some(position), None)),
                None => Err(ResetRefusal::NotInSnapshot { id: id.clone(), partition: partition() }),
            }
        }
        Target::Offsets(offsets) => {
            let Some((_, offset)) = offsets.iter().find(|(named, _)| *named == known.partition) else {
                return Ok((known.current, None));
            };
            let (earliest, end) = range(known)?;
            if !(earliest..=end).contains(offset) {
                return Err(ResetRefusal::OutOfRange {
                    partition: partition(),
                    offset: *offset,
                    earliest,
                    end,
                });
            }
            Ok((Some(keep_epoch(known, Position::at(*offset))), None))
        }
        Target::ShiftBy(by) => {
            let (earliest, end) = range(known)?;
            let current =
                known.current.ok_or_else(|| ResetRefusal::NothingToShift { partition: partition() })?;
            let wanted = current.offset.saturating_add(*by);
            let to = wanted.clamp(earliest, end.max(earliest));
            Ok((Some(keep_epoch(known, Position::at(to))), (to != wanted).then_some(wanted)))
        }
    }
}

/// The leader epoch is that of the record before a position, so it stays only where the position stays.
fn keep_epoch(known: &PartitionFacts, to: Position) -> Position {
    known.current.filter(|current| current.offset == to.offset).unwrap_or(to)
}

fn range(known: &PartitionFacts) -> Result<(i64, i64), ResetRefusal> {
    known.range.ok_or_else(|| ResetRefusal::NotCounted { from: known.source.clone() })
}

/// What becomes of keyed state where a person has to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChoice {
    /// It goes on as it is.
    Keep,
    /// It begins empty.
    Empty,
}

/// What becomes of keyed state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFate {
    /// There is none.
    None,
    /// It goes on with the positions that it belongs to, event time too.
    Agrees(CheckpointId),
    /// It goes on with other positions; event time begins anew.
    Kept(CheckpointId),
    /// It begins empty.
    Empty,
    /// Nobody has said yet.
    Undecided(StateUndecided),
}

/// Why a person has to say what becomes of the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateUndecided {
    /// The positions are not those of the state.
    #[error(
        "the state is that of checkpoint {0}, and these positions are not: what is skipped is missing in it, what is repeated counts twice; say --state keep to go on with it all the same, or --state empty to begin without any; to go back to state and positions that belong together, start from a savepoint instead"
    )]
    OtherPositions(CheckpointId),
    /// No state is known.
    #[error(
        "the pipeline keeps state per key, and no checkpoint with it is known here: state would begin empty; say --state empty, or start from a savepoint instead"
    )]
    Unknown,
    /// It is to be kept, and is not there.
    #[error(
        "--state keep: no checkpoint with state is known here; say --state empty, or start from a savepoint instead"
    )]
    NothingToKeep,
}

/// What becomes of the state of a keyed pipeline.
pub fn state_fate(
    keyed: bool,
    state_of: Option<&CheckpointId>,
    facts: &[PartitionFacts],
    moves: &[Move],
    choice: Option<StateChoice>,
) -> StateFate {
    if !keyed {
        return StateFate::None;
    }
    let Some(id) = state_of else {
        return match choice {
            Some(StateChoice::Empty) => StateFate::Empty,
            Some(StateChoice::Keep) => StateFate::Undecided(StateUndecided::NothingToKeep),
            None => StateFate::Undecided(StateUndecided::Unknown),
        };
    };
    let agrees = facts.iter().all(|known| {
        let to = moves.iter().find(|to| to.source == known.source && to.partition == known.partition);
        to.map(|to| to.to.offset) == known.snapshot.map(|position| position.offset)
    });
    match choice {
        Some(StateChoice::Empty) => StateFate::Empty,
        _ if agrees => StateFate::Agrees(id.clone()),
        Some(StateChoice::Keep) => StateFate::Kept(id.clone()),
        None => StateFate::Undecided(StateUndecided::OtherPositions(id.clone())),
    }
}

#[cfg(test)]
mod tests;
