//! The longest time without a record, for each checkpoint. A window goes from one decision to the next: in it lie the
//! opening of an epoch, with what was held back meanwhile, and the barrier that ends it.

use super::clock::UnixMs;

/// A decided checkpoint, as weir says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decided {
    /// When it was said.
    pub at: UnixMs,
    /// From its barrier on.
    pub took_ms: f64,
    /// The longest time since the decision before in which nothing came out of the operator, on one subtask.
    pub gap_ms: f64,
}

/// Records that the broker appended in one millisecond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Append {
    /// When.
    pub at: UnixMs,
    /// The next version wrote them.
    pub next: bool,
}

/// What was seen between two decisions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The decision before.
    pub from: UnixMs,
    /// Its own decision.
    pub to: UnixMs,
    /// The longest time without a record behind the operator, on one subtask, in milliseconds.
    pub operator_gap_ms: f64,
    /// The longest time between two appends of one subtask that ended in it, in milliseconds.
    pub broker_gap_ms: f64,
    /// From its barrier to its decision.
    pub took_ms: f64,
}

/// Something that was done to the pipeline while it was watched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Watched from here, under steady load.
    pub from: UnixMs,
    /// When it was asked for.
    pub asked: UnixMs,
    /// When it was done.
    pub done: UnixMs,
    /// Watched until here.
    pub to: UnixMs,
}

impl Step {
    /// True where it can be seen in the window. The window behind it belongs to it: there the output appears that was
    /// held back during its last decision.
    fn touches(&self, window: &Window) -> bool {
        window.to > self.asked && window.from <= self.done
    }
}

/// All windows of a run.
pub fn windows(decided: &[Decided], subtasks: &[Vec<Append>]) -> Vec<Window> {
    let pairs = decided.windows(2);
    pairs
        .map(|pair| {
            let (from, to) = (pair[0].at, pair[1].at);
            let gaps = subtasks.iter().map(|appends| longest_gap_ms(appends, from, to));
            Window {
                from,
                to,
                operator_gap_ms: pair[1].gap_ms,
                broker_gap_ms: gaps.fold(0.0, f64::max),
                took_ms: pair[1].took_ms,
            }
        })
        .collect()
}

/// The longest time between two appends, of which the second is behind `from` and not behind `to`.
pub fn longest_gap_ms(appends: &[Append], from: UnixMs, to: UnixMs) -> f64 {
    let ended = appends.windows(2).filter(|pair| pair[1].at > from && pair[1].at <= to);
    ended.map(|pair| (pair[1].at - pair[0].at) as f64).fold(0.0, f64::max)
}

/// The windows in which nothing was done.
pub fn ordinary<'a>(windows: &'a [Window], steps: &'a [Step]) -> impl Iterator<Item = &'a Window> {
    windows.iter().filter(|window| {
        let watched = |step: &Step| step.from <= window.from && window.to <= step.to;
        steps.iter().any(watched) && !steps.iter().any(|step| step.touches(window))
    })
}

/// The window that ended with the decision which was told at a time.
pub fn ended_by(windows: &[Window], told: UnixMs) -> Option<&Window> {
    windows.iter().rev().find(|window| window.to <= told)
}

/// The windows in which something can be seen.
pub fn touched<'a>(windows: &'a [Window], step: &'a Step) -> impl Iterator<Item = &'a Window> {
    windows.iter().filter(|window| step.touches(window))
}

/// The first append of a version behind a time, over all subtasks.
pub fn first_append(subtasks: &[Vec<Append>], behind: UnixMs, next: bool) -> Option<UnixMs> {
    let first = |appends: &Vec<Append>| {
        appends.iter().find(|append| append.at > behind && append.next == next).map(|append| append.at)
    };
    subtasks.iter().filter_map(first).min()
}

/// The last append of any version not behind a time, over all subtasks.
pub fn last_append(subtasks: &[Vec<Append>], until: UnixMs) -> Option<UnixMs> {
    let last = |appends: &Vec<Append>| {
        appends.iter().rev().find(|append| append.at <= until).map(|append| append.at)
    };
    subtasks.iter().filter_map(last).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appends(times: &[UnixMs]) -> Vec<Append> {
        times.iter().map(|at| Append { at: *at, next: *at >= 500 }).collect()
    }

    fn decided(times: &[UnixMs]) -> Vec<Decided> {
        times.iter().map(|at| Decided { at: *at, took_ms: 1.0, gap_ms: *at as f64 / 10.0 }).collect()
    }

    #[test]
    fn a_gap_belongs_to_the_window_in_which_it_ends() {
        let appends = appends(&[0, 10, 190, 200, 210, 450]);
        assert_eq!(longest_gap_ms(&appends, 0, 100), 10.0);
        assert_eq!(longest_gap_ms(&appends, 100, 200), 180.0);
        assert_eq!(longest_gap_ms(&appends, 200, 449), 10.0);
        assert_eq!(longest_gap_ms(&appends, 200, 450), 240.0);
        assert_eq!(longest_gap_ms(&appends, 450, 900), 0.0);
    }

    #[test]
    fn a_window_has_the_gap_of_its_worst_subtask() {
        let subtasks = [appends(&[0, 10, 90]), appends(&[0, 50, 95])];
        let windows = windows(&decided(&[0, 100]), &subtasks);
        assert_eq!((windows.len(), windows[0].broker_gap_ms, windows[0].operator_gap_ms), (1, 80.0, 10.0));
    }

    #[test]
    fn ordinary_windows_are_watched_and_untouched() {
        let windows = windows(&decided(&[0, 100, 200, 300, 400, 500, 600, 700, 800]), &[]);
        let step = Step { from: 100, asked: 250, done: 400, to: 700 };
        let ends = |found: Vec<&Window>| found.iter().map(|window| window.to).collect::<Vec<_>>();
        assert_eq!(ends(touched(&windows, &step).collect()), [300, 400, 500]);
        assert_eq!(ends(ordinary(&windows, &[step]).collect()), [200, 600, 700]);
        assert_eq!(ended_by(&windows, 402).map(|window| window.to), Some(400));
    }

    #[test]
    fn versions_are_told_apart_by_their_appends() {
        let subtasks = [appends(&[100, 480, 510]), appends(&[100, 520])];
        assert_eq!(first_append(&subtasks, 0, true), Some(510));
        assert_eq!(first_append(&subtasks, 100, false), Some(480));
        assert_eq!(last_append(&subtasks, 490), Some(480));
        assert_eq!(first_append(&subtasks, 520, true), None);
    }
}
