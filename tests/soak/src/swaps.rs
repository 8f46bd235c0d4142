//! What is asked for in a life of `weir serve`: kinds of versions, what happens beside a swap, and how it may end.

use crate::harness::moments::Moments;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// What is swapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Bytes that were never there, and that behave.
    Good,
    /// A good version that ran before, or could have.
    Older,
    /// The bytes that run.
    Same,
    /// The version before, by the route that goes back.
    Back,
    /// Traps in the second half of each hundred of a key.
    Traps,
    /// Rejects good records there.
    Rejects,
    /// Needs a hundred times the processor time.
    Slow,
    /// Keeps state of the same name and another kind.
    OtherState,
    /// Was rolled back before, and is not forced.
    Remembered,
}

/// How a swap has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// The new version runs.
    Completed,
    /// It took itself back.
    RolledBack,
    /// Something else ended probation.
    Interrupted,
    /// By request.
    Cancelled,
    /// It could not be prepared.
    Failed,
    /// The request was answered with what is in the way.
    Refused,
    /// Killed with the host before anything was written down.
    NotBegun,
}

/// When something happens beside a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long after the request was sent.
    AfterAsking(Duration),
    /// So long after probation was seen to begin.
    InProbation(Duration),
    /// So long after its end.
    AfterEnd(Duration),
}

/// What happens beside a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// The pipeline recovers while the swap is asked for.
    Recovery,
    /// The swap is cancelled so long after it was begun.
    Cancel(Duration),
    /// Another swap is asked for so long after it was begun.
    Second(Duration),
    /// SIGSTOP for a while.
    Pause(When, Duration),
    /// Kill -9 of the broker, which comes back.
    KillBroker(When),
    /// Kill -9 of the host.
    Kill(When),
    /// SIGTERM.
    Stop(When),
}

impl Kind {
    /// The guest that is uploaded for it.
    pub fn built(self) -> &'static str {
        match self {
            Kind::Traps => "swap_traps",
            Kind::Rejects => "swap_rejects",
            Kind::Slow => "swap_slow",
            Kind::OtherState => "swap_breaks_state",
            Kind::Good | Kind::Older | Kind::Same | Kind::Back | Kind::Remembered => "swap_good",
        }
    }

    /// True where the version shows on probation what it is.
    pub fn is_bad(self) -> bool {
        matches!(self, Kind::Traps | Kind::Rejects | Kind::Slow)
    }

    /// How it ends where nothing happens beside it.
    pub fn own_ending(self) -> Ending {
        match self {
            Kind::Good | Kind::Older | Kind::Same | Kind::Back => Ending::Completed,
            Kind::Traps | Kind::Rejects | Kind::Slow => Ending::RolledBack,
            Kind::OtherState | Kind::Remembered => Ending::Refused,
        }
    }

    /// The rules that it is judged by: a good one as shortly as can be, a bad one until each key has gone through a whole
    /// hundred of its counts, or it may not have shown what it is.
    pub fn rules(self, moments: &mut Moments) -> Value {
        if self.is_bad() {
            return json!({"probation": {"time": "1s", "records": 10_000}});
        }
        let (time, records) = (200 + moments.next(1000), 20 + moments.next(400));
        json!({"probation": {"time": format!("{time}ms"), "records": records}})
    }

    /// May it have ended so?
    pub fn may_end(self, beside: Beside, ending: Ending) -> bool {
        if ending == self.own_ending() {
            return true;
        }
        match beside {
            Beside::Nothing | Beside::Second(_) => false,
            Beside::Cancel(_) => ending == Ending::Cancelled,
            Beside::Kill(When::AfterEnd(_)) | Beside::Stop(When::AfterEnd(_)) => false,
            Beside::Pause(When::AfterEnd(_), _) | Beside::KillBroker(When::AfterEnd(_)) => false,
            Beside::Kill(_) => matches!(ending, Ending::Interrupted | Ending::NotBegun),
            Beside::Stop(_) => {
                matches!(ending, Ending::Interrupted | Ending::Failed | Ending::Refused | Ending::NotBegun)
            }
            Beside::Pause(..) | Beside::KillBroker(_) | Beside::Recovery => {
                matches!(ending, Ending::Interrupted | Ending::Failed | Ending::Refused)
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Good => "good",
            Kind::Older => "older",
            Kind::Same => "the same bytes",
            Kind::Back => "rollback",
            Kind::Traps => "trapping",
            Kind::Rejects => "rejecting",
            Kind::Slow => "slow",
            Kind::OtherState => "state-breaking",
            Kind::Remembered => "remembered",
        }
    }
}

impl Ending {
    /// All of them.
    pub const ALL: [Ending; 7] = [
        Ending::Completed,
        Ending::RolledBack,
        Ending::Interrupted,
        Ending::Cancelled,
        Ending::Failed,
        Ending::Refused,
        Ending::NotBegun,
    ];

    /// The end that the server tells; none while it is open.
    pub fn told(state: &str) -> Option<Ending> {
        let told = |ending: &Ending| *ending != Ending::Refused && *ending != Ending::NotBegun;
        Ending::ALL.into_iter().filter(told).find(|ending| ending.name() == state)
    }

    fn name(self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::RolledBack => "rolled_back",
            Ending::Interrupted => "interrupted",
            Ending::Cancelled => "cancelled",
            Ending::Failed => "failed",
            Ending::Refused => "refused",
            Ending::NotBegun => "not begun",
        }
    }
}

impl Beside {
    /// True where the incarnation may end for it.
    pub fn disturbs(self) -> bool {
        !matches!(self, Beside::Nothing | Beside::Cancel(_) | Beside::Second(_))
    }

    /// When the host or the broker is disturbed, where one is.
    pub fn when(self) -> Option<When> {
        match self {
            Beside::Pause(when, _) | Beside::KillBroker(when) | Beside::Kill(when) | Beside::Stop(when) => {
                Some(when)
            }
            Beside::Nothing | Beside::Recovery | Beside::Cancel(_) | Beside::Second(_) => None,
        }
    }

    /// True where the host ends for it.
    pub fn ends_the_host(self) -> bool {
        matches!(self, Beside::Kill(_) | Beside::Stop(_))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::AfterAsking(time) => write!(f, "{time:?} after the request"),
            When::InProbation(time) => write!(f, "{time:?} into probation"),
            When::AfterEnd(time) => write!(f, "{time:?} after the end"),
        }
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Beside::Nothing => Ok(()),
            Beside::Recovery => write!(f, ", in recovery"),
            Beside::Cancel(time) => write!(f, ", cancelled {time:?} later"),
            Beside::Second(time) => write!(f, ", another {time:?} later"),
            Beside::Pause(when, time) => write!(f, ", paused for {time:?} {when}"),
            Beside::KillBroker(when) => write!(f, ", kill -9 of the broker {when}"),
            Beside::Kill(when) => write!(f, ", kill -9 {when}"),
            Beside::Stop(when) => write!(f, ", stopped {when}"),
        }
    }
}

/// What is asked for next.
pub fn next(moments: &mut Moments, brokers_die: bool) -> (Kind, Beside) {
    let kind = match moments.next(20) {
        0..=4 => Kind::Good,
        5 | 6 => Kind::Older,
        7 => Kind::Same,
        8 => Kind::Back,
        9..=11 => Kind::Traps,
        12..=14 => Kind::Rejects,
        15 | 16 => Kind::Slow,
        17 | 18 => Kind::OtherState,
        _ => Kind::Remembered,
    };
    let when = when(moments);
    let mut ms = |from: u64, to: u64| Duration::from_millis(from + moments.next(to - from));
    let (soon, pause) = (ms(0, 300), ms(200, 3000));
    let beside = match moments.next(40) {
        0 if brokers_die => Beside::KillBroker(when),
        1..=3 => Beside::Pause(when, pause),
        4..=13 => Beside::Kill(when),
        14 | 15 => Beside::Stop(when),
        16..=20 => Beside::Cancel(soon),
        21..=24 => Beside::Second(soon),
        _ => Beside::Nothing,
    };
    (kind, beside)
}

fn when(moments: &mut Moments) -> When {
    let ms = |ms: u64| Duration::from_millis(ms);
    match moments.next(5) {
        0 | 1 => When::AfterAsking(ms(moments.next(1500))),
        2 | 3 => When::InProbation(ms(moments.next(1000))),
        _ => When::AfterEnd(ms(moments.next(500))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 9] = [
        Kind::Good,
        Kind::Older,
        Kind::Same,
        Kind::Back,
        Kind::Traps,
        Kind::Rejects,
        Kind::Slow,
        Kind::OtherState,
        Kind::Remembered,
    ];

    fn everything_beside() -> Vec<Beside> {
        let (now, mut all) = (Duration::ZERO, vec![Beside::Nothing, Beside::Recovery]);
        all.extend([Beside::Cancel(now), Beside::Second(now)]);
        for when in [When::AfterAsking(now), When::InProbation(now), When::AfterEnd(now)] {
            all.extend([Beside::Pause(when, now), Beside::KillBroker(when)]);
            all.extend([Beside::Kill(when), Beside::Stop(when)]);
        }
        all
    }

    #[test]
    fn a_bad_version_never_completes_and_a_good_one_never_rolls_back_whatever_happens() {
        for beside in everything_beside() {
            for kind in KINDS {
                let own = kind.own_ending();
                for strange in [Ending::Completed, Ending::RolledBack] {
                    assert_eq!(kind.may_end(beside, strange), own == strange, "{kind}{beside}: {strange}");
                }
            }
        }
    }

    #[test]
    fn undisturbed_a_swap_has_one_ending() {
        for kind in KINDS {
            let endings = Ending::ALL.into_iter().filter(|ending| kind.may_end(Beside::Nothing, *ending));
            assert_eq!(endings.collect::<Vec<_>>(), [kind.own_ending()]);
        }
    }

    #[test]
    fn every_kind_and_everything_beside_comes_up() {
        let mut moments = Moments::new(1);
        let asked: Vec<_> = (0..2000).map(|_| next(&mut moments, true)).collect();
        assert!(KINDS.iter().all(|kind| asked.iter().any(|(asked, _)| asked == kind)));
        let same =
            |one: Beside, other: Beside| std::mem::discriminant(&one) == std::mem::discriminant(&other);
        // Recovery is a matter of when a life asks.
        let all = everything_beside().into_iter().filter(|beside| *beside != Beside::Recovery);
        for beside in all {
            assert!(asked.iter().any(|(_, asked)| same(*asked, beside)), "{beside:?}");
        }
    }
}
