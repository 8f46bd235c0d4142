//! The way back to an earlier version: which one it is, and what is left where the state cannot go with it.

use super::plan::Resolved;
use crate::control::Control;
use crate::document::{self, ComponentName};
use crate::name::Name;
use crate::problem::{Code, Problem};
use crate::store::pipelines::Pipeline;
use crate::store::{Page, revisions};

/// Revisions among which a rollback looks for another version.
const REVISIONS_SEARCHED_MAX: u32 = 100;
/// Savepoints that are named.
const SAVEPOINTS_NAMED_MAX: usize = 3;

/// The newest revision with another version of one operator.
pub fn previous(
    control: &Control,
    name: &Name,
    pipeline: &Pipeline,
    old: &Resolved,
) -> Result<(String, ComponentName), Problem> {
    let page = Page { after: None, limit: REVISIONS_SEARCHED_MAX };
    let (revisions, _) = control.store.read(|connection| revisions::page(connection, pipeline.id, &page))?;
    for revision in revisions {
        let outline = document::read(&revision.toml, name)?;
        let differs: Vec<_> = outline
            .components
            .iter()
            .filter(|(id, component)| old.names.get(*id).is_some_and(|now| *now != component.named))
            .collect();
        match differs.as_slice() {
            [] => {}
            [(id, component)] => return Ok(((*id).clone(), component.named.clone())),
            several => {
                let details = several.iter().map(|(id, component)| format!("{id}: {}", component.named));
                return Err(Problem::new(
                    Code::NotASwap,
                    format!("revision {} differs in more than one operator", revision.revision),
                )
                .hint("swap them one after the other, or put that revision as the draft and apply it")
                .details(details.collect()));
            }
        }
    }
    Err(Problem::new(Code::Conflict, "no earlier revision has another version of an operator"))
}

/// Says what a savepoint could do where the earlier version cannot take the state as it is.
pub fn explain(control: &Control, name: &Name, problem: Problem) -> Problem {
    if !matches!(problem.code, Code::NotASwap | Code::StateIncompatible) {
        return problem;
    }
    // Where savepoints cannot be listed there is none to go back to.
    let savepoints = control.host.savepoints(name.as_str()).unwrap_or_default();
    let named: Vec<String> = savepoints
        .iter()
        .take(SAVEPOINTS_NAMED_MAX)
        .map(|savepoint| format!("{} ({})", savepoint.name, savepoint.created))
        .collect();
    let hint = match named.is_empty() {
        true => "the state cannot go back with the version, and there is no savepoint of before".to_owned(),
        false => format!(
            "the state cannot go back with the version; a savepoint that was made before the newer version ran can: stop the pipeline, apply the earlier document, and start it with from_savepoint and replay_output; there are {}",
            named.join(", ")
        ),
    };
    problem.hint(hint)
}
