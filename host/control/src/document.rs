//! What control reads of a pipeline file: its name, and where each operator's component stands.
//!
//! A pin is put in by replacing those characters only, so that a draft's comments and order stay. All other keys are the
//! host's.

use crate::name::Name;
use crate::problem::{Code, Problem};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::Spanned;

/// The document as far as control reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// By the operator's id in the pipeline.
    pub components: BTreeMap<String, Component>,
}

/// The component of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Which.
    pub named: ComponentName,
    span: Range<usize>,
}

/// `name@3` or `name@latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentName {
    /// The operator in the registry.
    pub operator: Name,
    /// Its number; none is the highest.
    pub version: Option<i64>,
}

impl ComponentName {
    /// Reads `name@number` or `name@latest`.
    pub fn parse(text: &str) -> Result<ComponentName, String> {
        let expected =
            || format!("{text:?}: expected a version in the registry, such as count@3 or count@latest");
        let (name, version) = text.split_once('@').ok_or_else(expected)?;
        let version = match version {
            "latest" => None,
            digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                Some(digits.parse::<i64>().ok().filter(|number| *number > 0).ok_or_else(expected)?)
            }
            _ => return Err(expected()),
        };
        Ok(ComponentName { operator: Name::parse(name)?, version })
    }
}

impl fmt::Display for ComponentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(formatter, "{}@{version}", self.operator),
            None => write!(formatter, "{}@latest", self.operator),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    name: Option<toml::Value>,
    #[serde(default)]
    operator: BTreeMap<String, Operator>,
}

#[derive(Deserialize)]
struct Operator {
    component: Option<Spanned<String>>,
}

/// Reads a document whose name must be this.
pub fn read(text: &str, name: &Name) -> Result<Outline, Problem> {
    let document: Document = toml::from_str(text).map_err(|error| {
        invalid("the pipeline file cannot be read").details(vec![error.to_string().trim_end().to_owned()])
    })?;
    let mut details = Vec::new();
    match document.name.as_ref().and_then(toml::Value::as_str) {
        Some(written) if written == name.as_str() => {}
        Some(written) => details.push(format!("name = {written:?}, but the path says {name}")),
        None => details.push(format!("name: expected \"{name}\"")),
    }
    let mut components = BTreeMap::new();
    for (id, operator) in document.operator {
        // Where there is none, the host says what belongs there.
        let Some(component) = operator.component else { continue };
        match ComponentName::parse(component.get_ref()) {
            Ok(named) => {
                components.insert(id, Component { named, span: component.span() });
            }
            Err(error) => details.push(format!("operator.{id}.component = {error}")),
        }
    }
    match details.is_empty() {
        true => Ok(Outline { components }),
        false => Err(invalid("the pipeline file cannot be used here").details(details)),
    }
}

/// The text with other components in the places of these operators.
pub fn with_components(text: &str, outline: &Outline, names: &BTreeMap<String, ComponentName>) -> String {
    let mut places: Vec<(Range<usize>, &ComponentName)> = names
        .iter()
        .filter_map(|(id, name)| Some((outline.components.get(id)?.span.clone(), name)))
        .collect();
    // From the end, so that what is in front keeps its place.
    places.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut result = text.to_owned();
    for (span, name) in places {
        result.replace_range(span, &format!("\"{name}\""));
    }
    result
}

/// A document that came as JSON, as TOML.
pub fn from_json(body: &[u8]) -> Result<String, Problem> {
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|error| {
        Problem::new(Code::InvalidJson, "the body is not JSON").details(vec![error.to_string()])
    })?;
    let table = toml::Table::try_from(&value).map_err(|error| {
        invalid("the document cannot be written as a pipeline file").details(vec![error.to_string()])
    })?;
    toml::to_string(&table).map_err(|error| {
        invalid("the document cannot be written as a pipeline file").details(vec![error.to_string()])
    })
}

fn invalid(message: &str) -> Problem {
    Problem::new(Code::InvalidPipeline, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"orders\" # ours\n[operator.a]\ncomponent = 'count@latest' # newest\n\n[operator]\nb = { component = \"x-y@2\" }\n";

    fn name() -> Name {
        Name::parse("orders").unwrap()
    }

    #[test]
    fn pins_are_put_in_and_comments_stay() {
        let text =
            TEXT.replace("[operator]\nb =", "[operator.b]\nz =").replace("z = { component", "component");
        let text = text.replace("\" }", "\"");
        let outline = read(&text, &name()).unwrap();
        let pin = |operator: &str, version| {
            (
                operator.to_owned(),
                ComponentName { operator: Name::parse("count").unwrap(), version: Some(version) },
            )
        };
        let pinned = with_components(&text, &outline, &[pin("a", 12), pin("b", 3)].into());
        assert_eq!(
            pinned,
            "name = \"orders\" # ours\n[operator.a]\ncomponent = \"count@12\" # newest\n\n[operator.b]\ncomponent = \"count@3\"\n"
        );
    }

    #[test]
    fn a_path_and_another_name_are_refused_together() {
        let text =
            "name = \"other\"\n[operator.a]\ncomponent = \"../a.wasm\"\n[operator.b]\ncomponent = \"b@0\"";
        let problem = read(text, &name()).unwrap_err();
        assert_eq!(problem.code, Code::InvalidPipeline);
        assert_eq!(problem.details.len(), 3, "{problem:?}");
    }

    #[test]
    fn json_becomes_a_pipeline_file() {
        let json = br#"{"source": {"in": {"kind": "generator"}}, "name": "orders", "operator": {"a": {"component": "count@1"}}, "parallelism": 2}"#;
        let text = from_json(json).unwrap();
        let outline = read(&text, &name()).unwrap();
        assert_eq!(outline.components["a"].named.to_string(), "count@1");
        assert!(text.contains("parallelism = 2"));
        for bad in [&b"[]"[..], b"{\"a\": null", b"3", b"null"] {
            assert!(from_json(bad).is_err());
        }
    }
}
