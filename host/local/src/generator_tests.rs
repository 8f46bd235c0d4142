//! What a generator promises: replay gives equal bytes, shares add up, the rate is kept without spinning.

use super::*;
use std::collections::BTreeSet;
use std::sync::Mutex;

const LIMITS: BatchLimits = BatchLimits { rows_max: 7, bytes_max: 1 << 20 };

fn options() -> GeneratorOptions {
    GeneratorOptions {
        name: "made".to_owned(),
        seed: 42,
        rate: None,
        count: Some(100),
        partitions: 3,
        keys: 5,
        value_bytes: 32,
    }
}

type Row = (i32, i64, i64, Vec<u8>, Vec<u8>);

fn drain(reader: &mut dyn SourceReader, limits: BatchLimits) -> Vec<Row> {
    let (mut rows, mut batch) = (Vec::new(), Batch::default());
    while reader.poll(&mut batch, limits, Duration::ZERO).unwrap() == Polled::Rows {
        assert!(batch.rows <= limits.rows_max);
        for row in 0..batch.rows {
            let origin = batch.origins.of(row).unwrap();
            let (key, value) = (batch.keys.bytes(row).to_vec(), batch.values.bytes(row).to_vec());
            rows.push((origin.partition.number, origin.offset, batch.timestamp(row), key, value));
        }
        batch.clear();
    }
    rows
}

fn start(generator: &mut Generator, offset: i64) -> Positions {
    let partitions = generator.partitions().unwrap();
    partitions.into_iter().map(|partition| (partition, Position::at(offset))).collect()
}

#[test]
fn a_replay_from_any_offset_gives_equal_bytes() {
    let mut generator = Generator::new(options());
    let from = start(&mut generator, 0);
    let mut all = drain(&mut *generator.reader(&from, None).unwrap(), LIMITS);
    assert_eq!(all.len(), 100);
    all.sort();
    for offset in 0..34 {
        let from = start(&mut generator, offset);
        let limits = BatchLimits { rows_max: 3, ..LIMITS };
        let mut replayed = drain(&mut *generator.reader(&from, None).unwrap(), limits);
        replayed.sort();
        let expected: Vec<_> = all.iter().filter(|row| row.1 >= offset).cloned().collect();
        assert_eq!(replayed, expected);
    }
}

#[test]
fn a_reader_goes_on_where_its_positions_say() {
    let mut generator = Generator::new(options());
    let from = start(&mut generator, 0);
    let mut all = drain(&mut *generator.reader(&from, None).unwrap(), LIMITS);
    let (mut positions, mut rows, mut batch) = (from, Vec::new(), Batch::default());
    loop {
        // A new life after every poll.
        let mut reader = generator.reader(&positions, None).unwrap();
        if reader.poll(&mut batch, LIMITS, Duration::ZERO).unwrap() == Polled::End {
            break;
        }
        rows.extend((0..batch.rows).map(|row| batch.values.bytes(row).to_vec()));
        batch.clear();
        positions = reader.positions();
    }
    rows.sort();
    all.sort_by(|one, other| one.4.cmp(&other.4));
    assert_eq!(rows, all.into_iter().map(|row| row.4).collect::<Vec<_>>());
}

#[test]
fn ids_are_unique_and_keys_are_few() {
    let mut generator = Generator::new(options());
    let from = start(&mut generator, 0);
    let rows = drain(&mut *generator.reader(&from, None).unwrap(), LIMITS);
    let ids: BTreeSet<_> = rows.iter().map(|row| row.4.split(|b| *b == b' ').next().unwrap()).collect();
    let keys: BTreeSet<_> = rows.iter().map(|row| &row.3).collect();
    assert_eq!((ids.len(), keys.len()), (100, 5));
    assert!(ids.contains(b"made-0-33".as_slice()) && ids.contains(b"made-2-32".as_slice()));
    assert!(rows.iter().all(|row| row.4.len() == 32 && row.2 == FIRST_TIMESTAMP + row.1));
}

#[test]
fn another_seed_makes_other_records() {
    let rows = |seed| {
        let mut generator = Generator::new(GeneratorOptions { seed, ..options() });
        let from = start(&mut generator, 0);
        drain(&mut *generator.reader(&from, None).unwrap(), LIMITS)
    };
    assert_eq!(rows(1), rows(1));
    assert_ne!(rows(1), rows(2));
}

#[test]
fn a_batch_stays_below_its_bytes_and_a_large_record_is_alone() {
    let mut generator = Generator::new(GeneratorOptions { value_bytes: 500, ..options() });
    let from = start(&mut generator, 0);
    let mut reader = generator.reader(&from, None).unwrap();
    let mut batch = Batch::default();
    for (bytes_max, rows) in [(10, 1), (1500, 2)] {
        batch.clear();
        reader.poll(&mut batch, BatchLimits { rows_max: 100, bytes_max }, Duration::ZERO).unwrap();
        assert_eq!(batch.rows, rows);
    }
}

#[test]
fn a_bounded_run_ends_and_an_endless_generator_cannot() {
    let mut generator = Generator::new(options());
    let partitions = generator.partitions().unwrap();
    let ends = generator.ends(&partitions).unwrap();
    assert_eq!(ends.values().map(|end| end.offset).collect::<Vec<_>>(), [34, 33, 33]);
    let mut endless = Generator::new(GeneratorOptions { count: None, ..options() });
    assert!(endless.ends(&partitions).unwrap_err().message.contains("count"));
    let from = start(&mut endless, 0);
    assert_eq!(drain(&mut *endless.reader(&from, Some(&ends)).unwrap(), LIMITS).len(), 100);
}

#[test]
fn a_position_of_a_partition_that_is_gone_is_refused() {
    let mut generator = Generator::new(options());
    let from = start(&mut generator, 0);
    let mut smaller = Generator::new(GeneratorOptions { partitions: 2, ..options() });
    assert!(smaller.reader(&from, None).err().unwrap().message.contains("made:2"));
}

#[derive(Default)]
struct TestClock(Mutex<(Duration, usize)>);

impl Clock for TestClock {
    fn now(&self) -> Duration {
        self.0.lock().unwrap().0
    }

    fn wait(&self, time: Duration) {
        let mut state = self.0.lock().unwrap();
        *state = (state.0 + time, state.1 + 1);
    }
}

#[test]
fn the_rate_is_kept_and_waiting_is_never_spinning() {
    for rate in [1, 3, 1_000, 700_000] {
        let clock = Arc::new(TestClock::default());
        let unbounded = GeneratorOptions { rate: Some(rate), count: None, value_bytes: 0, ..options() };
        let mut generator = Generator::with_clock(unbounded, clock.clone());
        let from = start(&mut generator, 0);
        let mut reader = generator.reader(&from, None).unwrap();
        let (mut made, mut polls, mut batch) = (0, 0, Batch::default());
        let limits = BatchLimits { rows_max: 100_000, bytes_max: 1 << 30 };
        while clock.now() < Duration::from_secs(10) {
            reader.poll(&mut batch, limits, Duration::from_millis(100)).unwrap();
            made += batch.rows as u64;
            batch.clear();
            polls += 1;
        }
        assert!(made.abs_diff(rate * 10) <= rate / 10 + 1, "{made} of {rate}");
        assert!(polls <= 10 * 400, "{polls} polls");
        assert!(clock.0.lock().unwrap().1 >= polls / 3);
    }
}

#[test]
fn an_idle_poll_waits_no_longer_than_asked() {
    let clock = Arc::new(TestClock::default());
    let slow = GeneratorOptions { rate: Some(1), count: None, partitions: 1, ..options() };
    let mut generator = Generator::with_clock(slow, clock.clone());
    let from = start(&mut generator, 0);
    let mut reader = generator.reader(&from, None).unwrap();
    let mut batch = Batch::default();
    let polled = reader.poll(&mut batch, LIMITS, Duration::from_millis(30)).unwrap();
    assert_eq!((polled, clock.now()), (Polled::Idle, Duration::from_millis(30)));
}
