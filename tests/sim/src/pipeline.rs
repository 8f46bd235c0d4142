//! The pipeline that is simulated: source → map → (by key) count → sink, with a sink of dead letters.

use crate::scenario::{OUT_OF_ORDER_MS, Scenario, TOPIC};
use crate::versions::Version;
use std::collections::BTreeMap;
use std::time::Duration;
use weir_protocol::connector::StartPolicy;
use weir_protocol::plan::*;
use weir_protocol::state::*;

/// The sink of results, by index.
pub const OUT: usize = 0;

/// The sink of dead letters, by index.
pub const DEAD: usize = 1;

/// The name of the mapper.
pub const MAP: &str = "map";

/// The name of the keyed operator.
pub const COUNT: &str = "count";

/// Declared states and timers of the keyed operator.
pub mod names {
    /// Rows per key.
    pub const COUNT: &str = "count";
    /// The highest processing time seen, per key.
    pub const SEEN: &str = "seen";
    /// Rows per key and end of window.
    pub const WINDOWS: &str = "windows";
    /// Fires when a window has ended, by event time.
    pub const WINDOW: &str = "window";
    /// Declared by one version, and not used.
    pub const EXTRA: &str = "extra";
    /// Fires a while after a key's first row, by processing time.
    pub const REMIND: &str = "remind";
}

/// The shape of the mapper.
pub fn map_shape() -> OperatorShape {
    let outputs = vec![OutputPort { name: "out".to_owned(), keeps_key: true }];
    OperatorShape { inputs: vec!["in".to_owned()], outputs, ..OperatorShape::default() }
}

/// The shape of the keyed operator.
pub fn count_shape(version: Version) -> OperatorShape {
    let state =
        |name: &str, kind| StateDeclaration { name: name.to_owned(), kind, version: 1, ttl_seconds: 0 };
    let timer = |name: &str, clock| TimerDeclaration { name: name.to_owned(), clock };
    let mut shape = OperatorShape {
        inputs: vec!["in".to_owned()],
        outputs: vec![OutputPort { name: "out".to_owned(), keeps_key: true }],
        states: vec![
            state(names::COUNT, StateKind::Value),
            state(names::SEEN, StateKind::Value),
            state(names::WINDOWS, StateKind::Map),
        ],
        timers: vec![
            timer(names::WINDOW, TimerClock::EventTime),
            timer(names::REMIND, TimerClock::ProcessingTime),
        ],
        migrates: false,
    };
    if version == Version::Reordered {
        shape.states.push(state(names::EXTRA, StateKind::Value));
        shape.states.reverse();
        shape.timers.reverse();
    }
    shape
}

fn operator(scenario: &Scenario, name: &str, input: &str, parallelism: usize) -> OperatorSpec {
    OperatorSpec {
        name: name.to_owned(),
        inputs: vec![InputSpec::from(input)],
        component: String::new(),
        config: BTreeMap::new(),
        on_error: OnError::DeadLetter("dead".to_owned()),
        breaker: BreakerSpec { share: 1.0, ..BreakerSpec::default() },
        limits: OperatorLimits { batch_rows_max: scenario.batch_rows_max, ..OperatorLimits::default() },
        keeps_key: false,
        parallelism: Some(parallelism),
        null_key: NullKey::Reject,
        drop_state: vec![],
    }
}

/// The plan with so many subtasks that read and map, and so many that count with this version.
pub fn plan(scenario: &Scenario, readers: usize, counters: usize, version: Version) -> Plan {
    let sink = |name: &str, inputs: Vec<String>| {
        let topic = format!("topic-{name}");
        let kind = SinkKind::Kafka {
            cluster: "main".to_owned(),
            topic,
            timestamp: SinkTimestamp::Record,
            headers: true,
        };
        SinkSpec { name: name.to_owned(), inputs, kind }
    };
    let source = SourceSpec {
        name: "in".to_owned(),
        kind: SourceKind::Kafka {
            cluster: "main".to_owned(),
            topics: vec![TOPIC.to_owned()],
            start: StartPolicy::Earliest,
        },
        time: TimeSpec {
            watermarks: WatermarkStrategy::BoundedOutOfOrderness(Duration::from_millis(
                OUT_OF_ORDER_MS as u64,
            )),
            ..TimeSpec::default()
        },
    };
    // Only the plan asks for it: the doubles are in memory.
    let cluster = ClusterSpec { brokers: "localhost:9092".to_owned(), ..ClusterSpec::default() };
    let mut count = operator(scenario, COUNT, MAP, counters);
    if version != Version::Reordered {
        count.drop_state = vec![names::EXTRA.to_owned()];
    }
    let spec = PipelineSpec {
        name: "simulated".to_owned(),
        guarantee: Guarantee::ExactlyOnce,
        parallelism: readers,
        max_parallelism: None,
        co_partitioned: scenario.co_partitioned,
        state_memory_max: None,
        // A full channel blocks the thread of its sender, and there is only one.
        channel_bytes_max: usize::MAX / 2,
        id_prefix: "weir.".to_owned(),
        drop_operators: vec![],
        checkpoint: CheckpointSpec {
            interval: Duration::from_millis(scenario.checkpoint_interval_ms),
            timeout: Duration::from_secs(20),
            tolerable_failures: 2,
            retain: scenario.retain,
            ..CheckpointSpec::default()
        },
        savepoint: SavepointSpec::default(),
        restart: RestartSpec::default(),
        stop_timeout: Duration::from_secs(20),
        inflight_bytes_max: 1 << 20,
        sink_buffer_bytes_max: 400,
        partition_discovery_interval: Duration::from_secs(3600),
        clusters: BTreeMap::from([("main".to_owned(), cluster)]),
        sources: vec![source],
        operators: vec![operator(scenario, MAP, "in", readers), count],
        sinks: vec![sink("out", vec![COUNT.to_owned()]), sink("dead", vec![])],
    };
    Plan::check(spec, &[Some(map_shape()), Some(count_shape(version))])
        .expect("the simulated pipeline is valid")
}
