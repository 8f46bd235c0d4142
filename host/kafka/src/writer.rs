//! Writes to one topic for one subtask: rows go from the columns into the producer's queue, copied once.
//!
//! Several writers use one producer at the same time; which one, they ask once per epoch.

use crate::client::{Client, message_code};
use crate::client_error::{ClientError, ErrorCode};
use crate::cluster::Shared;
use crate::denied;
use crate::topic_handle::TopicHandle;
use rdkafka::bindings as native;
use rdkafka::bindings::rd_kafka_vtype_t as Kind;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use weir_protocol::batch::{Batch, headers};
use weir_protocol::connector::{ConnectorError, SinkWriter, Written};
use weir_protocol::epoch::Epoch;
use weir_protocol::manifest::PreparedHandle;
use weir_protocol::plan::{Guarantee, SinkTimestamp};
use weir_protocol::transaction::Call;

/// The partitioner chooses.
const ANY_PARTITION: i32 = -1;

/// The writer of one subtask.
pub(crate) struct KafkaWriter {
    shared: Arc<Shared>,
    topic: String,
    timestamp: SinkTimestamp,
    headers: bool,
    open: Option<TopicHandle>,
    /// Reused by the batch call.
    messages: Vec<native::rd_kafka_message_t>,
}

// SAFETY: `messages` holds pointers only while a call of `write` runs.
unsafe impl Send for KafkaWriter {}

impl KafkaWriter {
    pub(crate) fn new(
        shared: Arc<Shared>,
        topic: &str,
        timestamp: SinkTimestamp,
        headers: bool,
    ) -> KafkaWriter {
        KafkaWriter { shared, topic: topic.to_owned(), timestamp, headers, open: None, messages: Vec::new() }
    }

    /// One call per row: carries timestamp and headers.
    fn write_each(&self, topic: &TopicHandle, batch: &Batch, from: usize) -> Result<Written, ConnectorError> {
        let with_headers = self.headers && !batch.headers.is_absent();
        let mut fields = Fields::of(topic);
        for row in from..batch.rows {
            if self.timestamp == SinkTimestamp::Record {
                fields.timestamp(batch.timestamp(row));
            }
            fields.bytes(KEY, batch.keys.get(row));
            fields.bytes(VALUE, batch.values.get(row));
            let entry = if with_headers { batch.headers.bytes(row) } else { &[] };
            if let Err(error) = fields.produce(topic.client(), entry)? {
                if error.code == ErrorCode::QUEUE_FULL {
                    return Ok(Written::Until(row));
                }
                return Err(self.error(topic.client(), error));
            }
        }
        Ok(Written::All)
    }

    /// One call for all rows: no headers, and the time of producing.
    fn write_together(
        &mut self,
        topic: &TopicHandle,
        batch: &Batch,
        from: usize,
    ) -> Result<Written, ConnectorError> {
        self.messages.clear();
        self.messages.extend((from..batch.rows).map(|row| {
            let (key, key_len) = parts(batch.keys.get(row));
            let (payload, len) = parts(batch.values.get(row));
            native::rd_kafka_message_t {
                err: native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
                rkt: ptr::null_mut(),
                partition: ANY_PARTITION,
                payload,
                len,
                key,
                key_len,
                offset: 0,
                _private: ptr::null_mut(),
            }
        }));
        let count = i32::try_from(self.messages.len()).expect("a batch is bounded far below 2^31 rows");
        // SAFETY: the handle is alive; the pointers are the batch's columns, which are copied by this call. The
        // partition is the partitioner's, never given per message: that would register partition -1 with the
        // transaction while the topic is unknown.
        let taken = unsafe {
            native::rd_kafka_produce_batch(
                topic.native(),
                ANY_PARTITION,
                native::RD_KAFKA_MSG_F_COPY,
                self.messages.as_mut_ptr(),
                count,
            )
        };
        if taken == count {
            return Ok(Written::All);
        }
        // SAFETY: these are our own messages.
        let failed = self.messages.iter().position(|m| unsafe { message_code(m) } != ErrorCode::NONE);
        let index = failed.expect("fewer taken than given means that one failed");
        // SAFETY: as above.
        let code = unsafe { message_code(&raw const self.messages[index]) };
        if code == ErrorCode::QUEUE_FULL {
            // Behind the first that found the queue full, librdkafka takes none.
            return Ok(Written::Until(from + index));
        }
        Err(self.error(topic.client(), ClientError::from_code(code)))
    }

    /// Behind a general code stands the client's fatal error.
    fn error(&self, client: &Client, error: ClientError) -> ConnectorError {
        let doing = format!("writing to topic {}", self.topic);
        if error.code == ErrorCode::SIZE_TOO_LARGE {
            return ConnectorError::permanent(format!(
                "{doing}: {error}; the topic's max.message.bytes was lowered while the pipeline ran"
            ));
        }
        let error = client.real_error(error, &self.shared.grantee);
        let error = error.needing(&self.shared.grantee, &[denied::writing(&self.topic)]);
        error.of_call(Call::Produce, &doing)
    }
}

impl SinkWriter for KafkaWriter {
    fn begin(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        let shared = &self.shared;
        let client = match shared.guarantee {
            Guarantee::ExactlyOnce => shared.slots.of(epoch).client(epoch)?,
            Guarantee::AtLeastOnce | Guarantee::AtMostOnce => shared.slots.plain(shared)?,
        };
        self.open = Some(TopicHandle::new(&client, &self.topic)?);
        Ok(())
    }

    fn write(&mut self, batch: &Batch, from: usize) -> Result<Written, ConnectorError> {
        let Some(topic) = self.open.take() else {
            return Err(ConnectorError::transient(format!("topic {}: no epoch is open", self.topic)));
        };
        let written = match topic.client().delivery_error() {
            Some(error) => Err(self.error(topic.client(), error)),
            None if self.timestamp == SinkTimestamp::ProduceTime
                && (!self.headers || batch.headers.is_absent()) =>
            {
                self.write_together(&topic, batch, from)
            }
            None => self.write_each(&topic, batch, from),
        };
        self.open = Some(topic);
        written
    }

    fn prepare(&mut self, _epoch: Epoch) -> Result<Vec<PreparedHandle>, ConnectorError> {
        // With a transaction the decision log flushes, once for all writers.
        if self.shared.guarantee != Guarantee::ExactlyOnce
            && let Some(topic) = &self.open
        {
            let flushed = topic.client().flush(self.shared.transaction_timeout);
            let failed = topic.client().delivery_error().or(flushed.err());
            if let Some(error) = failed {
                return Err(self.error(topic.client(), error));
            }
        }
        Ok(Vec::new())
    }
}

/// The arguments of `rd_kafka_produceva`, kept from row to row.
struct Fields([native::rd_kafka_vu_t; 6]);

const TIMESTAMP: usize = 2;
const KEY: usize = 3;
const VALUE: usize = 4;
const HEADERS: usize = 5;

impl Fields {
    fn of(topic: &TopicHandle) -> Fields {
        let field = |vtype, u| native::rd_kafka_vu_t { vtype, u };
        type Union = native::rd_kafka_vu_s__bindgen_ty_1;
        let none = native::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: ptr::null_mut(), size: 0 };
        Fields([
            field(Kind::RD_KAFKA_VTYPE_RKT, Union { rkt: topic.native() }),
            field(Kind::RD_KAFKA_VTYPE_MSGFLAGS, Union { i: native::RD_KAFKA_MSG_F_COPY }),
            // 0 means: the time of producing.
            field(Kind::RD_KAFKA_VTYPE_TIMESTAMP, Union { i64_: 0 }),
            field(Kind::RD_KAFKA_VTYPE_KEY, Union { mem: none }),
            field(Kind::RD_KAFKA_VTYPE_VALUE, Union { mem: none }),
            field(Kind::RD_KAFKA_VTYPE_HEADERS, Union { headers: ptr::null_mut() }),
        ])
    }

    /// A record without a timestamp gets the time of producing; so does one of 1970-01-01T00:00:00.000, which
    /// librdkafka cannot tell from none.
    #[inline]
    fn timestamp(&mut self, timestamp: i64) {
        self.0[TIMESTAMP].u.i64_ = timestamp.max(0);
    }

    #[inline]
    fn bytes(&mut self, field: usize, bytes: Option<&[u8]>) {
        let (ptr, size) = parts(bytes);
        self.0[field].u.mem = native::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size };
    }

    /// Produces one record. The outer error is a record that cannot be written at all.
    #[inline]
    fn produce(&mut self, client: &Client, entry: &[u8]) -> Result<Result<(), ClientError>, ConnectorError> {
        if entry.is_empty() {
            // SAFETY: all pointers are alive; key and value are copied by the call.
            return Ok(unsafe { self.call(client, HEADERS) });
        }
        let list = native_headers(entry)?;
        self.0[HEADERS].u.headers = list;
        // SAFETY: as above; the headers belong to the record if the call succeeds, else still to us.
        let produced = unsafe { self.call(client, HEADERS + 1) };
        if produced.is_err() {
            // SAFETY: see above; destroyed once.
            unsafe { native::rd_kafka_headers_destroy(list) };
        }
        Ok(produced)
    }

    /// # Safety
    ///
    /// The first `count` fields hold live pointers.
    #[inline]
    unsafe fn call(&self, client: &Client, count: usize) -> Result<(), ClientError> {
        // SAFETY: by contract; the error object is taken over.
        unsafe { ClientError::check(native::rd_kafka_produceva(client.handle(), self.0.as_ptr(), count)) }
    }
}

/// An encoded entry as librdkafka's headers, owned by the caller.
fn native_headers(entry: &[u8]) -> Result<*mut native::rd_kafka_headers_t, ConnectorError> {
    // SAFETY: the number is a hint.
    let list = unsafe { native::rd_kafka_headers_new(8) };
    for header in headers(entry) {
        let Ok((name, value)) = header else {
            // SAFETY: ours, destroyed once.
            unsafe { native::rd_kafka_headers_destroy(list) };
            return Err(ConnectorError::permanent("a record's headers do not follow the layout"));
        };
        let (value, size) = parts(value);
        // SAFETY: name and value have the given lengths and are copied. A null value is told by its pointer.
        unsafe {
            native::rd_kafka_header_add(
                list,
                name.as_ptr().cast(),
                name.len() as isize,
                value,
                size as isize,
            );
        }
    }
    Ok(list)
}

/// Bytes as librdkafka takes them: null is none, and an empty value has a pointer.
#[inline]
fn parts(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    bytes.map_or((ptr::null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut().cast(), bytes.len()))
}
