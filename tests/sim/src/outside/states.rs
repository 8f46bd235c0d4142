//! Keyed state in memory, with copies in checkpoint directories. It keeps S1 to S4 of `weir_protocol::state` and
//! asserts what it may rely on.

use super::{Defect, Shared};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use weir_protocol::batch::{Batch, Column, read_i64, read_u32};
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::key_group::murmur2;
use weir_protocol::manifest::ManifestHash;
use weir_protocol::slots::Slots;
use weir_protocol::state::*;

const FILE: &str = "contents.json";

/// State, key, and subkey: empty for a value.
pub type EntryKey = (String, Vec<u8>, Vec<u8>);

/// Everything that one subtask of an operator keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The value of each entry.
    pub entries: BTreeMap<EntryKey, Vec<u8>>,
    /// Timer, time, key.
    pub timers: BTreeSet<(String, i64, Vec<u8>)>,
}

/// The same as a file holds it.
#[derive(Serialize, Deserialize)]
struct Stored {
    entries: Vec<(EntryKey, Vec<u8>)>,
    timers: Vec<(String, i64, Vec<u8>)>,
}

impl Contents {
    fn encode(&self) -> Vec<u8> {
        let entries = self.entries.iter().map(|(entry, value)| (entry.clone(), value.clone()));
        let stored = Stored { entries: entries.collect(), timers: self.timers.iter().cloned().collect() };
        serde_json::to_vec(&stored).expect("lists of texts and numbers have a JSON form")
    }

    /// Reads a part of a checkpoint.
    pub fn read(directory: &Path) -> std::io::Result<Contents> {
        let stored: Stored = serde_json::from_slice(&std::fs::read(directory.join(FILE))?)?;
        Ok(Contents {
            entries: stored.entries.into_iter().collect(),
            timers: stored.timers.into_iter().collect(),
        })
    }

    /// Adds what another part holds of the keys that `owns` is true for.
    pub fn take(&mut self, other: Contents, owns: impl Fn(&[u8]) -> bool) {
        self.entries.extend(other.entries.into_iter().filter(|((_, key, _), _)| owns(key)));
        self.timers.extend(other.timers.into_iter().filter(|(_, _, key)| owns(key)));
    }
}

/// Opens states in memory.
pub struct MemoryStates(pub Shared);

impl StateBackend for MemoryStates {
    fn open(
        &self,
        open: &OpenState<'_>,
        _: Option<&mut dyn Migrator>,
    ) -> Result<(Box<dyn KeyedState>, Restored), ConnectorError> {
        let mut outside = self.0.lock();
        outside.may_fail("a state cannot be opened", 100)?;
        let mut contents = Contents::default();
        let older = !open.restore.is_empty() && outside.plants(Defect::RestoreOlderState, 2);
        let too_little = !open.restore.is_empty() && outside.plants(Defect::RestoreTooLittle, 2);
        let missing = open.ordinals.len() as u32 / if too_little { 4 } else { u32::MAX };
        for (directory, part) in open.restore {
            let directory = if older {
                older_than(directory, part).unwrap_or(directory.clone())
            } else {
                directory.clone()
            };
            let stored = Contents::read(&directory).map_err(|error| {
                ConnectorError::permanent(format!("a restored part is gone: {}", error.kind()))
            })?;
            contents.take(stored, |key| {
                let ordinal = open.groups.ordinal(murmur2(key));
                (open.ordinals.start..open.ordinals.end - missing).contains(&ordinal)
            });
        }
        let state = MemoryState {
            outside: self.0.clone(),
            shape: open.shape.clone(),
            contents: Arc::new(Mutex::new(contents)),
            overlay: None,
            keys: Vec::new(),
            due: Vec::new(),
            frozen: std::sync::Weak::new(),
        };
        Ok((Box::new(state), Restored::default()))
    }

    fn decided(&self, _: i64) {}

    fn check_quickly(&self, directory: &Path, part: &StatePart) -> Result<(), String> {
        for file in &part.files {
            let size =
                std::fs::metadata(directory.join(&file.name)).map_err(|error| error.to_string())?.len();
            if size != file.size {
                return Err(format!("{} has {size} bytes, expected {}", file.name, file.size));
            }
        }
        Ok(())
    }

    fn check_wholly(&self, directory: &Path, part: &StatePart) -> Result<(), String> {
        for file in &part.files {
            let bytes = std::fs::read(directory.join(&file.name)).map_err(|error| error.to_string())?;
            if ManifestHash::of(&bytes).to_string() != file.checksum {
                return Err(format!("{} has another checksum", file.name));
            }
        }
        Ok(())
    }
}

/// The same part in the checkpoint before the last that has other contents: only a defect asks.
fn older_than(directory: &Path, part: &StatePart) -> Option<PathBuf> {
    let checkpoints = directory.ancestors().find(|above| above.ends_with("checkpoints"))?;
    let now = Contents::read(directory).ok()?;
    let mut all: Vec<(u64, PathBuf)> = std::fs::read_dir(checkpoints)
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let epoch = path.file_name()?.to_str()?.split_once('-')?.0.parse().ok()?;
            Some((epoch, path.join(part.directory())))
        })
        .collect();
    all.sort();
    all.into_iter().rev().map(|(_, path)| path).find(|path| Contents::read(path).is_ok_and(|old| old != now))
}

type Key = Vec<u8>;

struct MemoryState {
    outside: Shared,
    shape: OperatorShape,
    contents: Arc<Mutex<Contents>>,
    /// The state as the call that was begun sees it.
    overlay: Option<Contents>,
    /// The keys of that call, by slot.
    keys: Vec<Key>,
    /// Timers that were handed out and did not fire yet.
    due: Vec<(String, i64, Key)>,
    /// Held by the frozen set that is out.
    frozen: std::sync::Weak<()>,
}

/// Calls of this code lock for a moment only, and there is one thread.
fn locked(contents: &Arc<Mutex<Contents>>) -> std::sync::MutexGuard<'_, Contents> {
    contents.lock().expect("there is one thread")
}

impl MemoryState {
    fn keys_of(&self, slots: &[u8]) -> Result<Vec<Key>, StateError> {
        let key = |index| {
            let slot = read_u32(slots, index) as usize;
            let misuse = || StateError::Misuse(format!("slot {slot} is out of range"));
            self.keys.get(slot).cloned().ok_or_else(misuse)
        };
        (0..slots.len() / 4).map(key).collect()
    }

    fn overlay(&mut self) -> &mut Contents {
        self.overlay.as_mut().expect("S1: state is used within a call")
    }

    fn get(&mut self, state: &str, keys: Vec<Key>, subkeys: &[Key]) -> Column {
        let mut found = Column::default();
        for (index, key) in keys.into_iter().enumerate() {
            let subkey = subkeys.get(index).cloned().unwrap_or_default();
            found.push(self.overlay().entries.get(&(state.to_owned(), key, subkey)).map(Vec::as_slice));
        }
        found
    }

    fn put(&mut self, state: &str, keys: Vec<Key>, subkeys: &[Key], values: ColumnRef<'_>) {
        let values = owned(values);
        for (index, key) in keys.into_iter().enumerate() {
            let subkey = subkeys.get(index).cloned().unwrap_or_default();
            let entry = (state.to_owned(), key, subkey);
            match values.get(index) {
                Some(value) => self.overlay().entries.insert(entry, value.to_vec()),
                None => self.overlay().entries.remove(&entry),
            };
        }
    }

    fn timer_name(&self, timer: usize) -> String {
        self.shape.timers[timer].name.clone()
    }
}

fn owned(column: ColumnRef<'_>) -> Column {
    Column { offsets: column.offsets.to_vec(), data: column.data.to_vec(), nulls: column.nulls.to_vec() }
}

fn entries_of(column: ColumnRef<'_>) -> Vec<Key> {
    let column = owned(column);
    (0..column.len()).map(|index| column.bytes(index).to_vec()).collect()
}

fn unused<T>(what: &str) -> Result<T, StateError> {
    Err(StateError::Misuse(format!("the simulation has no {what}")))
}

impl KeyedState for MemoryState {
    fn begin_call(&mut self, keys: &Column, slots: &Slots, _: i64) {
        assert!(self.overlay.is_none(), "S1: a call begins while another has not ended");
        let mut overlay = locked(&self.contents).clone();
        for timer in &self.due {
            assert!(overlay.timers.remove(timer), "a timer fires that is not set");
        }
        self.keys = slots.first_rows.iter().map(|row| keys.bytes(*row as usize).to_vec()).collect();
        self.overlay = Some(overlay);
    }

    fn commit_call(&mut self) -> Result<(), ConnectorError> {
        self.outside.lock().may_fail("the state fails", 2000)?;
        *locked(&self.contents) = self.overlay.take().expect("S1: a call that was begun is committed");
        self.due.clear();
        Ok(())
    }

    fn discard_call(&mut self) -> Result<(), ConnectorError> {
        let overlay = self.overlay.take().expect("S1: a call that was begun is discarded");
        if self.outside.lock().plants(Defect::KeepFailedCall, 1) {
            *locked(&self.contents) = overlay;
        }
        Ok(())
    }

    fn value_get_many(&mut self, state: &str, slots: &[u8]) -> Result<Column, StateError> {
        let keys = self.keys_of(slots)?;
        Ok(self.get(state, keys, &[]))
    }

    fn value_put_many(&mut self, state: &str, slots: &[u8], values: ColumnRef<'_>) -> Result<(), StateError> {
        let keys = self.keys_of(slots)?;
        self.put(state, keys, &[], values);
        Ok(())
    }

    fn map_get_many(
        &mut self,
        state: &str,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
    ) -> Result<Column, StateError> {
        let keys = self.keys_of(slots)?;
        Ok(self.get(state, keys, &entries_of(subkeys)))
    }

    fn map_put_many(
        &mut self,
        state: &str,
        slots: &[u8],
        subkeys: ColumnRef<'_>,
        values: ColumnRef<'_>,
    ) -> Result<(), StateError> {
        let keys = self.keys_of(slots)?;
        self.put(state, keys, &entries_of(subkeys), values);
        Ok(())
    }

    fn map_scan(
        &mut self,
        _: &str,
        _: &[u8],
        _: ColumnRef<'_>,
        _: ColumnRef<'_>,
        _: u32,
    ) -> Result<Page, StateError> {
        unused("scans")
    }

    fn map_clear_many(&mut self, _: &str, _: &[u8]) -> Result<(), StateError> {
        unused("clears")
    }

    fn list_append_many(&mut self, _: &str, _: &[u8], _: ColumnRef<'_>) -> Result<(), StateError> {
        unused("lists")
    }

    fn list_scan(&mut self, _: &str, _: &[u8], _: ColumnRef<'_>, _: u32) -> Result<Page, StateError> {
        unused("lists")
    }

    fn list_clear_many(&mut self, _: &str, _: &[u8]) -> Result<(), StateError> {
        unused("lists")
    }

    fn timer_register_many(&mut self, timer: &str, slots: &[u8], times: &[u8]) -> Result<(), StateError> {
        for (index, key) in self.keys_of(slots)?.into_iter().enumerate() {
            self.overlay().timers.insert((timer.to_owned(), read_i64(times, index), key));
        }
        Ok(())
    }

    fn timer_delete_many(&mut self, timer: &str, slots: &[u8], times: &[u8]) -> Result<(), StateError> {
        for (index, key) in self.keys_of(slots)?.into_iter().enumerate() {
            self.overlay().timers.remove(&(timer.to_owned(), read_i64(times, index), key));
        }
        Ok(())
    }

    fn next_due(&mut self, timer: usize) -> Result<Option<i64>, ConnectorError> {
        assert!(self.overlay.is_none(), "S1: next_due is not asked within a call");
        let name = self.timer_name(timer);
        let contents = locked(&self.contents);
        Ok(contents.timers.iter().find(|(own, _, _)| *own == name).map(|(_, time, _)| *time))
    }

    fn due(&mut self, timer: usize, until_ms: i64, rows_max: usize) -> Result<Batch, ConnectorError> {
        let name = self.timer_name(timer);
        let contents = locked(&self.contents);
        let due = contents.timers.iter().filter(|(own, time, _)| *own == name && *time <= until_ms);
        self.due = due.take(rows_max).cloned().collect();
        let mut batch = Batch { rows: self.due.len(), ..Batch::default() };
        for (_, time, key) in &self.due {
            batch.timestamps.extend_from_slice(&time.to_le_bytes());
            batch.keys.push(Some(key));
        }
        Ok(batch)
    }

    fn drop_due(&mut self, rows: &[usize]) -> Result<(), ConnectorError> {
        for row in rows {
            locked(&self.contents).timers.remove(&self.due[*row]);
        }
        self.due.clear();
        Ok(())
    }

    fn freeze(&mut self, _: Epoch) -> Result<Box<dyn FrozenState>, ConnectorError> {
        assert!(self.overlay.is_none(), "S2: a barrier does not stand within a call");
        assert_eq!(self.frozen.strong_count(), 0, "S4: one frozen set at a time");
        let mut outside = self.outside.lock();
        let mut frozen = locked(&self.contents).clone();
        if !frozen.timers.is_empty() && outside.plants(Defect::ForgetTimers, 2) {
            frozen.timers.clear();
        }
        let late = outside.plants(Defect::FreezeLate, 1);
        drop(outside);
        let alive = Arc::new(());
        self.frozen = Arc::downgrade(&alive);
        let contents = if late { self.contents.clone() } else { Arc::new(Mutex::new(frozen)) };
        Ok(Box::new(Frozen { outside: self.outside.clone(), contents, _alive: alive }))
    }

    fn usage(&self) -> StateUsage {
        StateUsage::default()
    }
}

struct Frozen {
    outside: Shared,
    contents: Arc<Mutex<Contents>>,
    _alive: Arc<()>,
}

impl FrozenState for Frozen {
    fn persist(&mut self, directory: &Path) -> Result<PersistedState, ConnectorError> {
        let disk = |error: std::io::Error| ConnectorError::transient(format!("disk: {}", error.kind()));
        std::fs::create_dir(directory).map_err(disk)?;
        let bytes = locked(&self.contents).encode();
        if self.outside.lock().fault("the disk fails in the middle of a file", 25) {
            std::fs::write(directory.join(FILE), &bytes[..bytes.len() / 2]).map_err(disk)?;
            return Err(ConnectorError::transient("the disk fails"));
        }
        std::fs::write(directory.join(FILE), &bytes).map_err(disk)?;
        let (size, checksum) = (bytes.len() as u64, ManifestHash::of(&bytes).to_string());
        let file = StateFile { name: FILE.to_owned(), size, checksum };
        Ok(PersistedState { files: vec![file], new_bytes: size, next_list_position: 0 })
    }
}
