//! The pipeline file: TOML in, a [`PipelineSpec`] or all of its problems out, each with line and column.
//!
//! The way of the text: [`document`] (a tree with places; [`interpolation`] fills in strings, [`overrides`] go on
//! top), then [`pipeline`], [`source`], [`operator`] and [`sink`] read it through [`section`], and [`report`] gathers
//! what is wrong. The keys are described in `docs/PIPELINE.md`; a test compares the two.

mod accepted;
mod document;
mod event_time;
mod interpolation;
mod operator;
mod overrides;
mod pipeline;
mod place;
mod renamed_keys;
mod report;
mod schema;
mod section;
mod sink;
mod source;
pub mod units;

use document::{Builder, Table};
use interpolation::ProcessSurroundings;
pub use interpolation::Surroundings;
use place::{Place, SourceText, in_file};
use report::Report;
pub use schema::schema;
use section::Section;
use std::path::{Path, PathBuf};
use toml::de::DeTable;
use weir_protocol::plan::{PipelineSpec, Plan, Problem};

/// A pipeline file that can be read, and what is needed to point into it.
#[derive(Debug)]
pub struct PipelineFile {
    /// What it asks for.
    pub spec: PipelineSpec,
    name: String,
    text: String,
    overrides: Vec<String>,
    tree: Table,
}

/// Why a pipeline file cannot be used: one line per problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines.join("\n"))]
pub struct BadPipelineFile {
    /// `FILE:LINE:COLUMN: path.of.key: message`.
    pub lines: Vec<String>,
}

impl PipelineFile {
    /// Reads a file with its overrides.
    pub fn read(path: &Path, overrides: &[String]) -> Result<PipelineFile, BadPipelineFile> {
        let name = path.display().to_string();
        let one = |message: String| BadPipelineFile { lines: vec![format!("{name}: {message}")] };
        let text = std::fs::read_to_string(path).map_err(|error| one(format!("cannot be read: {error}")))?;
        let directory = directory_of(path).map_err(|error| one(format!("cannot be read: {error}")))?;
        let surroundings = ProcessSurroundings { directory: directory.clone() };
        PipelineFile::parse(&name, text, overrides, &surroundings, &directory).0
    }

    /// Reads a text that is no file here. Relative paths in it are in `directory`.
    pub fn of_text(
        name: &str,
        text: String,
        surroundings: &dyn Surroundings,
        directory: &Path,
    ) -> Result<PipelineFile, BadPipelineFile> {
        PipelineFile::parse(name, text, &[], surroundings, directory).0
    }

    fn parse(
        name: &str,
        text: String,
        overrides: &[String],
        surroundings: &dyn Surroundings,
        directory: &Path,
    ) -> (Result<PipelineFile, BadPipelineFile>, Report) {
        let report = Report::default();
        let source = SourceText { name, text: &text, overrides };
        let Some(tree) = tree(&source, surroundings, &report) else {
            return (Err(BadPipelineFile { lines: report.lines(&source) }), report);
        };
        let spec = pipeline::read(Section::top(&tree, &report), directory);
        if !report.is_clean() {
            // What the graph lacks is told in the same breath, but for keys that have their problem already.
            let shapes = vec![None; spec.operators.len()];
            for problem in Plan::check(spec, &shapes).err().unwrap_or_default() {
                if !report.mentions(&problem.path) {
                    let place = tree.place_of(&problem.path).unwrap_or(Place::File(0));
                    report.problem(place, &problem.path, hide_filled_in(&tree, problem.message));
                }
            }
            return (Err(BadPipelineFile { lines: report.lines(&source) }), report);
        }
        let (name, overrides) = (name.to_owned(), overrides.to_vec());
        (Ok(PipelineFile { spec, name, text, overrides, tree }), report)
    }

    /// Problems with their places.
    pub fn locate(&self, problems: &[Problem]) -> BadPipelineFile {
        let report = Report::default();
        for problem in problems {
            let place = self.tree.place_of(&problem.path).unwrap_or(Place::File(0));
            report.problem(place, &problem.path, hide_filled_in(&self.tree, problem.message.clone()));
        }
        let source = SourceText { name: &self.name, text: &self.text, overrides: &self.overrides };
        BadPipelineFile { lines: report.lines(&source) }
    }
}

/// What was filled in may be a secret: the message shows what stands in the file.
fn hide_filled_in(tree: &Table, mut message: String) -> String {
    for (text, written) in tree.filled_in().iter().filter(|(text, _)| text.len() >= SECRET_BYTES_MIN) {
        message = message.replace(text.as_str(), written);
    }
    message
}

/// A shorter text that was filled in is shown: it would be found in places where it does not belong.
const SECRET_BYTES_MIN: usize = 4;

fn tree(source: &SourceText<'_>, surroundings: &dyn Surroundings, report: &Report) -> Option<Table> {
    let (parsed, errors) = DeTable::parse_recoverable(source.text);
    for error in &errors {
        report.problem(error.span().map_or(Place::File(0), in_file), "", error.message());
    }
    if !errors.is_empty() {
        return None;
    }
    let mut tree = Builder { surroundings, report, over: None }.table(parsed.get_ref(), "");
    for (index, argument) in source.overrides.iter().enumerate() {
        match overrides::document(argument) {
            Ok(text) => match DeTable::parse(&text) {
                Ok(over) => {
                    tree.merge(Builder { surroundings, report, over: Some(index) }.table(over.get_ref(), ""));
                }
                Err(error) => report.problem(Place::Override(index), "", error.message()),
            },
            Err(message) => report.problem(Place::Override(index), "", message),
        }
    }
    Some(tree)
}

/// The absolute directory of a file: paths inside the file must not change their meaning with the working directory.
fn directory_of(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = path.canonicalize()?;
    Ok(absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf))
}

#[cfg(test)]
mod generated_tests;
#[cfg(test)]
mod tests;
