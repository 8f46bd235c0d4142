//! Every way in which a savepoint and the decision can stand to one another, as a sentence.

use super::*;
use crate::connector::StartPolicy;
use crate::decision::{CommittedOffset, Metadata, Owner};
use crate::epoch::Incarnation;
use crate::key_group::KeyGroups;
use crate::manifest::{KeyedStates, OperatorState, SourcePosition};
use crate::position::{Partition, Position};
use crate::state::{TimerClock, TimerDeclaration};
use crate::verdict::{DecisionPlace, Hint, KnownPartition, NewStart};
use std::collections::BTreeMap;

const INCARNATION: &str = "01J9ZQ3W5X7Y8Z9A0B1C2D3E4F";

fn id(epoch: u64) -> CheckpointId {
    CheckpointId { epoch: Epoch(epoch), incarnation: Incarnation::parse(INCARNATION).unwrap() }
}

/// A checkpoint of one partition.
fn manifest(epoch: u64, offset: i64) -> Manifest {
    Manifest {
        version: 2,
        pipeline: "p".to_owned(),
        id: id(epoch),
        parent: None,
        positions: vec![SourcePosition {
            source: "in".to_owned(),
            partition: Partition::new("orders", 0),
            position: Position::at(offset),
        }],
        now_ms: 100,
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

fn known(number: i32) -> KnownPartition {
    KnownPartition {
        source: "in".to_owned(),
        partition: Partition::new("orders", number),
        policy: StartPolicy::Latest,
        covered: true,
        letters: false,
    }
}

/// A pipeline whose decision is this manifest.
fn decided(manifest: &Manifest) -> Facts {
    let owner = Owner::of("weir.", "p");
    let record = DecisionRecord { owner: owner.clone(), id: manifest.id.clone(), manifest: manifest.hash() };
    Facts {
        owner,
        committed: vec![CommittedOffset {
            partition: Partition::new("orders", 0),
            position: Some(manifest.positions[0].position),
            metadata: Metadata::Decision(record.clone()),
        }],
        stand_in: false,
        partitions: vec![known(0)],
        manifest: FoundManifest::Found(manifest.clone()),
        hint: Some(Hint { id: record.id, manifest: record.manifest }),
        later_checkpoint: true,
        needs_manifest: Some("its operators keep state"),
        place: DecisionPlace::ConsumerGroup,
    }
}

/// A pipeline that has never run.
fn fresh() -> Facts {
    let mut facts = decided(&manifest(0, 0));
    facts.committed[0].position = None;
    facts.committed[0].metadata = Metadata::Empty;
    facts.manifest = FoundManifest::NotNamed;
    facts.hint = None;
    facts.later_checkpoint = false;
    facts
}

fn start(facts: &Facts, savepoint: &Manifest, replay_output: bool) -> SavepointVerdict {
    judge_start(&SavepointStart { replay_output, ..asked(facts, savepoint) })
}

fn gone<'a>(facts: &'a Facts, savepoint: &'a Manifest) -> SavepointStart<'a> {
    SavepointStart { savepoint: Err("there is none"), ..asked(facts, savepoint) }
}

fn asked<'a>(facts: &'a Facts, savepoint: &'a Manifest) -> SavepointStart<'a> {
    SavepointStart {
        facts,
        asked: "before",
        savepoint: Ok(savepoint),
        replay_output: false,
        again: false,
        ours: &[],
    }
}

fn epoch(verdict: &SavepointVerdict) -> u64 {
    let SavepointVerdict::Start { epoch, .. } = verdict else { panic!("{verdict:?}") };
    epoch.0
}

/// Refused without the person's word, and a start behind everything with it.
fn needs_the_word(facts: &Facts, savepoint: &Manifest, says: &str, then: u64) {
    let refused = start(facts, savepoint, false);
    let SavepointVerdict::Refuse(refusal @ SavepointRefusal::Beyond { .. }) = refused else {
        panic!("{refused:?}")
    };
    let text = refusal.to_string();
    assert!(text.contains(says) && text.contains("--replay-output"), "{text}");
    assert_eq!(epoch(&start(facts, savepoint, true)), then);
}

#[test]
fn a_pipeline_that_never_ran_starts_behind_the_epoch_of_the_savepoint() {
    let verdict = start(&fresh(), &manifest(12, 50), false);
    assert_eq!(
        verdict,
        SavepointVerdict::Start { epoch: Epoch(13), resolve: vec![], decided: Decided::default() }
    );
}

#[test]
fn the_decided_checkpoint_itself_starts_without_a_word() {
    let savepoint = manifest(12, 50);
    let verdict = start(&decided(&savepoint), &savepoint, false);
    assert_eq!(epoch(&verdict), 13);
    let SavepointVerdict::Start { decided, .. } = verdict else { unreachable!() };
    assert_eq!(decided.id, Some(id(12)));
}

#[test]
fn a_decision_beyond_the_savepoint_needs_the_persons_word() {
    needs_the_word(
        &decided(&manifest(20, 80)),
        &manifest(12, 50),
        "orders:0 is at 80, in the savepoint at 50",
        21,
    );
}

#[test]
fn a_later_decision_with_the_same_positions_has_published_nothing() {
    assert_eq!(epoch(&start(&decided(&manifest(20, 50)), &manifest(12, 50), false)), 21);
}

#[test]
fn timers_may_have_fired_where_time_went_on() {
    let mut savepoint = manifest(12, 50);
    let timers = vec![TimerDeclaration { name: "t".to_owned(), clock: TimerClock::ProcessingTime }];
    let operators = BTreeMap::from([("sum".to_owned(), OperatorState { states: vec![], timers })]);
    savepoint.keyed = Some(KeyedStates { groups: KeyGroups::plain(60), operators, parts: vec![] });
    let same_time = decided(&manifest(20, 50));
    assert_eq!(epoch(&start(&same_time, &savepoint, false)), 21);
    let later = decided(&Manifest { now_ms: 101, ..manifest(20, 50) });
    needs_the_word(&later, &savepoint, "timers may have fired", 21);
    let lost = Facts { manifest: FoundManifest::Missing, ..same_time };
    needs_the_word(&lost, &savepoint, "timers may have fired", 21);
}

#[test]
fn a_start_that_has_happened_is_not_done_again() {
    let savepoint = manifest(12, 50);
    let descendant = Manifest { started_from: Some(id(12)), ..manifest(30, 90) };
    assert_eq!(start(&decided(&descendant), &savepoint, false), SavepointVerdict::Happened);
    let of_another = Manifest { started_from: Some(id(11)), ..manifest(30, 90) };
    needs_the_word(&decided(&of_another), &savepoint, "is at 90", 31);
}

#[test]
fn a_second_rollback_is_refused_and_not_passed_over_unless_the_person_says_again() {
    let savepoint = manifest(12, 50);
    let facts = decided(&Manifest { started_from: Some(id(12)), ..manifest(30, 90) });
    let refused = start(&facts, &savepoint, true);
    let SavepointVerdict::Refuse(refusal) = refused else { panic!("{refused:?}") };
    let text = refusal.to_string();
    assert!(text.contains("started from savepoint before before") && text.contains("--again"), "{text}");

    let again = SavepointStart { replay_output: true, again: true, ..asked(&facts, &savepoint) };
    assert_eq!(epoch(&judge_start(&again)), 31);
    // Again is no word for publishing twice.
    let silent = SavepointStart { again: true, ..asked(&facts, &savepoint) };
    let verdict = judge_start(&silent);
    assert!(matches!(verdict, SavepointVerdict::Refuse(SavepointRefusal::Beyond { .. })), "{verdict:?}");
}

#[test]
fn what_this_process_has_started_is_not_started_again_when_it_restarts() {
    let savepoint = manifest(12, 50);
    let facts = decided(&Manifest { started_from: Some(id(12)), ..manifest(30, 90) });
    let ours = [Incarnation::parse(INCARNATION).unwrap()];
    for again in [false, true] {
        let restart = SavepointStart { replay_output: true, again, ours: &ours, ..asked(&facts, &savepoint) };
        assert_eq!(judge_start(&restart), SavepointVerdict::Happened);
    }
}

#[test]
fn a_savepoint_that_is_gone_is_missed_only_by_a_start_that_needs_it() {
    let savepoint = manifest(12, 50);
    let descendant =
        Manifest { started_from: Some(id(12)), savepoint: Some("before".to_owned()), ..manifest(30, 90) };
    let facts = decided(&descendant);
    assert_eq!(judge_start(&gone(&facts, &savepoint)), SavepointVerdict::Happened);
    let missed = SavepointVerdict::Refuse(SavepointRefusal::NotThere("there is none".to_owned()));
    assert_eq!(judge_start(&SavepointStart { again: true, ..gone(&facts, &savepoint) }), missed);
    let of_another = Manifest { savepoint: Some("another".to_owned()), ..descendant };
    for facts in [decided(&of_another), decided(&manifest(30, 90)), fresh()] {
        assert_eq!(judge_start(&gone(&facts, &savepoint)), missed);
    }
}

#[test]
fn a_lost_data_directory_is_replaced_by_the_savepoint() {
    let savepoint = manifest(12, 50);
    let lost = |manifest: &Manifest| Facts {
        manifest: FoundManifest::Missing,
        hint: None,
        later_checkpoint: false,
        ..decided(manifest)
    };
    assert!(matches!(judge(&lost(&savepoint)), Verdict::Refuse(Refusal::ManifestLost { .. })));
    assert_eq!(epoch(&start(&lost(&savepoint), &savepoint, false)), 13);
    needs_the_word(&lost(&manifest(20, 80)), &savepoint, "is at 80", 21);
}

#[test]
fn a_group_that_is_gone_tells_nothing_of_what_was_published() {
    let gone = Facts { hint: decided(&manifest(20, 80)).hint, later_checkpoint: true, ..fresh() };
    needs_the_word(&gone, &manifest(12, 50), "no decision any more", 21);
    let same = Facts { hint: decided(&manifest(12, 50)).hint, later_checkpoint: true, ..fresh() };
    assert_eq!(epoch(&start(&same, &manifest(12, 50), false)), 13);
}

#[test]
fn a_cluster_that_went_back_tells_nothing_of_what_was_published() {
    let back = Facts { hint: decided(&manifest(20, 80)).hint, ..decided(&manifest(12, 50)) };
    needs_the_word(&back, &manifest(12, 50), "has seen checkpoint 20", 21);
}

#[test]
fn a_stand_in_without_its_manifest_tells_nothing_of_positions() {
    let mut facts = decided(&manifest(20, 50));
    facts.stand_in = true;
    facts.committed[0].position = Some(Position::at(20));
    facts.manifest = FoundManifest::Missing;
    needs_the_word(&facts, &manifest(12, 50), "its manifest with the positions is lost", 21);
}

#[test]
fn offsets_of_another_consumer_beyond_the_savepoint_need_the_persons_word() {
    let mut facts = fresh();
    facts.committed[0].position = Some(Position::at(60));
    needs_the_word(&facts, &manifest(12, 50), "is at 60", 13);
    facts.committed[0].position = Some(Position::at(40));
    assert_eq!(epoch(&start(&facts, &manifest(12, 50), false)), 13);
}

#[test]
fn what_others_decided_is_never_overwritten() {
    let mut foreign = decided(&manifest(12, 50));
    foreign.owner = Owner::of("weir.", "another");
    let mut unknown = decided(&manifest(12, 50));
    unknown.committed[0].metadata = Metadata::Unknown("x".to_owned());
    let future =
        Facts { manifest: FoundManifest::Future("version 9".to_owned()), ..decided(&manifest(12, 50)) };
    for facts in [foreign, unknown, future] {
        let verdict = start(&facts, &manifest(12, 50), true);
        assert!(matches!(verdict, SavepointVerdict::Refuse(SavepointRefusal::NotOurs(_))), "{verdict:?}");
    }
}

#[test]
fn partitions_that_the_savepoint_does_not_know_begin_at_their_first_record() {
    let mut facts = fresh();
    facts.partitions.push(known(1));
    let verdict = start(&facts, &manifest(12, 50), false);
    let SavepointVerdict::Start { resolve, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(resolve.len(), 1);
    assert_eq!((resolve[0].partition.number, resolve[0].start), (1, NewStart::Earliest));
}

#[test]
fn a_topic_that_lost_a_partition_is_refused() {
    let mut facts = fresh();
    facts.partitions = vec![known(1)];
    let verdict = start(&facts, &manifest(12, 50), true);
    let SavepointVerdict::Refuse(refusal) = verdict else { panic!("{verdict:?}") };
    assert!(refusal.to_string().contains("does not exist any more"), "{refusal}");
}

#[test]
fn what_the_decided_checkpoint_had_prepared_is_published_first() {
    let handle = PreparedHandle { sink: "files".to_owned(), handle: "part-1".to_owned() };
    let facts = decided(&Manifest { prepared: vec![handle.clone()], ..manifest(20, 80) });
    let savepoint = Manifest { prepared: vec![], ..manifest(12, 50) };
    let SavepointVerdict::Start { decided, .. } = start(&facts, &savepoint, true) else { panic!() };
    assert_eq!(decided, Decided { id: Some(id(20)), prepared: vec![handle] });
}
