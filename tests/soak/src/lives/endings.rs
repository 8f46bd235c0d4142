//! How swaps have ended, over all lives: what was told once stays so.

use super::Soak;
use super::questions::text;
use super::served::Served;
use super::versions::FIRST;
use crate::harness::server::Answer;
use crate::swaps::{Beside, Ending, Kind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A page holds all swaps of a run.
const PAGE: u64 = 1000;

/// What is known of swaps, over all lives.
#[derive(Default)]
pub(super) struct Swaps {
    /// So many are to come to an end.
    pub wanted: u64,
    /// The server knows the pipeline.
    pub is_deployed: bool,
    pub ended: u64,
    /// Versions with a number of their own.
    pub uploaded: u64,
    pub good: Vec<String>,
    pub bad: BTreeMap<&'static str, Vec<String>>,
    pub rolled_back: BTreeSet<String>,
    /// The last version that was completed.
    pub completed: Option<String>,
    /// All that ever were.
    pub ran: BTreeSet<String>,
    /// State by id of each swap that is over.
    pub told: BTreeMap<String, String>,
    pub open: Option<Open>,
}

/// A swap whose end the life did not see in which it was asked for.
pub(super) struct Open {
    pub kind: Kind,
    pub beside: Beside,
    /// The answer, where there was one.
    pub answer: Option<Answer>,
}

impl Swaps {
    /// As many have ended as are wanted.
    pub fn has_enough(&self) -> bool {
        self.ended >= self.wanted && self.open.is_none()
    }

    /// The next server has to tell how one ended.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The version that runs.
    pub fn current(&self) -> &str {
        self.completed.as_deref().unwrap_or(FIRST)
    }
}

impl Soak {
    /// Takes in the end of a swap, as the server tells it.
    pub(super) fn took_in(&mut self, swap: &Value) -> Result<Ending, String> {
        let (id, to, state) = (text(swap, "id")?, text(swap, "to")?, text(swap, "state")?);
        let ending = Ending::told(&state).ok_or_else(|| format!("not the end of a swap: {swap}"))?;
        if self.swaps.told.insert(id, state).is_some() {
            return Ok(ending);
        }
        match ending {
            Ending::Completed => {
                self.swaps.ran.insert(to.clone());
                self.swaps.completed = Some(to);
            }
            Ending::RolledBack => {
                self.swaps.rolled_back.insert(to);
            }
            _ => {}
        }
        if ending != Ending::Completed && !swap["reason"].is_string() {
            return Err(format!("a swap ended without a reason: {swap}"));
        }
        Ok(ending)
    }

    /// A refusal may have left a swap that has failed.
    pub(super) fn was_refused(
        &mut self,
        served: &mut Served,
        kind: Kind,
        answer: &Answer,
    ) -> Result<Ending, String> {
        let codes: &[&str] = match kind {
            Kind::Remembered => &["previously_rolled_back"],
            Kind::OtherState => &["not_a_swap", "state_incompatible"],
            _ => &["pipeline_not_running", "conflict", "swap_in_progress"],
        };
        if !codes.iter().any(|code| answer.body["code"] == *code) {
            return Err(format!("the swap of a {kind} version was answered with {answer:?}"));
        }
        match self.unknown(served)? {
            None => Ok(Ending::Refused),
            Some(swap) if swap["state"] == "failed" => {
                self.took_in(&swap)?;
                Ok(Ending::Refused)
            }
            Some(swap) => Err(format!("a refused swap has become {swap}")),
        }
    }

    /// What a server that is back tells of the swap that was open when the one before ended; and what it told before.
    pub(super) fn recall(&mut self, served: &mut Served) -> Result<(), String> {
        let open = self.swaps.open.take();
        let unknown = self.unknown(served)?;
        let Some(Open { kind, beside, answer }) = open else {
            return match unknown {
                None => Ok(()),
                Some(swap) => Err(format!("nobody has asked for {swap}")),
            };
        };
        let ending = match (unknown, &answer) {
            (Some(swap), _) => {
                let swap = self.await_swap(served, &text(&swap, "id")?, |_| false)?;
                match self.took_in(&swap)? {
                    // The answer that refused it went with the host.
                    Ending::Failed if kind.own_ending() == Ending::Refused => Ending::Refused,
                    ending => ending,
                }
            }
            (None, Some(answer)) if answer.status == 202 => {
                return Err(format!("the server has forgotten {}", answer.body));
            }
            (None, Some(answer)) if answer.status >= 500 && !matches!(beside, Beside::Stop(_)) => {
                return Err(format!("the swap of a {kind} version was answered with {answer:?}"));
            }
            (None, Some(_)) => Ending::Refused,
            (None, None) => Ending::NotBegun,
        };
        self.judge(kind, beside, ending, &format!("{answer:?}"))?;
        self.shows_the_version(served)
    }

    /// The one swap that was not heard of before. Those that were have not changed.
    fn unknown(&mut self, served: &mut Served) -> Result<Option<Value>, String> {
        let page = self.get(served, &format!("/v1/pipelines/{}/swaps?limit={PAGE}", self.keyed.job.name))?;
        let mut unknown = None;
        let empty = Vec::new();
        let items = page["items"].as_array().unwrap_or(&empty);
        for swap in items {
            match self.swaps.told.get(&text(swap, "id")?) {
                Some(state) if swap["state"] == *state => {}
                Some(state) => return Err(format!("what was {state} has become {swap}")),
                None if unknown.is_none() => unknown = Some(swap.clone()),
                None => return Err(format!("nobody has asked for {swap}")),
            }
        }
        let known = items.len() - usize::from(unknown.is_some());
        if known != self.swaps.told.len() {
            return Err(format!("{} swaps were forgotten", self.swaps.told.len() - known));
        }
        Ok(unknown)
    }
}
