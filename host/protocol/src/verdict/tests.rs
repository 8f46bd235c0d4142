//! Every row of the verdict table, as a sentence.

use super::*;
use crate::epoch::{Epoch, Incarnation};
use crate::manifest::SourcePosition;
use proptest::prelude::*;
use std::collections::BTreeMap;

mod letters;

const INCARNATION: &str = "01J9ZQ3W5X7Y8Z9A0B1C2D3E4F";
const OTHER: &str = "01J9ZQ3W5X7Y8Z9A0B1C2D3E4G";

fn id(epoch: u64, incarnation: &str) -> CheckpointId {
    CheckpointId { epoch: Epoch(epoch), incarnation: Incarnation::parse(incarnation).unwrap() }
}

fn manifest(positions: &[(i32, i64)]) -> Manifest {
    let positions = positions.iter().map(|(number, offset)| SourcePosition {
        source: "in".to_owned(),
        partition: Partition::new("orders", *number),
        position: Position::at(*offset),
    });
    Manifest {
        version: 1,
        pipeline: "p".to_owned(),
        id: id(7, INCARNATION),
        parent: None,
        positions: positions.collect(),
        now_ms: 0,
        operators: BTreeMap::new(),
        prepared: vec![],
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

fn record() -> DecisionRecord {
    let manifest = manifest(&[(0, 10), (1, 20)]);
    DecisionRecord { owner: Owner::of("weir.", "p"), id: manifest.id.clone(), manifest: manifest.hash() }
}

fn entry(number: i32, offset: Option<i64>, metadata: Metadata) -> CommittedOffset {
    CommittedOffset {
        partition: Partition::new("orders", number),
        position: offset.map(Position::at),
        metadata,
    }
}

fn known(number: i32) -> KnownPartition {
    KnownPartition {
        source: "in".to_owned(),
        partition: Partition::new("orders", number),
        policy: StartPolicy::CommittedOrEarliest,
        covered: true,
        letters: false,
    }
}

/// A healthy pipeline: decision 7 on both partitions, its manifest and hint at hand.
fn healthy() -> Facts {
    let ours = || Metadata::Decision(record());
    Facts {
        owner: Owner::of("weir.", "p"),
        committed: vec![entry(0, Some(10), ours()), entry(1, Some(20), ours())],
        stand_in: false,
        partitions: vec![known(0), known(1)],
        manifest: FoundManifest::Found(manifest(&[(0, 10), (1, 20)])),
        hint: Some(Hint { id: id(7, INCARNATION), manifest: record().manifest }),
        later_checkpoint: true,
        needs_manifest: None,
        place: DecisionPlace::ConsumerGroup,
    }
}

fn fresh() -> Facts {
    Facts {
        committed: vec![entry(0, None, Metadata::Empty), entry(1, None, Metadata::Empty)],
        manifest: FoundManifest::NotNamed,
        hint: None,
        later_checkpoint: false,
        ..healthy()
    }
}

fn refusal(facts: &Facts) -> Refusal {
    match judge(facts) {
        Verdict::Refuse(refusal) => refusal,
        verdict => panic!("expected a refusal, found {verdict:?}"),
    }
}

#[test]
fn the_decided_checkpoint_is_restored() {
    assert!(matches!(judge(&healthy()), Verdict::Restore { resolve, .. } if resolve.is_empty()));
}

#[test]
fn an_older_hint_does_not_matter() {
    let hint = Some(Hint { id: id(6, OTHER), manifest: record().manifest });
    assert!(matches!(judge(&Facts { hint, ..healthy() }), Verdict::Restore { .. }));
    assert!(matches!(judge(&Facts { hint: None, ..healthy() }), Verdict::Restore { .. }));
}

#[test]
fn a_stateless_pipeline_without_its_manifest_is_restored_from_kafka_alone() {
    for lost in [FoundManifest::Missing, FoundManifest::Damaged("cut".to_owned())] {
        let facts = Facts { manifest: lost, hint: None, later_checkpoint: false, ..healthy() };
        let Verdict::RestoreFromOffsets { positions, .. } = judge(&facts) else {
            panic!("{:?}", judge(&facts))
        };
        assert_eq!(positions.iter().map(|p| p.position.offset).collect::<Vec<_>>(), [10, 20]);
    }
}

#[test]
fn a_pipeline_that_needs_its_manifest_is_refused_without_it() {
    let facts = Facts { manifest: FoundManifest::Missing, needs_manifest: Some("it has state"), ..healthy() };
    let refusal = refusal(&facts);
    assert!(matches!(refusal, Refusal::ManifestLost { .. }));
    let called = crate::remedy::Called::default();
    assert!(refusal.remedy().command(&called).starts_with("weir offsets reset"));
}

#[test]
fn a_partition_added_to_a_known_topic_starts_at_the_earliest_record() {
    let mut facts = healthy();
    facts.partitions.push(known(2));
    facts.committed.push(entry(2, None, Metadata::Empty));
    let Verdict::Restore { resolve, .. } = judge(&facts) else { panic!("{:?}", judge(&facts)) };
    assert_eq!((resolve.len(), resolve[0].start), (1, NewStart::Earliest));
}

#[test]
fn a_topic_added_to_the_pipeline_starts_by_its_policy() {
    let mut facts = healthy();
    let added =
        KnownPartition { partition: Partition::new("more", 0), policy: StartPolicy::Latest, ..known(0) };
    facts.committed.push(CommittedOffset {
        partition: added.partition.clone(),
        position: None,
        metadata: Metadata::Empty,
    });
    facts.partitions.push(added);
    let Verdict::Restore { resolve, .. } = judge(&facts) else { panic!("{:?}", judge(&facts)) };
    assert_eq!(resolve[0].start, NewStart::Policy(StartPolicy::Latest));
}

#[test]
fn an_entry_that_the_manifest_has_and_the_group_has_not_is_refused() {
    let mut facts = healthy();
    facts.committed[1] = entry(1, None, Metadata::Empty);
    assert!(matches!(refusal(&facts), Refusal::EntryMissing { .. }));
}

#[test]
fn nothing_anywhere_is_a_first_start() {
    assert!(matches!(judge(&fresh()), Verdict::FirstStart { resolve } if resolve.len() == 2));
}

#[test]
fn plain_offsets_of_another_consumer_are_taken_over() {
    let committed = vec![entry(0, Some(5), Metadata::Empty), entry(1, None, Metadata::Empty)];
    let Verdict::TakeOver { adopted, resolve } = judge(&Facts { committed, ..fresh() }) else { panic!() };
    assert_eq!((adopted.len(), adopted[0].position.offset, resolve.len()), (1, 5, 1));
}

#[test]
fn a_policy_that_does_not_ask_for_committed_offsets_does_not_adopt_them() {
    let mut facts = fresh();
    facts.committed[0] = entry(0, Some(5), Metadata::Empty);
    facts.partitions[0].policy = StartPolicy::Latest;
    let Verdict::TakeOver { adopted, resolve } = judge(&facts) else { panic!() };
    assert_eq!((adopted.len(), resolve.len()), (0, 2));
}

#[test]
fn a_source_that_is_renamed_is_told_so_and_not_that_somebody_changed_its_offsets() {
    let mut facts = healthy();
    facts.partitions.iter_mut().for_each(|known| known.source = "sales".to_owned());
    let Refusal::SourceRenamed { partition, was, now, .. } = refusal(&facts) else { panic!() };
    assert_eq!((partition, was.as_str(), now.as_str()), (Partition::new("orders", 0), "in", "sales"));
}

#[test]
fn no_entry_but_a_hint_is_an_expired_or_deleted_group() {
    let hint = healthy().hint;
    assert!(matches!(refusal(&Facts { hint, ..fresh() }), Refusal::GroupGone { .. }));
    assert!(matches!(refusal(&Facts { later_checkpoint: true, ..fresh() }), Refusal::GroupGone { .. }));
}

#[test]
fn without_kafka_a_refusal_names_the_local_decision_and_the_source() {
    let place = DecisionPlace::LocalFile;
    let said = |facts: &Facts, expected: &[&str]| {
        let text = refusal(facts).to_string();
        assert!(expected.iter().all(|part| text.contains(part)), "{text}");
        for wrong in ["consumer group", "cluster", "offsets.retention", "topic was deleted"] {
            assert!(!text.contains(wrong), "{text}");
        }
    };
    let hint = healthy().hint;
    let moved = Facts { hint, place, ..fresh() };
    said(&moved, &["the local decision", "source in", "orders", "moved or renamed"]);

    let mut fewer = Facts { place, ..healthy() };
    fewer.partitions.pop();
    said(&fewer, &["source in", "is not there any more"]);

    let mut back = Facts { place, ..healthy() };
    back.hint = back.hint.map(|hint| Hint { id: id(9, INCARNATION), ..hint });
    said(&back, &["the local decision", "DECISION"]);
}

#[test]
fn plain_offsets_where_a_decision_was_are_refused() {
    let committed = vec![entry(0, Some(10), Metadata::Empty), entry(1, Some(20), Metadata::Empty)];
    assert!(matches!(refusal(&Facts { committed, ..healthy() }), Refusal::OffsetsReset { .. }));
    let mut one = healthy();
    one.committed[0] = entry(0, Some(10), Metadata::Empty);
    assert!(matches!(refusal(&one), Refusal::OffsetsReset { .. }));
}

#[test]
fn an_offset_that_differs_from_the_manifest_is_refused() {
    let mut facts = healthy();
    facts.committed[0].position = Some(Position::at(3));
    assert!(matches!(refusal(&facts), Refusal::OffsetsReset { .. }));
}

#[test]
fn a_foreign_owner_is_refused() {
    let facts = Facts { owner: Owner::of("weir.", "q"), ..healthy() };
    assert!(matches!(refusal(&facts), Refusal::ForeignOwner { .. }));
}

#[test]
fn metadata_of_an_unknown_version_is_refused() {
    let mut facts = healthy();
    facts.committed[0].metadata = Metadata::parse("w9;x=1");
    assert!(matches!(refusal(&facts), Refusal::UnknownMetadata { .. }));
}

#[test]
fn partitions_that_name_different_checkpoints_are_refused() {
    let mut facts = healthy();
    let other = DecisionRecord { id: id(7, OTHER), ..record() };
    facts.committed[1].metadata = Metadata::Decision(other);
    assert!(matches!(refusal(&facts), Refusal::Disagree { .. }));
}

#[test]
fn a_decision_older_than_the_hint_is_refused() {
    let hint = Some(Hint { id: id(8, OTHER), manifest: record().manifest });
    assert!(matches!(refusal(&Facts { hint, ..healthy() }), Refusal::RolledBack { .. }));
}

#[test]
fn the_same_epoch_of_another_past_is_refused() {
    let hint = Some(Hint { id: id(7, OTHER), manifest: record().manifest });
    assert!(matches!(refusal(&Facts { hint, ..healthy() }), Refusal::RolledBack { .. }));
}

#[test]
fn a_manifest_from_the_future_is_refused_even_when_stateless() {
    let facts = Facts { manifest: FoundManifest::Future("version 9".to_owned()), ..healthy() };
    assert!(matches!(refusal(&facts), Refusal::Future { .. }));
}

#[test]
fn a_partition_that_does_not_exist_any_more_is_refused() {
    let mut facts = healthy();
    facts.partitions.pop();
    facts.committed.pop();
    assert!(matches!(refusal(&facts), Refusal::PartitionGone { .. }));
}

#[test]
fn without_a_manifest_a_partition_without_an_entry_cannot_be_told_from_an_expired_one() {
    let mut facts = Facts { manifest: FoundManifest::Missing, ..healthy() };
    facts.partitions.push(known(2));
    facts.committed.push(entry(2, None, Metadata::Empty));
    assert!(matches!(refusal(&facts), Refusal::CannotTellNew { .. }));
}

#[test]
fn an_undecided_first_checkpoint_is_still_a_first_start() {
    // A crash between the durable manifest of epoch 0 and its decision leaves a checkpoint of epoch 0 only.
    assert!(matches!(judge(&Facts { later_checkpoint: false, ..fresh() }), Verdict::FirstStart { .. }));
}

#[test]
fn a_stand_in_must_carry_the_epoch_as_its_offset() {
    let mut facts = healthy();
    facts.stand_in = true;
    facts.partitions.iter_mut().for_each(|known| known.covered = false);
    let out = |offset| CommittedOffset {
        partition: Partition::new("out", 0),
        position: Some(Position::at(offset)),
        metadata: Metadata::Decision(record()),
    };
    facts.committed = vec![out(7)];
    assert!(matches!(judge(&facts), Verdict::Restore { .. }));
    facts.committed = vec![out(6)];
    assert!(matches!(refusal(&facts), Refusal::OffsetsReset { .. }));
}

#[test]
fn a_source_that_left_the_plan_is_let_go() {
    let mut facts = healthy();
    let mut with_more = manifest(&[(0, 10), (1, 20)]);
    with_more.positions.push(SourcePosition {
        source: "gone".to_owned(),
        partition: Partition::new("old", 0),
        position: Position::at(1),
    });
    facts.manifest = FoundManifest::Found(with_more);
    assert!(matches!(judge(&facts), Verdict::Restore { .. }));
}

fn any_metadata() -> impl Strategy<Value = Metadata> {
    prop_oneof![
        Just(Metadata::Empty),
        Just(Metadata::Decision(record())),
        Just(Metadata::Decision(DecisionRecord { id: id(8, OTHER), ..record() })),
        Just(Metadata::Decision(DecisionRecord { owner: Owner::of("x", "y"), ..record() })),
        Just(Metadata::Unknown("x".to_owned())),
    ]
}

fn any_manifest() -> impl Strategy<Value = FoundManifest> {
    prop_oneof![
        Just(FoundManifest::NotNamed),
        Just(FoundManifest::Missing),
        Just(FoundManifest::Damaged("x".to_owned())),
        Just(FoundManifest::Future("x".to_owned())),
        Just(FoundManifest::Found(manifest(&[(0, 10), (1, 20)]))),
        Just(FoundManifest::Found(manifest(&[(0, 10)]))),
    ]
}

proptest! {
    /// The function is total, and it never goes on from anything but a decision of ours, plain offsets of a group
    /// that we have never seen, or nothing at all.
    #[test]
    fn every_combination_of_facts_has_a_verdict(
        entries in proptest::collection::vec((proptest::option::of(0i64..30), any_metadata()), 0..4),
        manifest in any_manifest(),
        partitions in 0i32..4,
        hint in proptest::option::of(5u64..9),
        later_checkpoint: bool,
        stand_in: bool,
        stateful: bool,
    ) {
        let committed: Vec<_> = entries.into_iter().enumerate()
            .map(|(i, (offset, metadata))| entry(i as i32, offset, metadata)).collect();
        let facts = Facts {
            committed,
            stand_in,
            partitions: (0..partitions).map(known).collect(),
            manifest,
            hint: hint.map(|epoch| Hint { id: id(epoch, INCARNATION), manifest: record().manifest }),
            later_checkpoint,
            needs_manifest: stateful.then_some("it has state"),
            place: DecisionPlace::ConsumerGroup,
            ..healthy()
        };
        let ours = facts.committed.iter().any(|e| matches!(&e.metadata, Metadata::Decision(r) if r.owner == facts.owner));
        match judge(&facts) {
            Verdict::FirstStart { .. } | Verdict::TakeOver { .. } => {
                prop_assert!(!ours && facts.hint.is_none() && !facts.later_checkpoint);
            }
            Verdict::Restore { manifest, .. } => prop_assert!(ours && FoundManifest::Found(*manifest) == facts.manifest),
            Verdict::RestoreFromOffsets { .. } => prop_assert!(ours && !stateful),
            Verdict::Refuse(refusal) => prop_assert!(!refusal.to_string().is_empty()),
        }
    }
}
