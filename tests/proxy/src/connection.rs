//! One client's connection: a thread that passes on requests, and one that passes on answers.

use crate::frame::Frame;
use crate::rule::{Action, Armed, Rules};
use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Correlation ids of clients count up from 1, those of copies from here.
const FIRST_COPY: i32 = i32::MIN;
/// How long the answer of a request that was held is waited for before the connection may end.
const LATE_ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What becomes of an answer.
enum Fate {
    /// It is lost, and the connection ends.
    Close(Arc<Armed>),
    /// It and all that come later are lost.
    Silence(Arc<Armed>),
    /// It is that of a copy, and lost.
    Swallow(Arc<Armed>),
    /// It is passed on, if the client is still there, and noted.
    Note(Arc<Armed>),
}

/// What both threads know.
struct Shared {
    client: TcpStream,
    broker: TcpStream,
    /// By correlation id.
    fates: Mutex<HashMap<i32, Fate>>,
    silent: AtomicBool,
}

/// A client's connection to the broker.
pub(crate) struct Connection;

/// Ends a connection in both directions.
pub(crate) fn close(socket: &TcpStream) {
    // One that is closed already cannot be closed.
    let _ = socket.shutdown(Shutdown::Both);
}

impl Connection {
    /// Passes everything on, in both directions, until one side has ended.
    pub(crate) fn serve(client: TcpStream, broker: TcpStream, rules: Arc<Rules>) {
        let _ = (client.set_nodelay(true), broker.set_nodelay(true));
        let shared =
            Arc::new(Shared { client, broker, fates: Mutex::default(), silent: AtomicBool::new(false) });
        let own = shared.clone();
        let requests = move || {
            let _ = own.pass_requests(&rules);
            close(&own.broker);
        };
        let answers = move || {
            let _ = shared.pass_answers();
            close(&shared.client);
        };
        for (name, run) in [
            ("proxy-requests", Box::new(requests) as Box<dyn FnOnce() + Send>),
            ("proxy-answers", Box::new(answers)),
        ] {
            let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
            started.expect("a machine that runs tests can start a thread");
        }
    }
}

impl Shared {
    fn note(&self, correlation: i32, fate: Fate) {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner).insert(correlation, fate);
    }

    fn pass_requests(&self, rules: &Rules) -> io::Result<()> {
        let mut copies = FIRST_COPY;
        loop {
            let request = Frame::read(&mut &self.client)?;
            let correlation = request.request_correlation();
            let Some(armed) = rules.meet(&request) else {
                request.write(&mut &self.broker)?;
                continue;
            };
            match armed.action() {
                Action::LoseAnswer => self.note(correlation, Fate::Close(armed)),
                Action::BlackHole => self.note(correlation, Fate::Silence(armed)),
                Action::Pass => self.note(correlation, Fate::Note(armed)),
                Action::Delay(time) => {
                    armed.fire();
                    std::thread::sleep(time);
                }
                Action::LoseRequest => {
                    armed.fire();
                    // The client ends the connection when it has waited long enough.
                    return self.read_for_nothing();
                }
                Action::Cut => {
                    armed.fire();
                    return Ok(());
                }
                Action::Hold => {
                    self.note(correlation, Fate::Note(armed.clone()));
                    armed.fire();
                    armed.await_release();
                    request.write(&mut &self.broker)?;
                    armed.await_answer(LATE_ANSWER_LIMIT);
                    continue;
                }
                Action::Duplicate => {
                    request.write(&mut &self.broker)?;
                    self.note(copies, Fate::Swallow(armed.clone()));
                    request.with_correlation(copies).write(&mut &self.broker)?;
                    // A client that has its answer may be gone before that of the copy comes.
                    armed.fire();
                    copies += 1;
                    continue;
                }
            }
            request.write(&mut &self.broker)?;
        }
    }

    fn read_for_nothing(&self) -> io::Result<()> {
        let mut nothing = [0; 4096];
        while (&self.client).read(&mut nothing)? > 0 {}
        Ok(())
    }

    fn pass_answers(&self) -> io::Result<()> {
        loop {
            let answer = Frame::read(&mut &self.broker)?;
            let fate = {
                let mut fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
                fates.remove(&answer.answer_correlation())
            };
            match fate {
                Some(Fate::Close(armed)) => {
                    armed.answered(&answer);
                    close(&self.client);
                    armed.fire();
                    return Ok(());
                }
                Some(Fate::Silence(armed)) => {
                    self.silent.store(true, Ordering::Relaxed);
                    armed.answered(&answer);
                    armed.fire();
                }
                Some(Fate::Swallow(armed)) => {
                    armed.answered(&answer);
                    armed.fire();
                    continue;
                }
                Some(Fate::Note(armed)) => {
                    armed.answered(&answer);
                    armed.fire();
                }
                None => {}
            }
            if !self.silent.load(Ordering::Relaxed) {
                // A client that is gone does not end this: the answer of what was held still counts.
                let _ = answer.write(&mut &self.client);
            }
        }
    }
}
