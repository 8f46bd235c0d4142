//! Starts a broker from its jars, as a process of its own that survives this one.

use super::ports::Ports;
use super::state::{Kind, State};
use super::{jars, properties, ready};
use crate::stop::Stop;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Memory of the broker: it uses about 320 MB, and the host has to fit beside it.
const HEAP: &str = "-Xmx768m";

/// Formats an empty data folder and starts the broker. It does not answer yet.
pub fn start(home: &Path, folder: &Path, ports: &Ports) -> Result<State, Stop> {
    let file = folder.join(properties::FILE);
    let text = properties::file(ports, &folder.join("data").display().to_string());
    fs::write(&file, text).map_err(Stop::file(&file))?;
    let classes = home.join("libs/*");
    let cluster = tool(&classes, &["random-uuid"])?;
    let path = file.display().to_string();
    tool(&classes, &["format", "--standalone", "-t", cluster.trim(), "-c", &path])?;

    let log_file = ready::log(folder);
    let log = File::create(&log_file).map_err(Stop::file(&log_file))?;
    let errors = log.try_clone().map_err(Stop::file(&log_file))?;
    // nohup becomes java, so the process id stays; with the process group of its own the broker outlives the
    // terminal, and a ctrl-c there does not take it away from under tests that are still cleaning up.
    let mut command = Command::new("nohup");
    command.arg(jars::java()).args([HEAP, "-XX:+ExitOnOutOfMemoryError", "-cp"]).arg(&classes);
    command.arg("kafka.Kafka").arg(&file).current_dir(folder);
    command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
    let child = command.spawn().map_err(|error| Stop::failed(format!("cannot start nohup: {error}")))?;
    Ok(State::new(Kind::Java, child.id().to_string(), ports.client, Some(child)))
}

fn tool(classes: &Path, arguments: &[&str]) -> Result<String, Stop> {
    let mut command = Command::new(jars::java());
    command.arg("-cp").arg(classes).arg("kafka.tools.StorageTool").args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| Stop::failed(format!("cannot start java: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Stop::failed(format!("Kafka's StorageTool {} failed:\n{said}", arguments[0])));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
