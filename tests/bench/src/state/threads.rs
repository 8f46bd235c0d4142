//! CPU time by thread, as the system's scheduler counts it: the first answer to where the time goes.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// How often the threads are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);

/// The threads of one process, those that have ended included.
#[derive(Debug, Default)]
pub struct Threads {
    looked: Option<Instant>,
    /// By id: name and CPU time, as they were seen last.
    seen: BTreeMap<String, (String, Duration)>,
}

impl Threads {
    /// Takes a look, unless the last one was just now.
    pub fn look(&mut self, pid: i32) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_INTERVAL) {
            return;
        }
        self.looked = Some(Instant::now());
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
        for task in tasks.flatten() {
            let read = |name: &str| fs::read_to_string(task.path().join(name)).ok();
            let spent = || read("schedstat")?.split(' ').next()?.parse().ok();
            if let (Some(name), Some(nanoseconds)) = (read("comm"), spent()) {
                let id = task.file_name().to_string_lossy().into_owned();
                self.seen.insert(id, (name.trim().to_owned(), Duration::from_nanos(nanoseconds)));
            }
        }
    }

    /// What was spent since an earlier look, by name as in [`Threads::by_name`].
    pub fn since(&self, before: &Threads) -> Vec<(String, Duration)> {
        let spent = |(id, (name, spent)): (&String, &(String, Duration))| {
            let earlier = before.seen.get(id).map_or(Duration::ZERO, |(_, spent)| *spent);
            (id.clone(), (name.clone(), spent.saturating_sub(earlier)))
        };
        Threads { looked: None, seen: self.seen.iter().map(spent).collect() }.by_name()
    }

    /// CPU time by name without numbers, the most first.
    pub fn by_name(&self) -> Vec<(String, Duration)> {
        let mut sums: BTreeMap<String, Duration> = BTreeMap::new();
        for (name, spent) in self.seen.values() {
            let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
            *sums.entry(name.to_owned()).or_default() += *spent;
        }
        let mut sums: Vec<(String, Duration)> = sums.into_iter().collect();
        sums.sort_by_key(|(_, spent)| std::cmp::Reverse(*spent));
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_whose_names_differ_by_a_number_are_one_row() {
        let seen = |name: &str, ms| (name.to_owned(), Duration::from_millis(ms));
        let seen = [("7", seen("subtask-0", 5)), ("8", seen("subtask-1", 6)), ("9", seen("main", 20))];
        let seen = seen.into_iter().map(|(id, thread)| (id.to_owned(), thread)).collect();
        let threads = Threads { looked: None, seen };
        let names = [("main", 20), ("subtask", 11)];
        let expected = names.map(|(name, ms)| (name.to_owned(), Duration::from_millis(ms)));
        assert_eq!(threads.by_name(), expected);
    }

    #[test]
    fn what_was_spent_before_does_not_count() {
        let at = |ms| {
            let thread = ("7".to_owned(), ("subtask-0".to_owned(), Duration::from_millis(ms)));
            Threads { looked: None, seen: [thread].into() }
        };
        assert_eq!(at(9).since(&at(5)), [("subtask".to_owned(), Duration::from_millis(4))]);
    }

    #[test]
    fn the_threads_of_this_process_are_seen() {
        let mut threads = Threads::default();
        threads.look(i32::try_from(std::process::id()).unwrap());
        assert!(!threads.by_name().is_empty());
    }
}
