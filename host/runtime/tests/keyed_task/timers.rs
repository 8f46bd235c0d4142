//! Timers: the order in which they fire, the one at fault, and those that have no end.

use super::*;

#[test]
fn a_timer_that_fails_is_found_by_halves_and_handled_by_the_error_policy() {
    let mut bench = Bench::new(Setting::default());
    let keys = ["a", "b", "c", "poison", "e", "f", "g"];
    bench.handle(&keys.map(|key| (Some(key), "early 5"))).unwrap();
    let calls_before = bench.meters.operators[0].calls.get();
    let rounds = bench.fire_until(10).unwrap();
    let fired: Vec<String> = rounds.iter().flat_map(values).collect();
    assert_eq!(fired, ["a", "b", "c", "e", "f", "g"].map(|key| format!("early 5 {key}")));
    let letters: Vec<_> = rounds.iter().filter(|r| r.dead_letters.is_some()).flat_map(dead_letters).collect();
    assert_eq!(letters, [(None, "trap".to_owned())]);
    assert!(bench.contents.lock().unwrap().timers[0].is_empty(), "none is left");
    assert!(bench.meters.operators[0].calls.get() - calls_before > 3, "halves were tried");

    let mut bench = Bench::new(Setting { on_error: OnError::Fail, ..Setting::default() });
    bench.handle(&[(Some("poison"), "early 5")]).unwrap();
    let error = bench.fire_until(10).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permanent);
    assert!(error.message.contains("key \"poison\", time 5: trap: timer early"), "{}", error.message);
}

#[test]
fn timers_of_two_declarations_fire_in_order_of_time_and_none_before_its_time() {
    let mut bench = Bench::new(Setting::default());
    let set = ["other 1", "early 3", "early 2", "other 4", "early 5", "other 5", "early 9", "other 7"];
    bench.handle(&set.map(|value| (Some("k"), value))).unwrap();
    let fired: Vec<String> = bench.fire_until(7).unwrap().iter().flat_map(values).collect();
    let times: Vec<i64> = fired.iter().map(|text| text.split(' ').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(times, [1, 2, 3, 4, 5, 5, 7]);
    let fired: Vec<String> = bench.fire_until(9).unwrap().iter().flat_map(values).collect();
    assert_eq!(fired, ["early 9 k"]);
}

/// What the rounds of the timers of one key come to, that is set at time 1, over a jump of event time.
fn over_a_jump(key: &str, until_ms: i64) -> Result<usize, ConnectorError> {
    let mut bench = Bench::new(Setting::default());
    bench.handle(&[(Some(key), "early 1")]).unwrap();
    bench.fire_until(until_ms).map(|rounds| rounds.len())
}

fn is_named(result: Result<usize, ConnectorError>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permanent);
    let expected = "sets timers that are due at once, for more than limits.timer_rounds_max = 10 rounds";
    assert!(error.message.contains(expected), "{}", error.message);
}

#[test]
fn timers_that_set_themselves_at_a_time_already_reached_stop_the_pipeline_at_a_named_limit() {
    is_named(over_a_jump("same", 9));
    is_named(over_a_jump("earlier", 9));
}

#[test]
fn two_timers_that_set_one_another_at_the_same_time_are_named() {
    is_named(over_a_jump("swap", 9));
}

#[test]
fn timers_that_set_themselves_later_go_over_a_jump_of_any_length() {
    assert_eq!(over_a_jump("later", 1000).unwrap(), 1000);
    let mut bench = Bench::new(Setting::default());
    bench
        .handle(&[(Some("later"), "early 1"), (Some("daily"), "early 1"), (Some("daily"), "other 9")])
        .unwrap();
    assert!(bench.fire_until(1000).is_ok(), "a timer far ahead of the others is no end of their way");
}

#[test]
fn many_timers_at_one_time_are_many_rounds_and_no_endless_ones() {
    let mut bench = Bench::new(Setting { batch_rows_max: 1, ..Setting::default() });
    let keys: Vec<String> = (0..100).map(|number| format!("key-{number}")).collect();
    for timer in ["early 5", "other 5"] {
        let rows: Vec<_> = keys.iter().map(|key| (Some(key.as_str()), timer)).collect();
        bench.handle(&rows).unwrap();
    }
    assert_eq!(bench.fire_until(10).unwrap().len(), 200);
}

/// Rounds by processing time, with a clock that moves by so much in each.
fn by_the_clock(key: &str, first_ms: i64, step_ms: i64, rounds_max: usize) -> Result<usize, ConnectorError> {
    let mut bench = Bench::new(Setting::default());
    bench.handle(&[(Some(key), &format!("early {first_ms}"))]).unwrap();
    let mut rounds = TimerRounds::new([0].into_iter());
    let shape = shape(TimerClock::ProcessingTime);
    for round in 0..rounds_max {
        let moment = Moment { now_ms: 1000 + step_ms * round as i64, ..MOMENT };
        if rounds.fire_due(&mut bench.task, &shape, moment)?.is_none() {
            return Ok(round);
        }
    }
    Ok(rounds_max)
}

#[test]
fn a_timer_of_processing_time_that_is_due_at_once_is_named_although_the_clock_moves() {
    is_named(by_the_clock("same", 1000, 1, 100));
    is_named(by_the_clock("now", 1000, 1, 100));
    is_named(by_the_clock("now", 1000, 7, 100));
}

#[test]
fn timers_of_processing_time_that_are_late_catch_up() {
    // Two milliseconds of the clock go by while the timer makes up for one, so it never does: that is named as well.
    is_named(by_the_clock("later", 1, 2, 100));
    assert_eq!(by_the_clock("later", 1, 0, 5000).unwrap(), 1000);
}

#[test]
fn each_attempt_of_a_search_among_timers_is_a_step_of_its_own() {
    let mut bench = Bench::new(Setting::default());
    let keys = ["a", "b", "c", "d", "endless", "f", "g", "h"];
    bench.handle(&keys.map(|key| (Some(key), "early 5"))).unwrap();
    let mut rounds = TimerRounds::new([0].into_iter());
    let (mut fired, mut letters, mut failed) = (Vec::new(), Vec::new(), 0);
    loop {
        let calls = bench.meters.operators[0].calls.get();
        rounds.advance(0, Watermark::At(10));
        let round = rounds.fire(&mut bench.task, &shape(TimerClock::EventTime), 10, MOMENT).unwrap();
        let Some(handled) = round else { break };
        assert_eq!(
            bench.meters.operators[0].calls.get(),
            calls + 1,
            "a barrier waits for one call at the most"
        );
        failed += usize::from(handled.outputs.is_empty() && handled.dead_letters.is_none());
        fired.extend(values(&handled));
        letters.extend(handled.dead_letters.is_some().then(|| dead_letters(&handled)));
    }
    assert_eq!(fired, ["a", "b", "c", "d", "f", "g", "h"].map(|key| format!("early 5 {key}")));
    assert_eq!(letters, [[(None, "timeout".to_owned())]]);
    assert!(failed >= 4, "{failed} attempts failed");
}

#[test]
fn a_search_among_timers_has_the_time_that_its_limit_says() {
    let mut bench = Bench::new(Setting { search: OperatorLimits::default().call, ..Setting::default() });
    bench.handle(&["a", "endless"].map(|key| (Some(key), "early 5"))).unwrap();
    let error = bench.fire_until(10).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permanent);
    assert!(error.message.contains("limits.search"), "{}", error.message);
}

#[test]
fn a_search_is_begun_anew_where_other_timers_are_due_than_it_began_with() {
    let mut bench = Bench::new(Setting::default());
    bench.handle(&["b", "poison"].map(|key| (Some(key), "early 5"))).unwrap();
    let mut rounds = TimerRounds::new([0].into_iter());
    rounds.advance(0, Watermark::At(10));
    let early = shape(TimerClock::EventTime);
    assert!(values(&rounds.fire(&mut bench.task, &early, 10, MOMENT).unwrap().unwrap()).is_empty());
    bench.handle(&[(Some("a"), "early 4")]).unwrap();
    let rest: Vec<Handled> =
        std::iter::from_fn(|| rounds.fire(&mut bench.task, &early, 10, MOMENT).unwrap()).collect();
    let fired: Vec<String> = rest.iter().flat_map(values).collect();
    assert_eq!(fired, ["early 4 a", "early 5 b"]);
    assert_eq!(rest.iter().filter(|handled| handled.dead_letters.is_some()).count(), 1);
}
