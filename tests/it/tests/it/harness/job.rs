//! One pipeline of one test: its file, topics, data directory and processes.

use super::broker;
use super::cluster::Cluster;
use super::guests::guest;
use super::names::unique;
use super::waiting::until;
use super::weir::Weir;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Partitions of topics, unless a test says otherwise.
pub const PARTITIONS: i32 = 3;

/// A pipeline and its surroundings.
pub struct Job {
    pub name: String,
    /// The pipeline file, as it will be written.
    pub text: String,
    pub cluster: Cluster,
    directory: TempDir,
    started: Cell<u32>,
}

impl Job {
    /// The top of a pipeline file with a cluster: short checkpoints, quick restarts.
    pub fn on(cluster: &Cluster, stem: &str) -> Job {
        let name = unique(stem);
        let text = format!(
            "name = \"{name}\"
parallelism = 2
checkpoint = {{ interval = \"200ms\", timeout = \"20s\" }}
restart = {{ initial_backoff = \"100ms\", max_backoff = \"1s\" }}
[kafka.main]
brokers = \"{}\"
",
            cluster.address()
        );
        let directory = tempfile::tempdir().expect("a directory for the job");
        Job { name, text, cluster: cluster.clone(), directory, started: Cell::new(0) }
    }

    /// The same on the shared cluster.
    pub fn new(stem: &str) -> Job {
        Job::on(broker::shared(), stem)
    }

    /// A pipeline that needs no server.
    pub fn local(stem: &str) -> Job {
        let nowhere = Cluster::at("127.0.0.1:1");
        let mut job = Job::on(&nowhere, stem);
        let end = job.text.find("[kafka.main]").expect("it is there");
        job.text.truncate(end);
        job
    }

    /// The pipeline of the README: a topic, the operator `prefix`, a topic.
    pub fn processed(stem: &str) -> Job {
        Job::new(stem).with_processed()
    }

    /// Adds source, operator and sink of the README's pipeline, with their topics.
    pub fn with_processed(mut self) -> Job {
        let (input, output) = (self.create_topic("in"), self.create_topic("out"));
        self.add_kafka_source("orders", &input);
        self.add_operator("prefix", "orders", "prefix", "");
        self.add_kafka_sink("out", "prefix", &output);
        self
    }

    pub fn add(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    pub fn add_kafka_source(&mut self, name: &str, topic: &str) {
        self.add(&format!("[source.{name}]\nkind = \"kafka\"\ntopics = [\"{topic}\"]"));
    }

    /// `rest` is more lines of the section.
    pub fn add_operator(&mut self, name: &str, input: &str, component: &str, rest: &str) {
        self.add_operator_file(name, input, &guest(component), rest);
    }

    /// The same with the path of a component.
    pub fn add_operator_file(&mut self, name: &str, input: &str, component: &str, rest: &str) {
        self.add(&format!("[operator.{name}]\ninput = \"{input}\"\ncomponent = \"{component}\"\n{rest}"));
    }

    pub fn add_kafka_sink(&mut self, name: &str, input: &str, topic: &str) {
        self.add(&format!("[sink.{name}]\nkind = \"kafka\"\ninput = \"{input}\"\ntopic = \"{topic}\""));
    }

    pub fn add_files_sink(&mut self, name: &str, input: &str) {
        self.add(&format!("[sink.{name}]\nkind = \"files\"\ninput = \"{input}\"\ndirectory = \"{name}\""));
    }

    /// The name of a topic of this job.
    pub fn topic(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name)
    }

    pub fn create_topic(&self, suffix: &str) -> String {
        let topic = self.topic(suffix);
        self.cluster.create_topic(&topic, PARTITIONS);
        topic
    }

    /// The default group.
    pub fn group(&self) -> String {
        format!("weir.{}", self.name)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// The pipeline's part of the data directory.
    pub fn pipeline_dir(&self) -> PathBuf {
        self.data_dir().join("pipelines").join(&self.name)
    }

    /// Any command of weir on the pipeline file, which comes after the command's words.
    pub fn command(&self, words: &[&str], options: &[&str], environment: &[(&str, &str)]) -> Weir {
        let file = self.path("pipeline.toml");
        std::fs::write(&file, &self.text).expect("the pipeline file");
        let (file, data) = (file.display().to_string(), self.data_dir().display().to_string());
        let mut arguments = words.to_vec();
        arguments.push(&file);
        if !options.contains(&"--data-dir") {
            arguments.extend(["--data-dir", &data]);
        }
        arguments.extend(options);
        self.started.set(self.started.get() + 1);
        Weir::start(&arguments, environment, &self.path(&format!("weir-{}.log", self.started.get())))
    }

    /// A command on the pipeline file that has no data directory: its exit code, and what it printed.
    pub fn printed(&self, words: &[&str], options: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
        let file = self.path("pipeline.toml");
        std::fs::write(&file, &self.text).expect("the pipeline file");
        let mut command = std::process::Command::new(super::guests::weir());
        command.args(words).arg(&file).args(options).envs(environment.iter().copied());
        let output = command.output().expect("weir starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    /// `weir run` with options.
    pub fn start_with(&self, options: &[&str], environment: &[(&str, &str)]) -> Weir {
        self.command(&["run"], options, environment)
    }

    /// `weir run`.
    pub fn start(&self) -> Weir {
        self.start_with(&[], &[])
    }

    /// `weir run --until-end`, to its good end.
    #[track_caller]
    pub fn run_to_end(&self) -> Weir {
        let mut weir = self.start_with(&["--until-end"], &[]);
        weir.ends_with(0);
        weir
    }

    /// Waits until a running pipeline has decided a checkpoint with output.
    pub fn await_output(&self, weir: &mut Weir, topic: &str) {
        self.await_outputs(weir, topic, 1);
    }

    /// Waits until this many records can be read.
    pub fn await_outputs(&self, weir: &mut Weir, topic: &str, count: usize) {
        until(&format!("{count} committed records in {topic}"), || {
            assert!(!weir.has_ended(), "weir has ended meanwhile");
            (self.cluster.read_stable(topic).len() >= count).then_some(())
        });
    }

    /// All lines of the files of a files sink, in the order of the files' names.
    pub fn lines(&self, sink: &str) -> Vec<serde_json::Value> {
        lines_in(&self.path(sink))
    }

    /// The values of those lines.
    pub fn values(&self, sink: &str) -> Vec<String> {
        values_in(&self.path(sink))
    }
}

fn lines_in(directory: &Path) -> Vec<serde_json::Value> {
    let mut lines = Vec::new();
    for file in published(directory) {
        let text = std::fs::read_to_string(&file).expect("a published file");
        lines.extend(text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")));
    }
    lines
}

/// The values of all lines of a files sink's directory.
pub fn values_in(directory: &Path) -> Vec<String> {
    let lines = lines_in(directory);
    lines.iter().filter_map(|line| line["value"].as_str()).map(str::to_owned).collect()
}

fn published(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).map(Iterator::flatten).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    files.sort();
    files
}
