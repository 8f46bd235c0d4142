//! The thread that pumps a chain: commands of the coordinator first, then timers that are due, then a batch, then again.

use crate::chain::{Chain, Snapshot};
use crate::clock::Clock;
use crate::inbox::{Arrived, Inbox};
use crate::meters::Meters;
use crate::persist::{Persisted, Prepared};
use crate::successor::Successor;
use crate::waits::Waits;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::align::Barrier;
use weir_protocol::batch::Batch;
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::plan::{Guarantee, OperatorLimits};
use weir_protocol::position::Positions;
use weir_protocol::state::StatePart;

/// How long an idle subtask waits for records before it looks for commands again.
const IDLE_WAIT: Duration = Duration::from_millis(10);

/// The same where rows can also come from another subtask.
const SHORT_WAIT: Duration = Duration::from_millis(1);

/// A longer wait for a command is counted piece by piece, so that rates see it while it lasts.
const COUNTED_WAIT: Duration = Duration::from_secs(1);

/// How often the lag is noted, in batches, and at least.
const LAG_EVERY_BATCHES: u32 = 64;
const LAG_EVERY: Duration = Duration::from_secs(1);

/// What the coordinator tells a subtask.
#[derive(Debug)]
pub enum Command {
    /// The transaction of the epoch is open.
    Open(Epoch),
    /// To a subtask with sources: put this barrier behind what was read so far. It goes on to other subtasks with the
    /// rows.
    Barrier(Barrier),
    /// Take on partitions whose start is decided.
    AddPartitions {
        /// The source of the plan.
        source: usize,
        /// Where they start.
        start: Positions,
    },
    /// At most once: the positions that were noted are decided, the batch may be processed.
    Proceed,
    /// A new version of an operator, which takes over at its barrier. It comes before that barrier.
    Swap(Box<Successor>),
    /// The checkpoint at whose barrier a new version took over is durable.
    Reopen {
        /// Its directory.
        checkpoint: PathBuf,
        /// The state that it holds.
        parts: Vec<StatePart>,
    },
    /// The limits of an operator from its next call on.
    SetLimits {
        /// The operator of the plan.
        operator: usize,
        /// The limits.
        limits: Box<OperatorLimits>,
    },
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
    /// State that a barrier froze is on disk, or could not be put there.
    Persisted {
        /// The epoch that the barrier ended.
        epoch: Epoch,
        /// Which state, and what became of it.
        result: Persisted,
    },
    /// The files that this incarnation was restored from were read whole: what is damaged, if anything.
    Verified(Option<String>),
    /// The instances of a new version are made, or cannot be.
    Prepared {
        /// Which swap of the incarnation.
        swap: u64,
        /// What became of it.
        result: Prepared,
    },
    /// The subtask cannot go on.
    Failed(ConnectorError),
}

/// What a subtask is made of.
pub struct Subtask {
    /// Its number, over all stages.
    pub number: usize,
    /// Its steps.
    pub chain: Chain,
    /// Rows from other subtasks, and the alignment of barriers.
    pub inbox: Inbox,
    /// From the coordinator. Its end is the order to stop at once.
    pub commands: Receiver<Command>,
    /// To the coordinator.
    pub reports: Sender<Report>,
    /// How it waits.
    pub waits: Waits,
    /// Bytes of held output after which nothing more is read.
    pub sink_buffer_bytes_max: usize,
    /// At most once decides before it processes.
    pub guarantee: Guarantee,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub meters: Arc<Meters>,
}

/// Why a subtask ends.
#[derive(Debug)]
pub enum Stop {
    /// The coordinator is gone: the incarnation is over.
    Abandoned,
    /// Something failed: the coordinator is to know.
    Failed(ConnectorError),
}

impl From<ConnectorError> for Stop {
    fn from(error: ConnectorError) -> Stop {
        Stop::Failed(error)
    }
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something; there may be more.
    Worked,
    /// Nothing: there is no command, no row and no timer.
    Nothing,
    /// Nothing: the sinks hold as much as they may, and only a command can change that.
    Full,
    /// Nothing: a new version's state is not open, and only a command can change that.
    Reopening,
    /// Nothing: behind the last barrier there are only commands.
    Last,
}

/// Where a subtask stands between two steps.
#[derive(Debug, Default)]
pub struct Progress {
    /// The last barrier is delivered.
    last: bool,
    /// The coordinator knows that all sources have ended.
    told_end: bool,
    /// The source that was polled last.
    source: usize,
    /// Polls in a row that found nothing.
    idle: usize,
    batches: u32,
    /// When the lag was noted last.
    lag_noted: Duration,
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
        let (mut progress, waits) = (Progress::default(), self.waits.clone());
        let mut watch = waits.watch();
        loop {
            match self.step(&mut progress)? {
                Step::Worked => {}
                Step::Nothing => waits.idle(|| self.wait())?,
                // With nowhere to put anything only a command can change that.
                step @ (Step::Full | Step::Last | Step::Reopening) => {
                    let before = self.clock.monotonic();
                    let command = self.await_command(step == Step::Last)?;
                    if step != Step::Last {
                        self.meters.paused(self.clock.monotonic() - before);
                    }
                    self.commanded(command, &mut progress)?;
                }
            }
            waits.worked(&mut watch);
        }
    }

    /// The next command, however long it takes. The wait is counted as it goes on.
    fn await_command(&self, nothing_to_do: bool) -> Result<Command, Stop> {
        loop {
            let wait = || self.commands.recv_timeout(COUNTED_WAIT);
            let command = match nothing_to_do {
                true => self.waits.idle(wait),
                false => self.waits.back_pressured(wait),
            };
            match command {
                Ok(command) => return Ok(command),
                Err(RecvTimeoutError::Disconnected) => return Err(Stop::Abandoned),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// One step: a command, a round of timers, what came from another subtask, or a batch of a source. Waits nowhere but
    /// in a source that has had nothing for a while, for room in a full sink or channel, and for a decision where the
    /// guarantee is at most once.
    pub fn step(&mut self, progress: &mut Progress) -> Result<Step, Stop> {
        self.chain.now(self.clock.wall_ms());
        let full = self.chain.held_bytes() >= self.sink_buffer_bytes_max;
        let ended = self.chain.has_ended();
        if ended && !progress.told_end && self.chain.sources() > 0 {
            progress.told_end = true;
            self.report(Report::Ended { subtask: self.number })?;
        }
        match self.commands.try_recv() {
            Ok(command) => {
                self.commanded(command, progress)?;
                return Ok(Step::Worked);
            }
            Err(TryRecvError::Disconnected) => return Err(Stop::Abandoned),
            Err(TryRecvError::Empty) if progress.last => return Ok(Step::Last),
            Err(TryRecvError::Empty) if self.chain.is_reopening() => return Ok(Step::Reopening),
            Err(TryRecvError::Empty) if full => return Ok(Step::Full),
            Err(TryRecvError::Empty) => {}
        }
        self.chain.advance_sources(self.clock.monotonic());
        if self.turn()? {
            if let Some(arrived) = self.inbox.next_barrier(self.clock.monotonic()) {
                self.arrived(arrived, progress)?;
            }
            return Ok(Step::Worked);
        }
        if let Some(arrived) = self.inbox.next(self.clock.monotonic()) {
            progress.idle = 0;
            self.arrived(arrived, progress)?;
            return Ok(Step::Worked);
        }
        if ended || self.inbox.own_is_held() {
            return Ok(Step::Nothing);
        }
        self.read(progress)?;
        Ok(Step::Worked)
    }

    /// Takes a batch from the next source, if it has one, as far as it goes.
    fn read(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        let sources = self.chain.sources();
        progress.source = (progress.source + 1) % sources;
        let patience = if self.inbox.has_no_channels() { IDLE_WAIT } else { SHORT_WAIT };
        let wait = if progress.idle >= sources { patience } else { Duration::ZERO };
        let now = self.clock.monotonic();
        let polled = match wait {
            Duration::ZERO => self.chain.poll(progress.source, wait, now)?,
            _ => self.waits.idle(|| self.chain.poll(progress.source, wait, now))?,
        };
        match polled {
            None => progress.idle += 1,
            Some(batch) => {
                progress.idle = 0;
                if self.guarantee == Guarantee::AtMostOnce {
                    progress.last |= self.decide_first()?;
                }
                self.process(progress.source, batch)?;
                progress.batches = progress.batches.wrapping_add(1);
            }
        }
        let due = now.saturating_sub(progress.lag_noted) >= LAG_EVERY;
        if due || progress.idle == sources || progress.batches.is_multiple_of(LAG_EVERY_BATCHES) {
            progress.lag_noted = now;
            self.note_lag();
        }
        Ok(())
    }

    fn note_lag(&self) {
        self.waits.meters.lag.set(self.chain.lag().map_or(-1, |lag| lag as i64));
        self.chain.note_progress();
    }

    fn commanded(&mut self, command: Command, progress: &mut Progress) -> Result<(), Stop> {
        progress.told_end &= !matches!(command, Command::AddPartitions { .. });
        progress.last |= self.obey(command)?;
        Ok(())
    }

    /// Nothing to read: waits for a command, for another subtask's rows, or for a timer.
    fn wait(&mut self) -> Result<(), Stop> {
        let due = self.chain.next_processing_time()?;
        let timeout =
            due.map_or(IDLE_WAIT, |ms| Duration::from_millis(ms.max(0).unsigned_abs())).min(IDLE_WAIT);
        if self.inbox.has_no_channels() {
            let mut select = crossbeam_channel::Select::new();
            select.recv(&self.commands);
            let _ = select.ready_timeout(timeout);
            return Ok(());
        }
        let mut select = crossbeam_channel::Select::new();
        select.recv(&self.commands);
        select.recv(self.inbox.parcels());
        let _ = select.ready_timeout(timeout);
        Ok(())
    }

    /// One round of timers, or one watermark passed on.
    fn turn(&mut self) -> Result<bool, Stop> {
        Ok(self.chain.turn(&mut || self.waits.for_room())?)
    }

    /// What came from other subtasks.
    fn arrived(&mut self, arrived: Arrived, progress: &mut Progress) -> Result<(), Stop> {
        match arrived {
            Arrived::Rows(exchange, batch) => {
                self.chain.process_exchanged(exchange, batch, &mut || self.waits.for_room())?;
            }
            Arrived::Watermark(exchange, watermark) => self.chain.advance_exchanged(exchange, watermark),
            Arrived::Aligned(barrier) => {
                // A barrier can overtake the command that opened its epoch, while this subtask is in a long call.
                while let Ok(command) = self.commands.try_recv() {
                    self.commanded(command, progress)?;
                }
                progress.last |= self.snapshot(barrier)?;
            }
        }
        Ok(())
    }

    /// Every input has delivered the barrier. Returns true behind the last one.
    fn snapshot(&mut self, barrier: Barrier) -> Result<bool, Stop> {
        // The barrier came with the rows, beside the commands: what was said before it was sent is here by now, such as
        // a new version. To a subtask with sources it came behind them.
        while self.chain.sources() == 0
            && let Ok(command) = self.commands.try_recv()
        {
            self.obey(command)?;
        }
        let before = self.clock.monotonic();
        let mut snapshot = self.chain.barrier(barrier)?;
        let after = self.clock.monotonic();
        snapshot.froze = after - before;
        self.note_lag();
        self.meters.paused(after - before);
        self.meters.barrier_pauses.add(after - before);
        self.meters.aligned(self.inbox.release(after));
        self.report(Report::Delivered { subtask: self.number, epoch: barrier.epoch, snapshot })?;
        Ok(barrier.last)
    }

    fn report(&self, report: Report) -> Result<(), Stop> {
        self.reports.send(report).map_err(|_| Stop::Abandoned)
    }

    fn process(&mut self, source: usize, batch: Batch) -> Result<(), Stop> {
        Ok(self.chain.process(source, batch, &mut || self.waits.for_room())?)
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
                let before = self.clock.monotonic();
                self.chain.open(epoch, &mut || self.waits.for_room())?;
                self.meters.paused(self.clock.monotonic() - before);
                Ok(false)
            }
            Command::AddPartitions { source, start } => {
                self.chain.add_partitions(source, &start)?;
                Ok(false)
            }
            Command::Barrier(barrier) => {
                if barrier.last {
                    // What an end of input has set off belongs in front of the last barrier.
                    self.chain.advance_sources(self.clock.monotonic());
                    while self.turn()? {}
                }
                match self.inbox.own_barrier(barrier, self.clock.monotonic()) {
                    Some(aligned) => self.snapshot(aligned),
                    None => Ok(false),
                }
            }
            Command::Proceed => Ok(false),
            Command::Swap(successor) => {
                self.chain.take_successor(*successor);
                Ok(false)
            }
            Command::Reopen { checkpoint, parts } => {
                let before = self.clock.monotonic();
                self.chain.reopen(&checkpoint, &parts)?;
                self.meters.paused(self.clock.monotonic() - before);
                Ok(false)
            }
            Command::SetLimits { operator, limits } => {
                self.chain.set_limits(operator, &limits);
                Ok(false)
            }
        }
    }
}
