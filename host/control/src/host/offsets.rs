//! Where a pipeline goes on, partition by partition, and a wish that it goes on elsewhere.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a pipeline goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PipelineOffsets {
    /// The decided checkpoint, `<epoch>-<incarnation>`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decided: Option<String>,
    /// The hash of its manifest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manifest: Option<String>,
    /// The consumer group whose committed offsets these are; none where they are in a checkpoint only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<String>,
    /// Why a start would be refused now, where it would, with the command that helps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refused: Option<String>,
    /// Each partition of each source.
    pub partitions: Vec<PartitionOffset>,
}

/// Where one partition stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartitionOffset {
    /// The source of the pipeline.
    pub source: String,
    /// The topic, or what else the source reads.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The first record that is not processed yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offset: Option<i64>,
    /// The leader epoch that is committed with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub leader_epoch: Option<i32>,
    /// Where a reader of committed data ends now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end: Option<i64>,
    /// What lies between, as `kafka-consumer-groups --describe` counts it: offsets, the markers of transactions too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lag: Option<i64>,
    /// `checkpoint <id>`, `another consumer`, or the beginning of what another program has written there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub committed_by: Option<String>,
}

/// A wish that a stopped pipeline goes on elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetOffsets {
    /// Where.
    pub to: OffsetsTarget,
    /// Which topics; all where it is empty.
    pub topics: Vec<ChosenTopic>,
    /// What becomes of state per key, where it and the positions part.
    pub state: Option<ResetState>,
    /// Only say what it would mean.
    pub dry_run: bool,
}

/// Where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OffsetsTarget {
    /// At the first record that is still there.
    Earliest,
    /// At the end.
    Latest,
    /// Where it is committed now, whoever said so.
    Current,
    /// At the last checkpoint that is known here.
    Snapshot,
    /// At the first record at or after this time, in milliseconds since 1970.
    Datetime(i64),
    /// At these offsets.
    Offsets(Vec<TopicOffset>),
    /// So many records forward, or back.
    ShiftBy(i64),
    /// Where it is: what is decided is written to another consumer group.
    Group(String),
}

/// An offset of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicOffset {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    #[schema(minimum = 0)]
    pub partition: i32,
    /// The offset.
    #[schema(minimum = 0)]
    pub offset: i64,
}

/// A topic, and some of its partitions or all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChosenTopic {
    /// The topic.
    pub topic: String,
    /// Its partitions; all where it is left out.
    #[serde(default)]
    pub partitions: Vec<i32>,
}

/// What becomes of state per key that belongs to other positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetState {
    /// It goes on as it is.
    Keep,
    /// It begins empty.
    Empty,
}

/// What a reset means, or has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OffsetsReset {
    /// Nothing was changed.
    pub dry_run: bool,
    /// Where each partition goes on.
    pub moves: Vec<OffsetMove>,
    /// What else is to be known: what becomes of the state, offsets that are not there.
    pub notes: Vec<String>,
    /// What keeps it from being done, and what to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub needs: Option<String>,
    /// The decision that was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decided: Option<String>,
    /// The group that was written to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<String>,
}

/// One partition of a reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OffsetMove {
    /// The source of the pipeline.
    pub source: String,
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Where it would have gone on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<i64>,
    /// Where it goes on.
    pub to: i64,
    /// What that means for the output.
    pub consequence: String,
}
