//! `weir serve` as the demo's child: asked over HTTP, killed, and started again whoever has killed it.

use super::process::{LOOK_INTERVAL, Process};
use super::recoveries::Recoveries;
use super::story;
use crate::commands::client::connection::Connection;
use crate::failure::Failure;
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Lives of the server, also of those that somebody else ends.
const LIVES_MAX: u32 = 100;
/// A server that does not answer has died if its process is gone within this time.
const DEATH_NOTICED_WITHIN: Duration = Duration::from_secs(1);

/// The server.
pub struct Host {
    directory: PathBuf,
    process: Process,
    /// HOST:PORT, the same in every life.
    address: String,
    connection: Connection,
    lives: u32,
    interrupted: Arc<AtomicBool>,
    /// What its deaths have cost.
    pub recoveries: Recoveries,
}

impl Host {
    /// Starts it in `<directory>/data`, on a free port.
    pub fn start(directory: &Path, pipeline: &str) -> Result<Host, Failure> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, interrupted.clone())
                .map_err(|error| Failure::failed(format!("signals cannot be handled: {error}")))?;
        }
        let (process, address) = serve(directory, "127.0.0.1:0")?;
        let recoveries = Recoveries::new(directory.join("data/pipelines").join(pipeline));
        Ok(Host {
            connection: connect(directory, &address)?,
            directory: directory.to_owned(),
            process,
            address,
            lives: 1,
            interrupted,
            recoveries,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The number of the process that is alive now.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// `kill -9`, and another life.
    pub fn kill(&mut self) -> Result<(), Failure> {
        let at = Instant::now();
        self.process.kill();
        self.recoveries.kills += 1;
        self.live_again(at)
    }

    /// Fails where Ctrl-C was pressed.
    pub fn check_interrupted(&self) -> Result<(), Failure> {
        match self.interrupted.load(Ordering::Relaxed) {
            true => Err(Failure::failed("stopped by a signal, and the server with it")),
            false => Ok(()),
        }
    }

    /// To be called again and again: Ctrl-C ends the demo, and a server that somebody has ended is started again. True
    /// where it was.
    pub fn tend(&mut self) -> Result<bool, Failure> {
        self.check_interrupted()?;
        let Some(status) = self.process.ended() else {
            self.recoveries.under_way();
            return Ok(false);
        };
        if !status.success() && status.signal().is_none() {
            return Err(self.process.failed(&format!("the server has ended with {status}")));
        }
        let id = self.process.id();
        self.recoveries.kills += u32::from(status.signal().is_some());
        self.live_again(Instant::now())?;
        story::outcome(&format!("somebody else has ended process {id} ({status}): here is {}", self.id()));
        Ok(true)
    }

    /// Asks the server. None where it died meanwhile and lives again: what was asked for may have happened or not.
    pub fn ask(
        &mut self,
        request: impl FnOnce(&Connection) -> Result<Value, Failure>,
    ) -> Result<Option<Value>, Failure> {
        let failure = match request(&self.connection) {
            Ok(answer) => return Ok(Some(answer)),
            Err(failure) => failure,
        };
        let asked = Instant::now();
        while asked.elapsed() < DEATH_NOTICED_WITHIN {
            if self.tend()? {
                return Ok(None);
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        Err(failure)
    }

    /// GET, in as many lives as it takes.
    pub fn get(&mut self, path: &str) -> Result<Value, Failure> {
        loop {
            if let Some(answer) = self.ask(|connection| connection.get(path))? {
                return Ok(answer);
            }
        }
    }

    /// Stops it gracefully.
    pub fn stop(&mut self) -> Result<(), Failure> {
        self.process.stop("the server does not stop")
    }

    fn live_again(&mut self, died: Instant) -> Result<(), Failure> {
        self.recoveries.died(died);
        self.lives += 1;
        if self.lives > LIVES_MAX {
            return Err(Failure::failed(format!("the server was ended {LIVES_MAX} times: that is enough")));
        }
        (self.process, self.address) = serve(&self.directory, &self.address)?;
        // A new one: what the old one has open leads to a process that is gone.
        self.connection = connect(&self.directory, &self.address)?;
        Ok(())
    }
}

/// Starts the process, and waits until it listens.
fn serve(directory: &Path, listen: &str) -> Result<(Process, String), Failure> {
    let data = directory.join("data").display().to_string();
    let arguments = ["serve", "--listen", listen, "--data-dir", &data];
    let mut process = Process::start(directory, "serve", &arguments, Stdio::piped())?;
    let mut line = String::new();
    if let Some(output) = process.output() {
        // An error is the end of the process, as is an empty line.
        let _ = BufReader::new(output).read_line(&mut line);
    }
    match line.trim().strip_prefix("listening on ") {
        Some(address) => Ok((process, address.trim_start_matches("http://").to_owned())),
        None => Err(process.failed("the server does not start")),
    }
}

fn connect(directory: &Path, address: &str) -> Result<Connection, Failure> {
    let file = directory.join("data/admin.token");
    let token = std::fs::read_to_string(&file)
        .map_err(|error| Failure::failed(format!("{} cannot be read: {error}", file.display())))?;
    Ok(Connection::to(format!("http://{address}"), token.trim().to_owned()))
}
