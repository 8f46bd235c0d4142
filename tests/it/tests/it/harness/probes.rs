//! What `--probe-listen` answers, and metrics as the parsers of others read them.

use super::guests::repository;
use super::waiting::until;
use super::weir::Weir;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;
use ureq::Agent;

/// How long an answer may take: longer than the listener gives a connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The option, on a port that is free.
pub const LISTEN: [&str; 2] = ["--probe-listen", "127.0.0.1:0"];

/// The probe listener of a weir.
pub struct Probes {
    address: String,
    agent: Agent,
}

/// An answer.
pub struct Told {
    pub status: u16,
    pub content: String,
    pub text: String,
}

impl Probes {
    /// Of one that was started with [`LISTEN`].
    pub fn of(weir: &mut Weir) -> Probes {
        let address = until("the probes to listen", || {
            assert!(!weir.has_ended(), "weir has ended:\n{}", weir.log());
            let log = weir.log();
            let found = log.lines().find_map(|line| line.split("probes and metrics on http://").nth(1));
            found.map(|rest| rest.trim().to_owned())
        });
        let config =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIMEOUT)).build();
        Probes { address, agent: config.into() }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// GET, where somebody answers.
    pub fn try_get(&self, path: &str, accept: &str) -> Option<Told> {
        let url = format!("http://{}{path}", self.address);
        let mut answer = self.agent.get(url).header("accept", accept).call().ok()?;
        let content = answer.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().ok()?;
        Some(Told { status, content: content.unwrap_or_default(), text })
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str, accept: &str) -> Told {
        self.try_get(path, accept).expect("an answer of the probe listener")
    }

    /// The status of a path.
    #[track_caller]
    pub fn status(&self, path: &str) -> u16 {
        self.get(path, "*/*").status
    }

    /// Waits for a status.
    #[track_caller]
    pub fn await_status(&self, path: &str, status: u16) {
        until(&format!("{path} to answer {status}"), || {
            (self.try_get(path, "*/*")?.status == status).then_some(())
        });
    }

    /// All metrics, as the strict parser reads them.
    #[track_caller]
    pub fn scrape(&self) -> Scrape {
        let told = self.get("/metrics", "application/openmetrics-text; version=1.0.0");
        assert_eq!(told.status, 200, "{}", told.text);
        assert_eq!(told.content, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        Scrape::read("openmetrics", &told.text)
    }
}

/// What a parser understood.
#[derive(Debug, Clone)]
pub struct Scrape {
    pub families: Vec<Family>,
}

/// A family of metrics.
#[derive(Debug, Clone)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub unit: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

/// One number.
#[derive(Debug, Clone)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Has the tools of others read something: see `tests/it/prometheus/read.py`.
#[track_caller]
pub fn understood(what: &str, text: &str) -> Value {
    let python = std::env::var_os("WEIR_TEST_SCHEMATHESIS").expect("run `cargo xtask test`");
    let mut command = Command::new(python);
    command.arg(repository().join("tests/it/prometheus/read.py")).arg(what);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = text.to_owned();
    // Large texts do not fit into the pipe at once.
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("Python ends");
    let _ = writer.join();
    assert!(output.status.success(), "read.py {what}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

impl Scrape {
    /// Has a parser read a text.
    #[track_caller]
    pub fn read(form: &str, text: &str) -> Scrape {
        let word = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
        let sample = |of: &Value| Sample {
            name: of[0].as_str().unwrap().to_owned(),
            labels: serde_json::from_value(of[1].clone()).unwrap(),
            value: of[2].as_f64().unwrap(),
        };
        let understood = understood(form, text);
        let families = understood.as_array().unwrap().iter().map(|family| Family {
            name: word(family, "name"),
            kind: word(family, "kind"),
            unit: word(family, "unit"),
            help: word(family, "help"),
            samples: family["samples"].as_array().unwrap().iter().map(sample).collect(),
        });
        Scrape { families: families.collect() }
    }

    /// All samples of this name that have these labels.
    pub fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let fits = |sample: &&Sample| {
            let has =
                |(label, value): &(&str, &str)| sample.labels.get(*label).map(String::as_str) == Some(*value);
            sample.name == name && labels.iter().all(has)
        };
        self.families.iter().flat_map(|family| &family.samples).filter(fits).collect()
    }

    /// Their sum.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).iter().map(|sample| sample.value).sum()
    }

    /// The one sample of this name that has these labels.
    #[track_caller]
    pub fn one(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let all = self.all(name, labels);
        assert_eq!(all.len(), 1, "{name} {labels:?}: {all:?}");
        all[0].value
    }

    /// Everything that must never go down, by name and labels.
    pub fn rising(&self) -> BTreeMap<String, f64> {
        let kinds = ["counter", "histogram"];
        let families = self.families.iter().filter(|family| kinds.contains(&family.kind.as_str()));
        let samples = families.flat_map(|family| &family.samples);
        samples.map(|sample| (format!("{}{:?}", sample.name, sample.labels), sample.value)).collect()
    }

    /// Nothing that must not has gone down since an earlier scrape, and nothing is gone.
    #[track_caller]
    pub fn goes_on_from(&self, earlier: &Scrape) {
        let now = self.rising();
        for (name, value) in earlier.rising() {
            let found = now.get(&name).copied();
            assert!(found.is_some_and(|found| found >= value), "{name} was {value} and is {found:?}");
        }
    }
}

/// One line of the golden list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Golden {
    pub name: String,
    pub kind: String,
    pub unit: String,
    pub labels: BTreeSet<String>,
    pub help: String,
}

impl Golden {
    /// The names that its samples have.
    pub fn sample_names(&self) -> Vec<String> {
        let endings: &[&str] = match self.kind.as_str() {
            "counter" => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_count", "_sum"],
            _ => &[""],
        };
        endings.iter().map(|ending| format!("{}{ending}", self.name)).collect()
    }
}

/// Every metric that there is.
pub fn golden() -> Vec<Golden> {
    let path = repository().join("host/weir/metrics.txt");
    let text = std::fs::read_to_string(&path).expect("the golden list");
    let line = |line: &str| {
        let mut words = line.splitn(5, ' ').map(str::to_owned);
        let mut next = || words.next().expect("name, kind, unit, labels, help");
        let (name, kind, unit, labels, help) = (next(), next(), next(), next(), next());
        let labels = labels.trim_matches(['{', '}']).split(',').filter(|label| !label.is_empty());
        Golden { name, kind, unit: unit.replace('-', ""), labels: labels.map(str::to_owned).collect(), help }
    };
    text.lines().map(line).collect()
}
