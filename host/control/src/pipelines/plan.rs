//! A plan: the draft with every version pinned, compared with what is applied, under a hash. Apply takes the hash and
//! does what was shown, or nothing.

use super::find;
use crate::control::Control;
use crate::document::{self, ComponentName};
use crate::host::{Comparison, OnlineCheck, PipelineDocument, Way};
use crate::name::Name;
use crate::problem::{Code, Problem};
use crate::registry;
use crate::security::token::hex;
use crate::store::pipelines::Pipeline;
use crate::store::{rejected, revisions};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A document whose components are found.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// For the host.
    pub document: PipelineDocument,
    /// The pinned component by operator id.
    pub names: BTreeMap<String, ComponentName>,
}

/// A component of the plan that has failed probation in this pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The operator's id.
    pub operator: String,
    /// `name@number`.
    pub component: String,
    /// Why it was rolled back.
    pub reason: String,
}

/// What apply would do.
pub struct Plan {
    /// The pipeline, as it was read.
    pub pipeline: Pipeline,
    /// What is applied.
    pub old: Option<Resolved>,
    /// What would be.
    pub new: Resolved,
    /// How, and what becomes of the state.
    pub comparison: Comparison,
    /// What only `force` applies.
    pub rejected: Vec<Rejected>,
    /// What apply takes.
    pub hash: String,
    /// Every check of a start, where it was asked for.
    pub online: Option<Vec<OnlineCheck>>,
}

impl Resolved {
    /// The digest of an operator's component.
    pub fn digest(&self, operator: &str) -> Option<&str> {
        let name = self.names.get(operator)?.to_string();
        self.document.components.get(&name).map(|file| file.sha256.as_str())
    }
}

/// Pins every version of a text.
pub fn resolve(control: &Control, name: &Name, text: &str) -> Result<Resolved, Problem> {
    let outline = document::read(text, name)?;
    let mut names = BTreeMap::new();
    let mut components = BTreeMap::new();
    let mut missing = Vec::new();
    control.store.read(|connection| {
        for (id, component) in &outline.components {
            let named = &component.named;
            match registry::find(connection, &named.operator, named.version) {
                Ok(version) => {
                    let pinned =
                        ComponentName { operator: named.operator.clone(), version: Some(version.version) };
                    components.insert(pinned.to_string(), registry::component_file(control, &version));
                    names.insert(id.clone(), pinned);
                }
                Err(problem) if problem.code == Code::VersionNotFound => {
                    missing.push(format!("operator.{id}.component: {}", problem.message));
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok(())
    })?;
    if !missing.is_empty() {
        return Err(Problem::new(Code::InvalidPipeline, "the registry does not have all components")
            .hint("upload them: POST /v1/operators/{name}/versions")
            .details(missing));
    }
    let toml = document::with_components(text, &outline, &names);
    Ok(Resolved { document: PipelineDocument { name: name.to_string(), toml, components }, names })
}

/// What is applied, resolved.
pub fn applied(control: &Control, name: &Name, pipeline: &Pipeline) -> Result<Option<Resolved>, Problem> {
    let Some(number) = pipeline.applied else { return Ok(None) };
    let revision = control.store.read(|connection| revisions::find(connection, pipeline.id, number))?;
    revision.map(|revision| resolve(control, name, &revision.toml)).transpose()
}

/// What the draft becomes.
pub fn explain(control: &Control, name: &Name) -> Result<serde_json::Value, Problem> {
    let pipeline = control.store.read(|connection| find(connection, name))?;
    let draft = resolve(control, name, &pipeline.draft)?;
    Ok(control.host.explain(&draft.document)?)
}

/// What apply would do now, and what the brokers say to it.
pub fn plan_online(control: &Control, name: &Name) -> Result<Plan, Problem> {
    let mut plan = plan(control, name)?;
    plan.online = Some(control.host.look(&plan.new.document)?);
    Ok(plan)
}

/// What apply would do now.
pub fn plan(control: &Control, name: &Name) -> Result<Plan, Problem> {
    let pipeline = control.store.read(|connection| find(connection, name))?;
    let new = resolve(control, name, &pipeline.draft)?;
    control.host.check(&new.document)?;
    let old = applied(control, name, &pipeline)?;
    let mut comparison = control.host.compare(old.as_ref().map(|old| &old.document), &new.document)?;
    let lines = std::mem::take(&mut comparison.start_refusals);
    if comparison.way == Way::Start || pipeline.desired_running {
        comparison.refusals.extend(lines);
    } else {
        // It stays stopped, and a start from a savepoint may be what comes next.
        comparison.warnings.extend(lines);
    }
    let mut found = Vec::new();
    for (operator, component) in &new.names {
        let digest = new.digest(operator).unwrap_or_default();
        if old.as_ref().and_then(|old| old.digest(operator)) == Some(digest) {
            continue;
        }
        let reason =
            control.store.read(|connection| rejected::find(connection, pipeline.id, operator, digest))?;
        let component = component.to_string();
        found.extend(reason.map(|reason| Rejected { operator: operator.clone(), component, reason }));
    }
    let hash = hash(&pipeline, old.as_ref(), &new);
    Ok(Plan { pipeline, old, new, comparison, rejected: found, hash, online: None })
}

/// Which change this is: from which revision of which pipeline, to which text with which bytes.
fn hash(pipeline: &Pipeline, old: Option<&Resolved>, new: &Resolved) -> String {
    let mut digest = Sha256::new();
    let mut part = |text: &str| {
        // With its length, so that no two lists of parts are the same bytes.
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    };
    part("weir plan 1");
    part(&format!("{} {}", pipeline.id, pipeline.applied.unwrap_or(0)));
    for resolved in [old, Some(new)].into_iter().flatten() {
        part(&resolved.document.toml);
        for (name, file) in &resolved.document.components {
            part(name);
            part(&file.sha256);
        }
    }
    hex(&digest.finalize())
}
