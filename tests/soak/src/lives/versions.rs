//! Versions of `count_by_key`: which one to ask for, and which one runs.

use super::Soak;
use super::served::Served;
use crate::harness::guests::guest;
use crate::modules::with_number;
use crate::swaps::Kind;
use serde_json::{Value, json};

/// The operator whose versions are uploaded.
const OPERATOR: &str = "count-by-key";
/// The version of the pipeline file.
pub(super) const FIRST: &str = "count-by-key@1";

/// A swap that is asked for.
pub(super) struct Request {
    pub path: String,
    pub body: Value,
}

impl Soak {
    /// What to ask for; the kind is another where there is no such version yet.
    pub(super) fn request(&mut self, served: &mut Served, kind: Kind) -> Result<(Kind, Request), String> {
        let current = self.swaps.current().to_owned();
        let kind = match kind {
            Kind::Remembered if self.swaps.rolled_back.is_empty() => Kind::Traps,
            // Without another version that ran there is no way back.
            Kind::Back if current == FIRST && self.swaps.ran.iter().all(|ran| ran == FIRST) => Kind::Good,
            Kind::Older if current == FIRST && self.swaps.good.is_empty() => Kind::Good,
            kind => kind,
        };
        let mut body = json!({"rules": kind.rules(&mut self.moments)});
        if kind == Kind::Back {
            let path = format!("/v1/pipelines/{}/rollback", self.keyed.job.name);
            return Ok((kind, Request { path, body }));
        }
        let version = match kind {
            Kind::Same => current,
            Kind::Remembered => {
                let versions: Vec<String> = self.swaps.rolled_back.iter().cloned().collect();
                self.any(&versions)
            }
            Kind::Older => {
                let others = [FIRST.to_owned()].into_iter().chain(self.swaps.good.iter().cloned());
                let others: Vec<String> = others.filter(|version| *version != current).collect();
                self.any(&others)
            }
            kind if kind.is_bad() && self.moments.next(2) == 0 => {
                let known = self.swaps.bad.get(kind.built()).cloned().unwrap_or_default();
                if known.is_empty() {
                    self.upload(served, kind)?
                } else {
                    body["force"] = json!(true);
                    self.any(&known)
                }
            }
            kind => self.upload(served, kind)?,
        };
        body["version"] = json!(version);
        Ok((kind, Request { path: self.swap_path(), body }))
    }

    fn any(&mut self, versions: &[String]) -> String {
        versions[self.moments.next(versions.len() as u64) as usize].clone()
    }

    /// Uploads a guest as bytes that were never there.
    fn upload(&mut self, served: &mut Served, kind: Kind) -> Result<String, String> {
        let built = kind.built();
        let bytes = std::fs::read(guest(built)).map_err(|error| format!("{built}: {error}"))?;
        self.swaps.uploaded += 1;
        let answer = served.client.upload(OPERATOR, &with_number(&bytes, self.swaps.uploaded));
        let answer = answer.map_err(|error| format!("an upload of {built} was not answered: {error}"))?;
        if answer.status != 201 {
            return Err(format!("an upload of {built} was answered with {answer:?}"));
        }
        let version = format!("{OPERATOR}@{}", answer.body["version"]);
        match kind {
            Kind::Good => self.swaps.good.push(version.clone()),
            kind if kind.is_bad() => self.swaps.bad.entry(built).or_default().push(version.clone()),
            _ => {}
        }
        Ok(version)
    }

    /// Draft and digest are those of the last version that was completed.
    pub(super) fn shows_the_version(&mut self, served: &mut Served) -> Result<(), String> {
        let current = self.swaps.current().to_owned();
        let pipeline = self.get(served, &format!("/v1/pipelines/{}", self.keyed.job.name))?;
        if !pipeline["draft"].as_str().is_some_and(|draft| draft.contains(&format!("\"{current}\""))) {
            return Err(format!("{current} runs, and the draft is {pipeline}"));
        }
        let (name, number) = current.split_once('@').unwrap_or((&current, "1"));
        let version = self.get(served, &format!("/v1/operators/{name}/versions/{number}"))?;
        let shown = self.counted(served)?;
        if shown["sha256"] != version["sha256"] {
            return Err(format!(
                "{current} runs, which is {}, and the status shows {shown}",
                version["sha256"]
            ));
        }
        Ok(())
    }
}
