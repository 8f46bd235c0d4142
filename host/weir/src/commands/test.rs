//! `weir test`: an operator over sample records, without any server.

pub mod artefact;
mod difference;
mod sample;
mod state_dump;
mod trial;

use crate::failure::{Exit, Failure};
use crate::pipeline_file::units;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trial::{Trial, TrialOptions};
use weir_protocol::plan::{NullKey, OperatorLimits};
use weir_wasm::{Engine, Prepared};

/// Options of `weir test`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The component; without it the crate in the current directory is built and its sample files are used
    component: Option<PathBuf>,
    /// The input records, as JSON lines of key, value, timestamp, headers; between them may stand
    /// {"advance_watermark":TIME} and {"advance_now":DURATION}
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The output records that must come out, in this order
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Write what comes out into the file of --expect
    #[arg(long)]
    update: bool,
    /// A configuration key of the operator
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// CPU time of one call, as in limits.call
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = units::duration_argument)]
    call_limit: Duration,
    /// What happens to records without a key where the operator keeps state, as null_key
    #[arg(long, value_enum, default_value_t = NullKeyOption::Reject, value_name = "WHAT")]
    null_key: NullKeyOption,
    /// Print what is left in state and timers at the end, as JSON lines
    #[arg(long)]
    dump_state: bool,
}

/// `null_key` as on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum NullKeyOption {
    /// They are refused.
    Reject,
    /// They share one key.
    Group,
}

/// Which files a test reads and writes.
struct Files {
    component: PathBuf,
    input: PathBuf,
    expect: Option<PathBuf>,
}

/// Runs the operator and compares.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let files = files(options)?;
    if options.update && files.expect.is_none() {
        return Err(Failure::configuration("--update writes the file of --expect; name it"));
    }
    let prepared = load(&files.component)?;
    let config = config(&options.config)?;
    let problems = prepared.check_config(&config);
    if !problems.is_empty() {
        return Err(Failure::configuration(format!(
            "{}: {}",
            files.component.display(),
            problems.join("; ")
        )));
    }
    let limits = OperatorLimits { call: options.call_limit, ..OperatorLimits::default() };
    let null_key = match options.null_key {
        NullKeyOption::Reject => NullKey::Reject,
        NullKeyOption::Group => NullKey::Group,
    };
    let steps = sample::read(&files.input, &prepared.description().inputs)?;
    let mut trial = Trial::new(&prepared, TrialOptions { config, limits, null_key })?;
    for step in steps {
        trial.step(step)?;
    }
    let (ran, dump) = trial.finish(options.dump_state)?;
    for line in &ran.complaints {
        eprintln!("{line}");
    }
    let matches = match &files.expect {
        None => {
            print(&ran.output)?;
            true
        }
        Some(path) if options.update => {
            write(path, &ran.output)?;
            true
        }
        Some(path) => compare(path, &ran.output)?,
    };
    print(&dump)?;
    eprintln!("{} records in, {} out, {} rejected", ran.records_in, ran.output.len(), ran.rejected);
    match (matches, ran.failed) {
        (true, 0) => Ok(Exit::Done),
        (false, _) => Err(Failure::failed("the output is not what was expected; --update accepts it")),
        (true, failed) => Err(Failure::failed(format!("{failed} records made the operator fail"))),
    }
}

/// What became of sample records.
pub struct Tried {
    /// Output records.
    pub output: Vec<serde_json::Value>,
    /// Rejected and failed records, each with its line.
    pub rejections: Vec<String>,
}

/// Runs an operator over the lines of a text, with default limits.
pub fn try_lines(
    prepared: &Prepared,
    lines: &str,
    config: BTreeMap<String, String>,
) -> Result<Tried, Failure> {
    let steps = sample::parse("input", lines.as_bytes(), &prepared.description().inputs)?;
    let options = TrialOptions { config, limits: OperatorLimits::default(), null_key: NullKey::Reject };
    let mut trial = Trial::new(prepared, options)?;
    for step in steps {
        trial.step(step)?;
    }
    let (ran, _) = trial.finish(false)?;
    let output = ran.output.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>();
    let output = output.map_err(|error| Failure::failed(format!("the output is not JSON: {error}")))?;
    Ok(Tried { output, rejections: ran.complaints })
}

fn files(options: &Options) -> Result<Files, Failure> {
    let (mut input, mut expect) = (options.input.clone(), options.expect.clone());
    let component = match &options.component {
        Some(component) => component.clone(),
        None => {
            if !Path::new("Cargo.toml").exists() {
                let message =
                    "name a component, or go to the directory of an operator: there is no Cargo.toml here";
                return Err(Failure::configuration(message));
            }
            input.get_or_insert_with(|| PathBuf::from("input.jsonl"));
            if expect.is_none() && (options.update || Path::new("expected.jsonl").exists()) {
                expect = Some(PathBuf::from("expected.jsonl"));
            }
            artefact::build()?
        }
    };
    let input = input.ok_or_else(|| Failure::configuration("--input FILE is missing: the records to try"))?;
    Ok(Files { component, input, expect })
}

fn load(path: &Path) -> Result<Prepared, Failure> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::configuration(format!("{shown} cannot be read: {error}")))?;
    let engine = Engine::new(None).map_err(|error| Failure::failed(error.to_string()))?;
    engine.load(&bytes).map_err(|error| Failure::configuration(format!("{shown}: {error}")))
}

/// `KEY=VALUE` arguments as a configuration.
pub fn config(arguments: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |argument: &String| {
        let pair = argument.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        pair.ok_or_else(|| Failure::configuration(format!("--config {argument}: expected KEY=VALUE")))
    };
    arguments.iter().map(pair).collect()
}

fn print(lines: &[String]) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(output, "{line}"));
    written.map_err(|error| Failure::failed(format!("standard output: {error}")))
}

fn write(path: &Path, lines: &[String]) -> Result<(), Failure> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn compare(path: &Path, lines: &[String]) -> Result<bool, Failure> {
    let expected = std::fs::read_to_string(path).map_err(|error| {
        Failure::configuration(format!("{} cannot be read: {error}; --update writes it", path.display()))
    })?;
    let difference = difference::between(&path.display().to_string(), &expected, lines);
    match &difference {
        Some(text) => print!("{text}"),
        None => eprintln!("the output is that of {}", path.display()),
    }
    Ok(difference.is_none())
}
