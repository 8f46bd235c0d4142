//! The demo's topics: made, filled by a pipeline of their own, and read by a consumer of committed records.

use super::process::Process;
use super::readers::Look;
use crate::failure::Failure;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use weir_kafka::{ClusterOptions, KafkaCluster};
use weir_protocol::batch::Batch;
use weir_protocol::connector::{BatchLimits, ErrorKind, StartPolicy};
use weir_protocol::plan::{ClusterSpec, Guarantee};

/// Records that one look takes at most.
const LOOK_LIMITS: BatchLimits = BatchLimits { rows_max: 10_000, bytes_max: 8 << 20 };
/// How long a topic that was just made may take until it can be read.
const APPEARANCE_TIME: Duration = Duration::from_secs(20);
/// How long one look waits for records.
const LOOK_TIME: Duration = Duration::from_millis(10);
/// More records per second than any machine makes: the override that lifts the limit.
const UNLIMITED: &str = "source.numbers.rate=1000000000";

fn connect(brokers: &str) -> Result<KafkaCluster, Failure> {
    let options = ClusterOptions {
        name: "main".to_owned(),
        spec: ClusterSpec { brokers: brokers.to_owned(), ..ClusterSpec::default() },
        pipeline: "weir-demo".to_owned(),
        id_prefix: "weir.".to_owned(),
        guarantee: Guarantee::ExactlyOnce,
        checkpoint_interval: Duration::from_secs(1),
        checkpoint_timeout: Duration::from_secs(60),
        prefetch_bytes_max: 1 << 20,
        producer_bytes_max: 1 << 20,
    };
    Ok(KafkaCluster::connect(options)?)
}

/// Makes them.
pub fn create(brokers: &str, topics: &[&str], partitions: u32) -> Result<(), Failure> {
    let cluster = connect(brokers)?;
    for topic in topics {
        cluster.create_topic(topic, i32::try_from(partitions).unwrap_or(i32::MAX))?;
    }
    Ok(())
}

/// A consumer of the committed records of a topic, from its beginning.
pub fn reader(brokers: &str, topic: &str) -> Result<Look, Failure> {
    let cluster = connect(brokers)?;
    let mut source = cluster.source("demo", &[topic.to_owned()]);
    let partitions = source.partitions()?;
    let asked = Instant::now();
    let start = loop {
        match source.resolve(&partitions, StartPolicy::Earliest) {
            Ok(start) => break start,
            // The topic is new: not every broker knows yet that it leads a partition.
            Err(error) if error.kind == ErrorKind::Transient && asked.elapsed() < APPEARANCE_TIME => {
                std::thread::sleep(LOOK_TIME);
            }
            Err(error) => return Err(error.into()),
        }
    };
    let mut reader = source.reader(&start, None)?;
    let mut batch = Batch::default();
    Ok(Box::new(move || {
        // The source and the cluster live as long as their reader.
        let _alive = (&cluster, &source);
        batch.clear();
        reader.poll(&mut batch, LOOK_LIMITS, LOOK_TIME)?;
        Ok(batch.rows as u64)
    }))
}

/// The pipeline that fills a topic, in a process of its own that nobody kills.
pub struct Feeder {
    directory: PathBuf,
    process: Process,
    hurried: bool,
}

impl Feeder {
    /// Starts `fill.toml`.
    pub fn start(directory: &Path) -> Result<Feeder, Failure> {
        Ok(Feeder { directory: directory.to_owned(), process: run(directory, "fill", &[])?, hurried: false })
    }

    /// True where all records are written.
    pub fn is_done(&mut self) -> Result<bool, Failure> {
        match self.process.ended() {
            None => Ok(false),
            Some(status) if status.success() => Ok(true),
            Some(_) => Err(self.process.failed("the input could not be written")),
        }
    }

    /// From now on without a limit of the rate. Comes back at once where it is told again, or all is written.
    pub fn hurry(&mut self) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.hurried, true) && !self.is_done()? {
            self.process.stop("the pipeline that fills the topic does not stop")?;
            self.process = run(&self.directory, "fill", &["--set", UNLIMITED])?;
        }
        Ok(())
    }
}

/// `weir run <pipeline>.toml` in the demo's directory, until its end.
pub fn run(directory: &Path, pipeline: &str, more: &[&str]) -> Result<Process, Failure> {
    let file = directory.join(format!("{pipeline}.toml")).display().to_string();
    let data = directory.join(format!("data-{pipeline}")).display().to_string();
    let mut arguments = vec!["run", &file, "--data-dir", &data, "--until-end"];
    arguments.extend(more);
    Process::start(directory, pipeline, &arguments, Stdio::null())
}
