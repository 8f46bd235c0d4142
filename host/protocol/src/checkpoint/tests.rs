//! The steps of a checkpoint in order, and what is held, left out or given up.

use super::*;

fn cycle(subtasks: usize) -> Cycle {
    Cycle::new(CycleOptions {
        checkpoint: CheckpointSpec { tolerable_failures: 1, ..CheckpointSpec::default() },
        transaction_timeout: Some(Duration::from_secs(100)),
        subtasks,
        first_epoch: Epoch(5),
        verifying: false,
    })
}

/// Of one subtask, with state to verify first.
fn verifying() -> Cycle {
    let mut options = cycle(1).options;
    options.verifying = true;
    Cycle::new(options)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const ACTIVE: Event = Event::Tick { active: true };
const IDLE: Event = Event::Tick { active: false };

fn delivered(subtask: usize, epoch: u64) -> Event {
    Event::Delivered { subtask, epoch: Epoch(epoch) }
}

/// Takes a checkpoint of one subtask from its barrier to its publication.
fn complete(cycle: &mut Cycle, now: Duration, epoch: u64) -> Vec<Action> {
    cycle.step(now, delivered(0, epoch));
    cycle.step(now, Event::Flushed);
    cycle.step(now, Event::Durable);
    cycle.step(now, Event::Decided);
    cycle.step(now, Event::Published)
}

#[test]
fn a_checkpoint_goes_through_its_steps_in_order() {
    let mut cycle = cycle(2);
    assert_eq!(cycle.step(seconds(4), ACTIVE), []);
    let barrier = Action::Barrier { epoch: Epoch(5), last: false };
    assert_eq!(cycle.step(seconds(5), ACTIVE), [barrier]);
    assert_eq!(cycle.step(seconds(5), delivered(1, 5)), []);
    assert_eq!(cycle.step(seconds(6), delivered(0, 5)), [Action::Flush(Epoch(5))]);
    let next = [Action::Begin(Epoch(6)), Action::Snapshot(Epoch(5))];
    assert_eq!(cycle.step(seconds(6), Event::Flushed), next);
    assert_eq!(cycle.step(seconds(6), Event::Durable), [Action::Decide(Epoch(5))]);
    assert_eq!(cycle.step(seconds(6), Event::Decided), [Action::Publish(Epoch(5))]);
    assert_eq!(cycle.step(seconds(6), Event::Published), []);
    assert_eq!(cycle.running(), Epoch(6));
}

#[test]
fn the_next_barrier_waits_for_the_interval_and_for_the_checkpoint_under_way() {
    let mut cycle = cycle(1);
    cycle.step(seconds(5), ACTIVE);
    assert_eq!(cycle.step(seconds(20), ACTIVE), []);
    complete(&mut cycle, seconds(21), 5);
    assert_eq!(cycle.step(seconds(21), ACTIVE), [Action::Barrier { epoch: Epoch(6), last: false }]);
}

#[test]
fn an_idle_epoch_is_left_out_before_its_barrier() {
    let mut cycle = cycle(1);
    assert_eq!(cycle.step(seconds(1000), IDLE), []);
    assert!(!cycle.step(seconds(1001), ACTIVE).is_empty());
}

#[test]
fn an_idle_pipeline_decides_once_a_day() {
    let mut cycle = cycle(1);
    assert!(!cycle.step(seconds(24 * 60 * 60), IDLE).is_empty());
}

#[test]
fn a_stop_is_never_left_out_and_its_barrier_is_the_last() {
    let mut cycle = cycle(1);
    assert_eq!(cycle.step(seconds(1), Event::Stop), [Action::Barrier { epoch: Epoch(5), last: true }]);
    cycle.step(seconds(1), delivered(0, 5));
    assert_eq!(cycle.step(seconds(1), Event::Flushed), [Action::Snapshot(Epoch(5))]);
    cycle.step(seconds(1), Event::Durable);
    cycle.step(seconds(1), Event::Decided);
    assert_eq!(cycle.step(seconds(1), Event::Published), [Action::Finished]);
}

#[test]
fn a_stop_during_a_checkpoint_is_served_after_it() {
    let mut cycle = cycle(1);
    cycle.step(seconds(5), ACTIVE);
    assert_eq!(cycle.step(seconds(5), Event::Stop), []);
    let actions = complete(&mut cycle, seconds(6), 5);
    assert_eq!(actions, [Action::Barrier { epoch: Epoch(6), last: true }]);
}

#[test]
fn a_failed_snapshot_is_taken_again_as_often_as_tolerable() {
    let mut cycle = cycle(1);
    cycle.step(seconds(5), ACTIVE);
    cycle.step(seconds(5), delivered(0, 5));
    cycle.step(seconds(5), Event::Flushed);
    let full = || Event::SnapshotFailed("no space left on device".to_owned());
    assert_eq!(cycle.step(seconds(5), full()), [Action::Snapshot(Epoch(5))]);
    assert!(
        matches!(&cycle.step(seconds(5), full())[..], [Action::End(error)] if error.message.contains("no space"))
    );
}

#[test]
fn a_checkpoint_past_its_timeout_ends_the_incarnation() {
    let mut cycle = cycle(1);
    cycle.step(seconds(5), ACTIVE);
    assert_eq!(cycle.step(seconds(65), IDLE), []);
    assert!(matches!(&cycle.step(seconds(66), IDLE)[..], [Action::End(_)]));
    assert_eq!(cycle.step(seconds(67), ACTIVE), []);
}

#[test]
fn a_transaction_at_half_its_timeout_gets_a_barrier_and_at_four_fifths_is_given_up() {
    let mut options = cycle(1).options;
    options.checkpoint.interval = seconds(1000);
    options.checkpoint.timeout = seconds(1000);
    let mut cycle = Cycle::new(options);
    cycle.step(seconds(10), ACTIVE);
    assert_eq!(cycle.step(seconds(59), ACTIVE), []);
    assert_eq!(cycle.step(seconds(60), ACTIVE), [Action::Barrier { epoch: Epoch(5), last: false }]);
    assert!(matches!(&cycle.step(seconds(90), ACTIVE)[..], [Action::End(_)]));
}

#[test]
fn an_idle_transaction_does_not_age() {
    let mut cycle = cycle(1);
    assert_eq!(cycle.step(seconds(5000), IDLE), []);
    assert!(matches!(&cycle.step(seconds(5001), ACTIVE)[..], [Action::Barrier { .. }]));
}

#[test]
fn a_new_partition_forces_a_checkpoint() {
    let mut cycle = cycle(1);
    assert!(matches!(&cycle.step(seconds(1), Event::Force)[..], [Action::Barrier { .. }]));
}

#[test]
fn any_failure_ends_the_incarnation() {
    let error = ConnectorError::fenced("another copy");
    assert_eq!(cycle(1).step(seconds(1), Event::Failed(error.clone())), [Action::End(error)]);
}

#[test]
#[should_panic(expected = "C3")]
fn a_decision_without_a_durable_manifest_is_a_programmers_error() {
    cycle(1).step(seconds(1), Event::Decided);
}

#[test]
fn a_probation_holds_its_barrier_back_until_it_is_released() {
    let mut cycle = cycle(1);
    cycle.step(seconds(5), ACTIVE);
    assert_eq!(cycle.step(seconds(5), Event::Hold(true)), []);
    complete(&mut cycle, seconds(6), 5);
    for later in [11, 20, 40] {
        assert_eq!(cycle.step(seconds(later), ACTIVE), [], "held at {later} s");
    }
    assert_eq!(cycle.step(seconds(41), Event::Force), [], "a new partition waits too");
    assert_eq!(cycle.step(seconds(41), Event::Stop), [], "so does the end of the input");
    let barrier = Action::Barrier { epoch: Epoch(6), last: true };
    assert_eq!(cycle.step(seconds(42), Event::Hold(false)), [barrier]);
}

#[test]
fn an_ageing_transaction_does_not_wait_for_a_probation() {
    let mut cycle = cycle(1);
    cycle.step(seconds(5), ACTIVE);
    cycle.step(seconds(5), Event::Hold(true));
    complete(&mut cycle, seconds(6), 5);
    assert_eq!(cycle.step(seconds(7), ACTIVE), []);
    assert_eq!(cycle.step(seconds(56), ACTIVE), []);
    assert_eq!(cycle.step(seconds(57), ACTIVE), [Action::Barrier { epoch: Epoch(6), last: false }]);
}

#[test]
fn however_long_verifying_takes_no_epoch_is_open_and_no_time_out_runs() {
    let mut cycle = verifying();
    for now in [1, 6, 60, 100, 10_000] {
        assert_eq!(cycle.step(seconds(now), ACTIVE), []);
    }
    // Both time-outs begin here: what was read meanwhile is becoming true as soon as it can.
    assert_eq!(cycle.step(seconds(10_000), Event::Verified), [Action::BeginFirst(Epoch(5))]);
    assert_eq!(cycle.step(seconds(10_001), ACTIVE), [Action::Barrier { epoch: Epoch(5), last: false }]);
    assert_eq!(cycle.step(seconds(10_060), ACTIVE), []);
    let published = complete(&mut cycle, seconds(10_060), 5);
    assert_eq!(published, []);
}

#[test]
fn a_stop_while_what_was_restored_is_verified_is_served_after_it() {
    let mut cycle = verifying();
    assert_eq!(cycle.step(seconds(1), Event::Stop), []);
    assert_eq!(cycle.step(seconds(2), Event::Force), []);
    let last = Action::Barrier { epoch: Epoch(5), last: true };
    assert_eq!(cycle.step(seconds(9), Event::Verified), [Action::BeginFirst(Epoch(5)), last]);
}

#[test]
fn damage_found_by_verifying_ends_the_incarnation() {
    let error = ConnectorError::refused("damaged");
    assert_eq!(verifying().step(seconds(1), Event::Failed(error.clone())), [Action::End(error)]);
}
