//! Where dead letters stand, whatever was decided since.

use super::*;

/// A partition of dead letters, as a replay knows it.
fn letters(facts: &mut Facts, entry: Option<(i64, DecisionRecord)>) {
    let partition = Partition::new("dead", 0);
    let source = "letters:dead".to_owned();
    let policy = StartPolicy::Earliest;
    facts.partitions.insert(
        0,
        KnownPartition { source, partition: partition.clone(), policy, covered: true, letters: true },
    );
    let (position, metadata) = match entry {
        Some((offset, record)) => (Some(Position::at(offset)), Metadata::Decision(record)),
        None => (None, Metadata::Empty),
    };
    facts.committed.insert(0, CommittedOffset { partition, position, metadata });
}

fn older() -> DecisionRecord {
    DecisionRecord { id: id(2, OTHER), ..record() }
}

#[test]
fn letters_may_stand_at_an_older_decision_and_go_on_there() {
    let mut facts = healthy();
    letters(&mut facts, Some((5, older())));
    let Verdict::Restore { resolve, .. } = judge(&facts) else { panic!("{:?}", judge(&facts)) };
    assert_eq!(resolve.len(), 1);
    assert_eq!(resolve[0].start, NewStart::At(Position::at(5)));
}

#[test]
fn letters_may_stand_at_a_newer_decision_where_the_stream_begins_anew() {
    let mut facts = healthy();
    letters(&mut facts, Some((5, DecisionRecord { id: id(900, OTHER), ..record() })));
    let Verdict::Restore { resolve, .. } = judge(&facts) else { panic!("{:?}", judge(&facts)) };
    assert_eq!(resolve[0].start, NewStart::At(Position::at(5)));
    let anew = Facts { hint: None, later_checkpoint: false, manifest: FoundManifest::NotNamed, ..facts };
    let committed = anew.committed.iter().take(1).cloned().collect();
    let Verdict::FirstStart { resolve } = judge(&Facts { committed, ..anew }) else { panic!() };
    assert_eq!(resolve[0].start, NewStart::At(Position::at(5)));
    assert_eq!(resolve.len(), 3);
}

#[test]
fn letters_that_were_never_replayed_begin_at_the_first() {
    let mut facts = healthy();
    letters(&mut facts, None);
    let Verdict::Restore { resolve, .. } = judge(&facts) else { panic!("{:?}", judge(&facts)) };
    assert_eq!(resolve[0].start, NewStart::Policy(StartPolicy::Earliest));
}

#[test]
fn letters_of_another_cluster_are_not_read_from_the_beginning_where_their_manifest_is_lost() {
    let mut facts = Facts { hint: None, manifest: FoundManifest::Missing, ..healthy() };
    letters(&mut facts, None);
    assert!(matches!(judge(&facts), Verdict::RestoreFromOffsets { .. }));
    facts.partitions[0].covered = false;
    facts.committed.remove(0);
    assert!(matches!(refusal(&facts), Refusal::LettersUnknown { .. }));
}

#[test]
fn the_manifest_says_where_letters_stand_whatever_the_group_has() {
    for entry in [None, Some((5, older())), Some((9, record()))] {
        let mut facts = healthy();
        letters(&mut facts, entry);
        let FoundManifest::Found(manifest) = &mut facts.manifest else { panic!() };
        manifest.positions.push(SourcePosition {
            source: "letters:dead".to_owned(),
            partition: Partition::new("dead", 0),
            position: Position::at(7),
        });
        let Verdict::Restore { resolve, manifest } = judge(&facts) else { panic!("{:?}", judge(&facts)) };
        assert!(resolve.is_empty());
        assert_eq!(manifest.position("letters:dead", &Partition::new("dead", 0)), Some(Position::at(7)));
    }
}

fn stands(facts: &mut Facts, source: &str, offset: i64) {
    let FoundManifest::Found(manifest) = &mut facts.manifest else { panic!() };
    let (source, partition) = (source.to_owned(), Partition::new("dead", 0));
    manifest.positions.push(SourcePosition { source, partition, position: Position::at(offset) });
}

#[test]
fn a_replay_that_was_decided_behind_the_savepoint_of_a_rollback_is_undone_with_it() {
    for (savepoint, expected) in
        [(1, NewStart::Policy(StartPolicy::Earliest)), (2, NewStart::At(Position::at(5)))]
    {
        let mut facts = healthy();
        letters(&mut facts, Some((5, older())));
        let FoundManifest::Found(manifest) = &mut facts.manifest else { panic!() };
        manifest.started_from = Some(id(savepoint, OTHER));
        let Verdict::Restore { resolve, .. } = judge(&facts) else { panic!("{:?}", judge(&facts)) };
        assert_eq!(resolve[0].start, expected, "gone back to epoch {savepoint}");
    }
}

#[test]
fn letters_of_a_sink_that_was_renamed_go_on_where_the_last_replay_under_any_name_ended() {
    let mut facts = healthy();
    letters(&mut facts, None);
    stands(&mut facts, "letters:before", 9);
    let Verdict::Restore { resolve, .. } = judge(&facts) else { panic!("{:?}", judge(&facts)) };
    assert_eq!(resolve[0].start, NewStart::At(Position::at(9)));
    stands(&mut facts, "letters:dead", 7);
    let Verdict::Restore { resolve, .. } = judge(&facts) else { panic!("{:?}", judge(&facts)) };
    assert_eq!(resolve[0].start, NewStart::At(Position::at(9)), "renamed back");
    // A sink of the plan has its own position: its topic is one of another cluster.
    let other = KnownPartition { source: "letters:before".to_owned(), ..facts.partitions[0].clone() };
    facts.partitions.push(other);
    let Verdict::Restore { resolve, .. } = judge(&facts) else { panic!("{:?}", judge(&facts)) };
    assert!(resolve.is_empty(), "{resolve:?}");
}

#[test]
fn letters_of_another_pipeline_and_other_partitions_at_an_older_decision_are_refused() {
    let mut facts = healthy();
    letters(&mut facts, Some((5, DecisionRecord { owner: Owner::of("weir.", "other"), ..older() })));
    assert!(matches!(refusal(&facts), Refusal::ForeignOwner { .. }));
    let mut facts = healthy();
    facts.committed[0].metadata = Metadata::Decision(older());
    assert!(matches!(refusal(&facts), Refusal::Disagree { .. }));
}
