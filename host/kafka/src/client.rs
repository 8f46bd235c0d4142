//! One native librdkafka client: made from settings, its events drained, its handle destroyed once or leaked.
//!
//! Data and transactions go through the C interface: batches in one call, flags of errors unchanged, no allocation
//! per record. This file and its neighbours `topic_handle`, `partition_list` and `admin` hold what is unsafe in that.

use crate::client_error::{ClientError, ErrorCode};
use crate::denied;
use crate::noted::{Noted, on_certificate, on_error, on_log, on_statistics, take_event};
use crate::properties::is_secret;
use rdkafka::bindings as native;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use weir_protocol::connector::ConnectorError;
use weir_protocol::permission::Grantee;

/// Longest sleep of the thread that drains a producer's events; it bounds how long a destroy waits for that thread.
const EVENT_WAIT_MS: c_int = 100;
/// Room for librdkafka's error texts.
const ERROR_TEXT_BYTES: usize = 512;

/// Settings of a client, librdkafka's names. Printing it hides secrets.
#[derive(Clone, Default)]
pub(crate) struct Settings(pub BTreeMap<String, String>);

impl Settings {
    /// Sets one property.
    pub(crate) fn set(&mut self, name: &str, value: impl ToString) -> &mut Settings {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |name: &str| if is_secret(name) { "********" } else { self.0[name].as_str() };
        f.debug_map().entries(self.0.keys().map(|name| (name, shown(name)))).finish()
    }
}

/// What kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Producer,
    Consumer,
    /// Only asks. To the broker it is a consumer: a producer's question for a topic could create it.
    Admin,
}

/// A native client. Dropping it destroys the handle on another thread, for that can take long.
pub(crate) struct Client {
    handle: *mut native::rd_kafka_t,
    noted: Arc<Noted>,
    events: Option<JoinHandle<()>>,
    leaked: AtomicBool,
}

// SAFETY: librdkafka's client functions may be called from any thread at the same time.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

struct SendHandle(*mut native::rd_kafka_t);
// SAFETY: the pointer is used for thread-safe calls only, while the client lives.
unsafe impl Send for SendHandle {}

impl Client {
    /// Makes a client. Nothing is connected yet.
    pub(crate) fn new(kind: Kind, name: &str, settings: &Settings) -> Result<Client, ConnectorError> {
        let noted = Arc::new(Noted::new(name));
        let conf = native_settings(settings)?;
        let native_kind = match kind {
            Kind::Producer => native::rd_kafka_type_t::RD_KAFKA_PRODUCER,
            Kind::Consumer | Kind::Admin => native::rd_kafka_type_t::RD_KAFKA_CONSUMER,
        };
        let mut text: [c_char; ERROR_TEXT_BYTES] = [0; ERROR_TEXT_BYTES];
        // SAFETY: `conf` is fresh and is owned by the client once `rd_kafka_new` succeeds; `noted` outlives the
        // handle because it is dropped after the destroy (or leaked with it).
        let handle = unsafe {
            native::rd_kafka_conf_set_opaque(conf, Arc::as_ptr(&noted).cast_mut().cast());
            native::rd_kafka_conf_set_log_cb(conf, Some(on_log));
            if verifies_certificates(settings) {
                native::rd_kafka_conf_set_ssl_cert_verify_cb(conf, Some(on_certificate));
            }
            match kind {
                // With events a flush waits for the count of records; with callbacks it polls in 10 ms steps.
                Kind::Producer => native::rd_kafka_conf_set_events(
                    conf,
                    native::RD_KAFKA_EVENT_DR | native::RD_KAFKA_EVENT_ERROR,
                ),
                Kind::Admin => native::rd_kafka_conf_set_events(conf, native::RD_KAFKA_EVENT_ERROR),
                Kind::Consumer => {
                    native::rd_kafka_conf_set_error_cb(conf, Some(on_error));
                    native::rd_kafka_conf_set_stats_cb(conf, Some(on_statistics));
                }
            }
            let handle = native::rd_kafka_new(native_kind, conf, text.as_mut_ptr(), text.len());
            if handle.is_null() {
                native::rd_kafka_conf_destroy(conf);
                let text = CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned();
                return Err(ConnectorError::permanent(format!("Kafka client {name}: {text}")));
            }
            if kind == Kind::Consumer {
                native::rd_kafka_poll_set_consumer(handle);
            }
            handle
        };
        let mut client = Client { handle, noted, events: None, leaked: AtomicBool::new(false) };
        if kind != Kind::Consumer {
            client.events = Some(client.drain_events());
        }
        Ok(client)
    }

    /// The native handle, valid as long as `self`.
    pub(crate) fn handle(&self) -> *mut native::rd_kafka_t {
        self.handle
    }

    /// What the callbacks noted.
    pub(crate) fn noted(&self) -> &Noted {
        &self.noted
    }

    /// Never destroy the handle: a call is stuck in it, and a destroy would be stuck too.
    pub(crate) fn leak(&self) {
        self.leaked.store(true, Ordering::Release);
    }

    /// The first record that could not be stored, if any.
    pub(crate) fn delivery_error(&self) -> Option<ClientError> {
        self.noted.first_delivery_error()
    }

    /// The fatal error of the client, if it has one: the real reason behind `_FATAL`.
    pub(crate) fn fatal_error(&self) -> Option<ClientError> {
        let mut text: [c_char; ERROR_TEXT_BYTES] = [0; ERROR_TEXT_BYTES];
        // SAFETY: the handle is alive and the buffer has the given length; librdkafka ends the text with 0.
        let (code, text) = unsafe {
            let code = native::rd_kafka_fatal_error(self.handle, text.as_mut_ptr(), text.len());
            (ErrorCode::from(code), CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned())
        };
        (code != ErrorCode::NONE).then_some(ClientError { text, fatal: true, ..ClientError::from_code(code) })
    }

    /// The reason behind an error of producing: the fatal error, or the topic that may not be written.
    pub(crate) fn real_error(&self, error: ClientError, to: &Grantee) -> ClientError {
        let real = match (self.fatal_error(), self.noted.denied_topic()) {
            (Some(fatal), _) => fatal,
            (None, Some(topic)) if error.granted_by.is_none() => {
                let denied = ClientError::from_code(ErrorCode::TOPIC_FORBIDDEN);
                denied.needing(to, &[denied::writing(&topic)])
            }
            (None, _) => error,
        };
        // A transactional producer is called by its id.
        real.needing(to, &[denied::idempotence(), denied::transactions(self.noted.name())])
    }

    /// Waits until all records are stored or the time is over.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), ClientError> {
        // SAFETY: the handle is alive.
        ErrorCode::from(unsafe { native::rd_kafka_flush(self.handle, milliseconds(timeout)) }).check()
    }

    /// The thread that takes delivery reports: without it a flush never ends.
    fn drain_events(&self) -> JoinHandle<()> {
        let (handle, noted) = (SendHandle(self.handle), self.noted.clone());
        let drain = move || {
            let handle = handle;
            // SAFETY: the destroy joins this thread first, so the handle is alive.
            let queue = unsafe { native::rd_kafka_queue_get_main(handle.0) };
            while !noted.is_stopped() {
                // SAFETY: queue and events are alive; each event is destroyed once.
                unsafe {
                    let event = native::rd_kafka_queue_poll(queue, EVENT_WAIT_MS);
                    if !event.is_null() {
                        take_event(event, &noted);
                        native::rd_kafka_event_destroy(event);
                    }
                }
            }
            // SAFETY: the reference taken above is given back once.
            unsafe { native::rd_kafka_queue_destroy(queue) };
        };
        std::thread::Builder::new()
            .name("weir-kafka-events".to_owned())
            .spawn(drain)
            .expect("a process that cannot start a thread cannot run a pipeline")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.noted.stop();
        let (handle, noted, events) = (SendHandle(self.handle), self.noted.clone(), self.events.take());
        if self.leaked.load(Ordering::Acquire) {
            std::mem::forget(noted);
            return;
        }
        let destroy = move || {
            let handle = handle;
            if let Some(events) = events {
                // A panic of that thread was printed already.
                let _ = events.join();
            }
            // SAFETY: the last owner is gone and no thread of ours uses the handle. Positions are ours, so nothing
            // has to be said to the group.
            unsafe {
                native::rd_kafka_destroy_flags(handle.0, native::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
            }
            drop(noted);
        };
        // If no thread can be had, the handle stays: memory is lost, nothing else.
        let _ = std::thread::Builder::new().name("weir-kafka-destroy".to_owned()).spawn(destroy);
    }
}

/// False where the user switched the verification of certificates off: then nothing of one is looked at.
fn verifies_certificates(settings: &Settings) -> bool {
    settings.0.get("enable.ssl.certificate.verification").is_none_or(|value| value != "false")
}

/// A duration as librdkafka takes it.
pub(crate) fn milliseconds(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}

/// Text for the C interface. Names with a zero byte do not exist in Kafka.
pub(crate) fn c_text(text: &str) -> Result<CString, ConnectorError> {
    CString::new(text).map_err(|_| ConnectorError::permanent(format!("{text:?} contains a zero byte")))
}

/// Sets all properties on a fresh native configuration.
pub(crate) fn native_settings(settings: &Settings) -> Result<*mut native::rd_kafka_conf_t, ConnectorError> {
    // SAFETY: no arguments; the result is owned by us until handed to `rd_kafka_new`.
    let conf = unsafe { native::rd_kafka_conf_new() };
    for (name, value) in &settings.0 {
        let mut text: [c_char; ERROR_TEXT_BYTES] = [0; ERROR_TEXT_BYTES];
        let (c_name, c_value) = (c_text(name)?, c_text(value)?);
        // SAFETY: all pointers are valid for the call; the buffer has the given length.
        let result = unsafe {
            native::rd_kafka_conf_set(conf, c_name.as_ptr(), c_value.as_ptr(), text.as_mut_ptr(), text.len())
        };
        if result != native::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
            // SAFETY: `conf` is ours and not used again; the text ends with 0.
            let text = unsafe {
                native::rd_kafka_conf_destroy(conf);
                CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned()
            };
            let text = if is_secret(name) { "its value is not accepted".to_owned() } else { text };
            return Err(ConnectorError::permanent(format!("property {name}: {text}")));
        }
    }
    Ok(conf)
}

/// Reads the code of a message as a number, for the broker may know codes that the bindings do not.
///
/// # Safety
///
/// `message` is a live message.
#[inline]
pub(crate) unsafe fn message_code(message: *const native::rd_kafka_message_t) -> ErrorCode {
    // SAFETY: by contract; the field is a C enum, which has the size of an `int`.
    ErrorCode(unsafe { ptr::addr_of!((*message).err).cast::<i32>().read() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_settings_hides_secrets() {
        let mut settings = Settings::default();
        settings.set("sasl.password", "hush").set("linger.ms", 5);
        let text = format!("{settings:?}");
        assert!(!text.contains("hush") && text.contains("linger.ms"), "{text}");
    }
}
