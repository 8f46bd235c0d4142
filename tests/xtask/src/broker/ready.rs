//! Whether a broker answers: a Kafka ApiVersions request by hand, because a port that is open is not yet a broker.

use super::state::{Kind, State};
use crate::run;
use crate::stop::Stop;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a broker may take from its start to its first answer. Eight seconds are usual.
const READY_DEADLINE: Duration = Duration::from_secs(120);
/// How often it is asked meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long one answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// How many of the log's last lines are shown when a broker does not start.
const LOG_LINES_SHOWN: usize = 30;
/// Our mark on the request, returned in the answer.
const CORRELATION: [u8; 4] = *b"weir";

/// Why a broker does not answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// Somebody else has the port.
    PortTaken,
    /// The process ended.
    Ended,
    /// It runs and does not answer.
    Silent,
}

impl Failure {
    /// The failure with the end of the broker's log.
    pub fn explain(&self, folder: &Path) -> Stop {
        let what = match self {
            Failure::PortTaken => "its port is taken".to_owned(),
            Failure::Ended => "the broker ended".to_owned(),
            Failure::Silent => format!("no answer within {} s", READY_DEADLINE.as_secs()),
        };
        let text = fs::read_to_string(log(folder)).unwrap_or_default();
        Stop::failed(format!("{}\nKafka does not start: {what}", last_lines(&text)))
    }
}

/// Where the broker of a folder logs to.
pub fn log(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// Waits until the broker answers.
pub fn wait(state: &State, folder: &Path) -> Result<(), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < READY_DEADLINE {
        let alive = state.is_alive();
        // Alive is asked first: an answer by somebody else on the same port is not our broker's.
        if !alive {
            keep_container_log(state, folder);
            let taken =
                fs::read_to_string(log(folder)).is_ok_and(|text| text.contains("Address already in use"));
            return Err(if taken { Failure::PortTaken } else { Failure::Ended });
        }
        if ask(&state.address()).is_ok() {
            return Ok(());
        }
        sleep(POLL_INTERVAL);
    }
    keep_container_log(state, folder);
    Err(Failure::Silent)
}

/// Checks a broker that is said to be running.
pub fn answers_now(address: &str) -> Result<(), Stop> {
    ask(address).map_err(|error| Stop::failed(format!("no Kafka broker answers at {address}: {error}")))
}

/// A container's log is with the engine until somebody asks for it.
fn keep_container_log(state: &State, folder: &Path) {
    if state.kind() == Kind::Docker {
        let text = run::output(Command::new("docker").args(["logs", state.id()])).unwrap_or_default();
        let _ = fs::write(log(folder), text);
    }
}

fn ask(address: &str) -> io::Result<()> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    // The first of several servers is as good as any.
    for address in address.split(',').next().unwrap_or_default().to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ANSWER_DEADLINE).and_then(|stream| converse(&stream)) {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn converse(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
    stream.set_write_timeout(Some(ANSWER_DEADLINE))?;
    stream.write_all(&request())?;
    let mut head = [0; 10];
    stream.read_exact(&mut head)?;
    if is_answer(&head) { Ok(()) } else { Err(io::Error::other("this is not Kafka")) }
}

/// ApiVersions, version 0: length, key 18, version, correlation id, no client id.
fn request() -> Vec<u8> {
    let mut body = vec![0, 18, 0, 0];
    body.extend(CORRELATION);
    body.extend([0xff, 0xff]);
    let mut request = vec![0, 0, 0, u8::try_from(body.len()).unwrap_or_default()];
    request.extend(body);
    request
}

/// Length, our correlation id, error code 0.
fn is_answer(head: &[u8; 10]) -> bool {
    head[4..8] == CORRELATION && head[8..10] == [0, 0]
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::{is_answer, last_lines, request};

    #[test]
    fn the_request_is_that_of_the_protocol() {
        assert_eq!(request(), [0, 0, 0, 10, 0, 18, 0, 0, b'w', b'e', b'i', b'r', 0xff, 0xff]);
    }

    #[test]
    fn only_an_answer_to_our_request_counts() {
        assert!(is_answer(b"\0\0\x01\x02weir\0\0"));
        assert!(!is_answer(b"\0\0\x01\x02weir\0\x23"));
        assert!(!is_answer(b"HTTP/1.1 4"));
    }

    #[test]
    fn the_last_lines_of_a_log_are_shown() {
        let text: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert!(last_lines(&text).starts_with("70\n"));
        assert_eq!(last_lines("one"), "one");
    }
}
