//! What librdkafka answers when a call fails: the code, its flags and its text, and what that means for a pipeline.

use rdkafka::bindings as native;
use rdkafka::types::RDKafkaRespErr;
use std::ffi::CStr;
use weir_protocol::connector::ConnectorError;
use weir_protocol::transaction::{Answer, Call, Next, after_error};

unsafe extern "C" {
    // The generated bindings return a Rust enum here; a broker newer than they are can answer a code that the enum
    // does not have, so the number is read as a number.
    #[link_name = "rd_kafka_error_code"]
    safe fn error_code(error: &native::rd_kafka_error_t) -> i32;
    #[link_name = "rd_kafka_err2str"]
    safe fn code_text(code: i32) -> *const std::ffi::c_char;
}

/// A code of librdkafka (negative) or of the broker (positive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ErrorCode(pub i32);

macro_rules! codes {
    ($($name:ident = $native:ident;)*) => {
        impl ErrorCode {
            $(pub(crate) const $name: ErrorCode = ErrorCode(RDKafkaRespErr::$native as i32);)*
        }
    };
}

codes! {
    NONE = RD_KAFKA_RESP_ERR_NO_ERROR;
    PARTITION_END = RD_KAFKA_RESP_ERR__PARTITION_EOF;
    OFFSET_RESET = RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
    OFFSET_OUT_OF_RANGE = RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    TRANSPORT = RD_KAFKA_RESP_ERR__TRANSPORT;
    ALL_BROKERS_DOWN = RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    RESOLVE = RD_KAFKA_RESP_ERR__RESOLVE;
    TIMED_OUT = RD_KAFKA_RESP_ERR__TIMED_OUT;
    REQUEST_TIMED_OUT = RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
    MAX_POLL_EXCEEDED = RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED;
    QUEUE_FULL = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    FATAL = RD_KAFKA_RESP_ERR__FATAL;
    SIZE_TOO_LARGE = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    FENCED = RD_KAFKA_RESP_ERR__FENCED;
    PRODUCER_EPOCH = RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
    PRODUCER_FENCED = RD_KAFKA_RESP_ERR_PRODUCER_FENCED;
    UNSTABLE_OFFSETS = RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT;
    UNKNOWN_TOPIC = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    UNKNOWN_TOPIC_LOCAL = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    UNKNOWN_PARTITION_LOCAL = RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
    INVALID_TOPIC = RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
    TOPIC_EXISTS = RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
    TOPIC_FORBIDDEN = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    INVALID_GROUP = RD_KAFKA_RESP_ERR_INVALID_GROUP_ID;
    GROUP_FORBIDDEN = RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    CLUSTER_FORBIDDEN = RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    TRANSACTIONAL_ID_FORBIDDEN = RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    TRANSACTION_TIMEOUT = RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT;
    SASL_AUTHENTICATION = RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
    SASL_MECHANISM = RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM;
    AUTHENTICATION = RD_KAFKA_RESP_ERR__AUTHENTICATION;
    SSL = RD_KAFKA_RESP_ERR__SSL;
    UNSUPPORTED_FEATURE = RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
    UNSUPPORTED_VERSION = RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION;
}

impl ErrorCode {
    /// What librdkafka says about the code.
    pub(crate) fn text(self) -> String {
        // SAFETY: librdkafka returns a static string for every number.
        unsafe { CStr::from_ptr(code_text(self.0)) }.to_string_lossy().into_owned()
    }

    /// Ok for `NO_ERROR`.
    pub(crate) fn check(self) -> Result<(), ClientError> {
        if self == ErrorCode::NONE { Ok(()) } else { Err(ClientError::from_code(self)) }
    }

    /// Another producer with our transactional id has taken over, or our transaction timed out.
    pub(crate) fn is_fenced(self) -> bool {
        [ErrorCode::FENCED, ErrorCode::PRODUCER_EPOCH, ErrorCode::PRODUCER_FENCED].contains(&self)
    }

    /// The broker refuses us, and will refuse us again.
    pub(crate) fn is_forbidden(self) -> bool {
        [
            ErrorCode::TOPIC_FORBIDDEN,
            ErrorCode::GROUP_FORBIDDEN,
            ErrorCode::CLUSTER_FORBIDDEN,
            ErrorCode::TRANSACTIONAL_ID_FORBIDDEN,
            ErrorCode::TRANSACTION_TIMEOUT,
            ErrorCode::SASL_AUTHENTICATION,
            ErrorCode::SASL_MECHANISM,
            ErrorCode::AUTHENTICATION,
            ErrorCode::UNSUPPORTED_FEATURE,
            ErrorCode::UNSUPPORTED_VERSION,
        ]
        .contains(&self)
    }

    /// The topic or partition does not exist.
    pub(crate) fn is_unknown_topic(self) -> bool {
        [
            ErrorCode::UNKNOWN_TOPIC,
            ErrorCode::UNKNOWN_TOPIC_LOCAL,
            ErrorCode::UNKNOWN_PARTITION_LOCAL,
            ErrorCode::INVALID_TOPIC,
        ]
        .contains(&self)
    }

    /// A connection is lost or slow; librdkafka goes on trying by itself.
    pub(crate) fn is_transport(self) -> bool {
        [
            ErrorCode::TRANSPORT,
            ErrorCode::ALL_BROKERS_DOWN,
            ErrorCode::RESOLVE,
            ErrorCode::TIMED_OUT,
            ErrorCode::REQUEST_TIMED_OUT,
        ]
        .contains(&self)
    }
}

impl From<RDKafkaRespErr> for ErrorCode {
    fn from(code: RDKafkaRespErr) -> ErrorCode {
        ErrorCode(code as i32)
    }
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} (code {}){}", code.0, granting(granted_by.as_deref()))]
pub(crate) struct ClientError {
    pub code: ErrorCode,
    pub text: String,
    pub retriable: bool,
    pub fatal: bool,
    /// The command that grants the permission that is missing.
    pub granted_by: Option<String>,
}

fn granting(command: Option<&str>) -> String {
    command.map_or_else(String::new, |command| format!("; to allow it: {command}"))
}

impl ClientError {
    /// An error that carries nothing but its code.
    pub(crate) fn from_code(code: ErrorCode) -> ClientError {
        ClientError {
            code,
            text: code.text(),
            retriable: false,
            fatal: code == ErrorCode::FATAL,
            granted_by: None,
        }
    }

    /// Takes over what a call of librdkafka returned: null means success.
    ///
    /// # Safety
    ///
    /// `error` is null or an error object that the caller owns and does not use again.
    pub(crate) unsafe fn check(error: *mut native::rd_kafka_error_t) -> Result<(), ClientError> {
        // SAFETY: by contract null or a live error object.
        let Some(object) = (unsafe { error.as_ref() }) else { return Ok(()) };
        // SAFETY: the object is alive until it is destroyed in the last line, once.
        unsafe {
            let taken = ClientError {
                code: ErrorCode(error_code(object)),
                text: CStr::from_ptr(native::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
                retriable: native::rd_kafka_error_is_retriable(error) != 0,
                fatal: native::rd_kafka_error_is_fatal(error) != 0,
                granted_by: None,
            };
            native::rd_kafka_error_destroy(error);
            Err(taken)
        }
    }

    /// What the rule of transactions makes of it.
    pub(crate) fn next(&self, call: Call) -> Next {
        let answer = Answer {
            retriable: self.retriable,
            fatal: self.fatal,
            fenced: self.code.is_fenced(),
            // The C call answers a flush of its own that ran out of time flagged as retriable.
            commit_not_started: false,
            forbidden: self.code.is_forbidden(),
        };
        after_error(call, answer)
    }

    /// The error of a transactional call, as the pipeline sees it. `doing` names the call and its object.
    pub(crate) fn of_call(&self, call: Call, doing: &str) -> ConnectorError {
        match self.next(call) {
            Next::Fenced => ConnectorError::fenced(format!(
                "{doing}: {self}; another producer with the same transactional id is at work, or the transaction timed out"
            )),
            Next::Permanent => ConnectorError::permanent(format!("{doing}: {self}")),
            Next::Again | Next::EndIncarnation => ConnectorError::transient(format!("{doing}: {self}")),
        }
    }

    /// The error of any other call: refusals are permanent, the rest may pass.
    pub(crate) fn of(&self, doing: &str) -> ConnectorError {
        let message = format!("{doing}: {self}");
        if self.code.is_forbidden() || self.code.is_unknown_topic() {
            ConnectorError::permanent(message)
        } else {
            ConnectorError::transient(message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_the_bindings_do_not_know_is_an_error_not_undefined_behaviour() {
        let error = ClientError::from_code(ErrorCode(4711));
        assert!(error.to_string().contains("4711"), "{error}");
    }

    #[test]
    fn fencing_is_known_by_code_and_a_refusal_is_permanent() {
        let fenced = ClientError::from_code(ErrorCode::PRODUCER_FENCED);
        assert_eq!(fenced.next(Call::SendOffsets), Next::Fenced);
        let forbidden = ClientError::from_code(ErrorCode::TRANSACTIONAL_ID_FORBIDDEN);
        assert_eq!(forbidden.next(Call::Init), Next::Permanent);
    }
}
