//! Kill -9 at every named place: each record is in the output once, in Kafka and in files.
//!
//! The process dies at the place by its own hand, leaves a mark that proves it, is started again, and runs to the end.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::weir::Weir;

/// When the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// At this passing, under load.
    Passing(u32),
    /// At its first passing in a second life, after a first one was killed under load.
    SecondLife,
    /// After a graceful stop was asked for.
    Stopping,
}

fn dies_at(place: &str, when: When) {
    let mut job = Job::new(&place.replace('_', "-")).with_processed();
    job.add_files_sink("files", "prefix");
    let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 3);
    if when == When::SecondLife {
        let mut first = job.start();
        job.await_output(&mut first, &job.topic("out"));
        first.kill();
    }
    let mark = job.path("mark");
    let passing = if let When::Passing(passing) = when { passing } else { 1 };
    let mark_text = mark.display().to_string();
    let kill_at = format!("{place}:{passing}");
    let mut weir = job.start_with(&[], &[("WEIR_KILL_AT", &kill_at), ("WEIR_KILL_MARK", &mark_text)]);
    if when == When::Stopping {
        job.await_output(&mut weir, &job.topic("out"));
        weir.signal(libc::SIGTERM);
    }
    weir.dies();
    assert!(mark.is_file(), "the mark proves that {place} was passed");
    // Load goes on while the next life recovers.
    let next: Weir = job.start();
    let input = load.stop();
    drop(next);
    job.run_to_end();
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
    model::each_once(&model::prefixed_texts(&input), &job.values("files"));
}

/// One test for each place, and the list of them that `tidy` compares with the product's table.
macro_rules! killed {
    ($($sentence:ident: $place:literal $when:expr,)*) => {
        /// Places that have a test.
        pub const TESTED: &[&str] = &[$($place),*];
        $(
            #[test]
            fn $sentence() {
                dies_at($place, $when);
            }
        )*
    };
}

killed! {
    killed_before_the_fence_of_a_recovery: "recovery_before_fence" When::SecondLife,
    killed_behind_the_fence_of_a_recovery: "recovery_after_fence" When::SecondLife,
    killed_after_the_decision_was_read: "recovery_after_read" When::SecondLife,
    killed_after_the_sinks_have_recovered: "recovery_after_sinks" When::SecondLife,
    killed_after_the_start_was_decided: "recovery_after_start_decided" When::SecondLife,
    killed_in_an_open_transaction: "epoch_begun" When::Passing(3),
    killed_after_the_barrier_was_sent: "barrier_injected" When::Passing(3),
    killed_after_a_subtask_has_noted_its_positions: "source_noted_positions" When::Passing(5),
    killed_after_all_sinks_are_prepared: "sinks_prepared" When::Passing(3),
    killed_before_the_flush: "before_flush" When::Passing(3),
    killed_after_the_flush: "after_flush" When::Passing(3),
    killed_with_two_transactions_open: "next_epoch_begun" When::Passing(3),
    killed_while_the_manifest_is_temporary: "manifest_written" When::Passing(3),
    killed_after_the_manifest_is_durable: "manifest_durable" When::Passing(4),
    killed_before_the_offsets_are_sent: "before_send_offsets" When::Passing(4),
    killed_while_the_offsets_are_pending: "after_send_offsets" When::Passing(4),
    killed_while_the_commit_is_under_way: "in_commit" When::Passing(4),
    killed_after_the_commit: "after_commit" When::Passing(3),
    killed_after_the_hint: "after_hint" When::Passing(3),
    killed_after_one_staged_file_was_renamed: "staged_file_renamed" When::Passing(3),
    killed_after_side_sinks_have_published: "after_side_commit" When::Passing(3),
    killed_after_old_checkpoints_are_deleted: "after_cleanup" When::Passing(3),
    killed_while_a_producer_is_recycled: "in_recycle" When::Passing(3),
    killed_after_the_last_barrier_of_a_graceful_stop: "stop_barrier" When::Stopping,
}
