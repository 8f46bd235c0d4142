//! The command line of `bench state`, and the environment that `cargo xtask bench` sets.

use super::keys::{Distribution, Keys};
use super::pipeline::Kind;
use crate::arguments::{VALUE_BYTES_MIN, duration, list, number};
use crate::failure::Failure;
use std::env;
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints.
pub const HELP: &str = "\
Measures keyed state beside a pipeline without state, and how soon a pipeline with much state is back.

Usage: cargo xtask bench state [OPTIONS]

  --keys LIST           distinct keys, such as 1k,1m,10m [1k,1m,10m]
  --distributions LIST  of uniform, zipf [uniform,zipf]
  --only LIST           of prefix, count, count-2-co-partitioned, count-2-exchange [all]
  --parts LIST          of rows, recovery [rows,recovery]
  --records N           records of an input [10000000]
  --value-bytes N       bytes of a value, beside 12 bytes of key [100]
  --interval TIME       checkpoint interval of the rows, such as 5s, 500ms [5s]
  --memory SIZE         state_memory_max, such as 512M [512M]
  --repeat N            how often each row is run [1]
  --recovery LIST       sizes of state to recover, such as 100M,1G [100M,1G]
  --large               recovers 10 GB too
  --quick               1k and 1m uniform keys, 2 million records, 100 MB to recover
  --keep                leaves the inputs on the broker, and the next bench finds them
  --json FILE           write all numbers there

prefix                 no state, one subtask
count                  count_by_key, one subtask
count-2-co-partitioned count_by_key, two subtasks that read the partitions of their own keys
count-2-exchange       count_by_key, two subtasks, each record by way of the exchange

Every output is read back: each count of each key once. Environment: see cargo xtask bench -- --help
";

/// Sizes of state that are recovered unless others are asked for.
const DEFAULT_RECOVERY: &[u64] = &[100 << 20, 1 << 30];
const LARGE_RECOVERY: u64 = 10 << 30;

/// What the command line asks for.
pub enum Asked {
    /// The help text.
    Help,
    /// Measurements.
    Bench(Box<Arguments>),
}

/// What a bench consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Runs over inputs of many keys.
    Rows,
    /// Starts with much state.
    Recovery,
}

/// What is measured, and with what.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// How many distinct keys.
    pub key_counts: Vec<u64>,
    /// How often they appear.
    pub distributions: Vec<Distribution>,
    /// What runs.
    pub kinds: Vec<Kind>,
    /// Which parts.
    pub parts: Vec<Part>,
    /// Records of an input.
    pub records: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// The checkpoint interval.
    pub interval: Duration,
    /// `state_memory_max`.
    pub memory_bytes: u64,
    /// How often each row is run.
    pub repeat: usize,
    /// Sizes of state that are recovered.
    pub recovery_bytes: Vec<u64>,
    /// Whether inputs stay.
    pub keep: bool,
    /// Where all numbers are written.
    pub json: Option<PathBuf>,
    /// `host:port` of the broker.
    pub brokers: String,
    /// The weir binary.
    pub weir: PathBuf,
    /// The folder of the guests.
    pub guests: PathBuf,
}

impl Arguments {
    fn from_environment() -> Arguments {
        let from_environment = |name: &str| env::var(name).unwrap_or_default();
        Arguments {
            key_counts: vec![1_000, 1_000_000, 10_000_000],
            distributions: vec![Distribution::Uniform, Distribution::Zipf],
            kinds: Kind::ALL.to_vec(),
            parts: vec![Part::Rows, Part::Recovery],
            records: 10_000_000,
            value_bytes: 100,
            interval: Duration::from_secs(5),
            memory_bytes: 512 << 20,
            repeat: 1,
            recovery_bytes: DEFAULT_RECOVERY.to_vec(),
            keep: false,
            json: None,
            brokers: from_environment("WEIR_BENCH_KAFKA"),
            weir: from_environment("WEIR_BENCH_BIN").into(),
            guests: from_environment("WEIR_BENCH_GUESTS").into(),
        }
    }

    /// The inputs, one after the other.
    pub fn keys(&self) -> Vec<Keys> {
        let of =
            |count: u64| self.distributions.iter().map(move |distribution| Keys::new(count, *distribution));
        self.key_counts.iter().flat_map(|count| of(*count)).collect()
    }

    /// Sets what stands without a value; false: the option needs one.
    fn set_alone(&mut self, name: &str) -> bool {
        match name {
            "--large" => self.recovery_bytes.push(LARGE_RECOVERY),
            "--keep" => self.keep = true,
            "--quick" => {
                self.key_counts = vec![1_000, 1_000_000];
                self.distributions = vec![Distribution::Uniform];
                self.records = 2_000_000;
                self.recovery_bytes = vec![DEFAULT_RECOVERY[0]];
            }
            _ => return false,
        }
        true
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "--keys" => self.key_counts = list(value, |text| scaled(name, text, 1000))?,
            "--distributions" => self.distributions = list(value, distribution)?,
            "--only" => self.kinds = list(value, Kind::named)?,
            "--parts" => self.parts = list(value, part)?,
            "--records" => self.records = scaled(name, value, 1000)?,
            "--value-bytes" => self.value_bytes = number(name, value)?,
            "--interval" => self.interval = duration(value)?,
            "--memory" => self.memory_bytes = scaled(name, value, 1024)?,
            "--repeat" => self.repeat = number(name, value)?,
            "--recovery" => self.recovery_bytes = list(value, |text| scaled(name, text, 1024))?,
            "--json" => self.json = Some(value.into()),
            _ => return Err(Failure::new(format!("{name} is not an option; see --help"))),
        }
        Ok(())
    }

    fn check(mut self) -> Result<Arguments, Failure> {
        if !self.parts.contains(&Part::Recovery) {
            self.recovery_bytes.clear();
        }
        let no_file = |name: &str, path: &PathBuf| {
            (!path.exists()).then(|| format!("{name}: no {}; run `cargo xtask bench`", path.display()))
        };
        let problem = if self.brokers.is_empty() {
            Some("WEIR_BENCH_KAFKA is not set; run `cargo xtask bench`".to_owned())
        } else if self.records == 0 || self.repeat == 0 || self.key_counts.contains(&0) {
            Some("--records, --repeat, --keys: expected at least 1".to_owned())
        } else if self.value_bytes < VALUE_BYTES_MIN {
            Some(format!("--value-bytes: expected at least {VALUE_BYTES_MIN}, the number of the record"))
        } else {
            no_file("WEIR_BENCH_BIN", &self.weir).or_else(|| no_file("WEIR_BENCH_GUESTS", &self.guests))
        };
        problem.map_or(Ok(self), |problem| Err(Failure::new(problem)))
    }
}

/// Reads the command line and the environment.
pub fn read(arguments: &[String]) -> Result<Asked, Failure> {
    let mut read = Arguments::from_environment();
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        if name == "--help" || name == "-h" {
            return Ok(Asked::Help);
        }
        if read.set_alone(name) {
            continue;
        }
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name.as_str(), arguments.next().map(String::as_str)),
        };
        let value = value.ok_or_else(|| Failure::new(format!("{name} needs a value; see --help")))?;
        read.set(name, value)?;
    }
    Ok(Asked::Bench(Box::new(read.check()?)))
}

fn distribution(text: &str) -> Result<Distribution, Failure> {
    let known = [Distribution::Uniform, Distribution::Zipf];
    let found = known.into_iter().find(|distribution| distribution.name() == text);
    found.ok_or_else(|| Failure::new(format!("--distributions: {text:?} is not one of uniform, zipf")))
}

fn part(text: &str) -> Result<Part, Failure> {
    match text {
        "rows" => Ok(Part::Rows),
        "recovery" => Ok(Part::Recovery),
        _ => Err(Failure::new(format!("--parts: {text:?} is not one of rows, recovery"))),
    }
}

/// A number that may end in k, m or g: so many times the step.
fn scaled(name: &str, text: &str, step: u64) -> Result<u64, Failure> {
    let lower = text.to_lowercase().replace('_', "");
    let (digits, scale) = match lower.chars().last() {
        Some('k') => (&lower[..lower.len() - 1], step),
        Some('m') => (&lower[..lower.len() - 1], step.pow(2)),
        Some('g') => (&lower[..lower.len() - 1], step.pow(3)),
        _ => (lower.as_str(), 1),
    };
    let scaled = number::<u64>(name, digits)?.checked_mul(scale);
    scaled.ok_or_else(|| Failure::new(format!("{name}: {text:?} is too large")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_have_a_unit() {
        assert_eq!(scaled("--keys", "10m", 1000).unwrap(), 10_000_000);
        assert_eq!(scaled("--memory", "1G", 1024).unwrap(), 1 << 30);
        assert_eq!(scaled("--keys", "2_500", 1000).unwrap(), 2500);
        assert!(scaled("--keys", "m", 1000).is_err() && scaled("--keys", "", 1000).is_err());
    }

    #[test]
    fn lists_choose_inputs_and_rows() {
        let mut arguments = Arguments::from_environment();
        arguments.set("--keys", "1k,1m").unwrap();
        arguments.set("--distributions", "zipf").unwrap();
        arguments.set("--only", "prefix, count").unwrap();
        let names: Vec<String> = arguments.keys().iter().map(Keys::name).collect();
        assert_eq!(
            (names, arguments.kinds),
            (vec!["1k-zipf".to_owned(), "1m-zipf".to_owned()], vec![Kind::Prefix, Kind::Count])
        );
        assert!(distribution("even").is_err() && part("all").is_err());
    }

    #[test]
    fn quick_is_smaller_and_recoveries_are_a_part() {
        let mut arguments = Arguments::from_environment();
        assert!(arguments.set_alone("--quick") && !arguments.set_alone("--keys"));
        assert_eq!((arguments.records, arguments.recovery_bytes.len()), (2_000_000, 1));
    }
}
