//! Source, operator, sink and coordinator driven on one thread from a seed, with crashes: the output equals the model's.
//!
//! The world (what survives a crash) is in `world.rs`. One seed gives one history, which a test checks.

mod world;

use proptest::prelude::*;
use world::{Simulation, World};

/// Runs lives until the source is read to its end, and returns the world.
fn history(seed: u64, subtasks: usize) -> World {
    let mut world = World::new(seed, subtasks);
    for life in 0..200 {
        if Simulation::live(&mut world, life) {
            return world;
        }
    }
    panic!("seed {seed}: 200 lives were not enough");
}

fn expected(world: &World) -> Vec<String> {
    let mut expected: Vec<String> =
        world.input.iter().flatten().map(|value| format!("processed_{value}")).collect();
    expected.sort();
    expected
}

fn check(seed: u64, subtasks: usize) {
    let world = history(seed, subtasks);
    let mut committed = world.committed_output();
    assert_partition_order(&committed);
    committed.sort();
    assert_eq!(committed, expected(&world), "seed {seed}, {subtasks} subtasks: lost or doubled records");
}

/// Records of one partition appear in the order in which they were read.
fn assert_partition_order(committed: &[String]) {
    let mut last = std::collections::BTreeMap::new();
    for value in committed {
        let (partition, offset) =
            value.trim_start_matches("processed_").split_once('-').expect("partition-offset");
        let offset: u64 = offset.parse().expect("a number");
        let before = last.insert(partition.to_owned(), offset);
        assert!(before.is_none_or(|before| before < offset), "{value} after offset {before:?}");
    }
}

#[test]
fn one_seed_gives_one_history() {
    let (first, second) = (history(7, 2), history(7, 2));
    assert_eq!(first.log, second.log);
    assert_ne!(first.log, history(8, 2).log);
}

#[test]
fn crashes_do_happen_in_the_simulated_histories() {
    let crashes: usize = (0..20).map(|seed| history(seed, 2).crashes).sum();
    assert!(crashes > 20, "only {crashes} crashes in 20 histories: the simulation proves nothing");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_record_takes_effect_once_whatever_crashes(seed: u64, subtasks in 1usize..4) {
        check(seed, subtasks);
    }
}
