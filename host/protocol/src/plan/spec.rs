//! What a pipeline file asks for, as plain data. The binary reads it; [`super::Plan::check`] judges it.

use crate::connector::StartPolicy;
use crate::position::Positions;
use crate::replay::Replay;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What readers of the output are promised. A property of the pipeline, not of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Guarantee {
    /// Each record takes effect once.
    #[default]
    ExactlyOnce,
    /// Each record takes effect, perhaps again after a crash.
    AtLeastOnce,
    /// Each record takes effect once or, after a crash, not at all. Stateless pipelines only.
    AtMostOnce,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guarantee::ExactlyOnce => "exactly_once",
            Guarantee::AtLeastOnce => "at_least_once",
            Guarantee::AtMostOnce => "at_most_once",
        })
    }
}

/// `[checkpoint]`. The names are Flink's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointSpec {
    /// Time from the start of one checkpoint to the start of the next.
    pub interval: Duration,
    /// A checkpoint that takes longer fails.
    pub timeout: Duration,
    /// Time from the end of one checkpoint to the start of the next, at least.
    pub min_pause: Duration,
    /// How often in a row a snapshot may fail and be taken again before the incarnation ends.
    pub tolerable_failures: u32,
    /// Undecided epochs beside the running one.
    pub max_concurrent: u32,
    /// Decided checkpoints that are kept.
    pub retain: u32,
}

impl Default for CheckpointSpec {
    fn default() -> CheckpointSpec {
        CheckpointSpec {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            min_pause: Duration::ZERO,
            tolerable_failures: 0,
            max_concurrent: 1,
            retain: 3,
        }
    }
}

/// `[savepoint]`: self-contained copies of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavepointSpec {
    /// Time between two savepoints that are taken unasked; none = only when asked for.
    pub every: Option<Duration>,
    /// Where they go; none = `savepoints` in the pipeline's directory.
    pub dir: Option<String>,
    /// Savepoints taken unasked that are kept; those that were asked for are never removed.
    pub keep: u32,
}

impl Default for SavepointSpec {
    fn default() -> SavepointSpec {
        SavepointSpec { every: None, dir: None, keep: 3 }
    }
}

/// `[restart]`: what happens when an incarnation ends with an error that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartSpec {
    /// The first wait.
    pub initial_backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
    /// A run of this length without an error forgets earlier ones.
    pub reset_after: Duration,
    /// Restarts in a row before the pipeline fails; none = unlimited.
    pub attempts: Option<u32>,
}

impl Default for RestartSpec {
    fn default() -> RestartSpec {
        RestartSpec {
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            reset_after: Duration::from_secs(600),
            attempts: None,
        }
    }
}

/// `[kafka.NAME]`: one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterSpec {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// The consumer group; `weir.<pipeline>` unless set.
    pub group: Option<String>,
    /// Unset: derived from the interval.
    pub transaction_timeout: Option<Duration>,
    /// librdkafka's properties, for all clients of this cluster.
    pub properties: BTreeMap<String, String>,
    /// For producers only, over `properties`.
    pub producer_properties: BTreeMap<String, String>,
    /// For consumers only, over `properties`.
    pub consumer_properties: BTreeMap<String, String>,
}

/// What a source reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// Kafka topics.
    Kafka {
        /// The name of the `[kafka.NAME]` section.
        cluster: String,
        /// The topics.
        topics: Vec<String>,
        /// Where a partition without a position starts.
        start: StartPolicy,
    },
    /// Seeded made-up records.
    Generator {
        /// The same seed makes the same records.
        seed: u64,
        /// Records per second over all partitions; none = as fast as possible.
        rate: Option<u64>,
        /// Records over all partitions; none = endless.
        count: Option<u64>,
        /// Number of partitions.
        partitions: u32,
        /// Distinct keys.
        keys: u64,
        /// Bytes of each value.
        value_bytes: usize,
    },
    /// Files, one partition each.
    Files {
        /// Paths; `*` in the last part matches several.
        paths: Vec<String>,
        /// How a line is read.
        format: FileFormat,
    },
    /// Dead letters of a sink of the pipeline itself, on their way back. Only [`super::Plan::with_replay`] makes one.
    DeadLetters {
        /// How they are read.
        from: Box<SourceKind>,
        /// True where their offsets are part of a decision that is made of source offsets.
        decides: bool,
        /// Those that are there when the replay begins; none = when each of its incarnations does.
        ends: Option<Positions>,
        /// What becomes of them.
        replay: Replay,
    },
}

/// How a line of a file is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileFormat {
    /// JSON objects of key, value, timestamp, headers, as `kcat -J` prints them.
    #[default]
    JsonLines,
    /// The line is the value.
    RawLines,
}

/// Where a record's event time comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TimestampSpec {
    /// The record's own timestamp.
    #[default]
    Record,
    /// A top-level field of a JSON value: milliseconds since 1970, or a time in RFC 3339.
    JsonField {
        /// Its name.
        field: String,
        /// What happens to a record without it.
        missing: TimestampMissing,
    },
}

/// What happens to a record whose timestamp field is missing or cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampMissing {
    /// The pipeline stops and names the record.
    #[default]
    Fail,
    /// The record's own timestamp is kept, and the record is counted.
    Record,
}

/// How a source derives watermarks. The names are Flink's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WatermarkStrategy {
    /// None: event time does not move.
    #[default]
    None,
    /// Timestamps of a partition never go down.
    Monotonous,
    /// Timestamps of a partition are late by at most this much.
    BoundedOutOfOrderness(Duration),
}

/// Event time of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimeSpec {
    /// Where timestamps come from.
    pub timestamp: TimestampSpec,
    /// How watermarks follow from them.
    pub watermarks: WatermarkStrategy,
    /// A partition without records for this long does not hold the watermark back; none = it does.
    pub idleness: Option<Duration>,
    /// A timestamp that is further ahead of processing time than this does not move the watermark; none = any may.
    pub max_timestamp_skew: Option<Duration>,
}

/// `[source.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// NAME.
    pub name: String,
    /// What it reads.
    pub kind: SourceKind,
    /// Its event time.
    pub time: TimeSpec,
}

/// What happens to a row that an operator cannot handle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnError {
    /// The pipeline stops, finally, and names the record.
    #[default]
    Fail,
    /// The record goes to this sink, in the same transaction as the output.
    DeadLetter(String),
    /// The record is left out, counted and logged.
    Skip,
}

/// Limits of an operator, each by name changeable without a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorLimits {
    /// Linear memory of one instance.
    pub memory_bytes: usize,
    /// An instance with more memory than this is replaced between two calls.
    pub memory_recycle_bytes: usize,
    /// CPU time of one call; ten times that by the wall.
    pub call: Duration,
    /// Bytes that one call returns.
    pub output_bytes: usize,
    /// Rows of one batch.
    pub batch_rows_max: usize,
    /// Bytes of one batch.
    pub batch_bytes_max: usize,
    /// Bytes that one page of a scan holds at the most, the first entry aside.
    pub state_page_bytes_max: usize,
    /// Bytes of state and timers that one call may write.
    pub state_writes_bytes: usize,
    /// Bytes of state that one `get-many` may answer.
    pub state_reads_bytes: usize,
    /// How often, at one watermark or moment, timers may be due again after all that were due have fired; past it the
    /// pipeline stops.
    pub timer_rounds_max: u32,
    /// CPU time of one search for poison records; past it the pipeline stops.
    pub search: Duration,
    /// A longer log line is cut.
    pub log_line_bytes_max: usize,
    /// More log lines in a second are counted, not kept.
    pub log_lines_per_second_max: u32,
}

impl Default for OperatorLimits {
    fn default() -> OperatorLimits {
        OperatorLimits {
            memory_bytes: 256 << 20,
            memory_recycle_bytes: 128 << 20,
            call: Duration::from_secs(5),
            output_bytes: 16 << 20,
            batch_rows_max: 4096,
            batch_bytes_max: 1 << 20,
            state_page_bytes_max: 1 << 20,
            state_writes_bytes: 64 << 20,
            state_reads_bytes: 64 << 20,
            timer_rounds_max: 100_000,
            search: Duration::from_secs(60),
            log_line_bytes_max: 8 << 10,
            log_lines_per_second_max: 100,
        }
    }
}

/// The circuit breaker of an operator's error policy.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerSpec {
    /// The pipeline stops when more than this share of the rows fails...
    pub share: f64,
    /// ...over this time.
    pub over: Duration,
    /// Fewer rows than this in that time are not judged.
    pub rows_min: u64,
}

impl Default for BreakerSpec {
    fn default() -> BreakerSpec {
        BreakerSpec { share: 0.5, over: Duration::from_secs(60), rows_min: 1000 }
    }
}

/// What a keyed operator does with a record that has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NullKey {
    /// The operator's error policy applies.
    #[default]
    Reject,
    /// All such records share one key, which is null.
    Group,
}

/// One input of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSpec {
    /// A source or an operator, `name.port` for a named output port.
    pub from: String,
    /// The input port that it feeds; none = the only one.
    pub port: Option<String>,
}

impl InputSpec {
    /// Feeds the only input port.
    pub fn from(from: impl Into<String>) -> InputSpec {
        InputSpec { from: from.into(), port: None }
    }
}

/// `[operator.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorSpec {
    /// NAME.
    pub name: String,
    /// What it reads.
    pub inputs: Vec<InputSpec>,
    /// A path to a component.
    pub component: String,
    /// Its configuration.
    pub config: BTreeMap<String, String>,
    /// What happens to a row that fails.
    pub on_error: OnError,
    /// When failing rows stop the pipeline.
    pub breaker: BreakerSpec,
    /// Its limits.
    pub limits: OperatorLimits,
    /// For a mapper: it promises to keep the key of each record.
    pub keeps_key: bool,
    /// Number of subtasks; none = the pipeline's.
    pub parallelism: Option<usize>,
    /// Records without a key.
    pub null_key: NullKey,
    /// States that the running component no longer declares and that may go.
    pub drop_state: Vec<String>,
}

/// What timestamp an output record gets in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SinkTimestamp {
    /// The record's own.
    #[default]
    Record,
    /// The time at which the producer sends it; allows the batch call.
    ProduceTime,
}

/// What a sink writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkKind {
    /// A Kafka topic.
    Kafka {
        /// The name of the `[kafka.NAME]` section.
        cluster: String,
        /// The topic.
        topic: String,
        /// What timestamp the records get.
        timestamp: SinkTimestamp,
        /// False: headers are left out.
        headers: bool,
    },
    /// Files in a directory, exactly once by renaming after the decision.
    Files {
        /// The directory.
        directory: String,
        /// How a record is written.
        format: FileFormat,
    },
    /// Standard output, at least once.
    Stdout {
        /// How a record is written.
        format: FileFormat,
    },
    /// Counts and forgets: for measuring.
    Blackhole,
}

/// `[sink.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSpec {
    /// NAME.
    pub name: String,
    /// What it writes; empty for a target of dead letters.
    pub inputs: Vec<String>,
    /// What it writes to.
    pub kind: SinkKind,
}

/// A pipeline file as plain data.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineSpec {
    /// The pipeline's name: part of ids and paths.
    pub name: String,
    /// What is promised.
    pub guarantee: Guarantee,
    /// Number of subtasks.
    pub parallelism: usize,
    /// Number of key groups at the first start; none = [`crate::key_group::DEFAULT_MAX_PARALLELISM`], or the nearest
    /// multiple of the source's partition count.
    pub max_parallelism: Option<u32>,
    /// The source topics are partitioned by Kafka's default partitioner with equal partition counts: keyed operators
    /// need no exchange. Each record is checked.
    pub co_partitioned: bool,
    /// Memory of all keyed state: caches, write buffers, block cache; none = a quarter of the memory that the process may use.
    pub state_memory_max: Option<usize>,
    /// Bytes that wait in one channel between two subtasks.
    pub channel_bytes_max: usize,
    /// Put before the pipeline's name in transactional ids and the default group.
    pub id_prefix: String,
    /// Operators that are gone from the file and whose state may go with them.
    pub drop_operators: Vec<String>,
    /// Checkpoints.
    pub checkpoint: CheckpointSpec,
    /// Savepoints.
    pub savepoint: SavepointSpec,
    /// Restarts.
    pub restart: RestartSpec,
    /// A graceful stop takes at most this long.
    pub stop_timeout: Duration,
    /// Bytes of records between fetch and produce, over all subtasks.
    pub inflight_bytes_max: usize,
    /// Bytes of output that each subtask holds while the slot changes.
    pub sink_buffer_bytes_max: usize,
    /// How often sources look for new partitions.
    pub partition_discovery_interval: Duration,
    /// Clusters by name.
    pub clusters: BTreeMap<String, ClusterSpec>,
    /// Sources in the file's order.
    pub sources: Vec<SourceSpec>,
    /// Operators in the file's order.
    pub operators: Vec<OperatorSpec>,
    /// Sinks in the file's order.
    pub sinks: Vec<SinkSpec>,
}
