//! What can be asked of the proxy: which request, and what becomes of it.

use crate::frame::Frame;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An API of Kafka's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Api {
    /// Records.
    Produce = 0,
    /// More records.
    Fetch = 1,
    /// What a group has committed: how the decision is read.
    OffsetFetch = 9,
    /// Takes a transactional id, and fences whoever had it.
    InitProducerId = 22,
    /// A partition will be written in the transaction.
    AddPartitionsToTxn = 24,
    /// A group's offsets will be written in the transaction.
    AddOffsetsToTxn = 25,
    /// Commits or aborts.
    EndTxn = 26,
    /// The offsets themselves.
    TxnOffsetCommit = 28,
}

/// All of them that a pipeline needs beside metadata.
pub const APIS: [Api; 8] = [
    Api::Produce,
    Api::Fetch,
    Api::OffsetFetch,
    Api::InitProducerId,
    Api::AddPartitionsToTxn,
    Api::AddOffsetsToTxn,
    Api::EndTxn,
    Api::TxnOffsetCommit,
];

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It takes effect; its answer is lost, and the connection with it.
    LoseAnswer,
    /// It takes effect; its answer and all later ones of the connection never come.
    BlackHole,
    /// It never arrives, nor does anything behind it on the connection.
    LoseRequest,
    /// It arrives so much later, and so does what is behind it.
    Delay(Duration),
    /// It arrives when the test lets it go, whatever has become of its client.
    Hold,
    /// The connection ends before it arrives.
    Cut,
    /// It arrives twice; the client sees one answer.
    Duplicate,
    /// Nothing: the test wants to know when it was answered.
    Pass,
}

/// A fault at one request.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Which API.
    pub api: Api,
    /// Part of the client's id; the empty text fits all.
    pub client: String,
    /// So many requests that fit are let through first.
    pub skip: u32,
    /// What becomes of the next.
    pub action: Action,
}

/// What has happened at a rule so far.
#[derive(Debug, Default)]
struct Progress {
    skipped: u32,
    /// It has met its request.
    met: bool,
    /// The fault has happened.
    fired: bool,
    /// What is held may go on.
    released: bool,
    /// The broker's answer, where there was one.
    answer: Option<Vec<u8>>,
}

/// A rule that waits for its request, or has met it.
#[derive(Debug)]
pub struct Armed {
    rule: Rule,
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Armed {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// The fault has happened: an answer is lost, a request is held, the copy of a request was sent. With
    /// [`Action::Pass`]: it is answered.
    pub fn has_fired(&self) -> bool {
        self.lock().fired
    }

    /// Lets go what is held, and all that will be by this rule.
    pub fn release(&self) {
        self.change(|progress| progress.released = true);
    }

    /// The broker's answer to the request, or to its copy, without its length, once there is one.
    pub fn answer(&self) -> Option<Vec<u8>> {
        self.lock().answer.clone()
    }

    pub(crate) fn action(&self) -> Action {
        self.rule.action
    }

    pub(crate) fn fire(&self) {
        self.change(|progress| progress.fired = true);
    }

    pub(crate) fn answered(&self, answer: &Frame) {
        self.change(|progress| progress.answer = Some(answer.bytes().to_vec()));
    }

    /// Waits until it is let go.
    pub(crate) fn await_release(&self) {
        let waits = self.changed.wait_while(self.lock(), |progress| !progress.released);
        drop(waits.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for the answer, at most so long.
    pub(crate) fn await_answer(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut progress = self.lock();
        while progress.answer.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            progress = self.changed.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Is it about this request, and is it its turn?
    fn meets(&self, request: &Frame) -> bool {
        if self.rule.api as i16 != request.api_key() || !request.client_id().contains(&self.rule.client) {
            return false;
        }
        let mut progress = self.lock();
        if progress.skipped < self.rule.skip {
            progress.skipped += 1;
            return false;
        }
        progress.met = true;
        true
    }
}

/// The rules that have met nothing yet, and what they hold.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    armed: Mutex<Vec<Arc<Armed>>>,
    met: Mutex<Vec<Arc<Armed>>>,
}

impl Rules {
    pub(crate) fn arm(&self, rule: Rule) -> Arc<Armed> {
        let armed = Arc::new(Armed { rule, progress: Mutex::default(), changed: Condvar::new() });
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).push(armed.clone());
        armed
    }

    pub(crate) fn disarm(&self) {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.met.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(|armed| armed.release());
    }

    /// The rule that a request meets, if any.
    pub(crate) fn meet(&self, request: &Frame) -> Option<Arc<Armed>> {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let at = armed.iter().position(|armed| armed.meets(request))?;
        let met = armed.remove(at);
        let mut all = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|armed| armed.action() == Action::Hold && !armed.lock().released);
        all.push(met.clone());
        Some(met)
    }
}
