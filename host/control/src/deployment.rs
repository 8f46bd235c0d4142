//! Desired state against actual state: facts in, actions out. Pure; [`crate::reconcile`] carries the actions out.
//!
//! - D1: a pipeline that is not desired to run is never launched.
//! - D2: there is at most one life of a pipeline: nothing is launched before the end of the last one was told.
//! - D3: what has failed, finished or been superseded stays so until somebody asks.
//! - D4: a service that closes stops everything, changes no desired state, and launches nothing.

use crate::host::Ending;

#[cfg(test)]
mod tests;

/// What is known of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// True where it is to run.
    pub desired_running: bool,
    /// What it does.
    pub actual: Actual,
    /// The service closes.
    pub closing: bool,
}

/// What a pipeline does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actual {
    /// Nothing.
    Stopped,
    /// The host was asked to start it.
    Starting,
    /// Its dead letters come back before it goes on.
    Replaying,
    /// Its start is decided.
    Running,
    /// It runs, and a swap is under way.
    Swapping,
    /// Its last life has ended with this cause; the next one begins after a while.
    Restarting(String),
    /// It was asked to stop.
    Stopping,
    /// It cannot go on.
    Failed(String),
    /// All sources have ended.
    Finished,
    /// Another host has taken over.
    Superseded(String),
}

impl Actual {
    /// What clients and probes call it.
    pub fn word(&self) -> &'static str {
        match self {
            Actual::Stopped => "stopped",
            Actual::Starting => "starting",
            Actual::Replaying => "replaying",
            Actual::Running => "running",
            Actual::Swapping => "swapping",
            Actual::Restarting(_) => "restarting",
            Actual::Stopping => "stopping",
            Actual::Failed(_) => "failed",
            Actual::Finished => "finished",
            Actual::Superseded(_) => "superseded",
        }
    }

    /// Why it does that, where something is the cause.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Actual::Restarting(cause) | Actual::Failed(cause) | Actual::Superseded(cause) => Some(cause),
            _ => None,
        }
    }

    /// True where the host has something of it that will end.
    pub fn is_alive(&self) -> bool {
        match self {
            Actual::Starting
            | Actual::Replaying
            | Actual::Running
            | Actual::Swapping
            | Actual::Restarting(_)
            | Actual::Stopping => true,
            Actual::Stopped | Actual::Failed(_) | Actual::Finished | Actual::Superseded(_) => false,
        }
    }
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is to run.
    StartAsked,
    /// It is not to run.
    StopAsked,
    /// It is to stop and to run again.
    RestartAsked,
    /// The service closes.
    CloseAsked,
    /// The host did not start it.
    LaunchRefused(String),
    /// The start of a life is decided in which dead letters come back.
    ReplayBegun,
    /// A life's start is decided.
    Begun,
    /// A life has ended, another follows.
    Restarting(String),
    /// It is over.
    Ended(Ending),
    /// A swap has begun.
    SwapBegun,
    /// A swap has ended, in whatever way.
    SwapEnded,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ask the host to start it.
    Launch,
    /// Ask it to stop.
    Stop,
    /// Let go of the life that has ended.
    Release,
}

impl Deployment {
    /// A pipeline that does nothing.
    pub fn stopped() -> Deployment {
        Deployment { desired_running: false, actual: Actual::Stopped, closing: false }
    }

    fn becomes(&self, actual: Actual, actions: &[Action]) -> (Deployment, Vec<Action>) {
        (Deployment { actual, ..self.clone() }, actions.to_vec())
    }

    fn stays(&self) -> (Deployment, Vec<Action>) {
        (self.clone(), Vec::new())
    }
}

/// What follows from an event.
pub fn next(state: &Deployment, event: &Event) -> (Deployment, Vec<Action>) {
    match event {
        Event::StartAsked | Event::RestartAsked if state.closing => {
            // Desired state is durable already: the next start of the service sees to it.
            (Deployment { desired_running: true, ..state.clone() }, Vec::new())
        }
        Event::StartAsked => {
            let wanted = Deployment { desired_running: true, ..state.clone() };
            match state.actual.is_alive() {
                true => wanted.stays(),
                false => wanted.becomes(Actual::Starting, &[Action::Launch]),
            }
        }
        Event::RestartAsked => {
            let wanted = Deployment { desired_running: true, ..state.clone() };
            match (&state.actual, state.actual.is_alive()) {
                (Actual::Stopping, _) => wanted.stays(),
                (_, true) => wanted.becomes(Actual::Stopping, &[Action::Stop]),
                (_, false) => wanted.becomes(Actual::Starting, &[Action::Launch]),
            }
        }
        Event::StopAsked => stop(&Deployment { desired_running: false, ..state.clone() }),
        Event::CloseAsked => match state.actual.is_alive() {
            true => stop(&Deployment { closing: true, ..state.clone() }),
            false => Deployment { closing: true, ..state.clone() }.stays(),
        },
        Event::LaunchRefused(cause) => match may_launch_again(state) {
            true => state.becomes(Actual::Starting, &[Action::Launch]),
            false if state.actual == Actual::Stopping => state.becomes(Actual::Stopped, &[]),
            false => state.becomes(Actual::Failed(cause.clone()), &[]),
        },
        Event::Begun => match state.actual {
            Actual::Starting | Actual::Replaying | Actual::Restarting(_) | Actual::Swapping => {
                state.becomes(Actual::Running, &[])
            }
            _ => state.stays(),
        },
        Event::ReplayBegun => match state.actual {
            Actual::Starting | Actual::Restarting(_) => state.becomes(Actual::Replaying, &[]),
            _ => state.stays(),
        },
        Event::Restarting(cause) => match state.actual {
            Actual::Stopping => state.stays(),
            _ if state.actual.is_alive() => state.becomes(Actual::Restarting(cause.clone()), &[]),
            _ => state.stays(),
        },
        Event::Ended(ending) => ended(state, ending),
        Event::SwapBegun if state.actual == Actual::Running => state.becomes(Actual::Swapping, &[]),
        Event::SwapEnded if state.actual == Actual::Swapping => state.becomes(Actual::Running, &[]),
        Event::SwapBegun | Event::SwapEnded => state.stays(),
    }
}

fn stop(state: &Deployment) -> (Deployment, Vec<Action>) {
    match &state.actual {
        Actual::Stopping => state.stays(),
        actual if actual.is_alive() => state.becomes(Actual::Stopping, &[Action::Stop]),
        _ => state.becomes(Actual::Stopped, &[]),
    }
}

/// A stop that was half of a restart.
fn may_launch_again(state: &Deployment) -> bool {
    state.actual == Actual::Stopping && state.desired_running && !state.closing
}

fn ended(state: &Deployment, ending: &Ending) -> (Deployment, Vec<Action>) {
    if !state.actual.is_alive() {
        return state.stays();
    }
    let stopping = state.actual == Actual::Stopping;
    match ending {
        Ending::Finished => state.becomes(Actual::Finished, &[Action::Release]),
        Ending::Superseded(by) => state.becomes(Actual::Superseded(by.clone()), &[Action::Release]),
        // A stop without a last checkpoint is a stop: the next life begins at the one before.
        Ending::Stopped | Ending::Failed(_) if may_launch_again(state) => {
            state.becomes(Actual::Starting, &[Action::Release, Action::Launch])
        }
        Ending::Stopped | Ending::Failed(_) if stopping => state.becomes(Actual::Stopped, &[Action::Release]),
        Ending::Stopped => {
            state.becomes(Actual::Failed("it stopped though nobody asked".to_owned()), &[Action::Release])
        }
        Ending::Failed(cause) => state.becomes(Actual::Failed(cause.clone()), &[Action::Release]),
    }
}
