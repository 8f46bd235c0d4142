//! The registry: immutable versions of operators, content-addressed files, and what uses them.
//!
//! An upload goes to `incoming/<ulid>.part`, is looked at by a child process of the host, synced, and renamed to
//! `components/<sha256>.wasm`; then the row is written. A death before the row leaves a file that nothing names.

pub mod upload;

use crate::control::{Change, Control};
use crate::document::{self, ComponentName};
use crate::host::ComponentFile;
use crate::name::Name;
use crate::problem::{Code, Problem};
use crate::store::operators::{self, Version};
use crate::store::{pipelines, revisions, swaps};
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Uploads that are not complete, and exports that are being sent.
pub const INCOMING: &str = "incoming";
/// Components by digest.
pub const COMPONENTS: &str = "components";

/// A file that was received.
pub struct Received {
    /// Where it is.
    pub part: PathBuf,
    /// Its digest.
    pub sha256: String,
    /// Its size.
    pub size: u64,
}

impl Drop for Received {
    fn drop(&mut self) {
        // It was renamed, or it is not wanted.
        let _ = std::fs::remove_file(&self.part);
    }
}

/// Makes the folders, and removes what earlier uploads have left.
pub fn prepare(data_dir: &Path) -> Result<(), Problem> {
    std::fs::create_dir_all(data_dir.join(COMPONENTS))?;
    let incoming = data_dir.join(INCOMING);
    std::fs::create_dir_all(&incoming)?;
    for left in std::fs::read_dir(incoming)? {
        std::fs::remove_file(left?.path())?;
    }
    Ok(())
}

/// The file of a digest.
pub fn component_path(data_dir: &Path, sha256: &str) -> PathBuf {
    data_dir.join(COMPONENTS).join(format!("{sha256}.wasm"))
}

/// The file of a version, for the host.
pub fn component_file(control: &Control, version: &Version) -> ComponentFile {
    let sha256 = version.inspected.sha256.clone();
    ComponentFile { path: component_path(&control.options.data_dir, &sha256), sha256 }
}

/// The version with these bytes, where the operator has it already.
pub fn known(control: &Control, name: &Name, received: &Received) -> Result<Option<Version>, Problem> {
    control.store.read(|connection| operators::find_digest(connection, name.as_str(), &received.sha256))
}

/// Looks at a received file and makes a version of it. True where it is new.
pub fn add(
    control: &Control,
    who: &str,
    name: &Name,
    received: Received,
) -> Result<(Version, bool), Problem> {
    let change = Change {
        who: who.to_owned(),
        action: "operator.push",
        target: format!("operator/{name}"),
        digest: Some(received.sha256.clone()),
        plan_hash: None,
    };
    control.change(change, |change| {
        let mut inspected = control.host.inspect(&received.part)?;
        inspected.sha256.clone_from(&received.sha256);
        inspected.size = received.size;
        let _files = control.components.lock().unwrap_or_else(PoisonError::into_inner);
        keep(control, &received)?;
        control.store.write(|transaction| {
            // The same upload may have been made twice at a time.
            if let Some(version) = operators::find_digest(transaction, name.as_str(), &received.sha256)? {
                return Ok((version, false));
            }
            let version = Version {
                operator: name.to_string(),
                version: operators::take_number(transaction, name.as_str())?,
                inspected,
                created_at: control.now(),
                created_by: who.to_owned(),
            };
            operators::insert(transaction, &version)?;
            change.target = format!("operator/{name}@{}", version.version);
            control.note(transaction, change)?;
            Ok((version, true))
        })
    })
}

/// The bytes are on disk under their digest when this returns. A file that is there already is replaced by the same
/// bytes, which also mends it.
fn keep(control: &Control, received: &Received) -> Result<(), Problem> {
    File::open(&received.part)?.sync_all()?;
    let path = component_path(&control.options.data_dir, &received.sha256);
    std::fs::rename(&received.part, path)?;
    File::open(control.options.data_dir.join(COMPONENTS))?.sync_all()?;
    Ok(())
}

/// One version; none is the highest.
pub fn find(connection: &Connection, name: &Name, version: Option<i64>) -> Result<Version, Problem> {
    operators::find(connection, name.as_str(), version)?.ok_or_else(|| {
        let named = ComponentName { operator: name.clone(), version };
        Problem::new(Code::VersionNotFound, format!("there is no {named}"))
            .hint(format!("GET /v1/operators/{name}/versions lists those that there are"))
    })
}

/// Deletes a version that nothing uses, and its file where no other version has the same bytes.
pub fn delete(control: &Control, who: &str, name: &Name, version: i64) -> Result<(), Problem> {
    let change = Change {
        who: who.to_owned(),
        action: "operator.delete",
        target: format!("operator/{name}@{version}"),
        digest: None,
        plan_hash: None,
    };
    control.change(change, |change| {
        let _files = control.components.lock().unwrap_or_else(PoisonError::into_inner);
        let unused_digest = control.store.write(|transaction| {
            let row = find(transaction, name, Some(version))?;
            change.digest = Some(row.inspected.sha256.clone());
            let users = users(transaction, name, version)?;
            if !users.is_empty() {
                return Err(
                    Problem::new(Code::VersionInUse, format!("{name}@{version} is used")).details(users)
                );
            }
            operators::delete(transaction, name.as_str(), version)?;
            control.note(transaction, change)?;
            let sha256 = row.inspected.sha256;
            Ok(if operators::digest_is_used(transaction, &sha256)? { None } else { Some(sha256) })
        })?;
        if let Some(sha256) = unused_digest {
            std::fs::remove_file(component_path(&control.options.data_dir, &sha256))?;
        }
        Ok(())
    })
}

/// Which drafts, applied revisions and open swaps name this version.
fn users(connection: &Connection, name: &Name, version: i64) -> Result<Vec<String>, Problem> {
    let highest = operators::find(connection, name.as_str(), None)?.map(|row| row.version);
    let is_this = |named: &ComponentName| {
        named.operator == *name
            && (named.version == Some(version) || named.version.is_none() && highest == Some(version))
    };
    let names_it = |pipeline: &str, text: &str| {
        Name::parse(pipeline)
            .ok()
            .and_then(|pipeline| document::read(text, &pipeline).ok())
            .is_some_and(|outline| outline.components.values().any(|component| is_this(&component.named)))
    };
    let mut users = Vec::new();
    let pipelines = pipelines::all(connection)?;
    for pipeline in &pipelines {
        if names_it(&pipeline.name, &pipeline.draft) {
            users.push(format!("the draft of pipeline {}", pipeline.name));
        }
        if let Some(number) = pipeline.applied
            && let Some(revision) = revisions::find(connection, pipeline.id, number)?
            && names_it(&pipeline.name, &revision.toml)
        {
            users.push(format!("revision {number} of pipeline {}, which is applied", pipeline.name));
        }
    }
    let text = format!("{name}@{version}");
    for swap in swaps::all_open(connection)? {
        if swap.from_version == text || swap.to_version == text {
            users.push(format!("swap {}, which is under way", swap.id));
        }
    }
    Ok(users)
}
