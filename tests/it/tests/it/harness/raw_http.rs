//! Requests byte by byte, for clients that behave badly: no library sends these.

use super::server::Answer;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How long the server may be silent towards one of these clients: longer than any limit of its own.
const SILENCE_MAX: Duration = Duration::from_secs(80);

fn is_time_out(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// A connection that says what the test says.
pub struct RawClient(TcpStream);

impl RawClient {
    pub fn connect(address: &str) -> RawClient {
        let stream = TcpStream::connect(address).expect("the server takes connections in");
        stream.set_read_timeout(Some(SILENCE_MAX)).expect("a time-out");
        RawClient(stream)
    }

    /// Sends bytes; a server that has hung up is no failure of the test.
    pub fn send(&mut self, bytes: &[u8]) -> &mut RawClient {
        let _ = self.0.write_all(bytes);
        self
    }

    /// The head of a request with a token, a body of this length, and no other after it.
    pub fn head(
        &mut self,
        token: &str,
        method: &str,
        path: &str,
        content: &str,
        length: usize,
    ) -> &mut RawClient {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\ncontent-type: {content}\r\ncontent-length: {length}\r\n\r\n"
        );
        self.send(head.as_bytes())
    }

    /// What the server says until it hangs up.
    pub fn answer(&mut self) -> Answer {
        self.answer_if_any().expect("an answer")
    }

    /// The same of a server that may hang up without a word.
    pub fn answer_if_any(&mut self) -> Option<Answer> {
        let mut bytes = Vec::new();
        let read = self.0.read_to_end(&mut bytes);
        assert!(
            !bytes.is_empty() || !read.as_ref().is_err_and(is_time_out),
            "the server neither answers nor hangs up"
        );
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok())?;
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Some(Answer { status, body: serde_json::from_str(body).unwrap_or_default() })
    }

    /// All that the server says until it hangs up, as it is.
    pub fn text(&mut self) -> String {
        let mut bytes = Vec::new();
        // A server that hangs up in the middle has said what it has said.
        let _ = self.0.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Goes away without a word.
    pub fn leave(self) {
        // It may be gone already.
        let _ = self.0.shutdown(Shutdown::Both);
    }

    /// The server has hung up, now.
    pub fn is_closed(&mut self) -> bool {
        self.0.set_nonblocking(true).expect("a stream that does not wait");
        let read = self.0.read(&mut [0; 1024]);
        !matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}
