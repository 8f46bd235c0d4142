//! Event time: a window fires once, with all of its rows; no row is late; and at every decided checkpoint a window has
//! either fired or is in the state, with its timer.

use crate::history::{Checkpoint, Ending, History, Said};
use crate::pipeline::names;
use std::collections::{BTreeMap, BTreeSet};

type Windows = BTreeMap<(String, i64), u32>;

/// Finds a window that fired twice, not at all, or without some of its rows.
pub fn check(history: &History) -> Result<(), String> {
    let mut fired = Windows::new();
    let mut next = 0;
    for decided in &history.decisions {
        for record in &history.committed[next..decided.committed] {
            let key = record.written.key.clone();
            match record.says() {
                Said::Window(end, count) if fired.insert((key.clone(), end), count).is_some() => {
                    return Err(format!("the window of key {key} until {end} fires a second time"));
                }
                Said::Late(what) => {
                    return Err(format!("key {key}: {what}, and no row of the input is late"));
                }
                _ => {}
            }
        }
        next = decided.committed;
        let Ok(checkpoint) = &decided.checkpoint else { continue };
        compare(history, checkpoint, &fired).map_err(|what| format!("checkpoint {}: {what}", decided.id))?;
    }
    let whole: Vec<usize> = history.scenario.input.iter().map(Vec::len).collect();
    if history.ending == Ending::Finished && fired != expected(history, &whole) {
        return Err("at the end of the input not every window has fired".to_owned());
    }
    Ok(())
}

fn expected(history: &History, positions: &[usize]) -> Windows {
    let mut expected = Windows::new();
    for (records, end) in history.scenario.input.iter().zip(positions) {
        for record in records[..*end].iter().filter(|record| !record.poison) {
            *expected.entry((record.key.clone(), record.window_end())).or_default() += 1;
        }
    }
    expected
}

fn compare(history: &History, checkpoint: &Checkpoint, fired: &Windows) -> Result<(), String> {
    let (open, expected) = (checkpoint.windows(), expected(history, &checkpoint.positions));
    let timers: BTreeSet<(String, i64)> = checkpoint.timers(names::WINDOW).into_iter().collect();
    for ((key, end), count) in &open {
        if fired.contains_key(&(key.clone(), *end)) {
            return Err(format!("the window of key {key} until {end} has fired with {count} rows in it"));
        }
        if !timers.contains(&(key.clone(), end - 1)) {
            return Err(format!("the window of key {key} until {end} has no timer"));
        }
    }
    for ((key, end), rows) in &expected {
        let window = (key.clone(), *end);
        let found = open.get(&window).or(fired.get(&window));
        if found != Some(rows) {
            return Err(format!("the window of key {key} until {end} has {found:?} rows, expected {rows}"));
        }
    }
    Ok(())
}
