//! How far event time has come: what a reader says, and what a place with several inputs makes of it.

use super::*;
use crate::batch::Batch;
use crate::plan::{TimeSpec, WatermarkStrategy};
use crate::position::Partition;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn bounded(bound_ms: u64) -> TimeSpec {
    let watermarks = WatermarkStrategy::BoundedOutOfOrderness(Duration::from_millis(bound_ms));
    TimeSpec { watermarks, ..TimeSpec::default() }
}

fn partition(number: i32) -> Partition {
    Partition::new("orders", number)
}

/// Rows of (partition, timestamp).
fn rows(rows: &[(i32, i64)]) -> Batch {
    let (topic, mut batch): (Arc<str>, _) = ("orders".into(), Batch::default());
    for (offset, (partition, timestamp)) in rows.iter().enumerate() {
        batch.push(*timestamp, None, Some(b""), None);
        batch.origins.push(&topic, *partition, offset as i64);
    }
    batch
}

/// A reader of so many partitions.
fn reader(spec: &TimeSpec, partitions: i32) -> SourceWatermarks {
    let mut reader = SourceWatermarks::new(spec);
    (0..partitions).for_each(|number| reader.add(partition(number), None));
    reader
}

fn says(reader: &mut SourceWatermarks) -> Watermark {
    reader.current(Duration::ZERO)
}

#[test]
fn a_bounded_watermark_is_the_bound_and_a_millisecond_behind_the_highest_timestamp() {
    let mut reader = reader(&bounded(100), 1);
    assert_eq!(says(&mut reader), Watermark::At(NONE_MS));
    reader.observe(&rows(&[(0, 1000), (0, 900)]), 0, Duration::ZERO);
    assert_eq!(says(&mut reader), Watermark::At(899));
}

#[test]
fn a_monotonous_watermark_is_a_millisecond_behind_the_highest_timestamp() {
    let spec = TimeSpec { watermarks: WatermarkStrategy::Monotonous, ..TimeSpec::default() };
    let mut reader = reader(&spec, 1);
    reader.observe(&rows(&[(0, 1000)]), 0, Duration::ZERO);
    assert_eq!(says(&mut reader), Watermark::At(999));
}

#[test]
fn without_a_strategy_event_time_does_not_move_and_the_manifest_says_nothing() {
    let mut reader = reader(&TimeSpec::default(), 1);
    assert_eq!(reader.observe(&rows(&[(0, 1000)]), 0, Duration::ZERO), 0);
    assert_eq!((says(&mut reader), reader.highest()), (Watermark::At(NONE_MS), vec![]));
}

#[test]
fn the_slowest_partition_holds_the_watermark() {
    let mut reader = reader(&bounded(0), 2);
    reader.observe(&rows(&[(0, 1000)]), 0, Duration::ZERO);
    assert_eq!(says(&mut reader), Watermark::At(NONE_MS), "W2");
    reader.observe(&rows(&[(1, 500), (0, 2000), (1, 600)]), 0, Duration::ZERO);
    assert_eq!(says(&mut reader), Watermark::At(599));
    assert_eq!(reader.highest(), [(partition(0), 2000), (partition(1), 600)]);
}

#[test]
fn an_idle_partition_holds_nobody_back_and_counts_again_with_its_next_row() {
    let mut reader = reader(&TimeSpec { idleness: Some(SECOND), ..bounded(0) }, 2);
    reader.current(Duration::ZERO);
    reader.observe(&rows(&[(0, 1000)]), 0, SECOND / 2);
    assert_eq!(reader.current(SECOND / 2), Watermark::At(NONE_MS));
    assert_eq!(reader.current(SECOND), Watermark::At(999));
    assert_eq!(reader.current(SECOND * 2), Watermark::Idle);
    reader.observe(&rows(&[(1, 5)]), 0, SECOND * 2);
    assert_eq!(reader.current(SECOND * 2), Watermark::At(999), "W1");
    reader.observe(&rows(&[(1, 3000)]), 0, SECOND * 2);
    assert_eq!(reader.current(SECOND * 2), Watermark::At(2999));
}

#[test]
fn quiet_time_begins_with_the_first_look_not_with_the_clocks_zero() {
    let mut reader = reader(&TimeSpec { idleness: Some(SECOND), ..bounded(0) }, 1);
    assert_eq!(reader.current(SECOND * 9), Watermark::At(NONE_MS));
    assert_eq!(reader.current(SECOND * 10), Watermark::Idle);
}

#[test]
fn without_idleness_a_quiet_partition_holds_the_watermark_for_ever() {
    let mut reader = reader(&bounded(0), 1);
    reader.current(Duration::ZERO);
    assert_eq!(reader.current(SECOND * 100_000), Watermark::At(NONE_MS));
}

#[test]
fn a_timestamp_too_far_ahead_is_counted_and_does_not_move_the_watermark() {
    let mut reader = reader(&TimeSpec { max_timestamp_skew: Some(SECOND), ..bounded(0) }, 1);
    let batch = rows(&[(0, 1000), (0, 11_000), (0, 11_001), (0, 99_000)]);
    assert_eq!(reader.observe(&batch, 10_000, Duration::ZERO), 2);
    assert_eq!(says(&mut reader), Watermark::At(10_999));
}

#[test]
fn a_restored_partition_goes_on_where_it_was() {
    let mut reader = SourceWatermarks::new(&bounded(10));
    reader.add(partition(0), Some(1000));
    assert_eq!(says(&mut reader), Watermark::At(989));
}

#[test]
fn a_partition_that_appears_does_not_turn_the_watermark_back() {
    let mut reader = reader(&bounded(0), 1);
    reader.observe(&rows(&[(0, 1000)]), 0, Duration::ZERO);
    assert_eq!(says(&mut reader), Watermark::At(999));
    reader.add(partition(1), None);
    reader.observe(&rows(&[(0, 2000)]), 0, Duration::ZERO);
    assert_eq!(says(&mut reader), Watermark::At(999), "the new one holds it");
    reader.observe(&rows(&[(1, 1500)]), 0, Duration::ZERO);
    assert_eq!(says(&mut reader), Watermark::At(1499));
}

#[test]
fn a_reader_without_partitions_holds_nobody_back() {
    assert_eq!(says(&mut SourceWatermarks::new(&bounded(0))), Watermark::Idle);
}

#[test]
fn the_end_of_the_input_is_the_highest_watermark_with_or_without_a_strategy() {
    for spec in [bounded(0), TimeSpec::default()] {
        let mut reader = reader(&spec, 1);
        reader.observe(&rows(&[(0, i64::MAX)]), 0, Duration::ZERO);
        assert_ne!(says(&mut reader), Watermark::At(END_MS));
        reader.end();
        assert_eq!(says(&mut reader), Watermark::At(END_MS));
    }
}

#[test]
fn a_place_is_idle_when_all_of_its_inputs_are_and_keeps_its_watermark() {
    let mut place = WatermarkMerge::new(2);
    assert_eq!(place.update(0, Watermark::At(5)), None);
    assert_eq!(place.update(1, Watermark::Idle), Some(Watermark::At(5)));
    assert_eq!(place.update(0, Watermark::Idle), Some(Watermark::Idle));
    assert_eq!(place.update(1, Watermark::Idle), None);
    assert_eq!(place.current_ms(), 5);
    assert_eq!(place.update(1, Watermark::At(3)), Some(Watermark::At(5)));
}

fn said() -> impl Strategy<Value = Watermark> {
    prop_oneof![4 => (0i64..50).prop_map(Watermark::At), 1 => Just(Watermark::Idle)]
}

proptest! {
    #[test]
    fn a_merged_watermark_is_the_highest_that_the_lowest_active_input_ever_was(
        updates in prop::collection::vec((0usize..4, said()), 0..60)
    ) {
        let mut place = WatermarkMerge::new(4);
        let mut inputs = [Some(NONE_MS); 4];
        let (mut expected_ms, mut told) = (NONE_MS, Watermark::At(NONE_MS));
        for (input, says) in updates {
            inputs[input] = match (inputs[input], says) {
                (Some(before), Watermark::At(ms)) => Some(before.max(ms)),
                (None, Watermark::At(ms)) => Some(ms),
                (_, Watermark::Idle) => None,
            };
            let changed = place.update(input, says);
            let lowest = inputs.iter().flatten().min();
            expected_ms = expected_ms.max(lowest.copied().unwrap_or(NONE_MS));
            let expected = if lowest.is_some() { Watermark::At(expected_ms) } else { Watermark::Idle };
            prop_assert_eq!(changed, (expected != told).then_some(expected));
            prop_assert_eq!(place.current_ms(), expected_ms);
            told = expected;
        }
    }

    #[test]
    fn a_readers_watermark_never_goes_down_and_no_row_in_order_is_late(
        steps in prop::collection::vec((0i32..3, 0i64..40), 0..80), bound in 0i64..20
    ) {
        // Rows of a partition rise, and are late by less than the bound.
        let mut reader = reader(&bounded(bound as u64), 3);
        let (mut base, mut before_ms) = ([0i64; 3], NONE_MS);
        for (number, ahead) in steps {
            base[number as usize] += ahead;
            let timestamp = base[number as usize] - (ahead % (bound + 1));
            prop_assert!(timestamp > before_ms, "a row that is late by at most the bound is not late");
            reader.observe(&rows(&[(number, timestamp)]), 0, Duration::ZERO);
            let Watermark::At(now_ms) = says(&mut reader) else { panic!("no partition is idle") };
            prop_assert!(now_ms >= before_ms);
            before_ms = now_ms;
        }
    }
}
