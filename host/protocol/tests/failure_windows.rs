//! Each window in which a process can die, as facts that recovery finds, and what it does with them.
//!
//! The same windows are passed by a real process that is killed in them: see `tests/it`.

use std::collections::BTreeMap;
use weir_protocol::connector::{ErrorKind, StartPolicy};
use weir_protocol::decision::{CommittedOffset, DecisionRecord, Metadata, Owner};
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::manifest::{Manifest, PreparedHandle, SourcePosition, VERSION};
use weir_protocol::position::{Partition, Position};
use weir_protocol::restart::{Ended, Restart, RestartPolicy};
use weir_protocol::transaction::{Answer, Call, Next, after_error};
use weir_protocol::verdict::{
    DecisionPlace, Facts, FoundManifest, Hint, KnownPartition, Verdict, judge, named,
};

/// A pipeline whose last decision was `decided` and whose newest manifest on disk is `newest`.
struct Crashed {
    decided: u64,
    newest: u64,
    hinted: Option<u64>,
}

fn manifest(epoch: u64) -> Manifest {
    let incarnation = Incarnation::parse("01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").expect("a ULID");
    Manifest {
        version: VERSION,
        pipeline: "p".to_owned(),
        id: CheckpointId { epoch: Epoch(epoch), incarnation },
        parent: None,
        positions: vec![SourcePosition {
            source: "in".to_owned(),
            partition: Partition::new("orders", 0),
            position: Position::at(epoch as i64 * 100),
        }],
        now_ms: 0,
        operators: BTreeMap::new(),
        prepared: vec![PreparedHandle { sink: "files".to_owned(), handle: format!("staged-{epoch}") }],
        slots: 2,
        watermarks: vec![],
        keyed: None,
        finished: false,
        started_from: None,
        savepoint: None,
        operator_watermarks: BTreeMap::new(),
        written_by: None,
    }
}

fn record(epoch: u64) -> DecisionRecord {
    let manifest = manifest(epoch);
    DecisionRecord { owner: Owner::of("weir.", "p"), manifest: manifest.hash(), id: manifest.id }
}

impl Crashed {
    /// What recovery finds behind the fence, and its verdict: the epoch that is restored, and its prepared work.
    fn restored(&self) -> (u64, String) {
        let committed = vec![CommittedOffset {
            partition: Partition::new("orders", 0),
            position: Some(Position::at(self.decided as i64 * 100)),
            metadata: Metadata::Decision(record(self.decided)),
        }];
        let on_disk: BTreeMap<u64, Manifest> =
            (0..=self.newest).map(|epoch| (epoch, manifest(epoch))).collect();
        let wanted = named(&committed).expect("a decision").id.epoch.0;
        let facts = Facts {
            owner: Owner::of("weir.", "p"),
            committed,
            stand_in: false,
            partitions: vec![KnownPartition {
                source: "in".to_owned(),
                partition: Partition::new("orders", 0),
                policy: StartPolicy::CommittedOrEarliest,
                covered: true,
                letters: false,
            }],
            manifest: on_disk.get(&wanted).cloned().map_or(FoundManifest::Missing, FoundManifest::Found),
            hint: self.hinted.map(|epoch| Hint { id: record(epoch).id, manifest: record(epoch).manifest }),
            later_checkpoint: true,
            needs_manifest: Some("it has staged files"),
            place: DecisionPlace::ConsumerGroup,
        };
        match judge(&facts) {
            Verdict::Restore { manifest, .. } => (manifest.id.epoch.0, manifest.prepared[0].handle.clone()),
            verdict => panic!("expected a restore, found {verdict:?}"),
        }
    }
}

#[test]
fn a_crash_before_the_flush_or_before_the_manifest_is_durable_goes_back_to_the_last_decision() {
    assert_eq!(Crashed { decided: 6, newest: 6, hinted: Some(6) }.restored().0, 6);
}

#[test]
fn a_durable_manifest_without_a_decision_is_not_restored() {
    assert_eq!(Crashed { decided: 6, newest: 7, hinted: Some(6) }.restored().0, 6);
}

#[test]
fn offsets_that_were_sent_and_not_committed_are_undone_by_the_fence() {
    // Behind the fence the pending offsets are gone: the facts are those of the decision before.
    assert_eq!(Crashed { decided: 6, newest: 7, hinted: Some(6) }.restored().0, 6);
}

#[test]
fn a_failed_send_offsets_is_never_followed_by_a_commit() {
    let flagged = Answer { retriable: true, ..Answer::default() };
    assert_eq!(after_error(Call::SendOffsets, flagged), Next::EndIncarnation);
}

#[test]
fn an_unknown_answer_of_the_commit_is_settled_by_what_is_read_behind_the_fence() {
    assert_eq!(Crashed { decided: 6, newest: 7, hinted: Some(6) }.restored().0, 6);
    assert_eq!(Crashed { decided: 7, newest: 7, hinted: Some(6) }.restored().0, 7);
}

#[test]
fn a_crash_after_the_commit_and_before_the_clean_up_publishes_what_was_prepared() {
    assert_eq!(Crashed { decided: 7, newest: 7, hinted: Some(6) }.restored(), (7, "staged-7".to_owned()));
}

#[test]
fn a_crash_after_the_hint_restores_the_same_checkpoint() {
    assert_eq!(Crashed { decided: 7, newest: 7, hinted: Some(7) }.restored().0, 7);
}

#[test]
fn a_transaction_that_timed_out_and_a_fenced_zombie_look_the_same_and_look_before_they_restart() {
    let answer = Answer { fenced: true, fatal: true, ..Answer::default() };
    assert_eq!(after_error(Call::Produce, answer), Next::Fenced);
    let mut policy = RestartPolicy::new(Default::default(), std::time::Duration::from_secs(5));
    let ended = Ended { kind: ErrorKind::Fenced, ran_for: std::time::Duration::from_secs(9) };
    assert!(matches!(policy.ended(ended), Restart::LookAfter(_)));
}

#[test]
fn a_broker_that_is_down_too_long_ends_the_incarnation_and_is_tried_again() {
    assert_eq!(after_error(Call::Flush, Answer::default()), Next::EndIncarnation);
    let mut policy = RestartPolicy::new(Default::default(), std::time::Duration::from_secs(5));
    let ended = Ended { kind: ErrorKind::Transient, ran_for: std::time::Duration::from_secs(9) };
    assert!(matches!(policy.ended(ended), Restart::After(_)));
}
