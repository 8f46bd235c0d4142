//! A swap as the coordinator carries it out: the rule is `weir_protocol::swap`.

use super::Coordinator;
use crate::handle::{Refusal, Request, SwapNotice};
use crate::persist::{Job, Prepared};
use crate::state_opening::StateOpening;
use crate::subtask::Command;
use crate::successor::{OperatorPlace, Preparation, PreparedInstance, Successor};
use crate::version::{Candidate, UndecidedSwap, Version};
use crate::version_tally::VersionTally;
use std::sync::Arc;
use weir_protocol::checkpoint;
use weir_protocol::compatibility::StateChange;
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::{CheckpointId, Epoch};
use weir_protocol::kill_point::reached;
use weir_protocol::manifest::Manifest;
use weir_protocol::plan::OperatorLimits;
use weir_protocol::swap::{Action, Counts, Event, Fit, Rules, Swap, fit};

/// How a swap that had switched ended with its incarnation. Whoever starts the next one tells, or resolves the doubt.
pub enum SwapEnd {
    /// The new version is unhealthy.
    RolledBack {
        /// The rule that was broken.
        reason: String,
        /// Records that show it.
        samples: Vec<String>,
    },
    /// Something else ended the incarnation.
    Interrupted {
        /// What.
        reason: String,
    },
    /// The decision of its first epoch is unknown.
    InDoubt(Box<Candidate>),
}

impl std::fmt::Debug for SwapEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SwapEnd::RolledBack { reason, .. } => write!(f, "RolledBack({reason})"),
            SwapEnd::Interrupted { reason } => write!(f, "Interrupted({reason})"),
            SwapEnd::InDoubt(_) => write!(f, "InDoubt"),
        }
    }
}

/// The swap under way.
pub(super) struct Swapping {
    number: u64,
    rule: Swap,
    operator: usize,
    version: Version,
    /// What becomes of the state, where it is opened anew.
    reopened: Option<StateChange>,
    instances: Vec<PreparedInstance>,
    before: Arc<VersionTally>,
    during: Arc<VersionTally>,
    /// Once it is decided.
    last_of_old: Option<CheckpointId>,
}

impl Swapping {
    pub(super) fn is_on_probation(&self) -> bool {
        self.last_of_old.is_some()
    }

    fn counts(&self) -> Counts {
        Counts { before: self.before.read(), during: self.during.read() }
    }
}

impl Coordinator<'_> {
    /// Carries out what was asked, if whoever asked still waits. What follows from it is the rule's next event.
    pub fn asked(&mut self, request: Request) -> Result<Option<checkpoint::Event>, ConnectorError> {
        match request {
            Request::Swap { operator, version, rules, answer } => {
                let accepted = self.accept(&operator, version, &rules);
                let refused = accepted.as_ref().err().cloned().map_or(Ok(()), Err);
                if answer.send(refused).is_ok()
                    && let Ok(swapping) = accepted
                {
                    self.prepare(swapping);
                }
            }
            Request::CancelSwap { answer } => {
                let cancelled = match &self.swap {
                    None => Err(Refusal::NoSwap),
                    Some(swap) if swap.rule.can_be_cancelled() => Ok(()),
                    Some(_) => Err(Refusal::OnProbation),
                };
                let is_ok = cancelled.is_ok();
                if answer.send(cancelled).is_ok() && is_ok {
                    return self.swap_step(Event::Cancelled);
                }
            }
            Request::SetLimits { operator, limits, answer } => {
                let found = self.limited(&operator);
                let refused = found.as_ref().err().cloned().map_or(Ok(()), Err);
                if answer.send(refused).is_ok()
                    && let Ok(operator) = found
                {
                    self.set_limits(operator, &limits);
                }
            }
        }
        Ok(None)
    }

    fn operator_named(&self, name: &str) -> Result<usize, Refusal> {
        let found = self.options.version.operator(name);
        found.ok_or_else(|| Refusal::UnknownOperator(name.to_owned()))
    }

    fn accept(&self, operator: &str, version: Version, rules: &Rules) -> Result<Swapping, Refusal> {
        let index = self.operator_named(operator)?;
        if let Some(swap) = &self.swap {
            let name = &swap.version.plan.spec.operators[swap.operator].name;
            return Err(Refusal::SwapInProgress(name.clone()));
        }
        if self.cycle.is_stopping() {
            return Err(Refusal::NotRunning("the pipeline is stopping"));
        }
        let running = &self.options.version;
        let mut pairs = running.operators.iter().zip(&version.operators).enumerate();
        if pairs.any(|(at, (was, is))| at != index && was.digest() != is.digest()) {
            let message = "more than one operator has another version; one at a time can be swapped, or apply the change with a restart";
            return Err(Refusal::NotASwap(message.to_owned()));
        }
        let fit = fit(&running.plan, &version.plan, index).map_err(Refusal::NotASwap)?;
        let interval = running.plan.spec.checkpoint.interval;
        let rules = rules.check(interval, self.connected.transaction_timeout).map_err(Refusal::NotASwap)?;
        Ok(Swapping {
            number: self.swaps + 1,
            rule: Swap::new(rules),
            operator: index,
            reopened: match fit {
                Fit::SameState => None,
                Fit::Reopened(change) => Some(change),
            },
            version,
            instances: Vec::new(),
            before: self.options.meters.operators[index].tally(),
            during: Arc::default(),
            last_of_old: None,
        })
    }

    fn prepare(&mut self, swapping: Swapping) {
        self.swaps = swapping.number;
        let places = self.places(swapping.operator);
        let preparation = Preparation {
            factory: swapping.version.operators[swapping.operator].clone(),
            plan: swapping.version.plan.clone(),
            places: places.cloned().collect(),
        };
        self.give(Job::Prepare { swap: swapping.number, preparation });
        self.swap = Some(swapping);
    }

    fn places(&self, operator: usize) -> impl Iterator<Item = &OperatorPlace> {
        self.options.places.iter().filter(move |place| place.operator == operator)
    }

    pub(super) fn swap_prepared(
        &mut self,
        number: u64,
        result: Prepared,
    ) -> Result<Option<checkpoint::Event>, ConnectorError> {
        // A swap that was cancelled is prepared all the same.
        let Some(swap) = self.swap.as_mut().filter(|swap| swap.number == number) else { return Ok(None) };
        match result {
            Ok(instances) => {
                swap.instances = instances;
                self.swap_step(Event::Prepared)
            }
            Err(error) => self.swap_step(Event::PrepareFailed(error.message)),
        }
    }

    fn limited(&self, operator: &str) -> Result<usize, Refusal> {
        match &self.swap {
            Some(swap) => {
                let name = &swap.version.plan.spec.operators[swap.operator].name;
                Err(Refusal::SwapInProgress(name.clone()))
            }
            None => self.operator_named(operator),
        }
    }

    fn set_limits(&mut self, operator: usize, limits: &OperatorLimits) {
        self.options.versions.set_limits(operator, limits);
        self.options.version = self.options.versions.current();
        for place in self.places(operator) {
            let limits = Box::new(limits.clone());
            let _ = self.subtasks[place.task].send(Command::SetLimits { operator, limits });
        }
    }

    /// What both versions have done so far; nothing where no swap is under way.
    pub(super) fn swap_counts(&self) -> Counts {
        self.swap.as_ref().map(Swapping::counts).unwrap_or_default()
    }

    /// An event for the rule, and what follows from it. An error ends the incarnation.
    pub(super) fn swap_step(&mut self, event: Event) -> Result<Option<checkpoint::Event>, ConnectorError> {
        let now = self.options.clock.monotonic() - self.began;
        let Some(swap) = &mut self.swap else { return Ok(None) };
        let (actions, mut next) = (swap.rule.step(now, event), None);
        for action in actions {
            let event = self.carry_out_swap(action)?;
            next = next.or(event);
        }
        Ok(next)
    }

    fn carry_out_swap(&mut self, action: Action) -> Result<Option<checkpoint::Event>, ConnectorError> {
        match action {
            Action::NotePrepared => {
                reached("swap_prepared");
                self.options.notices.swap(SwapNotice::Prepared);
            }
            Action::Force => return Ok(Some(checkpoint::Event::Force)),
            Action::Command(epoch) => self.hand_over(epoch),
            Action::Hold => {
                let now = self.options.clock.monotonic() - self.began;
                self.cycle.step(now, checkpoint::Event::Hold(true));
            }
            Action::NoteProbation(epoch) => self.enter_probation(epoch),
            Action::Release => return Ok(Some(checkpoint::Event::Hold(false))),
            Action::Complete(epoch) => self.complete(epoch),
            Action::Abandon(reason) => {
                tracing::warn!("the swap is abandoned: {reason}");
                self.swap = None;
                self.options.notices.swap(SwapNotice::Abandoned { reason });
            }
            Action::RollBack(reason) => {
                let samples = self.swap.take().map(|swap| swap.during.samples()).unwrap_or_default();
                let message = format!("the new version failed its probation: {reason}");
                self.swap_end = Some(SwapEnd::RolledBack { reason, samples });
                return Err(ConnectorError::transient(message));
            }
            Action::Interrupt(reason) => {
                self.swap = None;
                let message = format!("the swap is interrupted: {reason}");
                self.swap_end = Some(SwapEnd::Interrupted { reason });
                return Err(ConnectorError::transient(message));
            }
            Action::Doubt(reason) => self.doubt(reason),
        }
        Ok(None)
    }

    /// SW3: the subtasks have their instances before the barrier is sent.
    fn hand_over(&mut self, behind: Epoch) {
        let Some(swap) = &mut self.swap else { return };
        let places = self.options.places.iter().filter(|place| place.operator == swap.operator);
        let (plan, factory) = (&swap.version.plan, &swap.version.operators[swap.operator]);
        for (place, instance) in places.zip(swap.instances.drain(..)) {
            let reopening = place.keyed.as_ref().zip(swap.reopened.clone()).map(|((_, opening), changes)| {
                let mut live = opening.live.clone().into_os_string();
                live.push(format!(".{behind}"));
                StateOpening {
                    plan: plan.clone(),
                    factory: factory.clone(),
                    changes,
                    restored_groups: opening.groups,
                    live: live.into(),
                    ..opening.clone()
                }
            });
            let successor = Successor {
                behind,
                operator: swap.operator,
                instance: instance.operator,
                plan: plan.clone(),
                digest: factory.digest().to_owned(),
                tally: swap.during.clone(),
                reopening,
            };
            // A subtask that is gone has reported why, or will.
            let _ = self.subtasks[instance.task].send(Command::Swap(Box::new(successor)));
        }
        reached("swap_commanded");
    }

    /// The checkpoint at whose barrier the new version has taken over is durable: state that waits for it is opened.
    pub(super) fn reopen(&self, manifest: &Manifest) {
        let Some(swap) = &self.swap else { return };
        if !swap.rule.is_switching(manifest.id.epoch) || swap.reopened.is_none() {
            return;
        }
        let name = &swap.version.plan.spec.operators[swap.operator].name;
        let parts = manifest.keyed.iter().flat_map(|keyed| &keyed.parts);
        let parts: Vec<_> = parts.filter(|part| part.operator == *name).cloned().collect();
        let checkpoint = self.store.path(&manifest.id);
        for place in self.places(swap.operator) {
            let command = Command::Reopen { checkpoint: checkpoint.clone(), parts: parts.clone() };
            let _ = self.subtasks[place.task].send(command);
        }
    }

    /// From here on manifests name the new version.
    fn enter_probation(&mut self, epoch: Epoch) {
        let Some(swap) = &mut self.swap else { return };
        swap.last_of_old = Some(self.parent.clone());
        self.options.version = swap.version.clone();
        self.options.notices.swap(SwapNotice::Probation { epoch });
    }

    fn complete(&mut self, epoch: Epoch) {
        let Some(swap) = self.swap.take() else { return };
        reached("swap_completed");
        self.options.meters.operators[swap.operator].set_tally(swap.during);
        self.options.versions.complete(swap.version);
        self.options.notices.swap(SwapNotice::Completed { epoch });
        reached("swap_completed_noted");
    }

    fn doubt(&mut self, reason: String) {
        let Some(Swapping { operator, version, during, last_of_old: Some(last_of_old), .. }) =
            self.swap.take()
        else {
            return;
        };
        let swap = UndecidedSwap { operator, tally: during, last_of_old, reason };
        self.swap_end = Some(SwapEnd::InDoubt(Box::new(Candidate { version, swap: Some(swap) })));
    }

    /// The incarnation ends with this error: what that means for a swap that had switched.
    pub fn swap_end(&mut self, error: &ConnectorError) -> Option<SwapEnd> {
        let counts = self.swap_counts();
        // Its error is that of the incarnation, which is known.
        let _ = self.swap_step(Event::Failed(error.message.clone(), counts));
        self.swap_end.take()
    }
}
