//! A fixed set of seeds: every promise holds, whatever fails.

use sim::checkers;
use sim::world::history;
use std::collections::BTreeMap;

/// Seeds in the fixed set; each test thread takes a part.
const SEEDS: u64 = 200;

fn check(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let history = history(seed, None);
        let broken = checkers::broken(&history);
        assert!(
            broken.is_empty(),
            "seed {seed} (cargo xtask sim --from {seed} --seeds 1 shows its history): {broken:#?}"
        );
    }
}

#[test]
fn every_promise_holds_whatever_fails_in_the_first_half_of_the_seeds() {
    check(0..SEEDS / 2);
}

#[test]
fn every_promise_holds_whatever_fails_in_the_second_half_of_the_seeds() {
    check(SEEDS / 2..SEEDS);
}

#[test]
fn one_seed_gives_one_history() {
    for seed in [7, 8] {
        let (first, second) = (history(seed, None), history(seed, None));
        assert_eq!(first.log, second.log);
        assert_eq!(first.committed, second.committed);
    }
    assert_ne!(history(7, None).log, history(8, None).log);
}

#[test]
fn every_kind_of_fault_happens_in_the_simulated_histories() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lives = 0;
    for seed in 0..40 {
        let history = history(seed, None);
        lives +=
            history.log.iter().filter(|line| line.starts_with("life") && line.contains("starts at")).count();
        for (fault, count) in history.faults {
            *counts.entry(fault).or_default() += count;
        }
    }
    assert!(lives > 200, "only {lives} lives in 40 histories: too little goes wrong");
    for fault in [
        "a zombie goes on",
        "the answer to the commit is lost",
        "the disk fails in the middle of a file",
        "the fence takes effect and its answer is lost",
        "the request to commit arrives late",
        "the request to commit is lost",
        "a swap is completed",
        "a swap is rolled back",
        "a swap is interrupted",
        "a swap is abandoned",
        "a swap is in doubt",
        "the decision names the candidate",
    ] {
        assert!(counts.contains_key(fault), "{fault}: never, of {counts:?}");
    }
}
