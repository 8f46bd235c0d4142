//! What a life asks the server, and waits for.

use super::served::Served;
use super::{STUCK_AFTER, Soak};
use crate::harness::server::Answer;
use crate::harness::waiting::{LOOK_EVERY, pause};
use crate::swaps::Ending;
use serde_json::Value;
use std::time::Instant;

/// Rows of each version below which the host does not compare their speed, and some more.
const COMPARABLE_ROWS: u64 = 1200;

impl Soak {
    /// The route by which `count` is swapped.
    pub(super) fn swap_path(&self) -> String {
        format!("/v1/pipelines/{}/operators/count/swap", self.keyed.job.name)
    }

    /// The route of a swap.
    pub(super) fn one_swap(&self, id: &str) -> String {
        format!("/v1/pipelines/{}/swaps/{id}", self.keyed.job.name)
    }

    /// POST; it must be answered.
    pub(super) fn ask(&self, served: &mut Served, path: &str, body: &Value) -> Result<Answer, String> {
        served.lives()?;
        served.client.post(path, body).map_err(|error| format!("POST {path} was not answered: {error}"))
    }

    /// GET; it must be there.
    pub(super) fn get(&self, served: &mut Served, path: &str) -> Result<Value, String> {
        served.lives()?;
        match served.client.get(path) {
            Ok(answer) if answer.status == 200 => Ok(answer.body),
            Ok(answer) => Err(format!("GET {path} was answered with {answer:?}")),
            Err(error) => Err(format!("GET {path} was not answered: {error}")),
        }
    }

    fn status(&self, served: &mut Served) -> Result<Value, String> {
        self.get(served, &format!("/v1/pipelines/{}/status", self.keyed.job.name))
    }

    fn await_status<T>(
        &self,
        served: &mut Served,
        what: &str,
        look: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, String> {
        let begun = Instant::now();
        loop {
            let status = self.status(served)?;
            if let Some(found) = look(&status) {
                return Ok(found);
            }
            if begun.elapsed() > STUCK_AFTER {
                return Err(format!("the pipeline never {what}: {status}"));
            }
            pause(LOOK_EVERY);
        }
    }

    /// Waits until it runs, with nothing under way.
    pub(super) fn await_running(&self, served: &mut Served) -> Result<(), String> {
        self.await_status(served, "ran", |status| (status["actual"] == "running").then_some(()))
    }

    /// How often it was started again since the server started.
    pub(super) fn restarts(&self, served: &mut Served) -> Result<u64, String> {
        self.await_status(served, "told its restarts", |status| status["running"]["restarts"].as_u64())
    }

    /// What the status shows of `count`.
    pub(super) fn counted(&self, served: &mut Served) -> Result<Value, String> {
        self.await_status(served, "showed its operators", |status| {
            let operators = status["running"]["operators"].as_array()?;
            operators.iter().find(|operator| operator["operator"] == "count").cloned()
        })
    }

    /// Waits until the version that runs has seen enough for a comparison of speed. Rows from before count for whichever
    /// version had them.
    pub(super) fn await_comparable(&self, served: &mut Served) -> Result<(), String> {
        let (begun, mut seen) = (Instant::now(), self.rows(served)?);
        let enough = seen + COMPARABLE_ROWS;
        while seen < enough {
            if begun.elapsed() > STUCK_AFTER {
                return Err(format!("the version that runs did not see {COMPARABLE_ROWS} rows"));
            }
            pause(LOOK_EVERY);
            seen = self.rows(served)?;
        }
        Ok(())
    }

    fn rows(&self, served: &mut Served) -> Result<u64, String> {
        let counted = self.counted(served)?;
        counted["rows"].as_u64().ok_or_else(|| format!("no rows in {counted}"))
    }

    /// Waits until a swap is over, or in a state that is waited for.
    pub(super) fn await_swap(
        &self,
        served: &mut Served,
        id: &str,
        also: impl Fn(&str) -> bool,
    ) -> Result<Value, String> {
        let begun = Instant::now();
        loop {
            let swap = self.get(served, &self.one_swap(id))?;
            let state = swap["state"].as_str().unwrap_or_default();
            if Ending::told(state).is_some() || also(state) {
                return Ok(swap);
            }
            if begun.elapsed() > STUCK_AFTER {
                return Err(format!("a swap has no end: {swap}"));
            }
            pause(LOOK_EVERY);
        }
    }
}

/// A text that an answer must have.
pub(super) fn text(value: &Value, key: &str) -> Result<String, String> {
    let found = value[key].as_str().map(str::to_owned);
    found.ok_or_else(|| format!("{key} is not in {value}"))
}
