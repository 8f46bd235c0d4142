//! What can happen to a life of the host, and how often.

use crate::harness::moments::Moments;
use proxy::{Action, Api};
use std::fmt;
use std::time::Duration;

/// The end of a life, or what it has to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Kill -9 so long after the start, wherever it is then: mostly in recovery.
    KillAfterStart(Duration),
    /// Kill -9 so long after it has recovered.
    KillAfterRecovery(Duration),
    /// SIGTERM so long after it has recovered, and kill -9 so much later if it is not gone.
    Stop(Duration, Duration),
    /// SIGSTOP so long after it has recovered, SIGCONT so much later; it lives on until it has decided more, and is
    /// killed.
    Pause(Duration, Duration),
    /// Kill -9 of the broker so long after the host has recovered; the host lives on until it has decided more, and is
    /// killed.
    KillBroker(Duration),
    /// No life at all: all dead letters come back, and fail again; kill -9 so long after the start of that, where there is a
    /// time.
    Replay(Option<Duration>),
    /// The pipeline file names an operator that cannot do its work, for this life only.
    BadOperator(Bad),
    /// A request meets a fault of the network, in the start or so long after the host has recovered; it goes on, and is
    /// killed.
    Network(Duration, NetworkFault),
    /// All connections end so long after the host has recovered; it goes on, and is killed.
    Cut(Duration),
    /// So long after the host has recovered its disk is full but for so many bytes, until something had no room.
    FullDisk(Duration, u64),
    /// A second copy of the pipeline starts so long after the host has recovered; one of them goes on. With the second
    /// time the first is asked to stop so much later, as in a rolling update.
    Copy(Duration, Option<Duration>),
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkFault {
    /// Which.
    pub api: Api,
    /// Behind so many.
    pub skip: u32,
    /// What.
    pub action: Action,
}

impl fmt::Display for NetworkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.action, self.api)
    }
}

/// What can become of a request.
const ACTIONS: [Action; 7] = [
    Action::LoseAnswer,
    Action::BlackHole,
    Action::LoseRequest,
    Action::Delay(Duration::from_millis(500)),
    Action::Hold,
    Action::Cut,
    Action::Duplicate,
];

/// What is left free on a full disk: the less, the earlier something fails.
const LEFT: [u64; 4] = [0, 16 << 10, 128 << 10, 1 << 20];

fn one_of<T: Copy>(moments: &mut Moments, all: &[T]) -> T {
    all[moments.next(all.len() as u64) as usize]
}

/// What is wrong with an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// It keeps other state than the one whose place it takes: its start is refused.
    OtherState,
    /// It traps at its first batch: the pipeline starts again and again, for so long, or fails.
    Traps(Duration),
}

/// Subtasks per operator of a life.
const PARALLELISM: [usize; 8] = [2, 2, 2, 2, 1, 1, 4, 3];

/// Of so many lives one sees the broker die.
const BROKER_EVERY: u64 = 40;

/// Of so many lives one is a replay: each writes all letters so far again.
const REPLAY_EVERY: u64 = 20;

/// The next fault.
pub fn next(moments: &mut Moments, brokers_die: bool) -> Fault {
    let mut ms = |from: u64, to: u64| Duration::from_millis(from + moments.next(to - from));
    let (soon, start, pause, patience) = (ms(0, 1000), ms(0, 2000), ms(200, 3000), ms(0, 400));
    let (traps, replay) = (ms(500, 4000), ms(0, 4000));
    if moments.next(REPLAY_EVERY) == 0 {
        return Fault::Replay((moments.next(3) > 0).then_some(replay));
    }
    if moments.next(BROKER_EVERY) == 0 && brokers_die {
        return Fault::KillBroker(soon);
    }
    match moments.next(32) {
        0..=4 => Fault::KillAfterStart(start),
        5 => Fault::Pause(soon, pause),
        6 | 7 => Fault::Stop(soon, patience),
        8 => Fault::BadOperator(Bad::OtherState),
        9 => Fault::BadOperator(Bad::Traps(traps)),
        10..=15 => {
            let (api, action) = (one_of(moments, &proxy::rule::APIS), one_of(moments, &ACTIONS));
            Fault::Network(soon, NetworkFault { api, skip: moments.next(3) as u32, action })
        }
        16 => Fault::Cut(soon),
        17 | 18 => Fault::FullDisk(soon, one_of(moments, &LEFT)),
        19 | 20 => Fault::Copy(soon, None),
        21 | 22 => Fault::Copy(soon, Some(patience)),
        _ => Fault::KillAfterRecovery(soon),
    }
}

/// Subtasks of the next life.
pub fn parallelism(moments: &mut Moments) -> usize {
    PARALLELISM[moments.next(PARALLELISM.len() as u64) as usize]
}
