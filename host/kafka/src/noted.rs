//! What a native client says by itself: lost connections, failed deliveries, log lines.

use crate::client::message_code;
use crate::client_error::{ClientError, ErrorCode};
use crate::refusal::{CertificateFault, Seen};
use crate::statistics;
use rdkafka::bindings as native;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use weir_protocol::position::Partition;

/// What the callbacks of a client note. Lives until the native handle is destroyed.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    name: String,
    /// Records that could not be stored.
    delivery_errors: AtomicU64,
    first_delivery_error: Mutex<Option<ClientError>>,
    /// All connections are lost: said once until it changes.
    disconnected: AtomicBool,
    /// The last error that concerned the client as a whole: why nothing answers.
    last_error: Mutex<Option<ClientError>>,
    /// The last connection that failed, in librdkafka's words.
    last_failure: Mutex<Option<String>>,
    /// The last certificate that was not accepted.
    certificate: Mutex<Option<CertificateFault>>,
    /// A peer did not know the first request of Kafka's protocol.
    no_kafka: AtomicBool,
    /// A topic that the authorizer does not let us write to: the client's own error does not name it.
    denied_topic: Mutex<Option<String>>,
    stop: AtomicBool,
    /// Per partition the offset up to which transactions are decided, out of the last statistics.
    last_stable: Mutex<BTreeMap<Partition, i64>>,
    /// Highest version of the request `TxnOffsetCommit` that a broker offers; needs `debug=feature`.
    pub(crate) transactional_offsets_version: AtomicU64,
    pub(crate) versions_seen: AtomicBool,
}

impl Noted {
    pub(crate) fn new(name: &str) -> Noted {
        Noted { name: name.to_owned(), ..Noted::default() }
    }

    /// What the client is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The client is going: the thread that drains its events ends.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The first record that could not be stored; one load where there is none.
    #[inline]
    pub(crate) fn first_delivery_error(&self) -> Option<ClientError> {
        if self.delivery_errors.load(Ordering::Acquire) == 0 {
            return None;
        }
        locked(&self.first_delivery_error).clone()
    }

    /// Notes an error that concerns the client as a whole. Lost connections are said once per change.
    pub(crate) fn error(&self, code: ErrorCode, text: &str) {
        self.note_last(code, text);
        if code == ErrorCode::ALL_BROKERS_DOWN {
            if !self.disconnected.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    client = self.name,
                    "no broker can be reached; waiting until one answers: {text}"
                );
            }
        } else if code.is_transport() {
            tracing::debug!(client = self.name, "{text}");
        } else if code == ErrorCode::SSL
            && let Some(fault) = locked(&self.certificate).as_ref()
        {
            tracing::warn!(client = self.name, code = code.0, "{fault}");
        } else {
            tracing::warn!(client = self.name, code = code.0, "{text}");
        }
    }

    /// `ALL_BROKERS_DOWN` says less than the error before it, so it does not replace one.
    fn note_last(&self, code: ErrorCode, text: &str) {
        let mut last = locked(&self.last_error);
        if code != ErrorCode::ALL_BROKERS_DOWN || last.is_none() {
            *last = Some(ClientError { text: text.to_owned(), ..ClientError::from_code(code) });
        }
    }

    /// What was seen while connections were tried.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            error: locked(&self.last_error).clone(),
            failure: locked(&self.last_failure).clone(),
            certificate: locked(&self.certificate).clone(),
            no_kafka: self.no_kafka.load(Ordering::Acquire),
        }
    }

    /// A topic that may not be written, as far as the client has said.
    pub(crate) fn denied_topic(&self) -> Option<String> {
        locked(&self.denied_topic).clone()
    }

    /// Something arrived, so brokers answer again.
    #[inline]
    pub(crate) fn answered(&self) {
        if self.disconnected.load(Ordering::Relaxed) && self.disconnected.swap(false, Ordering::Relaxed) {
            tracing::info!(client = self.name, "brokers answer again");
        }
    }

    /// Up to which offset of a partition transactions are decided, as of the last statistics.
    pub(crate) fn last_stable(&self, partition: &Partition) -> Option<i64> {
        self.last_stable.lock().unwrap_or_else(PoisonError::into_inner).get(partition).copied()
    }

    fn note_statistics(&self, json: &[u8]) {
        match statistics::last_stable(json) {
            Ok(found) => *self.last_stable.lock().unwrap_or_else(PoisonError::into_inner) = found,
            Err(error) => tracing::debug!(client = self.name, "statistics cannot be read: {error}"),
        }
    }

    fn delivery_error(&self, error: ClientError) {
        let mut first = locked(&self.first_delivery_error);
        first.get_or_insert(error);
        self.delivery_errors.fetch_add(1, Ordering::Release);
    }
}

/// # Safety
///
/// `event` is a live event.
pub(crate) unsafe fn take_event(event: *mut native::rd_kafka_event_t, noted: &Noted) {
    // SAFETY: by contract; messages belong to the event and are read before it is destroyed.
    unsafe {
        match native::rd_kafka_event_type(event) {
            native::RD_KAFKA_EVENT_DR => loop {
                let message = native::rd_kafka_event_message_next(event);
                if message.is_null() {
                    break;
                }
                let code = message_code(message);
                if code == ErrorCode::NONE {
                    noted.answered();
                } else {
                    if code == ErrorCode::TOPIC_FORBIDDEN {
                        let topic = CStr::from_ptr(native::rd_kafka_topic_name((*message).rkt));
                        *locked(&noted.denied_topic) = Some(topic.to_string_lossy().into_owned());
                    }
                    noted.delivery_error(ClientError::from_code(code));
                }
            },
            native::RD_KAFKA_EVENT_ERROR => {
                let code = ErrorCode::from(native::rd_kafka_event_error(event));
                let text = CStr::from_ptr(native::rd_kafka_event_error_string(event));
                noted.error(code, &text.to_string_lossy());
            }
            _ => {}
        }
    }
}

/// # Safety
///
/// Called by librdkafka, whose opaque is a `Noted`.
pub(crate) unsafe extern "C" fn on_error(
    _: *mut native::rd_kafka_t,
    code: c_int,
    text: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka passes our opaque, which outlives the handle, and a text that ends with 0.
    let (noted, text) = unsafe { (&*opaque.cast::<Noted>(), CStr::from_ptr(text)) };
    noted.error(ErrorCode(code), &text.to_string_lossy());
}

/// # Safety
///
/// Called by librdkafka, whose opaque is a `Noted`, on the thread that polls.
pub(crate) unsafe extern "C" fn on_statistics(
    _: *mut native::rd_kafka_t,
    json: *mut c_char,
    length: usize,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: librdkafka passes our opaque, which outlives the handle, and so many bytes.
    let (noted, json) =
        unsafe { (&*opaque.cast::<Noted>(), std::slice::from_raw_parts(json.cast::<u8>(), length)) };
    noted.note_statistics(json);
    // 0: librdkafka frees the text.
    0
}

/// # Safety
///
/// Called by librdkafka, whose opaque is a `Noted`.
pub(crate) unsafe extern "C" fn on_log(
    handle: *const native::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    text: *const c_char,
) {
    // SAFETY: librdkafka passes texts that end with 0. While the client is being made there is no handle yet, and
    // the opaque outlives the handle.
    let (noted, facility, text) = unsafe {
        let opaque = if handle.is_null() { ptr::null_mut() } else { native::rd_kafka_opaque(handle) };
        (opaque.cast::<Noted>().as_ref(), CStr::from_ptr(facility), CStr::from_ptr(text))
    };
    let (facility, text) = (facility.to_string_lossy(), text.to_string_lossy());
    let client = noted.map_or("", |noted| noted.name.as_str());
    if let Some(noted) = noted {
        if facility == "APIVERSION" {
            note_version(noted, &text);
            return;
        }
        note_facts(noted, &facility, &text);
    }
    match level {
        // The same comes as an error, which is told once and in weir's words.
        0..=3 if facility == "FAIL" => tracing::debug!(client, %facility, "{text}"),
        0..=3 => tracing::warn!(client, %facility, "{text}"),
        4..=6 => tracing::debug!(client, %facility, "{text}"),
        _ => tracing::trace!(client, %facility, "{text}"),
    }
}

/// What stands in the log alone.
fn note_facts(noted: &Noted, facility: &str, text: &str) {
    match facility {
        "FAIL" => *locked(&noted.last_failure) = Some(text.to_owned()),
        "FEATURE" if text.contains("-ApiVersion") => noted.no_kafka.store(true, Ordering::Release),
        "ADDPARTS" if text.contains("opic authorization failed") => {
            if let Some(topic) = text.split('"').nth(1) {
                *locked(&noted.denied_topic) = Some(topic.to_owned());
            }
        }
        _ => {}
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks on while OpenSSL verifies a broker's certificate: the error of the client does not say what is wrong with it.
/// What OpenSSL found stays the verdict.
///
/// # Safety
///
/// Called by librdkafka, whose opaque is a `Noted`.
pub(crate) unsafe extern "C" fn on_certificate(
    _: *mut native::rd_kafka_t,
    broker: *const c_char,
    _: i32,
    fault: *mut c_int,
    _: c_int,
    _: *const c_char,
    _: usize,
    _: *mut c_char,
    _: usize,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: librdkafka passes our opaque, which outlives the handle, a text that ends with 0 and a number.
    let (noted, broker, code) = unsafe { (&*opaque.cast::<Noted>(), CStr::from_ptr(broker), *fault) };
    if code == 0 {
        return 1;
    }
    let broker = broker.to_string_lossy().into_owned();
    *locked(&noted.certificate) = Some(CertificateFault { broker, code });
    0
}

/// Reads `ApiKey TxnOffsetCommit (28) Versions 0..5` out of the debug log: librdkafka has no call for it.
fn note_version(noted: &Noted, text: &str) {
    noted.versions_seen.store(true, Ordering::Release);
    if text.contains("TxnOffsetCommit ")
        && let Some(highest) = text.rsplit("..").next().and_then(|number| number.trim().parse().ok())
    {
        noted.transactional_offsets_version.store(highest, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_that_may_not_be_written_is_read_from_the_log() {
        let noted = Noted::default();
        let text = "[thrd:x]: x/1: Failed to add partition \"orders\" [0] to transaction: Broker: Topic authorization failed";
        note_facts(&noted, "ADDPARTS", text);
        assert_eq!(noted.denied_topic().as_deref(), Some("orders"));
    }

    #[test]
    fn the_version_of_a_request_is_read_from_the_debug_log() {
        let noted = Noted::default();
        note_version(&noted, "[thrd:x]: 127.0.0.1:1/1:   ApiKey TxnOffsetCommit (28) Versions 0..5");
        assert_eq!(noted.transactional_offsets_version.load(Ordering::Relaxed), 5);
    }
}
