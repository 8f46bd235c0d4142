//! What can happen to a life of the host, and how often.

use crate::harness::moments::Moments;
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
    match moments.next(20) {
        0..=4 => Fault::KillAfterStart(start),
        5 => Fault::Pause(soon, pause),
        6 | 7 => Fault::Stop(soon, patience),
        8 => Fault::BadOperator(Bad::OtherState),
        9 => Fault::BadOperator(Bad::Traps(traps)),
        _ => Fault::KillAfterRecovery(soon),
    }
}

/// Subtasks of the next life.
pub fn parallelism(moments: &mut Moments) -> usize {
    PARALLELISM[moments.next(PARALLELISM.len() as u64) as usize]
}
