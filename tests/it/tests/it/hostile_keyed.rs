//! Guests that misuse state and timers: each ends in one clear line or in the error policy, and leaves no trace.

use crate::harness::job::Job;
use std::collections::BTreeMap;

const GOOD: usize = 20;

/// A file of good records of three keys with one poisoned record among them, a guest that misbehaves at it, and files.
fn job(behaviour: &str, rest: &str) -> Job {
    let mut job = Job::local(&behaviour.replace('_', "-"));
    let line = |number: usize| match number {
        10 => "{\"key\":\"a\",\"value\":\"poison\",\"timestamp\":1000}\n".to_owned(),
        _ => {
            format!("{{\"key\":\"{}\",\"value\":\"good\",\"timestamp\":1000}}\n", ["a", "b", "c"][number % 3])
        }
    };
    std::fs::write(job.path("input.jsonl"), (0..=GOOD).map(line).collect::<String>()).unwrap();
    job.add("[source.lines]\nkind = \"files\"\npath = \"input.jsonl\"");
    job.add_operator(
        "hostile",
        "lines",
        "hostile_keyed",
        &format!("config = {{ behaviour = \"{behaviour}\" }}\n{rest}"),
    );
    job.add_files_sink("files", "hostile");
    if rest.contains("dead_letter") {
        job.add("[sink.dead]\nkind = \"files\"\ndirectory = \"dead\"");
    }
    job
}

/// How far each key was counted. A count that is left out or there twice is a failure: the state is then not that of
/// the calls that happened.
#[track_caller]
fn counts(job: &Job) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in job.lines("files") {
        let (key, value) =
            (line["key"].as_str().unwrap().to_owned(), line["value"].as_str().unwrap().to_owned());
        let count = counts.entry(key).or_insert(0);
        *count += 1;
        assert_eq!(value, count.to_string(), "{line}");
    }
    counts
}

/// The poisoned record is a dead letter, and the others are counted as if it had never been.
fn leaves_no_trace(behaviour: &str, limits: &str, kind: &str) {
    let job = job(behaviour, &format!("on_error = {{ dead_letter = \"dead\" }}\nlimits = {{ {limits} }}"));
    job.start().ends_with(0);
    let expected = BTreeMap::from([("a", 7), ("b", 6), ("c", 7)].map(|(key, count)| (key.to_owned(), count)));
    assert_eq!(counts(&job), expected);
    let letters = job.lines("dead");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["value"], "poison");
    let headers = letters[0]["headers"].to_string();
    assert!(headers.contains(kind), "{headers}");
}

macro_rules! no_trace {
    ($($sentence:ident: $behaviour:literal, $limits:literal, $kind:literal;)*) => {
        $(
            #[test]
            fn $sentence() {
                leaves_no_trace($behaviour, $limits, $kind);
            }
        )*
    };
}

no_trace! {
    a_call_that_writes_and_traps_has_not_written: "trap_after_write", "", "trap";
    a_call_that_writes_and_fails_has_not_written: "err_after_write", "", "row 0 is poisoned";
    a_call_that_refuses_a_row_keeps_what_it_wrote_for_the_others: "reject_after_write", "", "rejection";
    a_call_that_writes_and_never_ends_has_not_written: "loop_after_write", "call = \"200ms\"", "timeout";
    a_slot_that_the_batch_does_not_have_is_refused: "slot_out_of_range", "", "slot";
    slots_that_are_cut_off_are_refused: "slots_cut_off", "", "slots";
    a_state_that_is_not_declared_is_refused_by_name: "unknown_state", "", "sum";
    a_state_that_is_used_as_another_kind_is_refused: "wrong_kind", "", "entries";
    a_timer_that_is_not_declared_is_refused_by_name: "unknown_timer", "", "never";
    columns_of_unequal_length_are_refused: "columns_of_unequal_length", "", "values";
    offsets_that_go_down_are_refused: "offsets_go_down", "", "values: off";
    a_scan_without_end_is_ended_by_the_time_limit: "scan_without_end", "call = \"200ms\"", "timeout";
    a_gigabyte_of_puts_is_ended_by_the_limit_of_writes: "put_flood", "state_writes = \"8MiB\"", "state_writes";
    a_gigabyte_of_appends_is_ended_by_the_limit_of_writes: "append_flood", "state_writes = \"8MiB\"", "state_writes";
    a_question_for_a_terabyte_is_refused: "get_flood", "state_reads = \"16MiB\"", "state_reads";
    a_hundred_million_timers_are_ended_by_the_limit_of_writes: "timer_flood", "state_writes = \"8MiB\"", "state_writes";
}

/// The pipeline stops by itself and says this in its last line.
fn is_stopped(behaviour: &str, code: i32, said: &[&str]) {
    let job = job(behaviour, "limits = { timer_rounds_max = 50 }");
    let mut weir = job.start();
    weir.ends_with(code);
    let last = weir.last_line();
    assert!(said.iter().all(|part| last.contains(part)), "{last}");
}

#[test]
fn timers_that_set_themselves_again_without_end_stop_the_pipeline() {
    is_stopped("timers_without_end", 1, &["operator hostile", "again", "timer_rounds_max"]);
}

#[test]
fn a_timer_that_traps_stops_the_pipeline_and_is_named() {
    is_stopped("timer_trap", 1, &["operator hostile", "timer again", "trap"]);
}

#[test]
fn a_timer_that_emits_nothing_to_read_stops_the_pipeline() {
    is_stopped("timer_without_value", 1, &["operator hostile", "bad_output"]);
}

#[test]
fn state_before_the_first_batch_is_refused() {
    let job = job("state_in_open", "");
    let mut weir = job.start();
    let code = weir.exit_code();
    assert!([1, 2].contains(&code), "{code}");
    assert!(weir.log().contains("operator"), "{}", weir.log());
    assert!(job.values("files").is_empty());
}

#[test]
fn a_timer_that_traps_is_skipped_where_the_pipeline_says_so() {
    let job = job("timer_trap", "on_error = \"skip\"");
    job.start().ends_with(0);
    assert_eq!(counts(&job).values().sum::<u64>(), GOOD as u64 + 1, "the poisoned record itself was counted");
}
