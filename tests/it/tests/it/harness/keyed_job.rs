//! The pipeline of the model checks: counts and windows of one topic, and its join with another.

use super::cluster::Cluster;
use super::job::{Job, PARTITIONS};
use super::keyed_load::{Amount, KeyedLoad};
use super::keyed_model::{Findings, KeptState, KeyedModel, ROLES, WINDOW_MS, WITHIN_MS};
use super::watcher::Watcher;
use super::weir::Weir;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The pipeline with its load, its model, and the reader that compares them.
pub struct KeyedJob {
    /// The pipeline.
    pub job: Job,
    /// What should come out, and what did.
    pub model: Arc<Mutex<KeyedModel>>,
    watcher: Option<Watcher>,
    load: Option<KeyedLoad>,
}

impl KeyedJob {
    /// Makes the topics, and starts load and reader.
    pub fn start(cluster: &Cluster, stem: &str, burst: u64, poison_every: u64) -> KeyedJob {
        let mut job = Job::on(cluster, stem);
        for source in ["left", "right"] {
            let topic = job.create_topic(source);
            job.add_kafka_source(source, &topic);
            job.add("watermarks = \"monotonous\"");
        }
        let topics = ROLES.map(|(role, name)| (role, job.create_topic(name)));
        let dead = "on_error = { dead_letter = \"dead\" }";
        job.add_operator("count", "left", "count_by_key", "");
        job.add_operator(
            "sums",
            "left",
            "tumbling_sum",
            &format!("config = {{ window_ms = {WINDOW_MS} }}\n{dead}"),
        );
        let join = super::guests::guest("join");
        job.add(&format!(
            "[operator.join]\ninput = {{ left = \"left\", right = \"right\" }}\ncomponent = \"{join}\"\nconfig = {{ within_ms = {WITHIN_MS} }}\n{dead}"
        ));
        for (input, sink) in
            [("count", "counts"), ("sums.sums", "sums"), ("sums.late", "late"), ("join", "pairs")]
        {
            let topic = job.topic(sink);
            job.add_kafka_sink(&format!("{sink}_out"), input, &topic);
        }
        job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{}\"", job.topic("dead")));
        let model = Arc::new(Mutex::new(KeyedModel::default()));
        let amount = Amount { partitions: PARTITIONS, burst, poison_every };
        let inputs = ["left", "right"].map(|source| job.topic(source));
        let load = Some(KeyedLoad::start(cluster, inputs, amount, model.clone()));
        let watcher = Some(Watcher::start(cluster, &topics, model.clone()));
        KeyedJob { job, model, watcher, load }
    }

    /// What is wrong up to now.
    pub fn findings(&self) -> Findings {
        self.model.lock().unwrap_or_else(PoisonError::into_inner).findings().clone()
    }

    /// The same where nothing more will be compared, with what explains it.
    pub fn ended_early(&self) -> Findings {
        self.with_doubled_input(self.findings())
    }

    /// Nothing is wrong up to now.
    #[track_caller]
    pub fn is_right_so_far(&self, when: &str) {
        let findings = self.ended_early();
        assert!(findings.is_clean(), "{when}: {findings:#?}");
    }

    /// Nothing more is written.
    pub fn stop_load(&mut self) {
        self.load.take().into_iter().for_each(KeyedLoad::stop);
    }

    /// Does something to the broker while the load has nothing under way to it.
    pub fn while_load_pauses(&self, act: impl FnOnce()) {
        match &self.load {
            Some(load) => load.while_paused(act),
            None => act(),
        }
    }

    /// What the operators keep, as the command shows it.
    fn kept_state(&self) -> KeptState {
        let mut kept = KeptState::default();
        for operator in ["count", "sums", "join"] {
            let (data, log) = (self.job.data_dir().display().to_string(), self.job.path("state.log"));
            let words = ["state", "scan", &self.job.name, operator, "--data-dir", &data];
            let mut scan = Weir::start(&words, &[], &log);
            scan.ends_with(0);
            scan.log().lines().for_each(|line| kept.add(line));
        }
        kept
    }

    /// Compares state with the model, when the pipeline has read all input and its windows are still open.
    pub fn saw_open_state(&self) {
        let (kept, sums) = (self.kept_state(), self.job.cluster.read_committed(&self.job.topic("sums")));
        self.model.lock().unwrap_or_else(PoisonError::into_inner).saw_state(&kept, &sums);
    }

    /// Compares the letters that are open with the model, when the pipeline has read all input.
    fn saw_open_letters(&self) {
        let mut show = self.job.command(&["dlq", "show"], &["--limit", "10000000"], &[]);
        show.ends_with(0);
        let lines = show.log();
        let open = lines.lines().filter(|line| line.starts_with('{')).map(|line| {
            let letter: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let attempt = letter["attempt"].as_u64().unwrap_or(u64::MAX);
            (text(&letter["operator"]), text(&letter["letter"]["value"]), attempt)
        });
        let open: Vec<_> = open.collect();
        self.model.lock().unwrap_or_else(PoisonError::into_inner).saw_open_letters(&open);
    }

    /// Tells of values that an input topic holds more than once, with both places: then the input was doubled, not the output.
    fn with_doubled_input(&self, mut findings: Findings) -> Findings {
        if findings.is_clean() {
            return findings;
        }
        for topic in ["left", "right"].map(|source| self.job.topic(source)) {
            let mut places = BTreeMap::new();
            for record in self.job.cluster.read_committed(&topic) {
                let (value, place) = (record.text(), (record.partition, record.offset));
                if let Some(first) = places.insert(value.clone(), place) {
                    findings
                        .shown
                        .push(format!("the input {topic} holds {value} at {first:?} and {place:?}"));
                }
            }
        }
        findings
    }

    /// Compares everything, output and state, when the pipeline was drained to its end.
    pub fn end(&mut self) -> Findings {
        self.stop_load();
        self.watcher.take().into_iter().for_each(Watcher::finish);
        let kept = self.kept_state();
        self.saw_open_letters();
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        model.saw_drained_state(&kept);
        let findings = model.end();
        drop(model);
        self.with_doubled_input(findings)
    }
}
