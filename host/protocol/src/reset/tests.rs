//! Resets, rule by rule.

use super::*;

fn id() -> CheckpointId {
    CheckpointId::parse("7-01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").unwrap()
}

/// Partition `number` of `orders`, decided and in the checkpoint at 20, with records 10 to 79.
fn facts(number: i32) -> PartitionFacts {
    let at_20 = Some(Position { offset: 20, leader_epoch: 3 });
    PartitionFacts {
        source: "orders".to_owned(),
        partition: Partition::new("orders", number),
        current: at_20,
        snapshot: at_20,
        asked: Some(Position::at(10)),
        range: Some((10, 80)),
    }
}

fn to(target: &Target, facts: &[PartitionFacts]) -> Result<Vec<i64>, ResetRefusal> {
    let moves = moves(target, &[], Some(&id()), facts)?;
    Ok(moves.iter().map(|to| to.to.offset).collect())
}

#[test]
fn a_shift_stops_at_the_ends_of_what_is_there() {
    let both = [facts(0), PartitionFacts { current: Some(Position::at(75)), ..facts(1) }];
    assert_eq!(to(&Target::ShiftBy(5), &both), Ok(vec![25, 80]));
    assert_eq!(to(&Target::ShiftBy(-5), &both), Ok(vec![15, 70]));
    assert_eq!(to(&Target::ShiftBy(i64::MIN), &both), Ok(vec![10, 10]));
    assert_eq!(to(&Target::ShiftBy(i64::MAX), &both), Ok(vec![80, 80]));
    let clamped = moves(&Target::ShiftBy(10), &[], None, &both).unwrap();
    assert_eq!((clamped[0].clamped_from, clamped[1].clamped_from), (None, Some(85)));
}

#[test]
fn a_partition_without_a_position_cannot_be_shifted() {
    let new = PartitionFacts { current: None, ..facts(1) };
    let refused = ResetRefusal::NothingToShift { partition: Partition::new("orders", 1) };
    assert_eq!(to(&Target::ShiftBy(1), &[facts(0), new]), Err(refused));
}

#[test]
fn an_offset_that_is_named_must_be_there() {
    let at =
        |offset| to(&Target::Offsets(vec![(Partition::new("orders", 1), offset)]), &[facts(0), facts(1)]);
    assert_eq!(at(10), Ok(vec![20, 10]));
    assert_eq!(at(80), Ok(vec![20, 80]));
    for offset in [9, 81] {
        let partition = Partition::new("orders", 1);
        assert_eq!(at(offset), Err(ResetRefusal::OutOfRange { partition, offset, earliest: 10, end: 80 }));
    }
}

#[test]
fn offsets_are_refused_for_what_is_not_read_left_out_or_named_twice() {
    let named = |number| (Partition::new("orders", number), 30);
    let only_0 = [Chosen::parse("orders:0").unwrap()];
    let both = [facts(0), facts(1)];
    let reset = |offsets: Vec<_>, chosen: &[Chosen]| moves(&Target::Offsets(offsets), chosen, None, &both);
    assert!(matches!(reset(vec![named(2)], &[]), Err(ResetRefusal::NotRead { .. })));
    assert!(matches!(reset(vec![named(1)], &only_0), Err(ResetRefusal::LeftOut { .. })));
    assert!(matches!(reset(vec![named(1), named(1)], &[]), Err(ResetRefusal::Twice { .. })));
    assert!(reset(vec![named(0)], &only_0).is_ok());
}

#[test]
fn only_chosen_partitions_move() {
    let both = [facts(0), facts(1)];
    let moved = |chosen: &str| {
        let chosen = [Chosen::parse(chosen).unwrap()];
        let moves = moves(&Target::Earliest, &chosen, None, &both)?;
        Ok(moves.iter().map(|to| to.to.offset).collect::<Vec<_>>())
    };
    assert_eq!(moved("orders"), Ok(vec![10, 10]));
    assert_eq!(moved("orders:1"), Ok(vec![20, 10]));
    let refused: Result<Vec<i64>, ResetRefusal> = moved("orders:4");
    assert_eq!(
        refused.unwrap_err().to_string(),
        "orders:4 is not read by this pipeline, which reads orders (2 partitions)"
    );
    assert!(matches!(moved("other"), Err(ResetRefusal::NotRead { .. })));
}

#[test]
fn a_partition_that_stays_keeps_its_leader_epoch_and_one_that_moves_does_not() {
    let both = [facts(0), PartitionFacts { asked: Some(Position::at(20)), ..facts(1) }];
    let moves = moves(&Target::Earliest, &[], None, &both).unwrap();
    assert_eq!((moves[0].to.leader_epoch, moves[1].to.leader_epoch), (-1, 3));
}

#[test]
fn what_is_committed_stays_where_current_is_asked_for_and_a_new_partition_is_left_to_the_start() {
    let new = PartitionFacts { current: None, ..facts(1) };
    assert_eq!(to(&Target::Current, &[facts(0), new.clone()]), Ok(vec![20]));
    assert_eq!(to(&Target::Current, &[new]), Err(ResetRefusal::Nothing));
}

#[test]
fn a_checkpoint_must_know_every_partition_that_goes_back_to_it() {
    let new = PartitionFacts { snapshot: None, ..facts(1) };
    let partition = new.partition.clone();
    let both = [facts(0), new];
    assert_eq!(to(&Target::Snapshot, &both), Err(ResetRefusal::NotInSnapshot { id: id(), partition }));
    assert_eq!(moves(&Target::Snapshot, &[], None, &both), Err(ResetRefusal::NoSnapshot));
}

#[test]
fn positions_that_are_no_numbers_of_records_are_not_counted() {
    let file = PartitionFacts { range: None, asked: None, ..facts(0) };
    for target in
        [Target::ShiftBy(1), Target::Datetime(0), Target::Offsets(vec![(Partition::new("orders", 0), 11)])]
    {
        assert!(
            matches!(to(&target, std::slice::from_ref(&file)), Err(ResetRefusal::NotCounted { .. })),
            "{target:?}"
        );
    }
}

#[test]
fn a_move_says_what_is_repeated_or_skipped() {
    let say = |from: Option<i64>, to| consequence(from, to, Unit::Records);
    assert_eq!(say(Some(10), 4), "6 records are REPEATED");
    assert_eq!(say(Some(10), 12), "2 records are SKIPPED");
    assert_eq!(say(Some(10), 11), "1 record is SKIPPED");
    assert_eq!(say(Some(10), 9), "1 record is REPEATED");
    assert_eq!(say(Some(10), 10), "no change");
    assert_eq!(say(None, 0), "nothing was decided for it");
}

#[test]
fn what_is_repeated_or_skipped_in_a_file_is_told_in_bytes() {
    assert_eq!(consequence(Some(100), 40, Unit::Bytes), "60 bytes are REPEATED");
    assert_eq!(consequence(Some(100), 120, Unit::Bytes), "20 bytes are SKIPPED");
}

fn consequence(from: Option<i64>, to: i64, unit: Unit) -> String {
    let (source, partition) = ("orders".to_owned(), Partition::new("orders", 0));
    let from = from.map(Position::at);
    Move { source, partition, from, to: Position::at(to), clamped_from: None }.consequence(unit)
}

#[test]
fn state_and_positions_that_part_need_a_word() {
    let known = [facts(0)];
    let fate = |target: &Target, state: Option<&CheckpointId>, choice| {
        let moves = moves(target, &[], Some(&id()), &known).unwrap();
        state_fate(true, state, &known, &moves, choice)
    };
    let (keep, empty) = (Some(StateChoice::Keep), Some(StateChoice::Empty));
    let id = id();
    assert_eq!(fate(&Target::Snapshot, Some(&id), None), StateFate::Agrees(id.clone()));
    assert_eq!(fate(&Target::Current, Some(&id), keep), StateFate::Agrees(id.clone()));
    assert_eq!(fate(&Target::Current, Some(&id), empty), StateFate::Empty);
    let undecided = StateFate::Undecided(StateUndecided::OtherPositions(id.clone()));
    assert_eq!(fate(&Target::Earliest, Some(&id), None), undecided);
    assert_eq!(fate(&Target::Earliest, Some(&id), keep), StateFate::Kept(id.clone()));
    assert_eq!(fate(&Target::Earliest, Some(&id), empty), StateFate::Empty);
    assert_eq!(fate(&Target::Earliest, None, None), StateFate::Undecided(StateUndecided::Unknown));
    assert_eq!(fate(&Target::Earliest, None, keep), StateFate::Undecided(StateUndecided::NothingToKeep));
    assert_eq!(fate(&Target::Earliest, None, empty), StateFate::Empty);
    let moves = moves(&Target::Earliest, &[], None, &known).unwrap();
    assert_eq!(state_fate(false, None, &known, &moves, None), StateFate::None);
}

#[test]
fn topics_and_offsets_are_read_as_kafka_writes_them() {
    let chosen = |text| Chosen::parse(text).map(|chosen| (chosen.topic, chosen.partitions));
    assert_eq!(chosen("orders"), Some(("orders".to_owned(), vec![])));
    assert_eq!(chosen("orders:0,2"), Some(("orders".to_owned(), vec![0, 2])));
    for bad in ["", ":0", "orders:", "orders:x", "orders:-1", "orders:0,,1"] {
        assert_eq!(chosen(bad), None, "{bad}");
    }
    assert_eq!(parse_offset("orders:2:17"), Some((Partition::new("orders", 2), 17)));
    for bad in ["", "orders", "orders:1", ":1:2", "orders:1:-2", "orders:x:2", "orders:1:x"] {
        assert_eq!(parse_offset(bad), None, "{bad}");
    }
}
