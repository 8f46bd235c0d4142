//! The steps of the demo, in their order. Whatever is asked of the server is asked again where somebody has killed it
//! meanwhile.

use super::host::Host;
use super::pipelines::{FILE, OPERATOR, Place, SECONDS};
use super::process::LOOK_INTERVAL;
use super::readers::{FULL_SPEED, NOTHING, Readers};
use super::story;
use super::topics::Feeder;
use crate::failure::Failure;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Nothing that is waited for takes so long, as long as no records come out either.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// Between two steps so many seconds' records come out.
const SECONDS_BETWEEN_STEPS: u64 = 2;
/// A topic is read to its end when all has come, or nothing for so long.
const QUIET: Duration = Duration::from_secs(15);

/// The demo while it runs.
pub struct Steps<'a> {
    /// Its files.
    pub place: &'a Place<'a>,
    /// The server.
    pub host: Host,
    /// Who sees the output.
    pub readers: Readers,
    /// Who fills the topic that the pipeline reads.
    pub feeder: Option<Feeder>,
}

impl Steps<'_> {
    /// Tells where the server is, and how to talk to it.
    pub fn introduce(&self) {
        let (address, id, data) = (self.host.address(), self.host.id(), self.place.directory.join("data"));
        story::step(
            1,
            &format!("weir serve, as process {id}: kill -9 it if you like. By hand, in another terminal:"),
        );
        story::by_hand(&format!("cd {}; export WEIR=http://{address}", self.place.directory.display()));
        story::by_hand(&format!(
            "api() {{ curl -sS -H \"Authorization: Bearer $(cat {}/admin.token)\" \"$@\"; }}",
            data.display()
        ));
    }

    /// Uploads a version. The same bytes again are the same version, so a second try does no harm.
    pub fn upload(&mut self, version: u32) -> Result<(), Failure> {
        let path = format!("/v1/operators/{OPERATOR}/versions");
        story::by_hand(&format!(
            "api --data-binary @version_{version}.wasm -H 'Content-Type: application/wasm' $WEIR{path}"
        ));
        let bytes = std::fs::read(self.place.component(version))
            .map_err(|error| Failure::failed(format!("version {version} cannot be read: {error}")))?;
        let answer = loop {
            if let Some(answer) = self.host.ask(|server| server.upload(&path, &bytes))? {
                break answer;
            }
        };
        match answer["version"].as_u64() == Some(u64::from(version)) {
            true => Ok(()),
            false => Err(Failure::failed(format!("version {version} was expected, and this came: {answer}"))),
        }
    }

    /// Makes the server run a document: put, plan, apply.
    pub fn deploy(&mut self, document: &str) -> Result<(), Failure> {
        let path = format!("/v1/pipelines/{}", self.place.name());
        story::by_hand(&format!(
            "api -X PUT -H 'Content-Type: application/toml' --data-binary @{FILE} $WEIR{path}"
        ));
        story::by_hand(&format!("HASH=$(api -X POST $WEIR{path}/plan | jq -r .hash)"));
        story::by_hand(&format!("api --json \"{{\\\"hash\\\": \\\"$HASH\\\"}}\" $WEIR{path}/apply"));
        let file = self.place.directory.join(FILE);
        std::fs::write(&file, document)
            .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
        loop {
            let applied = self.host.ask(|server| {
                server.put(&path, "application/toml", document)?;
                let plan = server.post(&format!("{path}/plan"), &json!({}))?;
                server.post(&format!("{path}/apply"), &json!({"hash": plan["hash"]}))
            })?;
            if applied.is_some() {
                return Ok(());
            }
        }
    }

    /// What the pipeline is doing.
    pub fn status(&mut self) -> Result<Value, Failure> {
        self.host.get(&format!("/v1/pipelines/{}/status", self.place.name()))
    }

    /// Waits until it runs and no swap is open.
    pub fn running(&mut self) -> Result<(), Failure> {
        self.until("the pipeline to run", |steps| {
            let status = steps.status()?;
            match status["actual"].as_str().unwrap_or_default() {
                "running" if status["swap"].is_null() => Ok(Some(())),
                "finished" => Err(Failure::failed(format!(
                    "the steps take longer than the {SECONDS} seconds for which records come: this machine is too busy for the demo"
                ))),
                "failed" | "superseded" => {
                    Err(Failure::failed(format!("the pipeline cannot go on: {}", status["cause"])))
                }
                _ => Ok(None),
            }
        })
    }

    /// Waits until readers see new records of the life that runs.
    pub fn flowing(&mut self) -> Result<u64, Failure> {
        self.until("a recovery", |steps| Ok((!steps.host.recoveries.under_way()).then_some(())))?;
        let before = self.readers.records()?;
        self.until("new records", |steps| {
            let records = steps.readers.records()?;
            Ok((records > before).then_some(records))
        })
    }

    /// Does something to the pipeline: the gap that readers see meanwhile is told by this name.
    pub fn while_doing<Done>(
        &mut self,
        what: &'static str,
        act: impl FnOnce(&mut Self) -> Result<Done, Failure>,
    ) -> Result<Done, Failure> {
        self.readers.meanwhile(what);
        let done = act(self)?;
        self.flowing()?;
        self.readers.meanwhile(NOTHING);
        Ok(done)
    }

    /// Lets records flow undisturbed, so that one can read along, and see what an ordinary gap is.
    pub fn let_flow(&mut self) -> Result<(), Failure> {
        let enough = self.readers.records()? + self.place.rate() * SECONDS_BETWEEN_STEPS;
        self.until("records to flow", |steps| {
            // Near the end there may be no more of them.
            let over = steps.readers.records()? >= enough.min(steps.place.records);
            Ok(over.then_some(()))
        })
    }

    /// `kill -9`, and waits for the next life.
    pub fn kill(&mut self) -> Result<(), Failure> {
        let killed = self.host.id();
        self.host.kill()?;
        self.flowing()?;
        let took = self.host.recoveries.last().unwrap_or_default().as_millis();
        story::outcome(&format!(
            "kill -9 {killed}; started again as process {}; new output was decided after {took} ms",
            self.host.id()
        ));
        Ok(())
    }

    /// Lets the rest of the records come at full speed, and waits until all are through.
    pub fn finish(&mut self) -> Result<(), Failure> {
        if self.feeder.is_none() {
            story::by_hand(&format!("sed -i -e '/^rate/d' -e 's/@1/@2/' {FILE}"));
            let document = self.place.document(2, false);
            self.while_doing("the restart for another pipeline file", |steps| steps.deploy(&document))?;
            self.readers.meanwhile(FULL_SPEED);
            return self.until_actual("finished");
        }
        self.readers.meanwhile(FULL_SPEED);
        self.until("all records to be written", |steps| match &mut steps.feeder {
            Some(feeder) => {
                feeder.hurry()?;
                Ok(feeder.is_done()?.then_some(()))
            }
            None => Ok(Some(())),
        })?;
        let (mut records, mut since) = (self.readers.records()?, Instant::now());
        while records < self.place.records && since.elapsed() < QUIET {
            self.host.tend()?;
            std::thread::sleep(LOOK_INTERVAL);
            let now = self.readers.records()?;
            if now > records {
                (records, since) = (now, Instant::now());
            }
        }
        let path = format!("/v1/pipelines/{}/stop", self.place.name());
        story::by_hand(&format!("api -X POST $WEIR{path}"));
        while self.host.ask(|server| server.post(&path, &json!({})))?.is_none() {}
        self.until_actual("stopped")
    }

    fn until_actual(&mut self, actual: &'static str) -> Result<(), Failure> {
        self.until(&format!("the pipeline to be {actual}"), |steps| {
            let status = steps.status()?;
            match status["actual"].as_str() {
                Some(found) if found == actual => Ok(Some(())),
                Some("failed") => Err(Failure::failed(format!("the pipeline failed: {}", status["cause"]))),
                _ => Ok(None),
            }
        })
    }

    /// Waits. Comes to an end with a failure where readers see nothing new for too long either.
    pub fn until<Found>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Result<Option<Found>, Failure>,
    ) -> Result<Found, Failure> {
        let (mut records, mut since) = (self.readers.records()?, Instant::now());
        loop {
            self.host.tend()?;
            if let Some(feeder) = &mut self.feeder {
                feeder.is_done()?;
            }
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            let now = self.readers.records()?;
            if now > records {
                (records, since) = (now, Instant::now());
            }
            if since.elapsed() > STUCK_AFTER {
                return Err(Failure::failed(format!(
                    "waited {} seconds in vain for {what}; see {}",
                    STUCK_AFTER.as_secs(),
                    self.place.directory.join("serve.log").display()
                )));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}
