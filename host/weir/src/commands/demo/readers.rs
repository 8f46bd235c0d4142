//! What readers of the committed output see, and when: the longest time in which they saw nothing new.
//!
//! A thread looks at the output as any reader would: at the files that are published, or at the topic by a consumer of
//! committed records. Whenever it finds new records it notes the time since it found some before. So the gap is that of
//! a reader, and an ordinary one is as long as an epoch.

use crate::failure::Failure;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the reader looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// What goes on where nothing is done to the pipeline.
pub const NOTHING: &str = "nothing happened";
/// What goes on at the end: back-pressure makes epochs as long as the machine is slow.
pub const FULL_SPEED: &str = "the rest at full speed";

/// A reader of the output: the records that have appeared since the last look. It may wait a moment for some.
pub type Look = Box<dyn FnMut() -> Result<u64, Failure> + Send>;

/// The reader, in its thread.
pub struct Readers {
    seen: Arc<Mutex<Seen>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    records: u64,
    last: Option<Instant>,
    meanwhile: &'static str,
    longest: BTreeMap<&'static str, Duration>,
    failed: Option<String>,
}

impl Seen {
    fn saw(&mut self, records: u64, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let longest = self.longest.entry(self.meanwhile).or_default();
            *longest = now.saturating_duration_since(last).max(*longest);
        }
        self.records += records;
    }
}

impl Readers {
    /// Starts the thread.
    pub fn start(mut look: Look) -> Result<Readers, Failure> {
        let seen = Arc::new(Mutex::new(Seen { meanwhile: NOTHING, ..Seen::default() }));
        let ending = Arc::new(AtomicBool::new(false));
        let (shared, asked) = (seen.clone(), ending.clone());
        let thread = std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || {
                while !asked.load(Ordering::Relaxed) {
                    match look() {
                        Ok(0) => {}
                        Ok(records) => lock(&shared).saw(records, Instant::now()),
                        Err(failure) => {
                            lock(&shared).failed = Some(failure.message);
                            return;
                        }
                    }
                    std::thread::sleep(LOOK_INTERVAL);
                }
            })
            .map_err(|error| Failure::failed(format!("the reader cannot be started: {error}")))?;
        Ok(Readers { seen, ending, thread: Some(thread) })
    }

    /// Records seen so far.
    pub fn records(&self) -> Result<u64, Failure> {
        let seen = lock(&self.seen);
        match &seen.failed {
            Some(why) => Err(Failure::failed(format!("the output cannot be read: {why}"))),
            None => Ok(seen.records),
        }
    }

    /// What is done to the pipeline from now on.
    pub fn meanwhile(&self, what: &'static str) {
        lock(&self.seen).meanwhile = what;
    }

    /// The longest time without a new record while records came at their rate, and what was done meanwhile.
    pub fn longest_gap(&self) -> Option<(&'static str, Duration)> {
        let seen = lock(&self.seen);
        let gaps = seen.longest.iter().filter(|(what, _)| **what != FULL_SPEED);
        gaps.map(|(what, gap)| (*what, *gap)).max_by_key(|(_, gap)| *gap)
    }

    /// The longest one while this was done.
    pub fn gap_while(&self, what: &'static str) -> Option<Duration> {
        lock(&self.seen).longest.get(what).copied()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of it was printed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_belongs_to_what_was_done_when_it_ended() {
        let mut seen = Seen { meanwhile: NOTHING, ..Seen::default() };
        let begun = Instant::now();
        let at = |milliseconds| begun + Duration::from_millis(milliseconds);
        seen.saw(1, at(1000));
        assert!(seen.longest.is_empty(), "the time before the first record is no gap");
        seen.saw(1, at(1100));
        seen.meanwhile = "kill -9";
        seen.saw(1, at(1700));
        seen.saw(2, at(1900));
        let gaps = [(NOTHING, 100), ("kill -9", 600)].map(|(what, gap)| (what, Duration::from_millis(gap)));
        assert_eq!((seen.longest, seen.records), (BTreeMap::from(gaps), 5));
    }
}
