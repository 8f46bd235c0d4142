//! Each checker can fail: a defect that is planted for it is found by it.

use sim::checkers;
use sim::outside::Defect;
use sim::world::history;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A defect that no seed of so many shows is not found.
const SEEDS: u64 = 40;

/// A decision that is too old is nearly always refused, because the disk knows better: few seeds get beyond that.
const SEEDS_OF_STALE_DECISIONS: u64 = 400;

/// The first seed in which the checker finds the defect. The product's own assertions may end other seeds before.
fn caught(defect: Defect, checker: &str) {
    let seeds = if defect == Defect::StaleDecision { SEEDS_OF_STALE_DECISIONS } else { SEEDS };
    let mut planted = 0;
    for seed in 0..seeds {
        let Ok(history) = catch_unwind(AssertUnwindSafe(|| history(seed, Some(defect)))) else { continue };
        planted += history.planted;
        if checkers::broken(&history).iter().any(|(name, _)| *name == checker) {
            return;
        }
    }
    panic!(
        "the checker {checker:?} does not find {defect:?} in {seeds} seeds, though it was made {planted} times"
    );
}

#[test]
fn a_lost_batch_is_a_loss() {
    caught(Defect::LoseBatch, "loss");
}

#[test]
fn positions_ahead_of_what_was_read_are_a_loss() {
    caught(Defect::PositionsAhead, "loss");
}

#[test]
fn a_doubled_batch_is_a_duplicate() {
    caught(Defect::DoubleBatch, "duplicates");
}

#[test]
fn a_stale_decision_makes_duplicates() {
    caught(Defect::StaleDecision, "duplicates");
}

#[test]
fn a_stale_decision_reuses_an_epoch() {
    caught(Defect::StaleDecision, "epochs");
}

#[test]
fn a_fence_that_lets_zombies_go_on_breaks_the_order_of_epochs() {
    caught(Defect::NoFence, "epochs");
}

#[test]
fn rows_in_the_wrong_order_break_the_order_of_a_key() {
    caught(Defect::ReorderRows, "order");
}

#[test]
fn older_state_is_not_the_fold_of_the_input() {
    caught(Defect::RestoreOlderState, "state");
}

#[test]
fn state_that_a_rescaled_subtask_forgets_is_not_the_fold_of_the_input() {
    caught(Defect::RestoreTooLittle, "state");
}

#[test]
fn a_snapshot_with_rows_behind_the_barrier_is_not_the_fold_of_the_input() {
    caught(Defect::FreezeLate, "state");
}

#[test]
fn what_a_failed_call_leaves_behind_is_not_the_fold_of_the_input() {
    caught(Defect::KeepFailedCall, "state");
}

#[test]
fn forgotten_timers_are_windows_that_do_not_fire() {
    caught(Defect::ForgetTimers, "windows");
}

#[test]
fn rows_behind_the_watermark_are_late() {
    caught(Defect::LateRows, "windows");
}

#[test]
fn processing_time_that_goes_down_is_seen() {
    caught(Defect::TimeGoesDown, "time");
}

#[test]
fn a_checkpoint_that_is_never_complete_is_a_history_without_an_end() {
    caught(Defect::ForgetJobs, "ending");
}

#[test]
fn a_bad_version_whose_failures_nobody_sees_is_visible() {
    caught(Defect::FailUnseen, "versions");
}

#[test]
fn a_version_that_was_decided_and_is_forgotten_changes_without_a_swap() {
    caught(Defect::ForgetCandidate, "versions");
}
