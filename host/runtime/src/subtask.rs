//! The thread that pumps a chain: commands of the coordinator first, then a batch, then again.

use crate::chain::{Chain, Snapshot};
use crate::clock::Clock;
use crate::meters::Meters;
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::plan::Guarantee;
use weir_protocol::position::Positions;

/// How long an idle subtask waits for records before it looks for commands again.
const IDLE_WAIT: Duration = Duration::from_millis(10);

/// How long a full sink is left alone.
const FULL_SINK_WAIT: Duration = Duration::from_millis(1);

/// How often the lag gauge is set, in batches.
const LAG_EVERY_BATCHES: u32 = 64;

/// What the coordinator tells a subtask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The transaction of the epoch is open.
    Open(Epoch),
    /// Deliver barrier N; behind the last one nothing is read.
    Barrier {
        /// N.
        epoch: Epoch,
        /// The last one.
        last: bool,
    },
    /// Take on partitions whose start is decided.
    AddPartitions {
        /// The source of the plan.
        source: usize,
        /// Where they start.
        start: Positions,
    },
    /// At most once: the positions that were noted are decided, the batch may be processed.
    Proceed,
}

/// What a subtask tells the coordinator.
#[derive(Debug)]
pub enum Report {
    /// The barrier is delivered and all sinks are prepared.
    Delivered {
        /// Who.
        subtask: usize,
        /// Which barrier.
        epoch: Epoch,
        /// What the checkpoint needs.
        snapshot: Snapshot,
    },
    /// At most once: a batch was fetched, its positions have to be decided before it is processed.
    Fetched {
        /// Who.
        subtask: usize,
        /// Per source the positions behind the batch.
        positions: Vec<Positions>,
    },
    /// All sources of the subtask have ended.
    Ended {
        /// Who.
        subtask: usize,
    },
    /// The subtask cannot go on.
    Failed(ConnectorError),
}

/// What a subtask is made of.
pub struct Subtask {
    /// Its number.
    pub number: usize,
    /// Its steps.
    pub chain: Chain,
    /// From the coordinator. Its end is the order to stop at once.
    pub commands: Receiver<Command>,
    /// To the coordinator.
    pub reports: Sender<Report>,
    /// Set when the incarnation has ended, for a thread that waits for a full sink.
    pub ended: Arc<AtomicBool>,
    /// Bytes of held output after which nothing more is read.
    pub sink_buffer_bytes_max: usize,
    /// At most once decides before it processes.
    pub guarantee: Guarantee,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub meters: Arc<Meters>,
}

/// Why the loop ends.
enum Stop {
    /// The coordinator is gone: the incarnation is over.
    Abandoned,
    Failed(ConnectorError),
}

impl From<ConnectorError> for Stop {
    fn from(error: ConnectorError) -> Stop {
        Stop::Failed(error)
    }
}

impl Subtask {
    /// Runs until the coordinator hangs up or something fails.
    pub fn run(mut self) {
        match self.pump() {
            Ok(()) | Err(Stop::Abandoned) => {}
            Err(Stop::Failed(error)) => {
                // A coordinator that is gone does not want to know.
                let _ = self.reports.send(Report::Failed(error));
            }
        }
    }

    fn pump(&mut self) -> Result<(), Stop> {
        let (mut last, mut told_end, mut next, mut idle) = (false, false, 0, 0);
        let mut batches = 0u32;
        loop {
            let full = self.chain.held_bytes() >= self.sink_buffer_bytes_max;
            let ended = self.chain.has_ended();
            if ended && !told_end {
                told_end = true;
                self.report(Report::Ended { subtask: self.number })?;
            }
            // With nothing to read, or nowhere to put it, only a command can change anything.
            if last || full || ended {
                let before = self.clock.monotonic();
                let command = self.commands.recv().map_err(|_| Stop::Abandoned)?;
                if full && !last && !ended {
                    self.meters.paused(self.clock.monotonic() - before);
                }
                told_end &= !matches!(command, Command::AddPartitions { .. });
                last |= self.obey(command)?;
                continue;
            }
            match self.commands.try_recv() {
                Ok(command) => {
                    last |= self.obey(command)?;
                    continue;
                }
                Err(TryRecvError::Disconnected) => return Err(Stop::Abandoned),
                Err(TryRecvError::Empty) => {}
            }
            next = (next + 1) % self.chain.sources();
            let wait = if idle >= self.chain.sources() { IDLE_WAIT } else { Duration::ZERO };
            match self.chain.poll(next, wait)? {
                None => idle += 1,
                Some(batch) => {
                    idle = 0;
                    if self.guarantee == Guarantee::AtMostOnce {
                        last |= self.decide_first()?;
                    }
                    self.process(next, batch)?;
                    batches = batches.wrapping_add(1);
                }
            }
            if idle == self.chain.sources() || batches.is_multiple_of(LAG_EVERY_BATCHES) {
                self.meters.lag[self.number].set(self.chain.lag().map_or(-1, |lag| lag as i64));
            }
        }
    }

    fn report(&self, report: Report) -> Result<(), Stop> {
        self.reports.send(report).map_err(|_| Stop::Abandoned)
    }

    fn process(&mut self, source: usize, batch: weir_protocol::batch::Batch) -> Result<(), Stop> {
        let wall_ms = self.clock.wall_ms();
        let ended = self.ended.clone();
        Ok(self.chain.process(source, batch, wall_ms, &mut || wait_for_room(&ended))?)
    }

    /// At most once: the positions behind a fetched batch become true before its first record is processed.
    fn decide_first(&mut self) -> Result<bool, Stop> {
        let positions = self.chain.positions();
        self.report(Report::Fetched { subtask: self.number, positions })?;
        let mut last = false;
        loop {
            match self.commands.recv().map_err(|_| Stop::Abandoned)? {
                Command::Proceed => return Ok(last),
                command => last |= self.obey(command)?,
            }
        }
    }

    /// Carries out a command. Returns true behind the last barrier.
    fn obey(&mut self, command: Command) -> Result<bool, Stop> {
        match command {
            Command::Open(epoch) => {
                let (ended, before) = (self.ended.clone(), self.clock.monotonic());
                self.chain.open(epoch, &mut || wait_for_room(&ended))?;
                self.meters.paused(self.clock.monotonic() - before);
                Ok(false)
            }
            Command::AddPartitions { source, start } => {
                self.chain.add_partitions(source, &start)?;
                Ok(false)
            }
            Command::Barrier { epoch, last } => {
                let before = self.clock.monotonic();
                let snapshot = self.chain.barrier(epoch)?;
                self.meters.paused(self.clock.monotonic() - before);
                self.report(Report::Delivered { subtask: self.number, epoch, snapshot })?;
                Ok(last)
            }
            Command::Proceed => Ok(false),
        }
    }
}

/// Waits a moment for a full sink, and gives up when the incarnation has ended.
fn wait_for_room(ended: &AtomicBool) -> Result<(), ConnectorError> {
    if ended.load(Ordering::Relaxed) {
        return Err(ConnectorError::transient("the incarnation has ended"));
    }
    std::thread::sleep(FULL_SINK_WAIT);
    Ok(())
}
