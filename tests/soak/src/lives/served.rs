//! A life of `weir serve`: swaps one after the other, uploads beside them, and an end.

use super::{STUCK_AFTER, Soak, Went};
use crate::client::Client;
use crate::harness::server::Server;
use crate::harness::waiting::{LOOK_EVERY, pause};
use crate::summary::Window;
use crate::swaps::{self, Beside, Kind};
use crate::uploads::Uploads;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long output is watched without uploads, and with as many as there can be.
const WINDOW: Duration = Duration::from_secs(4);
/// Swaps in a life, at most.
const SWAPS_MAX: u64 = 6;
/// Of so many lives one asks for a swap before the pipeline has recovered.
const EARLY_EVERY: u64 = 4;
/// Of so many lives that outlive their swaps one ends gracefully.
const STOP_EVERY: u64 = 4;

/// A server that lives.
pub(super) struct Served {
    pub server: Server,
    pub client: Client,
    pub uploads: Uploads,
}

impl Served {
    /// An error where the process is gone.
    pub fn lives(&mut self) -> Result<(), String> {
        if self.server.weir.has_ended() { Err("the host ended by itself".to_owned()) } else { Ok(()) }
    }
}

impl Soak {
    /// A life with its swaps, as a line.
    pub(super) fn live_served(&mut self) -> String {
        let (before, started) = (self.settled(), Instant::now());
        self.served += 1;
        let log = self.keyed.job.path(&format!("serve-{}.log", self.served));
        let server = Server::start(&self.keyed.job.data_dir(), &log, &[]);
        let client = Client::of(&server);
        let uploads = Uploads::start(client.clone(), self.modules.clone());
        let mut served = Served { server, client, uploads };
        match self.lives_on(&mut served, before, started) {
            Ok(said) => said,
            Err(what) => self.wrong(&mut served.server.weir, &what),
        }
    }

    fn lives_on(&mut self, served: &mut Served, before: u64, started: Instant) -> Result<String, String> {
        let said = if self.swaps.is_deployed && !self.swaps.is_open() && self.moments.next(EARLY_EVERY) == 0 {
            self.swap(served, Kind::Good, Beside::Recovery)?;
            "weir serve swapped in recovery".to_owned()
        } else {
            if !self.swaps.is_deployed {
                served.server.deploy(&self.keyed.job);
                self.swaps.is_deployed = true;
            }
            let recovered = match self.await_output(&mut served.server.weir, before, started) {
                Went::Recovered(time) => time,
                wrong => return Err(format!("the host {wrong}, at the start of a server")),
            };
            self.summary.recovered(recovered);
            format!("weir serve recovered in {recovered:.2?}")
        };
        self.recall(served)?;
        self.compare_uploads(served)?;
        for _ in 0..=self.moments.next(SWAPS_MAX) {
            let (kind, beside) = swaps::next(&mut self.moments, self.brokers_die);
            if !self.swap(served, kind, beside)? {
                return Ok(format!("{said}, ended{beside}"));
            }
            self.went_well_so_far(served)?;
        }
        self.ends_served(served, &said)
    }

    fn ends_served(&mut self, served: &mut Served, said: &str) -> Result<String, String> {
        let after = Duration::from_millis(self.moments.next(1000));
        pause(after);
        if self.moments.next(STOP_EVERY) == 0 {
            self.stop_served(served)?;
            return Ok(format!("{said}, stopped after its swaps"));
        }
        self.kill_served(served)?;
        Ok(format!("{said}, kill -9 after its swaps"))
    }

    /// Kill -9 of the server.
    pub(super) fn kill_served(&mut self, served: &mut Served) -> Result<(), String> {
        served.lives()?;
        served.uploads.host_goes();
        served.server.weir.kill();
        self.summary.kills += 1;
        Ok(())
    }

    /// SIGTERM: the server ends well.
    pub(super) fn stop_served(&mut self, served: &mut Served) -> Result<(), String> {
        served.lives()?;
        served.uploads.host_goes();
        served.server.weir.signal(libc::SIGTERM);
        let asked = Instant::now();
        while !served.server.weir.has_ended() {
            if asked.elapsed() > STUCK_AFTER {
                return Err("the server did not end after SIGTERM".to_owned());
            }
            pause(LOOK_EVERY);
        }
        self.summary.stops += 1;
        match served.server.weir.wait().code() {
            Some(0) => Ok(()),
            code => Err(format!("the server ended with {code:?} after SIGTERM")),
        }
    }

    /// Nothing that was seen so far is wrong.
    fn went_well_so_far(&mut self, served: &mut Served) -> Result<(), String> {
        served.lives()?;
        let (_, findings) = self.progress();
        if !findings.is_empty() {
            return Err(format!("the output is wrong: {}", findings.join("; ")));
        }
        match served.uploads.wrong().first() {
            Some(wrong) => Err(format!("an upload: {wrong}")),
            None => Ok(()),
        }
    }

    fn modules_are_left(&self) -> bool {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).left > 0
    }

    /// Watches the output without uploads, and with as many as there can be; then they go on beside the swaps.
    fn compare_uploads(&mut self, served: &mut Served) -> Result<(), String> {
        if !self.modules_are_left() {
            return Ok(());
        }
        let without = self.watch(served)?;
        served.uploads.hurry();
        let with = self.watch(served)?;
        served.uploads.go_on();
        self.summary.without_uploads.add(without);
        self.summary.with_uploads.add(with);
        Ok(())
    }

    fn watch(&mut self, served: &mut Served) -> Result<Window, String> {
        let (from, started) = (self.progress().0, Instant::now());
        let (mut read, mut since, mut longest_gap) = (from, started, Duration::ZERO);
        while started.elapsed() < WINDOW {
            pause(LOOK_EVERY);
            let now = self.progress().0;
            if now > read {
                longest_gap = longest_gap.max(since.elapsed());
                (read, since) = (now, Instant::now());
            }
        }
        let window = Window {
            records: read - from,
            time: started.elapsed(),
            longest_gap: longest_gap.max(since.elapsed()),
        };
        match self.await_output(&mut served.server.weir, from, started) {
            Went::Recovered(_) => Ok(window),
            wrong => Err(format!("the host {wrong}, beside uploads")),
        }
    }

    /// Swaps and modules that were asked for are over.
    pub(super) fn has_done_what_was_asked(&self) -> bool {
        self.swaps.has_enough() && !self.modules_are_left()
    }

    /// The next life is one of the server.
    pub(super) fn serves_next(&mut self, time_is_over: bool) -> bool {
        if self.swaps.wanted == 0 && !self.modules_are_left() && !self.swaps.is_open() {
            return false;
        }
        // What ended a swap is told by the next server, and before it nobody else may decide anything.
        time_is_over || self.swaps.is_open() || self.moments.next(2) == 0
    }
}
