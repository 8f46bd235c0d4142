//! What a failed call means: the kind of failure and one line for a person.

use crate::one_line::one_line;
use crate::store_data::StoreData;
use weir_protocol::connector::{CallFailure, FailureKind};

/// Characters of a message.
const MESSAGE_CHARS_MAX: usize = 1024;
/// How wasmtime says that lifting would copy more than `set_hostcall_fuel` permits. Its type is private to it.
const FUEL_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

/// A failure with a message that fits one line.
pub fn failure(kind: FailureKind, message: &str) -> CallFailure {
    CallFailure { kind, message: one_line(message, MESSAGE_CHARS_MAX) }
}

/// Classifies the error that ended a call.
///
/// The order matters: a guest that is interrupted or refused memory traps in whatever way its language has, and the
/// reason is what the host knows, not the trap.
pub fn classify(error: &wasmtime::Error, data: &StoreData) -> CallFailure {
    let complaint = data.voice.get().log.end_failed_call();
    let cause = error.root_cause().to_string();
    let (kind, reason) = if let Some(exceeded) = data.time.exceeded() {
        (FailureKind::Timeout, exceeded.to_owned())
    } else if cause.contains(FUEL_EXHAUSTED) {
        (FailureKind::OutputLimit, "the call handed over more bytes at once than its output limit, or its limit on writes to state, permits".to_owned())
    } else if let Some(refusal) = data.memory.refusal() {
        (FailureKind::Memory, refusal)
    } else {
        let trap = error.downcast_ref::<wasmtime::Trap>();
        (FailureKind::Trap, trap.map_or(cause, |trap| trap.to_string()))
    };
    match complaint {
        Some(complaint) => failure(kind, &format!("{complaint} ({reason})")),
        None => failure(kind, &reason),
    }
}
