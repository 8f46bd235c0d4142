//! The timers of one declaration: a set of (key, time), of which the earliest fire first.
//!
//! A database that has deleted its first million keys walks over their remains whenever it is asked for its first key. So
//! the set remembers a *floor*, and looks only from there on:
//!
//! - **T1** Every timer that is set lies at the floor or above it, or is one of `early`.
//! - **T2** The floor rises only over places where nothing is set; a timer that is set below it goes to `early`, as a
//!   timer in the past does.
//! - **T3** `early` is bounded: when it is full, the floor comes down to its first.

use super::Stored;
use super::layer::FrozenLayer;
use super::layers::Layers;
use super::timer_key::{BEHIND_ALL_TIMERS, TimerKey, behind_time};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Timers below the floor that are kept in memory a second time, at most. Few in tests, so that the floor comes down.
const EARLY_TIMERS_MAX: usize = if cfg!(test) { 3 } else { 1024 };

/// One declared timer.
pub struct TimerSet {
    layers: Layers,
    floor: Vec<u8>,
    /// A timer is set exactly at the floor.
    is_set_at_floor: bool,
    early: BTreeSet<TimerKey>,
    /// What the last `due` told.
    due: Vec<TimerKey>,
    firing: Firing,
}

/// What the next commit means for the timers of the last `due`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Firing {
    /// They wait for a call to begin.
    Told,
    /// The running call is theirs.
    Called,
    /// None: there are none, or their call was discarded.
    No,
}

impl TimerSet {
    /// The timers of a column family.
    pub fn new(stored: Box<dyn Stored>) -> TimerSet {
        TimerSet {
            layers: Layers::new(stored),
            floor: Vec::new(),
            is_set_at_floor: false,
            early: BTreeSet::new(),
            due: Vec::new(),
            firing: Firing::No,
        }
    }

    /// A call begins, of whatever timer or input. If it is the first one since `due`, it is the call of those timers.
    pub fn begin(&mut self) {
        self.firing = if self.firing == Firing::Told { Firing::Called } else { Firing::No };
    }

    /// Sets a timer.
    pub fn register(&mut self, time_ms: i64, key: Option<&[u8]>) {
        self.layers.put(TimerKey::new(time_ms, key).into_bytes(), Some(Vec::new()));
    }

    /// Removes a timer, if it is set.
    pub fn delete(&mut self, time_ms: i64, key: Option<&[u8]>) {
        self.layers.put(TimerKey::new(time_ms, key).into_bytes(), None);
    }

    /// The call has happened: the timers that it fired are gone, unless it has set them again.
    pub fn commit(&mut self) {
        if self.firing == Firing::Called {
            for timer in std::mem::take(&mut self.due) {
                self.remove(timer);
            }
        }
        self.firing = Firing::No;
        for (key, value) in &self.layers.written().entries {
            let is_set = value.is_some();
            if *key == self.floor {
                self.is_set_at_floor = is_set;
            } else if *key < self.floor {
                let timer = TimerKey::from_stored(key).expect("`register` and `delete` make timer keys");
                if is_set {
                    self.early.insert(timer);
                } else {
                    self.early.remove(&timer);
                }
            }
        }
        self.layers.commit();
        if self.early.len() > EARLY_TIMERS_MAX
            && let Some(first) = self.early.pop_first()
        {
            self.early.clear();
            self.floor = first.into_bytes();
            self.is_set_at_floor = true;
        }
    }

    /// The call has not happened. The timers that it was to fire are still set.
    pub fn discard(&mut self) {
        self.firing = Firing::No;
        self.layers.discard();
    }

    /// The time of the earliest timer. Cheap: it is remembered until it may have changed. Not within a call.
    pub fn next_due(&mut self) -> Result<Option<i64>, String> {
        assert!(self.layers.written().is_empty(), "timers are asked for between calls");
        if let Some(first) = self.early.first() {
            return Ok(Some(first.time_ms()));
        }
        if !self.is_set_at_floor {
            self.find_floor(&BEHIND_ALL_TIMERS)?;
        }
        if !self.is_set_at_floor {
            return Ok(None);
        }
        Ok(Some(TimerKey::from_stored(&self.floor)?.time_ms()))
    }

    /// Up to `rows_max` timers whose time is at most `until_ms`, in order of time, then of key. They are still set; the
    /// call that is begun next removes them when it is committed. Not within a call.
    pub fn due(&mut self, until_ms: i64, rows_max: usize) -> Result<&[TimerKey], String> {
        assert!(self.layers.written().is_empty(), "timers are asked for between calls");
        self.due.clear();
        self.firing = Firing::Told;
        let found = self.find_due(until_ms, rows_max);
        if found.is_err() {
            self.due.clear();
        }
        found.map(|()| self.due.as_slice())
    }

    fn find_due(&mut self, until_ms: i64, rows_max: usize) -> Result<(), String> {
        let early = self.early.iter().take_while(|timer| timer.time_ms() <= until_ms);
        self.due.extend(early.take(rows_max).cloned());
        if self.due.len() >= rows_max {
            return Ok(());
        }
        let until = behind_time(until_ms);
        if !self.is_set_at_floor {
            self.find_floor(&until)?;
        }
        if !self.is_set_at_floor {
            return Ok(());
        }
        let (due, mut damage) = (&mut self.due, None);
        self.layers.scan(&self.floor, &until, &mut |key, _| {
            match TimerKey::from_stored(key) {
                Ok(timer) => due.push(timer),
                Err(error) => damage = Some(error),
            }
            damage.is_none() && due.len() < rows_max
        })?;
        damage.map_or(Ok(()), Err)
    }

    /// Removes timers of the last `due` whose call was discarded: they will not fire again. Rows that it did not tell
    /// are passed over. Not within a call.
    pub fn drop_due(&mut self, rows: &[usize]) {
        for row in rows {
            if let Some(timer) = self.due.get(*row) {
                self.remove(timer.clone());
            }
        }
    }

    /// Raises the floor to the first timer below `until`, or, where there is none, to `until`.
    fn find_floor(&mut self, until: &[u8]) -> Result<(), String> {
        let mut first = None;
        self.layers.scan(&self.floor, until, &mut |key, _| {
            first = Some(key.to_vec());
            false
        })?;
        self.is_set_at_floor = first.is_some();
        let floor = first.unwrap_or_else(|| until.to_vec());
        if floor > self.floor {
            self.floor = floor;
        }
        Ok(())
    }

    /// Removes a timer outside of calls. Those that fire stand at the floor one after the other, and take it with them.
    fn remove(&mut self, timer: TimerKey) {
        if timer.as_bytes() == self.floor.as_slice() {
            self.is_set_at_floor = false;
        }
        self.early.remove(&timer);
        self.layers.delete_committed(timer.into_bytes());
    }

    /// The barrier: takes what was written since the last one. An earlier set that was not persisted is part of it.
    pub fn freeze(&mut self) -> Arc<FrozenLayer> {
        self.layers.freeze()
    }

    /// The database has this frozen layer. One that a later freeze has replaced is passed over.
    pub fn persisted(&mut self, layer: &Arc<FrozenLayer>) {
        self.layers.persisted(layer);
    }

    /// Bytes that the running call wrote.
    pub fn overlay_bytes(&self) -> usize {
        self.layers.overlay_bytes()
    }

    /// Bytes of memory of what was written and is not frozen.
    pub fn dirty_bytes(&self) -> usize {
        self.layers.dirty_bytes()
    }

    /// Timers set, deleted or fired, and not frozen.
    pub fn dirty_entries(&self) -> usize {
        self.layers.dirty_entries()
    }

    /// Bytes of memory in all, the frozen layer included.
    pub fn memory_bytes(&self) -> usize {
        self.layers.memory_bytes()
    }
}
