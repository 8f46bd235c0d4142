//! A pipeline document of the registry becomes a plan that can run.

use super::allowed::Allowed;
use crate::failure::Failure;
use crate::pipeline_file::PipelineFile;
use crate::prepared_pipeline::{self, PreparedPipeline};
use std::path::Path;
use weir_control::host::{PipelineDocument, Reason, Refused};
use weir_protocol::plan::Problem;
use weir_wasm::Engine;

/// Reads a document; its components are files of the registry.
pub fn read(document: &PipelineDocument, allowed: &Allowed) -> Result<PipelineFile, Refused> {
    let name = format!("{}.toml", document.name);
    let mut file = PipelineFile::of_text(&name, document.toml.clone(), allowed, &allowed.files)
        .map_err(|bad| invalid(bad.into()))?;
    let mut problems = allowed.problems(&file.spec);
    for operator in &mut file.spec.operators {
        // Paths of a file are relative to its directory, and so is what looks like one.
        let written = Path::new(&operator.component);
        let written = written.strip_prefix(&allowed.files).unwrap_or(written).to_string_lossy().into_owned();
        match document.components.get(&written) {
            Some(component) => operator.component = component.path.to_string_lossy().into_owned(),
            None => problems.push(Problem {
                path: format!("operator.{}.component", operator.name),
                message: format!("{written:?} is no version of the registry; expected name@version"),
            }),
        }
    }
    if file.spec.name != document.name {
        problems.push(Problem {
            path: "name".to_owned(),
            message: format!("it is {:?}, and the pipeline is {:?}", file.spec.name, document.name),
        });
    }
    problems.extend(prepared_pipeline::problems_without_components(&file));
    if problems.is_empty() { Ok(file) } else { Err(invalid(file.locate(&problems).into())) }
}

/// Loads the components and checks the graph.
pub fn prepare(
    document: &PipelineDocument,
    allowed: &Allowed,
    engine: &Engine,
) -> Result<PreparedPipeline, Refused> {
    let file = read(document, allowed)?;
    prepared_pipeline::prepare(&file, engine).map_err(invalid)
}

/// A file with problems.
pub fn invalid(failure: Failure) -> Refused {
    Refused {
        reason: Reason::InvalidPipeline,
        message: failure.message,
        hint: Some("docs/PIPELINE.md describes the keys".to_owned()),
        problems: failure.details,
    }
}
