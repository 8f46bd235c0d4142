//! The command line of the bench, and the environment that `cargo xtask bench` sets.

use crate::failure::Failure;
use crate::plan::Variant;
use std::env;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The shortest value: the record's number.
pub const VALUE_BYTES_MIN: usize = crate::fill::NUMBER_DIGITS;

/// What `--help` prints.
pub const HELP: &str = "\
Measures weir beside native floors on one broker.

Usage: cargo xtask bench [OPTIONS]
       cargo xtask bench state [OPTIONS], see cargo xtask bench state --help
       cargo xtask bench swap [OPTIONS], see cargo xtask bench swap --help

  --records N         records of the input [10000000]
  --value-bytes N     bytes of a value, beside 7 bytes of key [100]
  --partitions N      partitions of input and output [4]
  --intervals LIST    checkpoint intervals, such as 5s,500ms [5s,1s]
  --subtasks LIST     threads of a floor, parallelism of weir [1,2]
  --only LIST         of floor-record, weir, floor-batch, weir-batch [all]
  --json FILE         write all numbers there

floor-record   native; one produce call per record, which keeps the timestamp; beside it: weir
floor-batch    native; one produce call per batch, the time of producing; beside it: weir-batch
weir           the operator `prefix` with timestamp = \"record\"
weir-batch     the same with timestamp = \"produce_time\" and headers = false

Environment (cargo xtask bench sets it):
  WEIR_BENCH_KAFKA      host:port of the broker
  WEIR_BENCH_BIN        the weir binary
  WEIR_BENCH_GUESTS     where prefix.wasm is
  WEIR_BENCH_KAFKA_PID  the broker's process, if it is not the one that listens on the port
";

/// What the command line asks for.
pub enum Asked {
    /// The help text.
    Help,
    /// Measurements.
    Bench(Box<Arguments>),
}

/// What is measured, and with what.
pub struct Arguments {
    /// Records of the input.
    pub records: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Partitions of input and output.
    pub partitions: i32,
    /// Checkpoint intervals.
    pub intervals: Vec<Duration>,
    /// Threads of a floor, parallelism of weir.
    pub subtasks: Vec<usize>,
    /// Where all numbers are written.
    pub json: Option<PathBuf>,
    /// What runs.
    pub only: Vec<Variant>,
    /// `host:port` of the broker.
    pub brokers: String,
    /// The weir binary.
    pub weir: PathBuf,
    /// The folder of the guests.
    pub guests: PathBuf,
}

/// Reads the command line and the environment.
pub fn read(arguments: &[String]) -> Result<Asked, Failure> {
    let from_environment = |name: &str| env::var(name).unwrap_or_default();
    let mut read = Arguments {
        records: 10_000_000,
        value_bytes: 100,
        partitions: 4,
        intervals: vec![Duration::from_secs(5), Duration::from_secs(1)],
        subtasks: vec![1, 2],
        json: None,
        only: Variant::ALL.to_vec(),
        brokers: from_environment("WEIR_BENCH_KAFKA"),
        weir: from_environment("WEIR_BENCH_BIN").into(),
        guests: from_environment("WEIR_BENCH_GUESTS").into(),
    };
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        if name == "--help" || name == "-h" {
            return Ok(Asked::Help);
        }
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name.as_str(), arguments.next().map(String::as_str)),
        };
        let value = value.ok_or_else(|| Failure::new(format!("{name} needs a value; see --help")))?;
        read.set(name, value)?;
    }
    read.check()?;
    Ok(Asked::Bench(Box::new(read)))
}

impl Arguments {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "--records" => self.records = number(name, &value.replace('_', ""))?,
            "--value-bytes" => self.value_bytes = number(name, value)?,
            "--partitions" => self.partitions = number(name, value)?,
            "--intervals" => self.intervals = list(value, duration)?,
            "--subtasks" => self.subtasks = list(value, |text| number(name, text))?,
            "--only" => self.only = list(value, Variant::named)?,
            "--json" => self.json = Some(value.into()),
            _ => return Err(Failure::new(format!("{name} is not an option; see --help"))),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Failure> {
        let partitions = usize::try_from(self.partitions).unwrap_or(0);
        let subtasks_fit = self.subtasks.iter().all(|count| (1..=partitions).contains(count));
        let problem = if self.brokers.is_empty() {
            "WEIR_BENCH_KAFKA is not set; run `cargo xtask bench`".to_owned()
        } else if self.records == 0 {
            "--records: expected at least 1".to_owned()
        } else if self.value_bytes < VALUE_BYTES_MIN {
            format!("--value-bytes: expected at least {VALUE_BYTES_MIN}, the number of the record")
        } else if !subtasks_fit {
            "--subtasks: expected 1 to the number of partitions".to_owned()
        } else if self.only.iter().any(|variant| !variant.is_floor()) && !self.weir.is_file() {
            format!("WEIR_BENCH_BIN: no file {:?}; run `cargo xtask bench`", self.weir)
        } else {
            return Ok(());
        };
        Err(Failure::new(problem))
    }
}

/// A number of an option.
pub fn number<N: FromStr>(name: &str, text: &str) -> Result<N, Failure> {
    text.parse().map_err(|_| Failure::new(format!("{name}: expected a number, found {text:?}")))
}

/// A list with commas.
pub fn list<T>(text: &str, one: impl Fn(&str) -> Result<T, Failure>) -> Result<Vec<T>, Failure> {
    text.split(',').map(|part| one(part.trim())).collect()
}

/// A duration such as 5s or 500ms.
pub fn duration(text: &str) -> Result<Duration, Failure> {
    let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(count), _) => count.parse().map(Duration::from_millis).ok(),
        (None, Some(count)) => count.parse().map(Duration::from_secs).ok(),
        (None, None) => None,
    };
    let positive = parsed.filter(|duration| !duration.is_zero());
    positive.ok_or_else(|| Failure::new(format!("--intervals: expected such as 5s or 500ms, found {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_a_unit() {
        assert_eq!(duration("5s").unwrap(), Duration::from_secs(5));
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert!(duration("5").is_err() && duration("0s").is_err() && duration("s").is_err());
    }

    #[test]
    fn a_list_is_read_with_and_without_an_equals_sign() {
        let mut arguments = Arguments {
            records: 1,
            value_bytes: 100,
            partitions: 4,
            intervals: Vec::new(),
            subtasks: Vec::new(),
            json: None,
            only: Vec::new(),
            brokers: "b:1".to_owned(),
            weir: PathBuf::new(),
            guests: PathBuf::new(),
        };
        arguments.set("--subtasks", "1, 2").unwrap();
        arguments.set("--only", "weir,floor-record").unwrap();
        assert_eq!(
            (arguments.subtasks, arguments.only),
            (vec![1, 2], vec![Variant::Weir, Variant::FloorRecord])
        );
    }
}
