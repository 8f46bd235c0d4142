//! Keyed operators, run natively: states, timers, ports, refusals and migrations.
#![allow(missing_docs)]

use weir_sdk::testing::{Subtask, keyless, record};

mod count {
    weir_sdk::keyed! {
        output counts keeps_key;
        state count: Value<u64>;

        fn process(record, emit) -> Result<(), String> {
            let n = count.get().unwrap_or(0) + 1;
            count.set(n);
            match record.value() {
                Some(b"forget") => count.remove(),
                Some(b"bad") => return Err("bad".to_string()),
                _ => emit.write_value(|out| out.put_decimal(n)),
            }
            Ok(())
        }
    }
}

/// The same with its count as text, and with what it takes to read the one above.
mod count_as_text {
    weir_sdk::keyed! {
        state count: Value<String> { version = 2 };

        fn process(_record, emit) {
            emit.value(count.get().unwrap_or_default());
        }

        fn migrate count(from_version, entry) -> Result<Option<String>, String> {
            match (from_version, entry.value::<u64>()?) {
                (1, 1) => Ok(None),
                (1, n) => Ok(Some(format!("{n} of {}", String::from_utf8_lossy(entry.key().unwrap_or_default())))),
                _ => Err("a version that never was".to_string()),
            }
        }
    }
}

/// One command per record: `put a 1`, `get a`, `remove a`, `scan`, `from a`, `clear`, `refuse`.
mod map {
    use std::str::from_utf8;

    weir_sdk::keyed! {
        state map: Map<String, u32>;

        fn read_ahead map(record) {
            let mut words = from_utf8(record.value()?).ok()?.split(' ');
            (words.next() == Some("get")).then(|| words.next().map(str::to_string))?
        }

        fn process(record, emit) -> Result<(), Box<dyn std::error::Error>> {
            for command in from_utf8(record.value().unwrap_or_default())?.split("; ") {
                let words: Vec<&str> = command.split(' ').collect();
                match words[..] {
                    ["put", subkey, number] => map.put(&subkey.to_string(), number.parse()?),
                    ["get", subkey] => emit.value(format!("{:?}", map.get(&subkey.to_string()))),
                    ["remove", subkey] => map.remove(&subkey.to_string()),
                    ["scan"] => emit.value(format!("{:?}", map.scan(..))),
                    ["from", subkey] => emit.value(format!("{:?}", map.first(subkey.to_string()..))),
                    ["clear"] => map.clear(),
                    _ => return Err(command.into()),
                }
            }
            Ok(())
        }
    }
}

/// One command per record: `append a`, `scan`, `clear`, `refuse`.
mod list {
    weir_sdk::keyed! {
        state list: List<String>;

        fn process(record, emit) -> Result<(), String> {
            let commands = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
            for command in commands.split("; ") {
                match command.split_once(' ') {
                    Some(("append", value)) => list.append(value.to_string()),
                    _ if command == "scan" => emit.value(list.scan().join(",")),
                    _ if command == "clear" => list.clear(),
                    _ => return Err(command.to_string()),
                }
            }
            Ok(())
        }
    }
}

mod timers {
    weir_sdk::keyed! {
        output out keeps_key;
        state fired: Value<u32>;
        timer early: EventTime;
        timer late: ProcessingTime;

        fn process(record, _emit) -> Result<(), String> {
            let time = record.timestamp();
            match record.value() {
                Some(b"set") => early.set(time),
                Some(b"delete") => early.delete(time),
                Some(b"late") => late.set(time),
                _ => {
                    early.set(time);
                    return Err("refused".to_string());
                }
            }
            Ok(())
        }

        fn on_timer early(timer, emit) {
            fired.set(fired.get().unwrap_or(0) + 1);
            emit.timestamp(timer.time() + 1).value(format!("early {} {}", timer.time(), timer.watermark()));
        }

        fn on_timer late(timer, emit) -> Result<(), &'static str> {
            match timer.time() {
                13 => return Err("unlucky"),
                // A record without a value cannot come from a timer.
                14 => emit.record().send(),
                time => emit.value(format!("late {time}")),
            }
            Ok(())
        }
    }
}

/// Two inputs, three outputs, configuration, no state at all.
mod ports {
    weir_sdk::keyed! {
        config optional "mark" = "!": "what is put behind each value";
        open mark = || Ok(weir_sdk::config("mark").unwrap_or_default());
        input left;
        input right;
        output lefts keeps_key;
        output rights;

        fn left(record, emit) {
            emit.to("lefts").write_value(|out| {
                out.put(record.value().unwrap_or_default());
                out.put(mark);
            });
        }

        fn right(_record, emit) {
            emit.to("rights").key("right").send();
        }
    }
}

/// Remembers keys for a minute.
mod seen {
    weir_sdk::keyed! {
        state seen: Value<()> { ttl = "1m" };

        fn process(_record, emit) {
            if seen.get().is_none() {
                seen.set(());
                emit.record().send();
            }
        }
    }
}

#[test]
fn each_key_has_its_own_value_and_the_host_is_asked_once_per_call() {
    let mut subtask = Subtask::<count::ThisOperator>::new();
    let values = ["a", "b", "a", "a", "b"].map(|key| record(key, ""));
    assert_eq!(subtask.process(values.clone()).values(), ["1", "1", "2", "3", "2"]);
    assert_eq!(subtask.process(values).values(), ["4", "3", "5", "6", "4"]);
    assert_eq!(subtask.process([keyless("")]).values(), ["1"], "no key is a key");
    assert_eq!(subtask.imports_called(), 6, "one get-many and one put-many per call");
    assert_eq!(subtask.value("count", "a"), Some(6_u64));
}

#[test]
fn a_removed_value_is_absent() {
    let mut subtask = Subtask::<count::ThisOperator>::new();
    subtask.process([record("a", ""), record("a", "forget"), record("b", "")]);
    assert_eq!(subtask.value::<u64>("count", "a"), None);
    assert_eq!(subtask.process([record("a", ""), record("b", "")]).values(), ["1", "2"]);
}

#[test]
fn a_refused_row_leaves_no_trace_in_the_state() {
    let mut subtask = Subtask::<count::ThisOperator>::new();
    let outcome = subtask.process(["bad", "", "bad", "", "bad"].map(|value| record("a", value)));
    assert_eq!(outcome.values(), ["1", "2"]);
    assert_eq!(outcome.rejections.len(), 3);
    assert_eq!(subtask.value("count", "a"), Some(2_u64));
}

#[test]
fn a_map_reads_its_own_writes_in_order_of_subkey() {
    let mut subtask = Subtask::<map::ThisOperator>::new();
    let mut run = |commands: &str| subtask.process([record("k", commands)]).values();
    assert_eq!(run("put b 2; put a 1; get a; get c"), ["Some(1)", "None"]);
    assert_eq!(run("put c 3; scan"), [r#"[("a", 1), ("b", 2), ("c", 3)]"#]);
    assert_eq!(run("remove b; from aa; from d; get b"), [r#"Some(("c", 3))"#, "None", "None"]);
    assert_eq!(run("put z 9; clear; get a; put b 5; get b; scan"), ["None", "Some(5)", r#"[("b", 5)]"#]);
    assert_eq!(run("scan"), [r#"[("b", 5)]"#]);
    assert_eq!(subtask.process([record("other", "scan")]).values(), ["[]"]);
}

#[test]
fn reading_ahead_asks_for_all_rows_at_once() {
    let mut subtask = Subtask::<map::ThisOperator>::new();
    subtask.process([record("k", "put a 1; put b 2"), record("l", "put a 3")]);
    let before = subtask.imports_called();
    let gets = [("k", "get a"), ("k", "get b"), ("l", "get a"), ("l", "get b"), ("k", "get a")];
    let outcome = subtask.process(gets.map(|(key, value)| record(key, value)));
    assert_eq!(outcome.values(), ["Some(1)", "Some(2)", "Some(3)", "None", "Some(1)"]);
    assert_eq!(subtask.imports_called() - before, 1);
}

#[test]
fn a_refused_row_leaves_no_trace_in_a_map() {
    let mut subtask = Subtask::<map::ThisOperator>::new();
    let rows = ["put a 1", "put a 2; put b 2; clear; put c 3; remove a; refuse", "get a; get b; get c"];
    let outcome = subtask.process(rows.map(|row| record("k", row)));
    assert_eq!(outcome.values(), ["Some(1)", "None", "None"]);
    assert_eq!(outcome.rejections, [(1, "refuse".to_string())]);
    assert_eq!(subtask.process([record("k", "scan")]).values(), [r#"[("a", 1)]"#]);
}

#[test]
fn a_refused_row_whose_writes_the_host_has_seen_fails_the_call() {
    let mut subtask = Subtask::<map::ThisOperator>::new();
    let failure = subtask.try_process([record("k", "put a 1; scan; refuse")]).unwrap_err();
    assert_eq!(failure, "refuse");
    assert_eq!(subtask.entries("map"), 0);
    let failure = Subtask::<list::ThisOperator>::new().try_process([record("k", "append a; scan; refuse")]);
    assert_eq!(failure.unwrap_err(), "refuse");
}

#[test]
fn scans_go_on_where_a_page_ends() {
    let mut subtask = Subtask::<map::ThisOperator>::new();
    subtask.set_page_bytes_max(10);
    subtask.process([record("k", "put a 1; put ab 2; put b 3; put c 4; put d 5")]);
    let all = r#"[("a", 1), ("ab", 2), ("b", 3), ("c", 4), ("d", 5)]"#;
    assert_eq!(subtask.process([record("k", "scan")]).values(), [all]);
    let mut subtask = Subtask::<list::ThisOperator>::new();
    subtask.set_page_bytes_max(1);
    assert_eq!(subtask.process([record("k", "append a; append b; append c; scan")]).values(), ["a,b,c"]);
}

#[test]
fn a_list_grows_at_its_end_and_is_cleared_in_order() {
    let mut subtask = Subtask::<list::ThisOperator>::new();
    let mut run = |commands: &str| subtask.process([record("k", commands), record("l", "append x")]).values();
    assert_eq!(run("append a; append b; scan"), ["a,b"]);
    assert_eq!(run("append c; clear; append d; scan; append e"), ["d"]);
    assert_eq!(run("scan; clear; scan"), ["d,e", ""]);
    assert_eq!(subtask.process([record("l", "scan")]).values(), ["x,x,x"]);
}

#[test]
fn a_refused_row_leaves_no_trace_in_a_list() {
    let mut subtask = Subtask::<list::ThisOperator>::new();
    let rows = ["append a", "append b; refuse", "append c", "refuse"];
    assert_eq!(subtask.process(rows.map(|row| record("k", row))).rejections.len(), 2);
    subtask.process([record("k", "clear; append d; refuse"), record("l", "append z")]);
    assert_eq!(subtask.process([record("k", "scan")]).values(), ["a,c"]);
}

#[test]
fn timers_fire_in_order_of_time_then_key_and_are_a_set() {
    let mut subtask = Subtask::<timers::ThisOperator>::new();
    let set = |key: &str, time| record(key, "set").at(time);
    subtask.process([set("b", 5), set("a", 5), set("b", 5), set("z", 3), set("a", 9), set("a", 5)]);
    assert_eq!(subtask.timers("early"), [3, 5, 5, 9]);
    let outcome = subtask.advance_watermark(5);
    let fired: Vec<_> = outcome.emitted.into_iter().map(|emitted| emitted.record).collect();
    let expected = [("z", 3), ("a", 5), ("b", 5)];
    assert_eq!(fired, expected.map(|(key, time)| record(key, format!("early {time} 5")).at(time + 1)));
    assert_eq!(subtask.value("fired", "a"), Some(1_u32));
    assert_eq!(subtask.end_input().values(), ["early 9 9223372036854775807"]);
}

#[test]
fn the_last_word_on_a_timer_holds() {
    let mut subtask = Subtask::<timers::ThisOperator>::new();
    let row = |value: &str, time| record("k", value).at(time);
    subtask.process([row("set", 1), row("delete", 1), row("set", 2), row("delete", 2), row("set", 2)]);
    assert_eq!(subtask.timers("early"), [2]);
    subtask.process([row("delete", 2), row("delete", 7)]);
    assert_eq!(subtask.timers("early"), [0; 0]);
}

#[test]
fn a_refused_row_sets_no_timer_and_a_refused_timer_is_gone() {
    let mut subtask = Subtask::<timers::ThisOperator>::new();
    subtask.process([
        record("k", "?").at(4),
        record("k", "set").at(4),
        record("k", "?").at(4),
        record("l", "?").at(4),
    ]);
    assert_eq!(subtask.timers("early").len(), 1);
    subtask.process([record("k", "late").at(12), record("k", "late").at(13)]);
    let outcome = subtask.advance_time(20);
    assert_eq!(outcome.values(), ["late 12"]);
    assert_eq!(outcome.rejections, [(1, "unlucky".to_string())]);
    assert_eq!(subtask.timers("late"), [0; 0]);
}

#[test]
#[should_panic(expected = "a record that is emitted for a timer needs a value")]
fn a_record_for_a_timer_needs_a_value() {
    let mut subtask = Subtask::<timers::ThisOperator>::new();
    subtask.process([record("k", "late").at(14)]);
    subtask.advance_time(20);
}

#[test]
fn each_input_has_its_function_and_outputs_keep_their_promise() {
    let mut subtask = Subtask::<ports::ThisOperator>::with_config([("mark", "?")]);
    let outcome = subtask.process_on("left", [record("k", "a")]);
    assert_eq!(outcome.values_to("lefts"), ["a?"]);
    let outcome = subtask.process_on("right", [record("k", "b")]);
    assert_eq!(outcome.emitted[0].record, record("right", "b"));
    assert_eq!(outcome.emitted[0].port, "rights");
}

#[test]
fn an_entry_lives_as_long_as_its_ttl_says() {
    let mut subtask = Subtask::<seen::ThisOperator>::new();
    let mut emitted_at = |time| {
        subtask.advance_time(time);
        subtask.process([record("k", "x")]).emitted.len()
    };
    assert_eq!([0, 59_999, 60_000, 60_001].map(&mut emitted_at), [1, 0, 1, 0]);
}

#[test]
fn a_raised_version_is_migrated_entry_by_entry() {
    let mut old = Subtask::<count::ThisOperator>::new();
    old.process(["a", "a", "b", "c", "c", "c"].map(|key| record(key, "")));
    let mut new = old.swap::<count_as_text::ThisOperator>().unwrap();
    assert_eq!(new.entries("count"), 2);
    let values = new.process(["a", "b", "c"].map(|key| record(key, ""))).values();
    assert_eq!(values, ["2 of a", "", "3 of c"]);
    let refusal = new.swap::<count::ThisOperator>().err().unwrap();
    assert_eq!(refusal, "the state \"count\" is of version 2, not 1");
}

#[test]
fn a_swap_keeps_state_and_refuses_to_lose_any() {
    let mut old = Subtask::<count::ThisOperator>::new();
    old.process([record("a", "")]);
    let mut new = old.swap::<count::ThisOperator>().unwrap();
    assert_eq!(new.process([record("a", "")]).values(), ["2"]);
    assert_eq!(
        new.swap::<seen::ThisOperator>().err().unwrap(),
        "the state \"count\" is not declared any more"
    );
}
