//! One swap of a running pipeline: asked for, disturbed, and its end judged.

use super::endings::Open;
use super::questions::text;
use super::served::Served;
use super::versions::FIRST;
use super::{Soak, Went};
use crate::harness::server::Answer;
use crate::harness::waiting::pause;
use crate::summary::Asked;
use crate::swaps::{Beside, Ending, Kind, When};
use serde_json::json;
use std::time::{Duration, Instant};

impl Soak {
    /// Asks for a swap, and sees to its end. False where the host was ended beside it.
    pub(super) fn swap(&mut self, served: &mut Served, kind: Kind, beside: Beside) -> Result<bool, String> {
        if beside != Beside::Recovery {
            self.await_running(served)?;
        }
        let (kind, request) = self.request(served, kind)?;
        if kind == Kind::Slow {
            self.await_comparable(served)?;
        }
        let restarts = if beside.disturbs() { None } else { Some(self.restarts(served)?) };
        let asked_at = Instant::now();
        let client = served.client.clone();
        let asked = std::thread::spawn(move || client.post(&request.path, &request.body));
        let answered = || asked.join().map_err(|_| "the client panicked".to_owned());
        if let Some(When::AfterAsking(time)) = beside.when() {
            pause(time);
            if !self.disturb(served, beside)? {
                let answer = answered()?.ok();
                self.swaps.open = Some(Open { kind, beside, answer });
                return Ok(false);
            }
        }
        let answer = answered()?.map_err(|error| format!("a swap was not answered: {error}"))?;
        let ending = match answer.status {
            202 => match self.follow(served, kind, beside, &answer)? {
                Some(ending) => ending,
                None => return Ok(false),
            },
            400..500 => self.was_refused(served, kind, &answer)?,
            _ => return Err(format!("the swap of a {kind} version was answered with {answer:?}")),
        };
        // What was refused has no probation in which something could happen.
        let refused = ending == Ending::Refused && matches!(beside.when(), Some(When::InProbation(_)));
        let beside = if refused { Beside::Nothing } else { beside };
        let took = asked_at.elapsed();
        self.judge(kind, beside, ending, &answer.body.to_string())?;
        if beside == Beside::Nothing {
            self.summary.swap_took(ending, took);
        }
        let seen = Instant::now();
        if let Some(When::AfterEnd(time)) = beside.when() {
            pause(time);
            if !self.disturb(served, beside)? {
                return Ok(false);
            }
        }
        let went_on = self.goes_on_after(served, kind, ending, seen)?;
        if beside == Beside::Nothing && ending == Ending::RolledBack {
            self.summary.went_on_after_rollback(went_on);
        }
        if let Some(restarts) = restarts
            && self.restarts(served)? != restarts
        {
            return Err(format!("the swap of a {kind} version that was {ending} counts as a restart"));
        }
        Ok(true)
    }

    /// A swap that has begun. None where the host was ended in between.
    fn follow(
        &mut self,
        served: &mut Served,
        kind: Kind,
        beside: Beside,
        answer: &Answer,
    ) -> Result<Option<Ending>, String> {
        let id = text(&answer.body, "id")?;
        match beside {
            Beside::Cancel(time) => {
                pause(time);
                return self.cancelled(served, &id).map(Some);
            }
            Beside::Second(time) => {
                pause(time);
                self.second(served, &id)?;
            }
            _ => {}
        }
        if let Some(When::InProbation(time)) = beside.when() {
            self.await_swap(served, &id, |state| state == "probation")?;
            pause(time);
            if !self.disturb(served, beside)? {
                let answer = Some(Answer { status: answer.status, body: answer.body.clone() });
                self.swaps.open = Some(Open { kind, beside, answer });
                return Ok(None);
            }
        }
        let swap = self.await_swap(served, &id, |_| false)?;
        self.took_in(&swap).map(Some)
    }

    /// Nobody else's request is served while a swap is open.
    fn second(&mut self, served: &mut Served, first: &str) -> Result<(), String> {
        let probation = Kind::Older.probation(&mut self.moments);
        let path = self.swap_path();
        let answer = self.ask(served, &path, &json!({"version": FIRST, "probation": probation}))?;
        self.summary.second_requests += 1;
        if answer.status == 409 && answer.body["code"] == "swap_in_progress" {
            return Ok(());
        }
        let before = self.get(served, &self.one_swap(first))?;
        if Ending::told(before["state"].as_str().unwrap_or_default()).is_none() {
            return Err(format!("a second swap was answered with {answer:?} beside {before}"));
        }
        // The first one was over already: in the order in which they were asked for.
        self.took_in(&before)?;
        if answer.status != 202 {
            // The old version may just start again.
            return self.was_refused(served, Kind::Older, &answer).map(drop);
        }
        let swap = self.await_swap(served, &text(&answer.body, "id")?, |_| false)?;
        let ending = self.took_in(&swap)?;
        self.judge(Kind::Older, Beside::Nothing, ending, &swap.to_string())
    }

    fn cancelled(&mut self, served: &mut Served, id: &str) -> Result<Ending, String> {
        let answer = served.client.delete(&self.one_swap(id));
        let answer = answer.map_err(|error| format!("a cancellation was not answered: {error}"))?;
        let swap = self.await_swap(served, id, |_| false)?;
        let ending = self.took_in(&swap)?;
        let fits = match answer.status {
            202 => ending == Ending::Cancelled,
            409 => ending != Ending::Cancelled,
            _ => false,
        };
        if fits { Ok(ending) } else { Err(format!("a cancellation was answered with {answer:?}: {swap}")) }
    }

    /// Counts it, if it may have ended so.
    pub(super) fn judge(
        &mut self,
        kind: Kind,
        beside: Beside,
        ending: Ending,
        said: &str,
    ) -> Result<(), String> {
        let at = self.began.elapsed().as_secs_f32();
        println!("{at:7.1} s    {kind}{beside}: {ending}");
        if !kind.may_end(beside, ending) {
            return Err(format!("the swap of a {kind} version{beside} was {ending}: {said}"));
        }
        self.swaps.ended += u64::from(!matches!(ending, Ending::Refused | Ending::NotBegun));
        self.summary.asked(Asked { kind, beside, ending });
        Ok(())
    }

    /// Readers see more, after so long, and the version that runs is the one that should.
    fn goes_on_after(
        &mut self,
        served: &mut Served,
        kind: Kind,
        ending: Ending,
        since: Instant,
    ) -> Result<Duration, String> {
        let before = self.progress().0;
        match self.await_output(&mut served.server.weir, before, since) {
            Went::Recovered(time) => self.shows_the_version(served).map(|()| time),
            wrong => Err(format!("the host {wrong}, after the swap of a {kind} version that was {ending}")),
        }
    }

    /// Something happens beside the swap. False where the host is gone.
    fn disturb(&mut self, served: &mut Served, beside: Beside) -> Result<bool, String> {
        match beside {
            Beside::Pause(_, time) => {
                served.lives()?;
                served.server.weir.signal(libc::SIGSTOP);
                pause(time);
                served.server.weir.signal(libc::SIGCONT);
                self.summary.pauses += 1;
            }
            Beside::KillBroker(_) => {
                self.keyed.while_load_pauses(|| self.broker.kill());
                self.broker.start_again();
                self.summary.broker_kills += 1;
            }
            Beside::Kill(_) => {
                self.summary.kills_beside_swaps += 1;
                self.kill_served(served)?;
            }
            Beside::Stop(_) => self.stop_served(served)?,
            _ => {}
        }
        Ok(!beside.ends_the_host())
    }
}
