//! Lives beside which a second copy of the pipeline starts: one goes on, the other ends by itself.
//!
//! State belongs to a data directory, so the copy has one of its own: what was in the first one's a moment ago. If the
//! first decides more before the copy has fenced it, the copy lacks that checkpoint and is refused.

use super::{STUCK_AFTER, Soak, Went};
use crate::harness::waiting::{LOOK_EVERY, pause};
use crate::harness::weir::Weir;
use std::time::{Duration, Instant};

/// Exit codes of a process that another one has superseded, and of one whose recovery was refused.
const SUPERSEDED: i32 = 3;
const REFUSED: i32 = 4;

/// Epochs of the first copy are so long that the second is there before the next decision.
pub(super) const LONG_EPOCHS: &str = "checkpoint.interval=4s";

impl Soak {
    /// A second copy starts. With `rolling` the first is asked to stop so much later, as an orchestrator does.
    pub(super) fn survives_copy(
        &mut self,
        weir: &mut Weir,
        rolling: Option<Duration>,
        said: String,
    ) -> String {
        let what = if rolling.is_some() { "rolling update" } else { "second copy" };
        let said = format!("{said}, {what}");
        // Directly behind a decision there is most time until the next.
        let hint = || std::fs::read(self.keyed.job.pipeline_dir().join("LAST_COMMITTED")).unwrap_or_default();
        let (decided, begun) = (hint(), Instant::now());
        while hint() == decided {
            if weir.has_ended() || begun.elapsed() > STUCK_AFTER {
                return self.wrong(weir, &format!("the host decided nothing more, {said}"));
            }
            pause(LOOK_EVERY);
        }
        let data = self.disk.copy().display().to_string();
        let mut second = self.keyed.job.start_with(&["--data-dir", &data], &[]);
        if let Some(after) = rolling {
            pause(after);
            weir.signal(libc::SIGTERM);
            self.summary.rolling_updates += 1;
        } else {
            self.summary.copies += 1;
        }
        self.one_is_left(weir, &mut second, rolling.is_some(), said)
    }

    fn one_is_left(&mut self, first: &mut Weir, second: &mut Weir, rolling: bool, said: String) -> String {
        let begun = Instant::now();
        loop {
            if second.has_ended() {
                return match second.exit_code() {
                    SUPERSEDED | REFUSED => self.first_is_left(first, rolling, said),
                    code => self.wrong(second, &format!("the second copy ended with {code}, {said}")),
                };
            }
            if first.has_ended() {
                let code = first.exit_code();
                if code != SUPERSEDED && !(rolling && code == 0) {
                    return self.wrong(first, &format!("the first copy ended with {code}, {said}"));
                }
                return self.second_is_left(second, code == 0, said);
            }
            if begun.elapsed() > STUCK_AFTER {
                first.kill();
                return self.wrong(second, &format!("both copies go on, {said}"));
            }
            pause(LOOK_EVERY);
        }
    }

    fn first_is_left(&mut self, first: &mut Weir, rolling: bool, said: String) -> String {
        if !rolling {
            let (before, since) = (self.progress().0, Instant::now());
            return self.goes_on(first, before, since, format!("{said} ended"));
        }
        let begun = Instant::now();
        while !first.has_ended() && begun.elapsed() < STUCK_AFTER {
            pause(LOOK_EVERY);
        }
        match first.has_ended().then(|| first.exit_code()) {
            Some(0) => format!("{said} was refused, the old one stopped"),
            code => self.wrong(first, &format!("the first copy ended with {code:?}, {said}")),
        }
    }

    fn second_is_left(&mut self, second: &mut Weir, stopped: bool, said: String) -> String {
        let (before, since) = (self.settled(), Instant::now());
        match self.await_output(second, before, since) {
            Went::Recovered(time) => {
                let said = self.kill(second, format!("{said} took over, went on after {time:.2?}, kill -9"));
                self.disk.take_copy();
                said
            }
            // The first has decided its last epoch behind the copy.
            Went::Ended if stopped && second.exit_code() == REFUSED => {
                format!("{said} was refused, the old one stopped")
            }
            wrong => self.wrong(second, &format!("the second copy {wrong}, {said}")),
        }
    }
}
