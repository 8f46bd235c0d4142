//! Swaps under load: asked for over HTTP, watched until they end, and once cut off in the middle.

use super::pipelines::OPERATOR;
use super::steps::Steps;
use super::story;
use crate::failure::Failure;
use serde_json::{Value, json};

/// Probation of a version that is to be seen in probation: longer than anything takes, and short enough for the
/// transaction of its epoch.
const LONG: &str = "20s";
/// How often a swap is asked for where somebody kills the server again and again.
const ATTEMPTS_MAX: u32 = 20;

impl Steps<'_> {
    /// Swaps a version in and waits for the end of the swap. `long` asks for a long probation.
    pub fn swap(&mut self, version: u32, long: bool) -> Result<Value, Failure> {
        self.tell_swap(version, long);
        for _ in 0..ATTEMPTS_MAX {
            let Some(id) = self.begin_swap(version, long)? else { continue };
            let swap = self.until("the end of the swap", |steps| {
                let swap = steps.swap_of(&id)?;
                Ok(is_over(&swap).then_some(swap))
            })?;
            if swap["state"] != "interrupted" {
                return Ok(swap);
            }
            story::outcome(&format!("{}: again", told(&swap)));
        }
        Err(Failure::failed(format!("version {version} was not swapped in at {ATTEMPTS_MAX} attempts")))
    }

    /// Begins a swap, kills the host while the version is on probation, and waits for the end of the swap.
    pub fn swap_and_kill(&mut self, version: u32) -> Result<Value, Failure> {
        self.tell_swap(version, true);
        for _ in 0..ATTEMPTS_MAX {
            let Some(id) = self.begin_swap(version, true)? else { continue };
            let swap = self.until("probation", |steps| {
                let swap = steps.swap_of(&id)?;
                Ok((swap["state"] == "probation" || is_over(&swap)).then_some(swap))
            })?;
            if is_over(&swap) {
                story::outcome(&format!("{}: again", told(&swap)));
                continue;
            }
            story::outcome(&format!(
                "probation: records flow through version {version}, and nobody sees them yet"
            ));
            self.kill()?;
            return self.until("the end of the swap", |steps| {
                let swap = steps.swap_of(&id)?;
                Ok(is_over(&swap).then_some(swap))
            });
        }
        Err(Failure::failed(format!("version {version} was not on probation at {ATTEMPTS_MAX} attempts")))
    }

    /// How the server remembers all swaps to have ended: completed, rolled back.
    pub fn swap_counts(&mut self) -> Result<(usize, usize), Failure> {
        let swaps = self.host.get(&format!("{}?limit=1000", self.swaps()))?;
        let swaps = swaps["items"].as_array().cloned().unwrap_or_default();
        let count = |state: &str| swaps.iter().filter(|swap| swap["state"] == state).count();
        Ok((count("completed"), count("rolled_back")))
    }

    /// The line by which everybody can look at the swaps.
    pub fn tell_swaps(&self) {
        story::by_hand(&format!("api \"$WEIR{}?limit=1\"", self.swaps()));
    }

    fn swaps(&self) -> String {
        format!("/v1/pipelines/{}/swaps", self.place.name())
    }

    fn swap_of(&mut self, id: &str) -> Result<Value, Failure> {
        let path = format!("{}/{id}", self.swaps());
        self.host.get(&path)
    }

    fn newest_swap(&mut self) -> Result<Option<String>, Failure> {
        let path = format!("{}?limit=1", self.swaps());
        let swaps = self.host.get(&path)?;
        Ok(swaps["items"][0]["id"].as_str().map(str::to_owned))
    }

    fn tell_swap(&self, version: u32, long: bool) {
        let path = format!("/v1/pipelines/{}/operators/count/swap", self.place.name());
        story::by_hand(&format!("api --json '{}' $WEIR{path}", body(version, long)));
    }

    /// Asks for a swap. None where the server died over it and nothing came of it.
    fn begin_swap(&mut self, version: u32, long: bool) -> Result<Option<String>, Failure> {
        self.running()?;
        let before = self.newest_swap()?;
        let path = format!("/v1/pipelines/{}/operators/count/swap", self.place.name());
        let answer = self.host.ask(|server| server.post(&path, &body(version, long)))?;
        if let Some(answer) = answer {
            return Ok(answer["id"].as_str().map(str::to_owned));
        }
        // The answer was lost, not always the swap.
        Ok(self.newest_swap()?.filter(|newest| before.as_ref() != Some(newest)))
    }
}

fn body(version: u32, long: bool) -> Value {
    let version = format!("{OPERATOR}@{version}");
    match long {
        true => json!({"version": version, "probation": {"time": LONG}}),
        false => json!({"version": version}),
    }
}

fn is_over(swap: &Value) -> bool {
    !matches!(swap["state"].as_str(), Some("preparing" | "prepared" | "probation"))
}

/// State and reason, as the server tells them.
pub fn told(swap: &Value) -> String {
    let text = |key: &str| swap[key].as_str().unwrap_or_default();
    match text("reason") {
        "" => text("state").to_owned(),
        reason => format!("{}: {}", text("state"), story::short(reason)),
    }
}
