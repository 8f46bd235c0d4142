//! A topic's handle on one client: producing by handle spares the look-up of the name per record.

use crate::client::{Client, c_text};
use rdkafka::bindings as native;
use std::sync::Arc;
use weir_protocol::connector::ConnectorError;

/// A handle. It keeps its client alive.
pub(crate) struct TopicHandle {
    handle: *mut native::rd_kafka_topic_t,
    client: Arc<Client>,
}

// SAFETY: librdkafka's topic handles may be used from any thread.
unsafe impl Send for TopicHandle {}
// SAFETY: as above.
unsafe impl Sync for TopicHandle {}

impl TopicHandle {
    /// The handle of a topic on a client.
    pub(crate) fn new(client: &Arc<Client>, topic: &str) -> Result<TopicHandle, ConnectorError> {
        let name = c_text(topic)?;
        // SAFETY: the client is alive; no topic configuration is given, so the client's default applies.
        let handle =
            unsafe { native::rd_kafka_topic_new(client.handle(), name.as_ptr(), std::ptr::null_mut()) };
        if handle.is_null() {
            return Err(ConnectorError::permanent(format!(
                "topic {topic}: the client does not accept the name"
            )));
        }
        Ok(TopicHandle { handle, client: client.clone() })
    }

    /// The native handle, valid as long as `self`.
    pub(crate) fn native(&self) -> *mut native::rd_kafka_topic_t {
        self.handle
    }

    /// The client.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: owned, given back once, while the client is alive.
        unsafe { native::rd_kafka_topic_destroy(self.handle) }
    }
}
