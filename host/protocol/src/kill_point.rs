//! The named places at which a test ends the process, one table for all of them.
//!
//! With the cargo feature `kill-points` the binary installs a hook that sends itself SIGKILL at the chosen place;
//! without it [`reached`] is empty. Each entry has a test in `tests/it`; a tidy test compares the two lists.

/// Each place, in the order in which an incarnation passes it: its name and what has happened before it.
pub const KILL_POINTS: &[(&str, &str)] = &[
    ("recovery_before_fence", "the decision was looked at, nothing is fenced"),
    ("recovery_after_fence", "earlier incarnations are fenced, the decision is not read"),
    ("recovery_after_read", "the decision is read, nothing is restored"),
    ("recovery_after_sinks", "side sinks have published what the decided checkpoint had prepared"),
    ("recovery_after_start_decided", "the offsets-only decision of this incarnation is made"),
    ("restore_linked", "the files of a state are linked into the live directory"),
    ("migration_done", "a state's entries are rewritten in the live database"),
    ("state_restored", "all states are open, no record is read"),
    ("epoch_begun", "the transaction of the epoch is open"),
    ("barrier_injected", "the barrier was sent to the subtasks"),
    ("source_noted_positions", "a subtask has noted its positions"),
    ("state_frozen", "a subtask has frozen its state, the barrier has not gone on"),
    ("state_frozen_written", "frozen state is in the database, no file of it is linked"),
    ("state_linked", "the files of a state are in the checkpoint's .tmp directory"),
    ("sinks_prepared", "all subtasks have delivered the barrier and prepared their sinks"),
    ("before_flush", "the slot is closed, its records may be in flight"),
    ("after_flush", "all records of the epoch are stored, not committed"),
    ("next_epoch_begun", "the next transaction is open, the closed one is undecided"),
    ("manifest_written", "the manifest is in its .tmp directory"),
    ("manifest_durable", "the checkpoint has its final name"),
    ("before_send_offsets", "nothing of the decision was sent"),
    ("after_send_offsets", "the offsets are pending in the transaction"),
    ("in_commit", "the commit was sent, its answer is not awaited"),
    ("after_commit", "the epoch is decided, nothing is cleaned up"),
    ("after_hint", "the hint is written"),
    ("staged_file_renamed", "one staged file of the decided epoch is published"),
    ("after_side_commit", "side sinks have published"),
    ("after_cleanup", "old checkpoints are deleted"),
    ("in_recycle", "the successor producer of a slot is being initialised"),
    ("savepoint_linked", "a savepoint is complete under its temporary name"),
    ("savepoint_imported", "an imported savepoint is verified under its temporary name"),
    ("stop_barrier", "the last barrier of a graceful stop was sent"),
    ("swap_prepared", "the new version's instances are made, nobody has them"),
    ("swap_commanded", "the subtasks are given the new version, the barrier is not sent"),
    ("swap_switched", "a subtask has let the old version go at the barrier"),
    ("swap_probation_judged", "the new version is judged healthy, its first epoch is not decided"),
    ("swap_completed", "the new version's first epoch is decided, nobody is told"),
    ("swap_completed_noted", "the new version's first epoch is decided, and told"),
    ("swap_rolled_back", "the new version is judged unhealthy and stopped, nobody is told"),
    ("swap_rolled_back_noted", "that is told, the old version is not started"),
];

/// Called at a place of [`KILL_POINTS`]. Does nothing unless the feature `kill-points` is on and a hook is installed.
#[inline]
pub fn reached(name: &'static str) {
    #[cfg(feature = "kill-points")]
    if let Some(hook) = HOOK.get() {
        debug_assert!(KILL_POINTS.iter().any(|(known, _)| *known == name), "{name} is not in the table");
        hook(name);
    }
    #[cfg(not(feature = "kill-points"))]
    let _ = name;
}

#[cfg(feature = "kill-points")]
static HOOK: std::sync::OnceLock<fn(&'static str)> = std::sync::OnceLock::new();

/// Installs what happens at a place. The first call counts.
#[cfg(feature = "kill-points")]
pub fn install(hook: fn(&'static str)) {
    let _ = HOOK.set(hook);
}
