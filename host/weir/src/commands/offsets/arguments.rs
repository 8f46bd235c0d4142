//! Where to go on, as it is written on the command line: under the names of `kafka-consumer-groups --reset-offsets`.

use weir_control::host::{ChosenTopic, OffsetsTarget, ResetState, TopicOffset};
use weir_protocol::reset::{Chosen, parse_datetime, parse_offset};

/// Where to go on.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub struct TargetOptions {
    /// At the first record that is still there
    #[arg(long)]
    to_earliest: bool,
    /// At the end as it is now
    #[arg(long)]
    to_latest: bool,
    /// Where it is committed now, whoever committed it
    #[arg(long)]
    to_current: bool,
    /// At the last checkpoint that this data directory knows
    #[arg(long)]
    to_snapshot: bool,
    /// At the first record at or after a time, such as 2026-01-31T12:00:00.000 (UTC unless it says otherwise)
    #[arg(long, value_name = "TIME", value_parser = datetime)]
    to_datetime: Option<i64>,
    /// At an offset; may be repeated, other partitions stay where they are
    #[arg(long, value_name = "TOPIC:PARTITION:OFFSET", value_parser = offset)]
    to_offset: Vec<TopicOffset>,
    /// So many records forward, or back, but not beyond what is there
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// Write what is decided to another consumer group, for another program to go on from; the pipeline stays where it is
    #[arg(long, value_name = "GROUP", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    to_group: Option<String>,
}

impl TargetOptions {
    /// The one that was given.
    pub fn target(&self) -> OffsetsTarget {
        match self {
            TargetOptions { to_earliest: true, .. } => OffsetsTarget::Earliest,
            TargetOptions { to_latest: true, .. } => OffsetsTarget::Latest,
            TargetOptions { to_snapshot: true, .. } => OffsetsTarget::Snapshot,
            TargetOptions { to_datetime: Some(at), .. } => OffsetsTarget::Datetime(*at),
            TargetOptions { shift_by: Some(by), .. } => OffsetsTarget::ShiftBy(*by),
            TargetOptions { to_group: Some(group), .. } => OffsetsTarget::Group(group.clone()),
            TargetOptions { to_offset, .. } if !to_offset.is_empty() => {
                OffsetsTarget::Offsets(to_offset.clone())
            }
            _ => OffsetsTarget::Current,
        }
    }
}

/// What becomes of state per key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StateArgument {
    /// It goes on as it is
    Keep,
    /// It begins empty
    Empty,
}

impl StateArgument {
    /// As the host is asked for it.
    pub fn asked(self) -> ResetState {
        match self {
            StateArgument::Keep => ResetState::Keep,
            StateArgument::Empty => ResetState::Empty,
        }
    }
}

fn datetime(text: &str) -> Result<i64, String> {
    parse_datetime(text).ok_or_else(|| {
        "expected a time such as 2026-01-31T12:00:00.000, with Z or +02:00 behind it, or in UTC".to_owned()
    })
}

fn offset(text: &str) -> Result<TopicOffset, String> {
    let (partition, offset) = parse_offset(text)
        .ok_or_else(|| "expected TOPIC:PARTITION:OFFSET, such as orders:0:17".to_owned())?;
    Ok(TopicOffset { topic: partition.topic.to_string(), partition: partition.number, offset })
}

/// Topics, as `--topic` has them.
pub fn chosen(text: &str) -> Result<ChosenTopic, String> {
    let chosen = Chosen::parse(text)
        .ok_or_else(|| "expected TOPIC or TOPIC:PARTITION,PARTITION, such as orders:0,2".to_owned())?;
    Ok(ChosenTopic { topic: chosen.topic, partitions: chosen.partitions })
}
