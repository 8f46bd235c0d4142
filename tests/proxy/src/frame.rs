//! The few bytes of Kafka's protocol that the proxy reads: a length, then the head of a request or of an answer.
//!
//! A request begins with `api_key i16, api_version i16, correlation_id i32, client_id nullable string`, an answer with
//! `correlation_id i32`, in all versions.

use std::io::{self, Read, Write};

/// The largest message a broker takes by default, and a fetch of many partitions, are far below.
const BYTES_MAX: usize = 256 << 20;
/// Where the correlation id of a request is.
const REQUEST_CORRELATION: std::ops::Range<usize> = 4..8;

/// A request or an answer, without its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    /// The next one; an error where the connection is over.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Frame> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if !(REQUEST_CORRELATION.end..=BYTES_MAX).contains(&length) && length != 4 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{length} bytes are no message of Kafka's protocol"),
            ));
        }
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes)?;
        Ok(Frame(bytes))
    }

    /// Sends it, in one write.
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = (self.0.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.0);
        to.write_all(&bytes)
    }

    fn number(&self, at: usize) -> i16 {
        let bytes = self.0.get(at..at + 2).map(|bytes| [bytes[0], bytes[1]]);
        bytes.map_or(-1, i16::from_be_bytes)
    }

    /// Of a request: which API.
    pub(crate) fn api_key(&self) -> i16 {
        self.number(0)
    }

    /// Of a request: the client's id.
    pub(crate) fn client_id(&self) -> &str {
        let length = usize::try_from(self.number(8)).unwrap_or(0);
        let bytes = self.0.get(10..10 + length).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Of a request.
    pub(crate) fn request_correlation(&self) -> i32 {
        let bytes = self.0.get(REQUEST_CORRELATION).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(-1, i32::from_be_bytes)
    }

    /// Of a request: the same under another correlation id.
    pub(crate) fn with_correlation(mut self, correlation: i32) -> Frame {
        if let Some(place) = self.0.get_mut(REQUEST_CORRELATION) {
            place.copy_from_slice(&correlation.to_be_bytes());
        }
        self
    }

    /// Of an answer.
    pub(crate) fn answer_correlation(&self) -> i32 {
        let bytes = self.0.get(..4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(-1, i32::from_be_bytes)
    }

    /// Without its length.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Frame {
        let mut bytes = vec![0, 26, 0, 1, 0, 0, 0, 7, 0, 3];
        bytes.extend_from_slice(b"abcrest");
        Frame(bytes)
    }

    #[test]
    fn a_request_tells_api_client_and_correlation_and_goes_on_as_it_came() {
        let mut wire = Vec::new();
        request().write(&mut wire).unwrap();
        let read = Frame::read(&mut wire.as_slice()).unwrap();
        assert_eq!(read, request());
        assert_eq!((read.api_key(), read.client_id(), read.request_correlation()), (26, "abc", 7));
        assert_eq!(read.with_correlation(-9).request_correlation(), -9);
    }

    #[test]
    fn what_is_no_message_of_the_protocol_ends_the_connection() {
        assert!(Frame::read(&mut &b"GET / HTTP/1.1"[..]).is_err());
        assert!(Frame::read(&mut &b"\0\0\0\x09short"[..]).is_err());
    }

    #[test]
    fn a_client_without_an_id_is_nobody() {
        assert_eq!(Frame(vec![0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff]).client_id(), "");
    }
}
