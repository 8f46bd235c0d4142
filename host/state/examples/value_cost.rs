//! What value state costs: CPU nanoseconds per record of a keyed count, state alone, all threads.
//!
//! `cargo run --release -p weir-state --example value_cost [-- <cache MiB> <blocks MiB> [<keys> <records per epoch>]]`
//!
//! Each record has a key of 18 bytes, drawn uniformly; each batch of 4096 rows reads the values of its distinct keys, and
//! writes them back with 8 bytes. Every epoch ends with a checkpoint, taken beside the stream as the runtime takes it.
//! What makes the records and counts them is measured and left out.

use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;
use weir_protocol::batch::{Column, read_u32};
use weir_protocol::epoch::Epoch;
use weir_protocol::key_group::{DEFAULT_MAX_PARALLELISM, KeyGroups};
use weir_protocol::slots::{SlotNumbering, Slots};
use weir_protocol::state::{KeyedState, OpenState, OperatorShape, StateBackend, StateDeclaration, StateKind};
use weir_state::backend::{RocksBackend, StateMemory};

const BATCH_ROWS: usize = 4096;
const EPOCHS: usize = 8;

static PERSIST_CPU_NS: AtomicU64 = AtomicU64::new(0);

fn cpu_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Draws keys, and counts them as an operator would.
struct Stream {
    seed: u64,
    keys: u64,
    column: Column,
    numbering: SlotNumbering,
    slots: Slots,
    all_slots: Vec<u8>,
    counts: Vec<u64>,
    /// CPU time spent here.
    cpu_ns: u64,
}

impl Stream {
    fn new(keys: u64) -> Stream {
        Stream {
            seed: 0x2545_f491_4f6c_dd1d,
            keys,
            column: Column::default(),
            numbering: SlotNumbering::default(),
            slots: Slots::default(),
            all_slots: Vec::new(),
            counts: Vec::new(),
            cpu_ns: 0,
        }
    }

    fn fill(&mut self, rows: usize, mut key: impl FnMut(&mut u64) -> u64) {
        let start = cpu_ns(ClockId::ThreadCPUTime);
        self.column.clear();
        let mut text = *b"user-0000000000000";
        for _ in 0..rows {
            let mut number = key(&mut self.seed);
            for place in text[5..].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
            self.column.push(Some(&text));
        }
        self.numbering.assign(&self.column, &mut self.slots);
        self.all_slots.clear();
        (0..self.slots.count() as u32).for_each(|slot| self.all_slots.extend_from_slice(&slot.to_le_bytes()));
        self.cpu_ns += cpu_ns(ClockId::ThreadCPUTime) - start;
    }

    fn draw(&mut self, rows: usize) {
        let keys = self.keys;
        self.fill(rows, |seed| {
            *seed ^= *seed << 13;
            *seed ^= *seed >> 7;
            *seed ^= *seed << 17;
            *seed % keys
        });
    }

    fn count(&mut self, read: &Column) -> Column {
        let start = cpu_ns(ClockId::ThreadCPUTime);
        self.counts.clear();
        for slot in 0..self.slots.count() {
            let known = read
                .get(slot)
                .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("a count has 8 bytes")));
            self.counts.push(known.unwrap_or(0));
        }
        for row in 0..self.column.len() {
            self.counts[read_u32(&self.slots.rows, row) as usize] += 1;
        }
        let mut written = Column::default();
        written.reserve(self.counts.len(), self.counts.len() * 8);
        self.counts.iter().for_each(|count| written.push(Some(&count.to_le_bytes())));
        self.cpu_ns += cpu_ns(ClockId::ThreadCPUTime) - start;
        written
    }
}

/// One batch: read, count, write, commit.
fn call(state: &mut dyn KeyedState, stream: &mut Stream) {
    state.begin_call(&stream.column, &stream.slots, 0);
    let read = state.value_get_many("count", &stream.all_slots).expect("reads");
    let written = stream.count(&read);
    state.value_put_many("count", &stream.all_slots, (&written).into()).expect("writes");
    state.commit_call().expect("commits");
}

/// Takes a checkpoint beside the stream, when the last one is done.
struct Checkpoints<'a> {
    root: &'a Path,
    epoch: u64,
    running: Option<JoinHandle<(u64, u64)>>,
    persist_ms: u64,
    new_bytes: u64,
    pause_us: u64,
}

impl Checkpoints<'_> {
    fn barrier(&mut self, state: &mut dyn KeyedState) {
        self.wait();
        self.epoch += 1;
        let start = Instant::now();
        let mut frozen = state.freeze(Epoch(self.epoch)).expect("freezes");
        self.pause_us = self.pause_us.max(start.elapsed().as_micros() as u64);
        let directory = self.root.join(format!("checkpoint-{}", self.epoch));
        let old = self.root.join(format!("checkpoint-{}", self.epoch.saturating_sub(2)));
        self.running = Some(std::thread::spawn(move || {
            let (start, cpu) = (Instant::now(), cpu_ns(ClockId::ThreadCPUTime));
            let persisted = frozen.persist(&directory).expect("persists");
            drop(frozen);
            let _ = std::fs::remove_dir_all(old);
            PERSIST_CPU_NS.fetch_add(cpu_ns(ClockId::ThreadCPUTime) - cpu, Ordering::Relaxed);
            (start.elapsed().as_millis() as u64, persisted.new_bytes)
        }));
    }

    fn wait(&mut self) {
        if let Some(thread) = self.running.take() {
            let (ms, bytes) = thread.join().expect("the thread ends");
            self.persist_ms = self.persist_ms.max(ms);
            self.new_bytes += bytes;
        }
    }
}

fn measure(memory: StateMemory, keys: u64, records: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let backend = RocksBackend::new(memory);
    let shape = OperatorShape {
        states: vec![StateDeclaration {
            name: "count".to_owned(),
            kind: StateKind::Value,
            version: 1,
            ttl_seconds: 0,
        }],
        ..OperatorShape::default()
    };
    let groups = KeyGroups::plain(DEFAULT_MAX_PARALLELISM);
    let live = directory.path().join("live");
    let open = OpenState {
        operator: "count",
        subtask: 0,
        shape: &shape,
        drop_states: &[],
        drop_timers: &[],
        migrate: &[],
        groups,
        restored_groups: groups,
        ordinals: 0..groups.max_parallelism,
        live: &live,
        restore: &[],
        page_bytes_max: 1 << 20,
        writes_bytes_max: 64 << 20,
        reads_bytes_max: 64 << 20,
    };
    let (mut state, _) = backend.open(&open, None).expect("opens");
    let mut stream = Stream::new(keys);
    let mut checkpoints = Checkpoints {
        root: directory.path(),
        epoch: 0,
        running: None,
        persist_ms: 0,
        new_bytes: 0,
        pause_us: 0,
    };
    // Every key is there before the measurement begins.
    let mut next = 0;
    while next < keys {
        let rows = BATCH_ROWS.min((keys - next) as usize);
        stream.fill(rows, |_| {
            next += 1;
            next - 1
        });
        call(&mut *state, &mut stream);
        if next % (1 << 21) < rows as u64 {
            checkpoints.barrier(&mut *state);
        }
    }
    checkpoints.barrier(&mut *state);
    checkpoints.wait();
    (checkpoints.persist_ms, checkpoints.new_bytes, checkpoints.pause_us) = (0, 0, 0);

    let (process, thread) = (cpu_ns(ClockId::ProcessCPUTime), cpu_ns(ClockId::ThreadCPUTime));
    let (made, persist) = (stream.cpu_ns, PERSIST_CPU_NS.load(Ordering::Relaxed));
    let (start, misses) = (Instant::now(), state.usage().cache_misses);
    let mut slowest_call_us = 0;
    for _ in 0..EPOCHS {
        let mut left = records;
        while left > 0 {
            let rows = BATCH_ROWS.min(left);
            left -= rows;
            stream.draw(rows);
            let begun = Instant::now();
            call(&mut *state, &mut stream);
            slowest_call_us = slowest_call_us.max(begun.elapsed().as_micros());
        }
        checkpoints.barrier(&mut *state);
    }
    checkpoints.wait();
    let made = stream.cpu_ns - made;
    let all = cpu_ns(ClockId::ProcessCPUTime) - process - made;
    let thread = cpu_ns(ClockId::ThreadCPUTime) - thread - made;
    let persist = PERSIST_CPU_NS.load(Ordering::Relaxed) - persist;
    let count = (EPOCHS * records) as u64;
    let usage = state.usage();
    println!(
        "| {keys} | {records} | **{}** | {} | {} | {} | {} | {:.1} | {} | {} | {slowest_call_us} | {} | {:.1} |",
        all / count,
        thread / count,
        persist / count,
        (all - thread - persist) / count,
        made / count,
        (usage.cache_misses - misses) as f64 * 100.0 / count as f64,
        usage.cache_bytes >> 20,
        checkpoints.pause_us,
        checkpoints.persist_ms,
        start.elapsed().as_secs_f64(),
    );
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let mib = |index: usize, default: u64| (numbers.get(index).copied().unwrap_or(default) as usize) << 20;
    let memory = StateMemory { cache_bytes_max: mib(0, 2048), blocks_bytes_max: mib(1, 512) };
    println!(
        "cache {} MiB, blocks {} MiB, {EPOCHS} epochs",
        memory.cache_bytes_max >> 20,
        memory.blocks_bytes_max >> 20
    );
    println!(
        "| keys | records per epoch | CPU ns per record | operator thread | checkpoint thread | RocksDB's threads | \
         (left out) | misses % | cache MiB | barrier us max | call us max | checkpoint ms max | seconds |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    if let [_, _, keys, records] = numbers[..] {
        return measure(memory, keys, records as usize);
    }
    for keys in [1_000, 1_000_000, 10_000_000] {
        for records in [500_000, 2_500_000] {
            measure(memory, keys, records);
        }
    }
}
