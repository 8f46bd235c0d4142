//! What the first epochs behind a rescale cost, beside the same epochs of a subtask that owns a whole part.
//!
//! `cargo run --release -p weir-state --example rescale_cost [-- <keys>]`
//!
//! A part is written, then opened as a whole and at half of its ordinals. Each epoch reads and writes keys that the
//! subtask owns, drawn uniformly, and ends with a checkpoint that is waited for.

use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use weir_protocol::batch::Column;
use weir_protocol::epoch::Epoch;
use weir_protocol::key_group::{DEFAULT_MAX_PARALLELISM, KeyGroups, murmur2};
use weir_protocol::slots::{SlotNumbering, Slots};
use weir_protocol::state::{
    KeyedState, OpenState, OperatorShape, StateBackend, StateDeclaration, StateKind, StatePart,
};
use weir_state::backend::{RocksBackend, StateMemory};

const BATCH_ROWS: usize = 4096;
const EPOCH_RECORDS: u64 = 200_000;
const EPOCHS: u64 = 8;
/// Bytes of a value, which do not compress.
const VALUE_BYTES: usize = 40;

fn cpu_ms() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// Processor time of RocksDB's threads in milliseconds, as far as the kernel's clock ticks tell.
fn rocksdb_ms() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let times = tasks.filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        let behind_name: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 = behind_name[11].parse::<u64>().ok()? + behind_name[12].parse::<u64>().ok()?;
        name.starts_with("rocksdb").then_some(ticks * 10)
    });
    times.sum()
}

fn key_of(number: u64) -> [u8; 18] {
    let (mut text, mut rest) = (*b"user-0000000000000", number);
    for place in text[5..].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}

struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Reads and writes a batch of keys.
fn call(state: &mut dyn KeyedState, keys: &Column, numbers: &mut Numbers) {
    let (mut numbering, mut slots) = (SlotNumbering::default(), Slots::default());
    numbering.assign(keys, &mut slots);
    let all: Vec<u8> = (0..slots.count() as u32).flat_map(u32::to_le_bytes).collect();
    state.begin_call(keys, &slots, 0);
    state.value_get_many("count", &all).expect("reads");
    let mut values = Column::default();
    for _ in 0..slots.count() {
        let value: Vec<u8> = (0..VALUE_BYTES / 8).flat_map(|_| numbers.next().to_le_bytes()).collect();
        values.push(Some(&value));
    }
    state.value_put_many("count", &all, (&values).into()).expect("writes");
    state.commit_call().expect("commits");
}

fn checkpoint(state: &mut dyn KeyedState, epoch: u64, into: &Path) -> StatePart {
    let mut frozen = state.freeze(Epoch(epoch)).expect("freezes");
    let persisted = frozen.persist(into).expect("persists");
    StatePart {
        operator: "count".to_owned(),
        subtask: 0,
        ordinal_start: 0,
        ordinal_end: DEFAULT_MAX_PARALLELISM,
        next_list_position: 0,
        files: persisted.files,
    }
}

struct Bench {
    root: tempfile::TempDir,
    shape: OperatorShape,
    keys: u64,
}

impl Bench {
    fn open(
        &self,
        live: &str,
        ordinals: Range<u32>,
        restore: &[(PathBuf, StatePart)],
    ) -> Box<dyn KeyedState> {
        let backend =
            RocksBackend::new(StateMemory { cache_bytes_max: 256 << 20, blocks_bytes_max: 256 << 20 });
        let groups = KeyGroups::plain(DEFAULT_MAX_PARALLELISM);
        let open = OpenState {
            operator: "count",
            subtask: 0,
            shape: &self.shape,
            drop_states: &[],
            drop_timers: &[],
            migrate: &[],
            groups,
            restored_groups: groups,
            ordinals,
            live: &self.root.path().join(live),
            restore,
            page_bytes_max: 1 << 20,
            writes_bytes_max: 64 << 20,
            reads_bytes_max: 64 << 20,
        };
        backend.open(&open, None).expect("opens").0
    }

    fn fill(&self) -> (PathBuf, StatePart) {
        let mut state = self.open("filled", 0..DEFAULT_MAX_PARALLELISM, &[]);
        let (mut numbers, mut last) = (Numbers(0x2545_f491_4f6c_dd1d), None);
        let mut column = Column::default();
        for number in 0..self.keys {
            column.push(Some(&key_of(number)));
            if column.len() == BATCH_ROWS || number + 1 == self.keys {
                call(&mut *state, &column, &mut numbers);
                column.clear();
            }
            if (number + 1) % 1_000_000 == 0 || number + 1 == self.keys {
                let directory = self.root.path().join(format!("part-{number}"));
                let part = checkpoint(&mut *state, number, &directory);
                last = Some((directory, part));
            }
        }
        last.expect("there are keys")
    }

    fn measure(&self, what: &str, ordinals: Range<u32>, part: &(PathBuf, StatePart)) {
        let (start, rocksdb) = (Instant::now(), rocksdb_ms());
        let mut state = self.open(what, ordinals.clone(), std::slice::from_ref(part));
        println!("{what}: opened in {} ms", start.elapsed().as_millis());
        let groups = KeyGroups::plain(DEFAULT_MAX_PARALLELISM);
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut column = Column::default();
        for epoch in 0..EPOCHS {
            let (mut calls, cpu, rocksdb) = (Duration::ZERO, cpu_ms(), rocksdb_ms());
            let mut left = EPOCH_RECORDS;
            while left > 0 {
                let key = key_of(numbers.next() % self.keys);
                if !ordinals.contains(&groups.ordinal(murmur2(&key))) {
                    continue;
                }
                left -= 1;
                column.push(Some(&key));
                if column.len() == BATCH_ROWS || left == 0 {
                    let begun = Instant::now();
                    call(&mut *state, &column, &mut numbers);
                    calls += begun.elapsed();
                    column.clear();
                }
            }
            let cpu = cpu_ms() - cpu;
            let begun = Instant::now();
            checkpoint(&mut *state, epoch, &self.root.path().join(format!("{what}-{epoch}")));
            println!(
                "{what}: epoch {epoch}: calls {} ms, processor {cpu} ms, checkpoint {} ms, RocksDB's threads {} ms",
                calls.as_millis(),
                begun.elapsed().as_millis(),
                rocksdb_ms() - rocksdb,
            );
        }
        println!(
            "{what}: {} ms in all, RocksDB's threads {} ms",
            start.elapsed().as_millis(),
            rocksdb_ms() - rocksdb
        );
    }
}

fn main() {
    let keys = std::env::args().nth(1).map_or(8_000_000, |keys| keys.parse().expect("a number of keys"));
    let count =
        StateDeclaration { name: "count".to_owned(), kind: StateKind::Value, version: 1, ttl_seconds: 0 };
    let shape = OperatorShape { states: vec![count], ..OperatorShape::default() };
    let bench = Bench { root: tempfile::tempdir().expect("a temporary directory"), shape, keys };
    let part = bench.fill();
    let bytes: u64 = part.1.files.iter().map(|file| file.size).sum();
    println!("{} MB in {} files", bytes / 1_000_000, part.1.files.len());
    for round in 0..2 {
        bench.measure(&format!("whole-{round}"), 0..DEFAULT_MAX_PARALLELISM, &part);
        bench.measure(&format!("half-{round}"), 0..DEFAULT_MAX_PARALLELISM / 2, &part);
    }
}
