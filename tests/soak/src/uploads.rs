//! A thread that uploads what `modules` makes, for as long as one life of the server lasts.

use crate::client::Client;
use crate::harness::server::Answer;
use crate::harness::waiting::{LOOK_EVERY, pause};
use crate::modules::{Modules, OPERATOR};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// No uploads for now.
const HELD: u64 = u64::MAX;
/// Between two uploads where the pipeline has other worries.
const NOW_AND_THEN: Duration = Duration::from_millis(300);

/// The thread. It does not outlive this value.
pub struct Uploads {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Milliseconds between two uploads, or [`HELD`].
    pace: AtomicU64,
    stop: AtomicBool,
    /// The host is being ended: no answer is an answer.
    host_goes: AtomicBool,
    wrong: Mutex<Vec<String>>,
}

impl Uploads {
    /// Begins, held.
    pub fn start(client: Client, modules: Arc<Mutex<Modules>>) -> Uploads {
        let shared = Arc::new(Shared {
            pace: AtomicU64::new(HELD),
            stop: AtomicBool::new(false),
            host_goes: AtomicBool::new(false),
            wrong: Mutex::default(),
        });
        let body = shared.clone();
        let thread = std::thread::spawn(move || body.upload(&client, &modules));
        Uploads { shared, thread: Some(thread) }
    }

    /// One after the other.
    pub fn hurry(&self) {
        self.shared.pace.store(0, Ordering::SeqCst);
    }

    /// One now and then.
    pub fn go_on(&self) {
        self.shared.pace.store(NOW_AND_THEN.as_millis() as u64, Ordering::SeqCst);
    }

    /// From now on the host may be gone.
    pub fn host_goes(&self) {
        self.shared.host_goes.store(true, Ordering::SeqCst);
    }

    /// Answers that should not have been.
    pub fn wrong(&self) -> Vec<String> {
        self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.host_goes.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn upload(&self, client: &Client, modules: &Mutex<Modules>) {
        while !self.stop.load(Ordering::SeqCst) {
            let pace = self.pace.load(Ordering::SeqCst);
            if pace == HELD || modules.lock().unwrap_or_else(PoisonError::into_inner).left == 0 {
                pause(LOOK_EVERY);
                continue;
            }
            let module = modules.lock().unwrap_or_else(PoisonError::into_inner).next();
            let answer = client.upload(OPERATOR, &module.1);
            let mut modules = modules.lock().unwrap_or_else(PoisonError::into_inner);
            match answer {
                Ok(answer) => {
                    let (kind, length) = (module.0, module.1.len());
                    modules.answered(kind, answer.status < 300);
                    if let Err(why) = is_documented(&answer) {
                        self.went_wrong(format!("a {kind} of {length} bytes: {why}: {answer:?}"));
                    }
                }
                Err(_) if self.host_goes.load(Ordering::SeqCst) => {
                    modules.put_back(module);
                    return;
                }
                Err(error) => self.went_wrong(format!("a {} was not answered: {error}", module.0)),
            }
            drop(modules);
            pause(Duration::from_millis(pace));
        }
    }

    fn went_wrong(&self, what: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

/// A version, or a refusal, in the shape that the API documents.
fn is_documented(answer: &Answer) -> Result<(), &'static str> {
    let (status, body) = (answer.status, &answer.body);
    let is_text = |key: &str| body[key].as_str().is_some_and(|text| !text.is_empty());
    match status {
        200 | 201 => {
            let digest = body["sha256"].as_str().is_some_and(|text| text.len() == 64);
            let number = body["version"].as_i64().is_some_and(|number| number > 0);
            let whole =
                number && is_text("world") && body["imports"].is_array() && body["describe"].is_object();
            if body["name"] == OPERATOR && digest && whole { Ok(()) } else { Err("no version") }
        }
        400..500 if is_text("code") && is_text("message") && is_text("request_id") => Ok(()),
        400..500 => Err("a refusal without its parts"),
        _ => Err("a status that no upload has"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn judged(status: u16, body: Value) -> Result<(), &'static str> {
        is_documented(&Answer { status, body })
    }

    #[test]
    fn only_documented_answers_pass() {
        let refusal = json!({"code": "invalid_component", "message": "no", "request_id": "1"});
        let version = json!({"name": OPERATOR, "version": 1, "sha256": "0".repeat(64), "world": "mapper",
            "imports": [], "describe": {}});
        assert_eq!(judged(422, refusal.clone()), Ok(()));
        assert_eq!(judged(201, version.clone()), Ok(()));
        for (status, body) in [(500, refusal.clone()), (503, refusal), (422, Value::Null), (302, version)] {
            assert!(judged(status, body.clone()).is_err(), "{status} {body}");
        }
        for key in ["name", "version", "sha256", "world", "imports", "describe"] {
            let version = json!({"name": OPERATOR, "version": 1, "sha256": "0".repeat(64), "world": "mapper",
                "imports": [], "describe": {}, key: Value::Null});
            assert!(judged(201, version).is_err(), "{key}");
        }
    }
}
