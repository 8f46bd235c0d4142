//! Prefixes values and produces them, in the two ways that librdkafka has.

use super::PREFIX;
use super::transactions::Slot;
use crate::failure::Failure;
use crate::reader::{Message, bytes, code};
use rdkafka::bindings as native;
use rdkafka::bindings::rd_kafka_vtype_t as Kind;
use std::ffi::c_void;
use std::ptr;
use std::thread;
use std::time::Duration;

/// The partitioner chooses.
const ANY_PARTITION: i32 = -1;
/// librdkafka's code for a full queue.
const QUEUE_FULL: i32 = -184;
/// Pause of a writer whose queue is full.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// Memory that is used again for each batch.
#[derive(Default)]
pub struct Writer {
    values: Vec<u8>,
    records: Vec<native::rd_kafka_message_t>,
}

impl Writer {
    /// One call for all records: they get the time of producing.
    pub fn write_together(&mut self, slot: &Slot, messages: &[*mut Message]) -> Result<(), Failure> {
        self.prefix_all(messages);
        let mut rest = &mut self.records[..];
        while !rest.is_empty() {
            let count = i32::try_from(rest.len()).expect("a fetch is bounded far below 2^31 records");
            // SAFETY: the topic is alive; keys belong to live messages and values to `self`, both copied here.
            let taken = unsafe {
                native::rd_kafka_produce_batch(
                    slot.topic(),
                    ANY_PARTITION,
                    native::RD_KAFKA_MSG_F_COPY,
                    rest.as_mut_ptr(),
                    count,
                )
            };
            if taken == count {
                return Ok(());
            }
            // SAFETY: these are our own records.
            let codes = rest.iter().map(|record| unsafe { code(record) });
            let failed = codes.enumerate().find(|(_, code)| *code != 0);
            let (index, code) = failed.expect("fewer taken than given means that one failed");
            if code != QUEUE_FULL {
                return Err(Failure::new(format!("producing: librdkafka's code {code}")));
            }
            // Behind the first that found the queue full, none is taken.
            rest = &mut rest[index..];
            thread::sleep(FULL_PAUSE);
        }
        Ok(())
    }

    /// Values behind their prefixes, one after the other, and the records that point to them.
    fn prefix_all(&mut self, messages: &[*mut Message]) {
        self.values.clear();
        for &message in messages {
            self.values.extend_from_slice(PREFIX);
            // SAFETY: the message is alive.
            self.values.extend_from_slice(unsafe { bytes((*message).payload, (*message).len) });
        }
        self.records.clear();
        let mut at = 0;
        self.records.extend(messages.iter().map(|&message| {
            // SAFETY: the message is alive.
            let (key, key_len, len) =
                unsafe { ((*message).key, (*message).key_len, (*message).len + PREFIX.len()) };
            let payload = self.values[at..at + len].as_ptr().cast_mut().cast();
            at += len;
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
    }

    /// One call per record: they keep their timestamps.
    pub fn write_each(&mut self, slot: &Slot, messages: &[*mut Message]) -> Result<(), Failure> {
        type Union = native::rd_kafka_vu_s__bindgen_ty_1;
        let field = |vtype, u| native::rd_kafka_vu_t { vtype, u };
        let mut fields = [
            field(Kind::RD_KAFKA_VTYPE_RKT, Union { rkt: slot.topic() }),
            field(Kind::RD_KAFKA_VTYPE_MSGFLAGS, Union { i: native::RD_KAFKA_MSG_F_COPY }),
            field(Kind::RD_KAFKA_VTYPE_TIMESTAMP, Union { i64_: 0 }),
            field(Kind::RD_KAFKA_VTYPE_KEY, Union { mem: memory(ptr::null_mut(), 0) }),
            field(Kind::RD_KAFKA_VTYPE_VALUE, Union { mem: memory(ptr::null_mut(), 0) }),
        ];
        for &message in messages {
            self.values.clear();
            self.values.extend_from_slice(PREFIX);
            // SAFETY: the message is alive.
            unsafe {
                self.values.extend_from_slice(bytes((*message).payload, (*message).len));
                fields[2].u.i64_ = native::rd_kafka_message_timestamp(message, ptr::null_mut()).max(0);
                fields[3].u.mem = memory((*message).key, (*message).key_len);
            }
            fields[4].u.mem = memory(self.values.as_ptr().cast_mut().cast(), self.values.len());
            produce(slot, &fields)?;
        }
        Ok(())
    }
}

/// Produces one record, waiting while the queue is full.
fn produce(slot: &Slot, fields: &[native::rd_kafka_vu_t]) -> Result<(), Failure> {
    loop {
        // SAFETY: client, topic, key and value are alive; the error object is destroyed once.
        let code = unsafe {
            let error = native::rd_kafka_produceva(slot.client(), fields.as_ptr(), fields.len());
            if error.is_null() {
                return Ok(());
            }
            let code = native::rd_kafka_error_code(error) as i32;
            native::rd_kafka_error_destroy(error);
            code
        };
        if code != QUEUE_FULL {
            return Err(Failure::new(format!("producing: librdkafka's code {code}")));
        }
        thread::sleep(FULL_PAUSE);
    }
}

fn memory(ptr: *mut c_void, size: usize) -> native::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
    native::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size }
}
