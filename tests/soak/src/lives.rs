//! One life of the host after another, each with its fault, until the time is over.

use crate::faults::{self, Bad, Fault};
use crate::harness::cluster::Cluster;
use crate::harness::guests;
use crate::harness::keyed_job::KeyedJob;
use crate::harness::moments::Moments;
use crate::harness::own_broker::OwnBroker;
use crate::harness::waiting::{LOOK_EVERY, pause};
use crate::harness::weir::Weir;
use crate::modules::Modules;
use crate::stage::{Binaries, Disk};
use crate::summary::Summary;
use proxy::Api;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

mod copies;
mod disks;
mod endings;
mod last;
mod network;
mod questions;
mod replays;
mod served;
mod swapping;
mod versions;

use endings::Swaps;

/// One record of so many has a value that no operator takes.
const POISON_EVERY: u64 = 300;
/// A host that has decided nothing for so long is stuck: three times as long as a checkpoint may take.
const STUCK_AFTER: Duration = Duration::from_secs(180);
/// Probation is one transaction, and ends at half of its time: a bad version needs so long to show what it is.
const TRANSACTIONS: &str = "[kafka.main]\ntransaction_timeout = \"120s\"\n";
/// Behind a probation that rolls back, or a broker that comes back, the first epoch holds all that has piled up, and the
/// machine may be busy with something else.
const CHECKPOINTS: &str = "timeout = \"60s\"";
/// How long weir's clients wait for an answer that a fault has taken away.
const PROPERTIES: &str = "[kafka.main.properties]\n\"socket.timeout.ms\" = \"4000\"";
/// Of so many lives one is of another binary than the life before.
const CHANGE_EVERY: u64 = 4;
/// Looks without news after which the reader has read all there is: twice as long as a fetch that finds nothing.
const QUIET_LOOKS: u32 = 5;

/// The pipeline, its broker and what has happened so far.
pub struct Soak {
    broker: OwnBroker,
    /// Unmounted before the directory goes that it is mounted in.
    disk: Disk,
    keyed: KeyedJob,
    binaries: Binaries,
    moments: Moments,
    brokers_die: bool,
    swaps: Swaps,
    modules: Arc<Mutex<Modules>>,
    /// Lives of the server.
    served: u32,
    summary: Summary,
    began: Instant,
}

/// How a life went on.
enum Went {
    /// There is decided output of this life, so long after its start.
    Recovered(Duration),
    /// It ended by itself, which nobody asked for.
    Ended,
    /// Nothing was decided in all the time.
    Stuck,
}

impl fmt::Display for Went {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Went::Stuck => f.write_str("decided nothing more"),
            Went::Ended => f.write_str("ended by itself"),
            Went::Recovered(time) => write!(f, "went on after {time:.2?}"),
        }
    }
}

impl Soak {
    /// Starts a broker, the load and the reader. So many swaps and modules are to come to an end.
    pub fn begin(
        moments: Moments,
        burst: u64,
        brokers_die: bool,
        swaps: u64,
        modules: Modules,
        mut binaries: Binaries,
    ) -> Soak {
        let broker = OwnBroker::to_be_killed();
        let mut keyed = KeyedJob::start(&Cluster::at(&broker.address()), "soak", burst, POISON_EVERY);
        keyed.job.text = keyed.job.text.replace("[kafka.main]\n", TRANSACTIONS);
        keyed.job.text = keyed.job.text.replace("timeout = \"20s\"", CHECKPOINTS);
        keyed.job.text = keyed.job.text.replace(&broker.address(), &broker.proxied_address());
        keyed.job.add(PROPERTIES);
        let disk = Disk::mount(keyed.job.path("disk"), keyed.job.data_dir());
        // A new data directory is of the newest level of the weir that makes it: that is the other one.
        binaries.change();
        Soak {
            broker,
            keyed,
            disk,
            binaries,
            moments,
            brokers_die,
            swaps: Swaps { wanted: swaps, ..Swaps::default() },
            modules: Arc::new(Mutex::new(modules)),
            served: 0,
            summary: Summary::default(),
            began: Instant::now(),
        }
    }

    /// Lives until the time is over and all that was asked for is done. False where something went wrong.
    pub fn run(&mut self, time: Duration) -> bool {
        while self.began.elapsed() < time || !self.has_done_what_was_asked() {
            // The first life makes the data directory, in a level that both can read.
            if self.moments.next(CHANGE_EVERY) == 0 && self.progress().0 > 0 {
                self.binaries.change();
                self.summary.changes_of_binary += 1;
            }
            let serves = self.serves_next(self.began.elapsed() >= time);
            let lived = catch_unwind(AssertUnwindSafe(|| match serves {
                true => self.live_served(),
                false => {
                    let fault = faults::next(&mut self.moments, self.brokers_die);
                    let parallelism = faults::parallelism(&mut self.moments);
                    format!("parallelism {parallelism}  {}", self.live(fault, parallelism))
                }
            }));
            // The harness asserts; what it said is printed already.
            let lived = lived.unwrap_or_else(|_| {
                self.summary.wrong_lives.push("an assertion of the harness failed, see above".to_owned());
                "a failed assertion".to_owned()
            });
            let (read, findings) = self.progress();
            let (at, written) = (self.began.elapsed().as_secs_f32(), self.written());
            println!("{at:7.1} s  {lived}; {written} written, {read} read");
            if !findings.is_empty() || self.summary.went_wrong() {
                findings.iter().for_each(|finding| println!("          {finding}"));
                return false;
            }
        }
        true
    }

    fn progress(&self) -> (u64, Vec<String>) {
        let model = self.keyed.model.lock().unwrap_or_else(PoisonError::into_inner);
        (model.read, model.findings().shown.clone())
    }

    fn written(&self) -> u64 {
        self.keyed.model.lock().unwrap_or_else(PoisonError::into_inner).written
    }

    /// One life with its fault, as a line.
    fn live(&mut self, fault: Fault, parallelism: usize) -> String {
        if let Fault::BadOperator(bad) = fault {
            return self.live_badly(bad, parallelism);
        }
        if let Fault::Replay(kill_after) = fault {
            return self.replay(kill_after, parallelism);
        }
        let before = self.settled();
        let started = Instant::now();
        let set = format!("parallelism={parallelism}");
        let mut options = vec!["--set", set.as_str()];
        if let Fault::Copy(..) = fault {
            options.extend(["--set", copies::LONG_EPOCHS]);
        }
        // The decision is read at a start only.
        let at_start = match &fault {
            Fault::Network(_, fault) if fault.api == Api::OffsetFetch => {
                Some((self.arm(fault), fault.action))
            }
            _ => None,
        };
        let mut weir = self.keyed.job.start_with(&options, &[]);
        if let Fault::KillAfterStart(after) = fault {
            pause(after);
            return self.kill(&mut weir, format!("kill -9 {after:?} after the start"));
        }
        let recovered = match self.await_output(&mut weir, before, started) {
            Went::Recovered(time) => time,
            wrong => return self.wrong(&mut weir, &format!("the host {wrong}, at the start")),
        };
        self.summary.recovered(recovered);
        let said = format!("recovered in {recovered:.2?}");
        if let Some((armed, action)) = at_start {
            armed.release();
            self.broker.proxy().disarm();
            if armed.has_fired() {
                self.summary.network(action);
            }
            return self.kill(&mut weir, format!("{said}, {action:?} at OffsetFetch of its start, kill -9"));
        }
        match fault {
            Fault::KillAfterStart(_) | Fault::BadOperator(_) | Fault::Replay(_) => said,
            Fault::Network(after, fault) => {
                pause(after);
                self.survives_request(&mut weir, &fault, said)
            }
            Fault::Cut(after) => {
                pause(after);
                self.survives_cut(&mut weir, said)
            }
            Fault::FullDisk(after, left) => {
                pause(after);
                self.survives_full_disk(&mut weir, left, said)
            }
            Fault::Copy(after, rolling) => {
                pause(after);
                self.survives_copy(&mut weir, rolling, said)
            }
            Fault::KillAfterRecovery(after) => {
                pause(after);
                self.kill(&mut weir, format!("{said}, kill -9 {after:?} later"))
            }
            Fault::Stop(after, patience) => {
                pause(after);
                weir.signal(libc::SIGTERM);
                pause(patience);
                if weir.has_ended() {
                    self.summary.stops += 1;
                    return self.stopped(&mut weir, format!("{said}, stopped {after:?} later"));
                }
                self.kill(&mut weir, format!("{said}, kill -9 in a stop that had lasted {patience:?}"))
            }
            Fault::Pause(after, pause_time) => {
                pause(after);
                weir.signal(libc::SIGSTOP);
                pause(pause_time);
                let (before, paused) = (self.progress().0, Instant::now());
                weir.signal(libc::SIGCONT);
                self.summary.pauses += 1;
                self.goes_on(&mut weir, before, paused, format!("{said}, paused for {pause_time:?}"))
            }
            Fault::KillBroker(after) => {
                pause(after);
                self.keyed.while_load_pauses(|| self.broker.kill());
                self.broker.start_again();
                self.summary.broker_kills += 1;
                let (before, up) = (self.progress().0, Instant::now());
                self.goes_on(&mut weir, before, up, format!("{said}, kill -9 of the broker {after:?} later"))
            }
        }
    }

    /// A life whose pipeline file names a bad operator. Whatever it decides must be right; the good one goes on from it.
    fn live_badly(&mut self, bad: Bad, parallelism: usize) -> String {
        // Without a decided checkpoint there is no state that could be another.
        let bad = match bad {
            Bad::OtherState if self.progress().0 == 0 => Bad::Traps(Duration::from_secs(1)),
            bad => bad,
        };
        let good = self.keyed.job.text.clone();
        self.keyed.job.text = match bad {
            Bad::OtherState => good.replace(&guests::guest("count_by_key"), &guests::guest("dedup")),
            Bad::Traps(_) => {
                let traps = guests::guest_of_text("realloc_traps", &self.keyed.job.path(""));
                format!(
                    "{good}[operator.trapping]\ninput = \"left\"\ncomponent = \"{traps}\"\n[sink.trapped]\nkind = \"blackhole\"\ninput = \"trapping\"\n"
                )
            }
        };
        let set = format!("parallelism={parallelism}");
        let (started, mut weir) = (Instant::now(), self.keyed.job.start_with(&["--set", &set], &[]));
        let time = match bad {
            Bad::OtherState => STUCK_AFTER,
            Bad::Traps(time) => time,
        };
        while !weir.has_ended() && started.elapsed() < time {
            pause(LOOK_EVERY);
        }
        self.keyed.job.text = good;
        self.summary.bad_operators += 1;
        match (bad, weir.has_ended().then(|| weir.exit_code())) {
            (Bad::OtherState, Some(4)) => "a component with other state was refused".to_owned(),
            (Bad::Traps(_), Some(1)) => "the pipeline failed with an operator that traps".to_owned(),
            (Bad::Traps(_), None) if weir.log().contains("trap") => {
                weir.kill();
                format!("kill -9 after {time:?} with an operator that traps")
            }
            // It may not have come to its first batch yet.
            (Bad::Traps(_), None) => {
                weir.kill();
                format!("kill -9 after {time:?}, before an operator could trap")
            }
            (Bad::OtherState, None) => self.wrong(&mut weir, "the host accepted another state"),
            (_, Some(_)) => self.wrong(&mut weir, "the host ended by itself, with a bad operator"),
        }
    }

    fn goes_on(&mut self, weir: &mut Weir, before: u64, since: Instant, said: String) -> String {
        match self.await_output(weir, before, since) {
            Went::Recovered(time) => self.kill(weir, format!("{said}, went on after {time:.2?}, kill -9")),
            wrong => self.wrong(weir, &format!("the host {wrong}, {said}")),
        }
    }

    /// Output that has been read when there is no more: what the life before had decided is not mistaken for this one's.
    fn settled(&self) -> u64 {
        let (mut read, mut quiet) = (self.progress().0, 0);
        while quiet < QUIET_LOOKS {
            pause(LOOK_EVERY);
            let now = self.progress().0;
            quiet = if now == read { quiet + 1 } else { 0 };
            read = now;
        }
        read
    }

    /// Waits for output that was not there before.
    fn await_output(&self, weir: &mut Weir, before: u64, since: Instant) -> Went {
        while since.elapsed() < STUCK_AFTER {
            if self.progress().0 > before {
                return Went::Recovered(since.elapsed());
            }
            if weir.has_ended() {
                return Went::Ended;
            }
            pause(LOOK_EVERY);
        }
        Went::Stuck
    }

    fn kill(&mut self, weir: &mut Weir, said: String) -> String {
        if weir.has_ended() {
            return self.wrong(weir, &format!("the host ended by itself, {said}"));
        }
        weir.kill();
        self.summary.kills += 1;
        said
    }

    /// A graceful stop ends well.
    fn stopped(&mut self, weir: &mut Weir, said: String) -> String {
        match weir.exit_code() {
            0 => said,
            _ => self.wrong(weir, &format!("the host did not end well, {said}")),
        }
    }

    fn wrong(&mut self, weir: &mut Weir, what: &str) -> String {
        weir.kill();
        let log = weir.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(25)..].join("\n");
        let said = format!("{what}; the host said:\n{last}");
        self.summary.wrong_lives.push(said.clone());
        said
    }
}
