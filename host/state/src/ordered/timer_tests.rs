//! Timers against a model: calls that fail, timers that set themselves again in the past, late persisting, restarts.

use super::database_double::DatabaseDouble;
use super::{FrozenLayer, TimerKey, TimerSet};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

type Timer = (i64, Option<Vec<u8>>);

#[derive(Debug, Clone)]
enum Step {
    Register(Timer),
    Delete(Timer),
}

#[derive(Debug, Clone)]
enum Event {
    Call { steps: Vec<Step>, fails: bool },
    Fire { until_ms: i64, rows_max: usize, steps: Vec<Step>, fate: Fate },
    Freeze,
    Apply { steps: usize },
    Persist,
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Commits,
    Fails,
    /// Fails, and the timer at fault is given up.
    FailsAndDrops(usize),
}

fn timer() -> impl Strategy<Value = Timer> {
    let time = prop_oneof![8 => -6i64..20, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => Just(-1)];
    (time, prop::option::weighted(0.9, vec(prop::sample::select(vec![0u8, b'a', 0xff]), 0..2)))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(prop_oneof![3 => timer().prop_map(Step::Register), 1 => timer().prop_map(Step::Delete)], 0..8)
}

fn event() -> impl Strategy<Value = Event> {
    let until = prop_oneof![6 => -6i64..20, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    let fate = prop_oneof![
        4 => Just(Fate::Commits),
        1 => Just(Fate::Fails),
        1 => (0usize..4).prop_map(Fate::FailsAndDrops)
    ];
    prop_oneof![
        5 => (steps(), prop::bool::weighted(0.2)).prop_map(|(steps, fails)| Event::Call { steps, fails }),
        5 => (until, 0usize..6, steps(), fate)
            .prop_map(|(until_ms, rows_max, steps, fate)| Event::Fire { until_ms, rows_max, steps, fate }),
        2 => Just(Event::Freeze),
        1 => (0usize..12).prop_map(|steps| Event::Apply { steps }),
        2 => Just(Event::Persist),
        1 => Just(Event::Restart),
    ]
}

struct Run {
    timers: TimerSet,
    database: DatabaseDouble,
    model: BTreeSet<Timer>,
    frozen: Option<(Arc<FrozenLayer>, BTreeSet<Timer>)>,
    checkpoint: (DatabaseDouble, BTreeSet<Timer>),
}

fn told(due: &[TimerKey]) -> Vec<Timer> {
    due.iter().map(|timer| (timer.time_ms(), timer.key().map(<[u8]>::to_vec))).collect()
}

impl Run {
    fn new() -> Run {
        let database = DatabaseDouble::default();
        Run {
            timers: TimerSet::new(Box::new(database.clone())),
            checkpoint: (database.copy(), BTreeSet::new()),
            database,
            model: BTreeSet::new(),
            frozen: None,
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Call { steps, fails } => {
                let before = self.model.clone();
                self.timers.begin();
                self.does(steps);
                if fails {
                    self.timers.discard();
                    self.model = before;
                } else {
                    self.timers.commit();
                }
            }
            Event::Fire { until_ms, rows_max, steps, fate } => self.fires(until_ms, rows_max, steps, fate),
            Event::Freeze => self.frozen = Some((self.timers.freeze(), self.model.clone())),
            Event::Apply { steps } => {
                if let Some((layer, _)) = &self.frozen {
                    self.database.apply(layer, steps);
                }
            }
            Event::Persist => {
                if let Some((layer, model)) = self.frozen.take() {
                    self.database.apply(&layer, usize::MAX);
                    self.checkpoint = (self.database.copy(), model);
                    self.timers.persisted(&layer);
                }
            }
            Event::Restart => {
                self.database = self.checkpoint.0.copy();
                self.model = self.checkpoint.1.clone();
                self.frozen = None;
                self.timers = TimerSet::new(Box::new(self.database.clone()));
            }
        }
    }

    fn fires(&mut self, until_ms: i64, rows_max: usize, steps: Vec<Step>, fate: Fate) {
        let due = told(self.timers.due(until_ms, rows_max).unwrap());
        let expected: Vec<_> =
            self.model.iter().take_while(|timer| timer.0 <= until_ms).take(rows_max).cloned().collect();
        assert_eq!(due, expected);
        let before = self.model.clone();
        self.timers.begin();
        self.model.retain(|timer| !due.contains(timer));
        self.does(steps);
        if fate == Fate::Commits {
            self.timers.commit();
            self.timers.drop_due(&[0]);
            return;
        }
        self.timers.discard();
        self.model = before;
        if let Fate::FailsAndDrops(row) = fate {
            self.timers.drop_due(&[row]);
            if let Some(dropped) = due.get(row) {
                self.model.remove(dropped);
            }
        }
    }

    fn does(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Register(timer) => {
                    self.timers.register(timer.0, timer.1.as_deref());
                    self.model.insert(timer);
                }
                Step::Delete(timer) => {
                    self.timers.delete(timer.0, timer.1.as_deref());
                    self.model.remove(&timer);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn timers_are_the_set_that_committed_calls_left_and_fire_in_order(
        events in vec((event(), any::<bool>()), 0..50)
    ) {
        let mut run = Run::new();
        for (event, asks) in events {
            run.happens(event);
            if asks {
                let first = run.model.first().map(|timer| timer.0);
                prop_assert_eq!(run.timers.next_due().unwrap(), first);
            }
        }
        prop_assert_eq!(told(run.timers.due(i64::MAX, usize::MAX).unwrap()), Vec::from_iter(run.model));
    }
}

/// A set of `count` persisted timers of one time.
fn persisted(count: u32) -> (TimerSet, DatabaseDouble) {
    let database = DatabaseDouble::default();
    let mut timers = TimerSet::new(Box::new(database.clone()));
    timers.begin();
    (0..count).for_each(|key| timers.register(50, Some(&key.to_be_bytes())));
    timers.commit();
    let frozen = timers.freeze();
    database.apply(&frozen, usize::MAX);
    timers.persisted(&frozen);
    (TimerSet::new(Box::new(database.clone())), database)
}

#[test]
fn firing_looks_at_each_timer_a_few_times_however_many_have_fired() {
    let (mut timers, database) = persisted(3000);
    for _ in 0..300 {
        assert_eq!(timers.next_due(), Ok(Some(50)));
        assert_eq!(timers.due(60, 10).unwrap().len(), 10);
        timers.begin();
        timers.commit();
    }
    assert_eq!(timers.next_due(), Ok(None));
    assert!(database.shown() < 4 * 3000, "{} entries were shown", database.shown());
}

#[test]
fn a_timer_that_sets_itself_again_in_the_past_does_not_make_all_fired_ones_be_walked_over() {
    let (mut timers, database) = persisted(3001);
    for _ in 0..300 {
        assert!(timers.next_due().unwrap().is_some());
        // Ten of the persisted ones and, but for the first time, the one that was set again.
        assert_eq!(timers.due(60, 11).unwrap().len(), 11);
        timers.begin();
        timers.register(1, Some(b"again"));
        timers.commit();
    }
    assert!(database.shown() < 4 * 3000, "{} entries were shown", database.shown());
}

#[test]
fn asking_for_the_next_timer_again_reads_nothing() {
    let (mut timers, database) = persisted(1);
    assert_eq!(timers.next_due(), Ok(Some(50)));
    let shown = database.shown();
    timers.begin();
    timers.register(70, None);
    timers.commit();
    assert_eq!(timers.next_due(), Ok(Some(50)));
    assert_eq!(database.shown(), shown);
}

#[test]
fn a_call_that_begins_after_a_failed_one_fires_nothing_that_was_not_told_again() {
    let (mut timers, _) = persisted(1);
    assert_eq!(timers.due(50, 1).unwrap().len(), 1);
    timers.begin();
    timers.discard();
    timers.begin();
    timers.commit();
    assert_eq!(timers.next_due(), Ok(Some(50)));
}

#[test]
fn a_database_that_fails_is_an_error_and_fires_nothing() {
    let (mut timers, database) = persisted(1);
    database.break_it();
    assert!(timers.next_due().is_err_and(|error| error.contains("000042.sst")));
    assert!(timers.due(50, 1).is_err_and(|error| error.contains("000042.sst")));
}
