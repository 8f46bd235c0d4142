//! Runs what `keyed!` declares: row by row or timer by timer, with the states' writes handed over at the end.

use crate::answer::Answer;
use crate::bindings::types::{Batch, Output};
pub use crate::call::{Call, Part};
use crate::declaration::{Description, OutputPort};
use crate::emitter::Emitter;
use crate::record::Record;
use crate::timer::FiredTimer;

/// The function that handles rows where no input port is declared.
const ONLY_FUNCTION: &str = "process";

/// Handles the rows of one batch.
#[inline]
pub fn handle_rows<A, F>(
    batch: &Batch,
    outputs: &'static [OutputPort],
    call: &Call,
    parts: &[&dyn Part],
    mut function: F,
) -> Result<Output, String>
where
    A: Answer,
    F: FnMut(Record<'_>, &mut Emitter<'_>) -> A,
{
    handle(batch, outputs, call, parts, |row, emit| function(batch.record(row), emit).into_result())
}

/// Handles fired timers of one declaration.
pub fn handle_timers<A, F>(
    fired: &Batch,
    outputs: &'static [OutputPort],
    call: &Call,
    parts: &[&dyn Part],
    mut function: F,
) -> Result<Output, String>
where
    A: Answer,
    F: FnMut(FiredTimer<'_>, &mut Emitter<'_>) -> A,
{
    handle(fired, outputs, call, parts, |row, emit| function(FiredTimer::of(fired, row), emit).into_result())
}

#[inline]
fn handle<'b>(
    batch: &'b Batch,
    outputs: &'static [OutputPort],
    call: &Call,
    parts: &[&dyn Part],
    mut function: impl FnMut(usize, &mut Emitter<'b>) -> Result<(), String>,
) -> Result<Output, String> {
    let mut emitter = Emitter::new(batch, outputs);
    for row in 0..batch.count as usize {
        call.enter(batch, row);
        emitter.begin_row(row);
        let answer = function(row, &mut emitter);
        if let Some(reason) = emitter.end_row(answer) {
            take_back(parts, reason)?;
        }
    }
    let output = emitter.finish()?;
    parts.iter().for_each(|part| part.flush());
    Ok(output)
}

/// A refused row leaves nothing in the state either. Where the host has seen its writes, only failing the call undoes
/// them; the host then finds the row again and it meets the same fate, alone.
#[cold]
fn take_back(parts: &[&dyn Part], reason: &str) -> Result<(), String> {
    let taken_back = parts.iter().all(|part| part.take_back());
    if taken_back { Ok(()) } else { Err(reason.to_string()) }
}

/// The name of the batch's input port.
pub fn input_name(description: &Description, batch: &Batch) -> Result<&'static str, String> {
    let name = description.inputs.get(batch.port as usize);
    name.copied().ok_or_else(|| format!("there is no input port {}", batch.port))
}

/// The input port whose rows a function handles.
pub const fn input_of(function: &'static str, inputs: &[&'static str]) -> &'static str {
    if same(function, ONLY_FUNCTION) && inputs.len() == 1 { inputs[0] } else { function }
}

/// The declared ones, or the default if there are none.
pub const fn declared_or<T>(declared: &'static [T], default: &'static [T]) -> &'static [T] {
    if declared.is_empty() { default } else { declared }
}

/// Does not compile where a function and its declaration do not fit: `rows`, `fired`, `migrated` are names of functions.
pub const fn check(description: &Description, rows: &[&'static str], fired: &[&str], migrated: &[&str]) {
    let (inputs, timers) = (description.inputs, description.timers);
    let mut at = 0;
    while at < inputs.len() {
        let handlers = count_of_inputs(inputs[at], rows, inputs);
        assert!(
            handlers == 1,
            "each input needs one function of its name; without inputs it is `fn process`"
        );
        at += 1;
    }
    assert!(
        rows.len() == inputs.len(),
        "a function over records is named like an input, or `process` if there is none"
    );
    at = 0;
    while at < timers.len() {
        assert!(count(timers[at].name, fired) == 1, "each timer needs one `fn on_timer` of its name");
        at += 1;
    }
    assert!(fired.len() == timers.len(), "an `fn on_timer` is named like a timer");
    at = 0;
    while at < migrated.len() {
        assert!(count(migrated[at], migrated) == 1, "a state has one `fn migrate`");
        at += 1;
    }
}

const fn count_of_inputs(input: &str, functions: &[&'static str], inputs: &[&'static str]) -> usize {
    let (mut found, mut at) = (0, 0);
    while at < functions.len() {
        found += same(input_of(functions[at], inputs), input) as usize;
        at += 1;
    }
    found
}

const fn count(wanted: &str, names: &[&str]) -> usize {
    let (mut found, mut at) = (0, 0);
    while at < names.len() {
        found += same(wanted, names[at]) as usize;
        at += 1;
    }
    found
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}
