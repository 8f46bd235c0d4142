//! A Kafka broker for a chore: which one is used, and who ends it.

mod docker;
mod guard;
pub mod jars;
mod java;
mod ports;
mod properties;
mod ready;
pub mod state;

use crate::checkout::Checkout;
use crate::debian::Need;
use crate::run;
use crate::stop::Stop;
use guard::Guard;
use state::State;
use std::fs;
use std::path::Path;
use std::process::{self, Command};
use std::time::Duration;

/// How often a broker is started again when somebody else took its free port before it did.
const STARTS_MAX: u32 = 3;
/// How long the docker client may take to say whether there is an engine.
const DOCKER_DEADLINE: Duration = Duration::from_secs(10);

/// Where a broker comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// `WEIR_TEST_KAFKA` names one: it is used as it is and left alone.
    External(String),
    /// The jars of Apache Kafka, on this machine's Java.
    Java,
    /// The image of Apache Kafka.
    Docker,
    /// None of these is possible here.
    Nowhere,
}

fn choose(external: Option<String>, java_and_jars: bool, docker: impl FnOnce() -> bool) -> Source {
    match external {
        Some(address) => Source::External(address),
        None if java_and_jars => Source::Java,
        None if docker() => Source::Docker,
        None => Source::Nowhere,
    }
}

fn source(checkout: &Checkout) -> Source {
    let external = std::env::var("WEIR_TEST_KAFKA").ok().filter(|address| !address.is_empty());
    choose(external, jars::usable(checkout), || {
        run::succeeds(
            Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]),
            DOCKER_DEADLINE,
        )
    })
}

/// What the machine lacks for any broker at all.
pub fn needs(checkout: &Checkout) -> Vec<Need> {
    if source(checkout) == Source::Nowhere { jars::needs(checkout) } else { Vec::new() }
}

/// If `WEIR_TEST_KAFKA` names a broker, it has to answer.
pub fn check_external(checkout: &Checkout) -> Result<(), Stop> {
    match source(checkout) {
        Source::External(address) => ready::answers_now(&address),
        _ => Ok(()),
    }
}

/// A broker that lives as long as this value, and not longer even if xtask is killed.
pub struct Broker {
    address: String,
    /// Absent for a broker that is not ours.
    _guard: Option<Guard>,
}

impl Broker {
    /// `host:port` for clients.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// The broker of a chore: the one that `WEIR_TEST_KAFKA` names, or one that ends with the chore.
pub fn for_chore(checkout: &Checkout) -> Result<Broker, Stop> {
    if let Source::External(address) = source(checkout) {
        ready::answers_now(&address)?;
        return Ok(Broker { address, _guard: None });
    }
    let folder = checkout.brokers().join(format!("chore-{}", process::id()));
    let (state, guard) = start(checkout, &folder, None, |state| Guard::watch(state, &folder))?;
    Ok(Broker { address: state.address(), _guard: Some(guard) })
}

/// Starts a broker that outlives this program, unless there is one, and returns its address.
pub fn up(checkout: &Checkout, folder: &Path, port: Option<u16>) -> Result<String, Stop> {
    if let Source::External(address) = source(checkout) {
        ready::answers_now(&address)?;
        return Ok(address);
    }
    if let Some(state) = State::running(folder) {
        return Ok(state.address());
    }
    let (state, ()) = start(checkout, folder, port, |state| state.write(folder))?;
    Ok(state.address())
}

/// Stops the broker of a folder and deletes its data. Nothing to stop is not a failure.
pub fn down(folder: &Path) -> Result<(), Stop> {
    let Some(state) = State::running(folder) else {
        eprintln!("no broker runs in {}", folder.display());
        return Ok(());
    };
    state.end()?;
    fs::remove_dir_all(folder).map_err(Stop::file(folder))
}

/// Starts a broker and waits until it answers. `keep` is called as soon as there is a process, before anything can
/// go wrong with it, so that there is never one that nobody would end.
fn start<Kept>(
    checkout: &Checkout,
    folder: &Path,
    port: Option<u16>,
    keep: impl Fn(&State) -> Result<Kept, Stop>,
) -> Result<(State, Kept), Stop> {
    let docker = source(checkout) == Source::Docker;
    let mut starts = 0;
    loop {
        starts += 1;
        prepare(folder)?;
        let ports = ports::choose(port)?;
        let state = if docker {
            docker::start(folder, &ports)?
        } else {
            java::start(&jars::fetch(checkout)?, folder, &ports)?
        };
        let kept = match keep(&state) {
            Ok(kept) => kept,
            Err(stop) => {
                state.end()?;
                return Err(stop);
            }
        };
        match ready::wait(&state, folder) {
            Ok(()) => return Ok((state, kept)),
            Err(failure) => {
                let stop = failure.explain(folder);
                state.end()?;
                // A guard deletes the folder when it goes: that has to be over before the next start fills it.
                drop(kept);
                if failure != ready::Failure::PortTaken || port.is_some() || starts == STARTS_MAX {
                    return Err(stop);
                }
            }
        }
    }
}

/// Every broker starts empty. Only a folder that is a broker's, or not there, is emptied.
fn prepare(folder: &Path) -> Result<(), Stop> {
    if folder.is_dir() {
        let foreign = fs::read_dir(folder).map_err(Stop::file(folder))?.next().is_some();
        if foreign && !folder.join(properties::FILE).is_file() {
            return Err(Stop::failed(format!("{} is not a broker's folder", folder.display())));
        }
        fs::remove_dir_all(folder).map_err(Stop::file(folder))?;
    }
    fs::create_dir_all(folder).map_err(Stop::file(folder))
}

#[cfg(test)]
mod tests {
    use super::{Source, choose, prepare};
    use std::{env, fs, process};

    #[test]
    fn a_named_broker_is_used_before_any_other() {
        assert_eq!(choose(Some("a:1".into()), true, || true), Source::External("a:1".into()));
        assert_eq!(choose(None, true, || unreachable!()), Source::Java);
        assert_eq!(choose(None, false, || true), Source::Docker);
        assert_eq!(choose(None, false, || false), Source::Nowhere);
    }

    #[test]
    fn a_folder_that_is_not_a_brokers_is_not_emptied() {
        let folder = env::temp_dir().join(format!("weir-xtask-foreign-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("thesis.txt"), "years of work").unwrap();
        assert!(prepare(&folder).is_err());
        assert!(folder.join("thesis.txt").is_file());
        fs::remove_dir_all(&folder).unwrap();
    }
}
