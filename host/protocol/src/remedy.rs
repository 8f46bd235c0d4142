//! The one command that helps where a start is refused, as a person would type it.

use crate::position::Partition;
use std::fmt;

/// How a person calls a pipeline on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Called {
    /// Its name.
    pub pipeline: String,
    /// Its file, as it was typed; none on a server.
    pub file: Option<String>,
    /// Its data directory, where that is not the default; none on a server.
    pub data_dir: Option<String>,
    /// Keys of its file that the command line has set, as `KEY=VALUE`.
    pub set: Vec<String>,
    /// Where its server listens.
    pub server: Option<String>,
    /// NAME of the `[kafka.NAME]` whose group holds its decisions.
    pub cluster: Option<String>,
    /// It keeps state per key.
    pub keyed: bool,
}

/// Where a reset lets the pipeline go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetTo {
    /// At the first record that is there.
    Earliest,
    /// At the end.
    Latest,
    /// At the last checkpoint that is known.
    Snapshot,
    /// Where it is committed now.
    Current,
}

/// What helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// A look at what is decided.
    Show,
    /// A decision to go on elsewhere.
    Reset {
        /// Where.
        to: ResetTo,
        /// Only this partition.
        only: Option<Partition>,
    },
    /// Another value of a key of the pipeline file.
    Set {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// A consumer group that nobody else uses.
    OwnGroup,
    /// A data directory that nobody else uses.
    OwnDataDir,
    /// A start from one of the savepoints that there are.
    Savepoints,
    /// A savepoint, from which a changed pipeline can start.
    NewSavepoint,
    /// A start from this savepoint, with all that it means.
    FromSavepoint {
        /// What the person calls it.
        asked: String,
        /// It has happened before.
        again: bool,
    },
    /// A start of a pipeline that was drained to its end.
    RestartFinished,
    /// A look at what is kept per key.
    StateStats,
    /// The newest feature level, from which there is no way back.
    Finalize,
}

impl Remedy {
    /// What it is good for.
    fn purpose(&self, called: &Called) -> &'static str {
        match (self, &called.server) {
            (Remedy::Show, _) => "to see what is decided",
            (Remedy::Reset { to: ResetTo::Earliest, .. }, _) => {
                "to begin again at the first record that is there"
            }
            (Remedy::Reset { to: ResetTo::Latest, .. }, _) => "to go on at the end",
            (Remedy::Reset { to: ResetTo::Snapshot, .. }, _) => {
                "to go on from the last checkpoint that is known here"
            }
            (Remedy::Reset { to: ResetTo::Current, .. }, _) => "to go on from what is committed now",
            (Remedy::Set { .. }, None) => "to start it with that value",
            (Remedy::OwnGroup, None) => "to start it with a group of its own",
            (Remedy::OwnDataDir, None) => "to start it with a data directory of its own",
            (Remedy::Set { .. } | Remedy::OwnGroup, Some(_)) => "to start it with that in its file",
            (Remedy::OwnDataDir, Some(_)) => "to start it with another name or id_prefix in its file",
            (Remedy::StateStats, None) => "to see what state there is",
            (Remedy::Savepoints, _) | (Remedy::StateStats, Some(_)) => "to see which savepoints there are",
            (Remedy::NewSavepoint, _) => "to make a savepoint of what is there, from which it can be started",
            (Remedy::FromSavepoint { .. }, _) => "to start from the savepoint all the same",
            (Remedy::RestartFinished, _) => "to start it all the same",
            (Remedy::Finalize, _) => "to give up the way back to the weir before",
        }
    }

    /// The command line.
    pub fn command(&self, called: &Called) -> String {
        let (on_file, on_name) = (called.on_file(), called.on_name());
        let name = quoted(&called.pipeline);
        match (self, &called.server) {
            (Remedy::Show, _) => format!("weir offsets show {on_file}"),
            (Remedy::Reset { to, only }, _) => {
                let to = match to {
                    ResetTo::Earliest => "earliest",
                    ResetTo::Latest => "latest",
                    ResetTo::Snapshot => "snapshot",
                    ResetTo::Current => "current",
                };
                let only = only.as_ref().map_or_else(String::new, |only| format!(" --topic {only}"));
                format!("weir offsets reset {on_file}{only} --to-{to}{}", self.state(called))
            }
            (Remedy::Savepoints, _) => format!("weir savepoint list {on_name}"),
            (Remedy::NewSavepoint, _) => format!("weir savepoint create {on_name}"),
            (Remedy::StateStats, None) => format!("weir state stats {on_name}"),
            (Remedy::StateStats, Some(_)) => format!("weir savepoint list {on_name}"),
            (Remedy::FromSavepoint { asked, again }, server) => {
                let start = if server.is_some() { "pipeline start" } else { "run" };
                let again = if *again { " --again" } else { "" };
                format!("weir {start} {on_file} --from-savepoint {} --replay-output{again}", quoted(asked))
            }
            (Remedy::Finalize, _) => format!("weir upgrade finalize{}", called.place()),
            (Remedy::RestartFinished, None) => format!("weir run {on_file} --restart-finished"),
            (Remedy::RestartFinished, Some(_)) => format!("weir pipeline start {on_file} --restart-finished"),
            (Remedy::Set { key, value }, None) => called.run_with(key, value),
            (Remedy::OwnGroup, None) => {
                let cluster = called.cluster.as_deref().unwrap_or("main");
                called.run_with(&format!("kafka.{cluster}.group"), &format!("{}.own", called.pipeline))
            }
            (Remedy::OwnDataDir, None) => {
                let elsewhere = format!("{} --data-dir weir-data.{name}", quoted(called.operand()));
                format!("weir run {}", called.with_set(elsewhere, None))
            }
            (Remedy::Set { .. } | Remedy::OwnGroup | Remedy::OwnDataDir, Some(server)) => {
                format!("weir apply {name}.toml --server {}", quoted(server))
            }
        }
    }

    /// What a reset must say of state per key that it parts from its positions: a stream that begins anew begins without
    /// any; one whose lost records are left out, or that goes on where it is committed, goes on with what there is.
    fn state(&self, called: &Called) -> &'static str {
        match self {
            Remedy::Reset { to: ResetTo::Earliest | ResetTo::Latest, only } if called.keyed => match only {
                None => " --state empty",
                Some(_) => " --state keep",
            },
            Remedy::Reset { to: ResetTo::Current, .. } if called.keyed => " --state keep",
            _ => "",
        }
    }

    /// The end of a refusal's line.
    pub fn told(&self, called: &Called) -> String {
        let dry = if matches!(self, Remedy::Reset { .. }) { " (a dry run; --execute does it)" } else { "" };
        format!("{}: `{}`{dry}", self.purpose(called), self.command(called))
    }
}

impl Called {
    /// What a command that reads the file is given.
    fn operand(&self) -> &str {
        self.file.as_deref().unwrap_or(&self.pipeline)
    }

    /// For commands that read the file.
    fn on_file(&self) -> String {
        self.with_set(self.with_place(self.operand()), None)
    }

    /// What was set goes with the file, but for a key that the command sets otherwise. Properties of clients and
    /// configurations of operators may be secrets: their values are not printed.
    fn with_set(&self, mut command: String, but: Option<&str>) -> String {
        for set in &self.set {
            let (key, value) = set.split_once('=').unwrap_or((set, ""));
            if but == Some(key) {
                continue;
            }
            // A table may hold what its key does not tell.
            let may_be_secret = key.contains("properties")
                || key.contains("config")
                || value.trim_start().starts_with(['{', '[']);
            let value = if may_be_secret { "..." } else { value };
            command += &format!(" --set {}", quoted(&format!("{key}={value}")));
        }
        command
    }

    /// A start of its file with one key set, whatever it was set to before.
    fn run_with(&self, key: &str, value: &str) -> String {
        let file = self.with_place(self.operand());
        let set = quoted(&format!("{key}={value}")).to_string();
        format!("weir run {} --set {set}", self.with_set(file, Some(key)))
    }

    /// For commands that want the name only.
    fn on_name(&self) -> String {
        self.with_place(&self.pipeline)
    }

    fn with_place(&self, operand: &str) -> String {
        format!("{}{}", quoted(operand), self.place())
    }

    fn place(&self) -> String {
        match (&self.server, &self.data_dir) {
            (Some(server), _) => format!(" --server {}", quoted(server)),
            (None, Some(directory)) => format!(" --data-dir {}", quoted(directory)),
            (None, None) => String::new(),
        }
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> Quoted<'_> {
    Quoted(word)
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/:=-@+,%".contains(&byte);
        if !self.0.is_empty() && self.0.bytes().all(plain) {
            return f.write_str(self.0);
        }
        write!(f, "'{}'", self.0.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_the_real_names_quoted_where_need_be() {
        let mut called = Called {
            pipeline: "orders".to_owned(),
            file: Some("my files/it's.toml".to_owned()),
            ..Called::default()
        };
        let snapshot = Remedy::Reset { to: ResetTo::Snapshot, only: None };
        assert_eq!(snapshot.command(&called), r"weir offsets reset 'my files/it'\''s.toml' --to-snapshot");
        called.file = Some("orders.toml".to_owned());
        called.data_dir = Some("/var/weir".to_owned());
        let only = Some(Partition::new("in", 2));
        let earliest = Remedy::Reset { to: ResetTo::Earliest, only };
        assert_eq!(
            earliest.told(&called),
            "to begin again at the first record that is there: `weir offsets reset orders.toml --data-dir /var/weir --topic in:2 --to-earliest` (a dry run; --execute does it)"
        );
        called.keyed = true;
        let state = |to, only| Remedy::Reset { to, only }.command(&called);
        assert!(state(ResetTo::Earliest, None).ends_with("--to-earliest --state empty"));
        assert!(
            state(ResetTo::Earliest, Some(Partition::new("in", 2))).ends_with("--to-earliest --state keep")
        );
        assert!(state(ResetTo::Snapshot, None).ends_with("--to-snapshot"), "there they agree");
        assert!(state(ResetTo::Current, None).ends_with("--to-current --state keep"));
        called.set =
            vec!["kafka.main.group=g".to_owned(), "kafka.main.properties.\"sasl.password\"=hush".to_owned()];
        let show = "weir offsets show orders.toml --data-dir /var/weir --set kafka.main.group=g --set 'kafka.main.properties.\"sasl.password\"=...'";
        assert_eq!(Remedy::Show.command(&called), show);
        for secret in [
            "kafka.main={brokers=\"b\",properties={\"sasl.password\"=\"hush\"}}",
            "operator.a.config.key=hush",
        ] {
            let told = Remedy::Show.command(&Called { set: vec![secret.to_owned()], ..called.clone() });
            assert!(!told.contains("hush") && told.contains("=..."), "{told}");
        }
        let own = Remedy::OwnGroup.command(&called);
        assert!(own.ends_with("--set kafka.main.group=orders.own") && !own.contains("group=g"), "{own}");
        called = Called {
            pipeline: "orders".to_owned(),
            server: Some("http://127.0.0.1:8380".to_owned()),
            ..Called::default()
        };
        assert_eq!(Remedy::Show.command(&called), "weir offsets show orders --server http://127.0.0.1:8380");
    }
}
