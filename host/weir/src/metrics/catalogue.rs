//! Every metric that weir has: the one list, which the exposition is written by, the golden file is compared with, and
//! docs/METRICS.md explains.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, but for a restart of the process.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Durations in buckets.
    Histogram,
    /// Always 1; its labels are the message.
    Info,
}

impl Kind {
    /// OpenMetrics' word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        }
    }
}

/// One metric family.
#[derive(Debug)]
pub struct Metric {
    /// The family's name, without `_total` or `_info`; it ends with its unit.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit, empty where it has none.
    pub unit: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($name:ident: $kind:ident $family:literal $unit:literal [$($label:literal),*] $help:literal)*) => {
        $(
            #[doc = $help]
            pub static $name: Metric = Metric {
                name: $family,
                kind: Kind::$kind,
                unit: $unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        /// All of them, in the order in which they are written.
        pub static ALL: &[&Metric] = &[$(&$name),*];
    };
}

catalogue! {
    BUILD: Info "weir_build" "" ["version", "features"]
        "The version of weir that runs."

    PIPELINE_STATE: Gauge "weir_pipeline_state" "" ["pipeline", "state"]
        "1 for the state that the pipeline is in, 0 for all others."
    PIPELINE_DESIRED_RUNNING: Gauge "weir_pipeline_desired_running" "" ["pipeline"]
        "1 where the pipeline is to run, 0 where somebody has stopped it."
    PIPELINE: Info "weir_pipeline" "" ["pipeline", "guarantee"]
        "What the pipeline promises."
    RESTARTS: Counter "weir_restarts" "" ["pipeline", "cause"]
        "Incarnations that were followed by another, by what ended them."
    SWAPS: Counter "weir_swaps" "" ["pipeline", "outcome"]
        "Swaps of operators that have ended, by how."
    COORDINATOR_STILL: Gauge "weir_coordinator_still_seconds" "seconds" ["pipeline"]
        "How long the coordinator has not turned although it should; /livez fails after 60."

    SOURCE_RECORDS: Counter "weir_source_records" "records" ["pipeline", "source"]
        "Records read."
    SOURCE_BYTES: Counter "weir_source_bytes" "bytes" ["pipeline", "source"]
        "Bytes of keys and values read."
    SOURCE_POSITION: Gauge "weir_source_position_offset" "offset" ["pipeline", "source", "topic", "partition"]
        "The offset of the next record to be read."
    SOURCE_END: Gauge "weir_source_end_offset" "offset" ["pipeline", "source", "topic", "partition"]
        "The offset behind the last record of the partition (its high watermark), as of the last fetch."
    SOURCE_LAST_STABLE: Gauge "weir_source_last_stable_offset" "offset" ["pipeline", "source", "topic", "partition"]
        "The offset up to which transactions of the partition are decided, at most five seconds old."
    SOURCE_LAG: Gauge "weir_source_lag_records" "records" ["pipeline", "source", "topic", "partition"]
        "Offsets between the position and the end of the partition."
    SKEWED_TIMESTAMPS: Counter "weir_skewed_timestamps_records" "records" ["pipeline"]
        "Records whose timestamps were too far ahead to move the watermark."
    KEPT_TIMESTAMPS: Counter "weir_kept_timestamps_records" "records" ["pipeline"]
        "Records without the field that their timestamp is read from, which kept their own."

    OPERATOR_INPUT_RECORDS: Counter "weir_operator_input_records" "records" ["pipeline", "operator", "port"]
        "Records given to the operator."
    OPERATOR_INPUT_BYTES: Counter "weir_operator_input_bytes" "bytes" ["pipeline", "operator", "port"]
        "Bytes of keys and values given to the operator."
    OPERATOR_OUTPUT_RECORDS: Counter "weir_operator_output_records" "records" ["pipeline", "operator", "port"]
        "Records that the operator returned."
    OPERATOR_OUTPUT_BYTES: Counter "weir_operator_output_bytes" "bytes" ["pipeline", "operator", "port"]
        "Bytes of keys and values that the operator returned."
    OPERATOR_WATERMARK: Gauge "weir_operator_watermark_timestamp_seconds" "seconds" ["pipeline", "operator"]
        "The lowest watermark of the operator's subtasks, since 1970."
    OPERATOR_WATERMARK_LAG: Gauge "weir_operator_watermark_lag_seconds" "seconds" ["pipeline", "operator"]
        "How far that watermark is behind the clock."
    OPERATOR_CALLS: Counter "weir_operator_calls" "" ["pipeline", "operator"]
        "Calls of the guest."
    OPERATOR_FAILED_CALLS: Counter "weir_operator_failed_calls" "" ["pipeline", "operator", "kind"]
        "Calls of the guest that failed, by how."
    OPERATOR_CALL_TIME: Counter "weir_operator_call_seconds" "seconds" ["pipeline", "operator"]
        "Time spent in calls of the guest, by the clock on the wall."
    OPERATOR_CPU: Counter "weir_operator_cpu_seconds" "seconds" ["pipeline", "operator"]
        "CPU time spent in calls of the guest."
    OPERATOR_MEMORY: Gauge "weir_operator_memory_bytes" "bytes" ["pipeline", "operator"]
        "Linear memory of the operator's instances."
    OPERATOR_RECYCLED: Counter "weir_operator_instances_recycled" "" ["pipeline", "operator"]
        "Used instances that were thrown away: after a failed call, or because their memory had grown."
    OPERATOR_REJECTED: Counter "weir_operator_rejected_records" "records" ["pipeline", "operator", "kind"]
        "Records that the operator did not handle, by why, whatever became of them."
    OPERATOR_DEAD_LETTERS: Counter "weir_operator_dead_letter_records" "records" ["pipeline", "operator"]
        "Records that went to the dead letters."
    OPERATOR_SKIPPED: Counter "weir_operator_skipped_records" "records" ["pipeline", "operator"]
        "Records that were skipped."
    GUEST_COUNTER: Counter "weir_guest_counter" "" ["pipeline", "operator", "name"]
        "A counter of the operator's own; at most 256 names."
    GUEST_GAUGE: Gauge "weir_guest_gauge" "" ["pipeline", "operator", "name"]
        "A number that the operator has set, on whichever subtask was last; at most 256 names."

    SINK_RECORDS: Counter "weir_sink_records" "records" ["pipeline", "sink"]
        "Records handed to the sink, dead letters included."
    SINK_BYTES: Counter "weir_sink_bytes" "bytes" ["pipeline", "sink"]
        "Bytes of keys and values handed to the sink."

    SUBTASK: Info "weir_subtask" "" ["pipeline", "stage", "subtask", "steps"]
        "What the subtask runs."
    SUBTASK_INPUT_RECORDS: Counter "weir_subtask_input_records" "records" ["pipeline", "stage", "subtask"]
        "Records that came in, from sources or through exchanges."
    SUBTASK_OUTPUT_RECORDS: Counter "weir_subtask_output_records" "records" ["pipeline", "stage", "subtask"]
        "Records that went out, to sinks or into exchanges."
    SUBTASK_BUSY: Counter "weir_subtask_busy_seconds" "seconds" ["pipeline", "stage", "subtask"]
        "Time that the subtask's thread worked."
    SUBTASK_IDLE: Counter "weir_subtask_idle_seconds" "seconds" ["pipeline", "stage", "subtask"]
        "Time that it had nothing to do."
    SUBTASK_BACK_PRESSURED: Counter "weir_subtask_back_pressured_seconds" "seconds" ["pipeline", "stage", "subtask"]
        "Time that it waited for room further down."
    BACK_PRESSURE_ORIGIN: Gauge "weir_back_pressure_origin" "" ["pipeline", "step"]
        "1 for the step that the steps in front of it wait for, as of the last ten seconds; 0 for all others."

    CHECKPOINT_DURATION: Histogram "weir_checkpoint_duration_seconds" "seconds" ["pipeline"]
        "From the barrier to the publication, of completed checkpoints."
    CHECKPOINT_PHASE_DURATION: Histogram "weir_checkpoint_phase_duration_seconds" "seconds" ["pipeline", "phase"]
        "The parts of that: align, freeze, write, decide."
    CHECKPOINTS_COMPLETED: Counter "weir_checkpoints_completed" "" ["pipeline"]
        "Checkpoints that were decided and published."
    CHECKPOINTS_FAILED: Counter "weir_checkpoints_failed" "" ["pipeline"]
        "Attempts to store a checkpoint that failed, and checkpoints whose incarnation ended."
    CHECKPOINT_WRITTEN_BYTES: Counter "weir_checkpoint_written_bytes" "bytes" ["pipeline"]
        "Bytes of state written for checkpoints."
    CHECKPOINT_STATE_BYTES: Gauge "weir_checkpoint_state_bytes" "bytes" ["pipeline"]
        "Bytes of state that the last checkpoint refers to."
    CHECKPOINT_EPOCH: Gauge "weir_checkpoint_epoch" "" ["pipeline"]
        "The epoch of the last decided checkpoint."
    CHECKPOINT_AGE: Gauge "weir_checkpoint_age_seconds" "seconds" ["pipeline"]
        "Time since the last decision. An idle pipeline decides once a day."
    UNDECIDED_RECORDS: Gauge "weir_undecided_records" "records" ["pipeline"]
        "Records read that no decided checkpoint covers, at most."
    UNDECIDED_AGE: Gauge "weir_oldest_undecided_record_age_seconds" "seconds" ["pipeline"]
        "Time since the oldest of them was read; 0 where there is none."
    TRANSACTION_MARGIN: Gauge "weir_transaction_margin_seconds" "seconds" ["pipeline"]
        "What was left of the transaction's time when the last checkpoint was decided."
    TRANSACTION_TIMEOUT: Gauge "weir_transaction_timeout_seconds" "seconds" ["pipeline"]
        "The whole time that a transaction has."

    DATA_DIR_SIZE: Gauge "weir_data_dir_size_bytes" "bytes" []
        "Size of the file system of the data directory."
    DATA_DIR_FREE: Gauge "weir_data_dir_free_bytes" "bytes" []
        "What is free there for weir."
    MEMORY_LIMIT: Gauge "weir_memory_limit_bytes" "bytes" []
        "Memory that the process may use: the smallest limit of its control groups, or the machine's memory."
    STATE_MEMORY_LIMIT: Gauge "weir_state_memory_limit_bytes" "bytes" []
        "The budget of keyed state."
    PROCESS_RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" "bytes" []
        "Resident memory of the process."
    PROCESS_VIRTUAL_MEMORY: Gauge "process_virtual_memory_bytes" "bytes" []
        "Virtual memory of the process."
    PROCESS_CPU: Counter "process_cpu_seconds" "seconds" []
        "CPU time of the process."
    PROCESS_START_TIME: Gauge "process_start_time_seconds" "seconds" []
        "When the process began, since 1970."
    PROCESS_OPEN_FDS: Gauge "process_open_fds" "" []
        "Open files."
    PROCESS_MAX_FDS: Gauge "process_max_fds" "" []
        "Files that may be open."
}

/// The golden list: a line per metric.
#[cfg(test)]
pub fn listing() -> String {
    let line = |metric: &&Metric| {
        let unit = if metric.unit.is_empty() { "-" } else { metric.unit };
        format!(
            "{} {} {unit} {{{}}} {}\n",
            metric.name,
            metric.kind.word(),
            metric.labels.join(","),
            metric.help
        )
    };
    ALL.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn names_carry_their_units_and_stand_once() {
        let mut names = BTreeSet::new();
        for metric in ALL {
            assert!(
                metric.unit.is_empty() || metric.name.ends_with(&format!("_{}", metric.unit)),
                "{metric:?}"
            );
            assert!(metric.name.starts_with("weir_") || metric.name.starts_with("process_"), "{metric:?}");
            let reserved = ["_total", "_created", "_bucket", "_count", "_sum", "_info"];
            assert!(!reserved.iter().any(|suffix| metric.name.ends_with(suffix)), "{metric:?}");
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{metric:?}");
            assert!(names.insert(metric.name), "{} stands twice", metric.name);
        }
    }

    #[test]
    fn the_golden_list_holds_every_metric() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("metrics.txt");
        if std::env::var_os("WEIR_UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, listing()).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert_eq!(golden, listing(), "set WEIR_UPDATE_GOLDEN=1 where the change is meant");
    }

    #[test]
    fn the_page_on_metrics_explains_every_metric_and_no_other() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/METRICS.md");
        let page = std::fs::read_to_string(path).unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let explained: BTreeSet<&str> =
            rows.filter(|name| name.starts_with("weir_") || name.starts_with("process_")).collect();
        let shown: Vec<String> = ALL.iter().map(|metric| metric.sample_name()).collect();
        let shown: BTreeSet<&str> = shown.iter().map(String::as_str).collect();
        assert_eq!(explained, shown, "left: docs/METRICS.md, right: the catalogue");
    }
}

impl Metric {
    /// The name that queries use; that of a histogram stands for `_bucket`, `_count` and `_sum`.
    pub fn sample_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Info => format!("{}_info", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }
}
