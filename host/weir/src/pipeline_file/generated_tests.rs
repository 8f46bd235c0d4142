//! Pipeline files from generated input: what is written is read, however it is written; what is wrong is told with a
//! place that there is; and nothing is a panic.

use super::*;
use proptest::prelude::*;
use std::ops::Range;
use std::time::Duration;
use toml::{Table as TomlTable, Value as TomlValue};
use weir_protocol::plan::{Plan, SourceKind};

struct Nothing;

impl Surroundings for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("not found".to_owned())
    }
}

fn parse(text: &str) -> Result<PipelineFile, Vec<String>> {
    let parsed = PipelineFile::parse("p.toml", text.to_owned(), &[], &Nothing, Path::new("/dir"));
    parsed.0.map_err(|bad| bad.lines)
}

/// The plan, or every problem that there is.
fn plan(text: &str) -> Result<Plan, Vec<String>> {
    let file = parse(text)?;
    Plan::check(file.spec.clone(), &[]).map_err(|problems| file.locate(&problems).lines)
}

/// What a pipeline is made of: sources feed the first operator, each operator the next, and the last one all sinks.
#[derive(Debug, Clone)]
struct Made {
    name: String,
    parallelism: u32,
    interval_ms: u64,
    rates: Vec<u64>,
    configs: Vec<Vec<(String, String)>>,
    sinks: usize,
}

const SOURCES: Range<usize> = 1..4;
const OPERATORS: Range<usize> = 0..4;
const SINKS: Range<usize> = 1..4;

fn made() -> impl Strategy<Value = Made> {
    // Also quotes, line feeds and dots; a dollar sign would be filled in.
    let text = "(?s)[^$]{0,8}";
    let config = prop::collection::btree_map(text, text, 0..3).prop_map(|map| map.into_iter().collect());
    (
        "[a-zA-Z0-9_-]{1,20}",
        1u32..=256,
        200u64..1_000_000,
        prop::collection::vec(0..i64::MAX as u64, SOURCES),
        prop::collection::vec(config, OPERATORS),
        SINKS,
    )
        .prop_map(|(name, parallelism, interval_ms, rates, configs, sinks)| Made {
            name,
            parallelism,
            interval_ms,
            rates,
            configs,
            sinks,
        })
}

fn table(entries: impl IntoIterator<Item = (impl Into<String>, TomlValue)>) -> TomlValue {
    TomlValue::Table(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn text(text: impl Into<String>) -> TomlValue {
    TomlValue::String(text.into())
}

impl Made {
    fn sources(&self) -> Vec<String> {
        (0..self.rates.len()).map(|index| format!("s{index}")).collect()
    }

    fn document(&self) -> TomlTable {
        let source =
            |rate: &u64| table([("kind", text("generator")), ("rate", TomlValue::Integer(*rate as i64))]);
        let sources = self.sources().into_iter().zip(self.rates.iter().map(source));
        let first = TomlValue::Array(self.sources().into_iter().map(TomlValue::String).collect());
        let mut input = first;
        let mut operators = Vec::new();
        for (index, config) in self.configs.iter().enumerate() {
            let config = table(config.iter().map(|(key, value)| (key.clone(), text(value.clone()))));
            let (component, name) = (text("o.wasm"), format!("o{index}"));
            operators.push((
                name.clone(),
                table([("input", input), ("component", component), ("config", config)]),
            ));
            input = text(name);
        }
        let sinks = (0..self.sinks).map(|index| {
            (format!("k{index}"), table([("kind", text("blackhole")), ("input", input.clone())]))
        });
        let interval = text(format!("{}ms", self.interval_ms));
        let mut document = TomlTable::new();
        document.insert("name".to_owned(), text(self.name.clone()));
        document.insert("parallelism".to_owned(), TomlValue::Integer(i64::from(self.parallelism)));
        document.insert("checkpoint".to_owned(), table([("interval", interval)]));
        document.insert("source".to_owned(), table(sources));
        document.insert("sink".to_owned(), table(sinks));
        document.insert("operator".to_owned(), table(operators));
        document
    }

    /// With a section for each table.
    fn in_sections(&self) -> String {
        toml::to_string(&self.document()).unwrap()
    }

    /// Every table in its parent's line, in another order, with comments and empty lines.
    fn in_lines(&self) -> String {
        let document = self.document();
        let lines = document.iter().rev().map(|(key, value)| format!("\n# {key}\n  {key}={value} # ü\r\n"));
        lines.collect()
    }
}

/// Each line tells one problem, at a place that the text has.
fn are_in_range(text: &str, lines: &[String]) -> Result<(), TestCaseError> {
    prop_assert!(!lines.is_empty());
    let rows: Vec<&str> = text.split('\n').collect();
    for told in lines {
        prop_assert!(!told.contains('\n'), "{:?}", told);
        let mut parts = told.split(':');
        prop_assert_eq!(parts.next(), Some("p.toml"));
        let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok());
        let (Some(line), Some(column)) = (number(), number()) else {
            return Err(TestCaseError::fail(format!("no place: {told:?}")));
        };
        let row = line.checked_sub(1).and_then(|index| rows.get(index));
        let last = row.map(|row| row.chars().count() + 1);
        prop_assert!(last.is_some_and(|last| (1..=last).contains(&column)), "{:?} of {:?}", told, text);
    }
    Ok(())
}

/// A plan, or problems with their places.
fn is_answered(text: &str) -> Result<(), TestCaseError> {
    match plan(text) {
        Ok(_) => Ok(()),
        Err(lines) => are_in_range(text, &lines),
    }
}

/// Every section in every kind.
const EVERY_KIND: &str = include_str!("every_kind.toml");

/// Values that are wrong in most places, at the edges of what they are.
const EDGES: &[&str] = &[
    "-1",
    "0",
    "9223372036854775807",
    "99999999999999999999",
    "0xffff_ffff",
    "nan",
    "-inf",
    "1e308",
    "true",
    "1979-05-27T07:32:00Z",
    "[]",
    "[1, \"a\"]",
    "{}",
    "{ a = {} }",
    "\"\"",
    "\"\\u0000\"",
    "\"-1s\"",
    "\"0s\"",
    "\"584000000000years\"",
    "\"18446744073709551615s\"",
    "\"18446744073709551615\"",
    "\"16GiB\"",
    "\"${env:NONE}\"",
    "\"${\"",
    "'''\n'''",
];

proptest! {
    #[test]
    fn a_pipeline_is_the_same_however_it_is_written(made in made()) {
        let (sections, lines) = (made.in_sections(), made.in_lines());
        let plan_of = |text: &str| plan(text).map_err(|lines| TestCaseError::fail(format!("{lines:?}\n{text}")));
        let (plan, other) = (plan_of(&sections)?, plan_of(&lines)?);
        let spec = &plan.spec;
        prop_assert_eq!((&spec.name, spec.parallelism as u32), (&made.name, made.parallelism));
        prop_assert_eq!(spec.checkpoint.interval, Duration::from_millis(made.interval_ms));
        let rates: Vec<u64> = spec.sources.iter().map(|source| match source.kind {
            SourceKind::Generator { rate: Some(rate), .. } => rate,
            _ => panic!("not a generator"),
        }).collect();
        prop_assert_eq!(&rates, &made.rates);
        let configs: Vec<Vec<(String, String)>> =
            spec.operators.iter().map(|operator| operator.config.clone().into_iter().collect()).collect();
        prop_assert_eq!(&configs, &made.configs);
        prop_assert_eq!(spec.sinks.len(), made.sinks);
        prop_assert_eq!(plan, other);
    }

    #[test]
    fn arbitrary_text_is_answered(text in "(?s).{0,200}") {
        is_answered(&text)?;
    }

    #[test]
    fn text_that_looks_like_a_file_is_answered(
        text in "((name|source|sink|operator|kafka|checkpoint|a|input|kind)[.= \\[\\]{}\"'#\n$,0-9-]{0,4}){0,40}"
    ) {
        is_answered(&text)?;
    }

    #[test]
    fn a_changed_file_is_answered(
        made in prop::option::of(made()), at: prop::sample::Index, gone in 0usize..40, with in "(?s).{0,6}"
    ) {
        let text = made.map_or_else(|| EVERY_KIND.to_owned(), |made| made.in_sections());
        let characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        let rest = &characters[(at + gone).min(characters.len())..];
        let changed: String = characters[..at].iter().copied().chain(with.chars()).chain(rest.iter().copied()).collect();
        is_answered(&changed)?;
    }

    #[test]
    fn a_value_at_the_edge_is_answered(line: prop::sample::Index, other: prop::sample::Index, edge: prop::sample::Index) {
        // Two at a time: what is sound alone may not be sound together.
        let mut lines: Vec<String> = EVERY_KIND.lines().map(str::to_owned).collect();
        let with_values: Vec<usize> = (0..lines.len()).filter(|index| lines[*index].contains(" = ")).collect();
        for chosen in [line, other] {
            let line = &mut lines[*chosen.get(&with_values)];
            let key = line.split(" = ").next().unwrap().to_owned();
            *line = format!("{key} = {}", edge.get(EDGES));
        }
        is_answered(&(lines.join("\n") + "\n"))?;
    }
}

#[test]
fn the_file_with_every_kind_is_a_plan() {
    assert!(plan(EVERY_KIND).is_ok(), "{:?}", plan(EVERY_KIND));
}

#[test]
fn the_longest_durations_are_told_and_never_added_up() {
    let long = "\"500000000000years\"";
    let text = EVERY_KIND.replace("interval = \"5s\"", &format!("interval = {long}"));
    let text = text.replace("timeout = \"60s\"", &format!("timeout = {long}"));
    let lines = plan(&text).unwrap_err();
    assert!(lines.iter().any(|line| line.contains("checkpoint.interval")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("100 years")), "{lines:?}");
}

#[test]
fn documents_as_deep_as_they_are_long_are_answered() {
    let deep = [
        "a = ".to_owned() + &"[".repeat(200_000),
        "a = ".to_owned() + &"{a=".repeat(200_000),
        "a.".repeat(200_000) + "a = 1",
        format!("[{}a]", "a.".repeat(200_000)),
        "[[a]]\n".repeat(50_000),
    ];
    for text in deep {
        let lines = plan(&text).unwrap_err();
        assert!(lines[0].starts_with("p.toml:1:"), "{}", &lines[0][..80]);
    }
}

#[test]
fn a_key_as_long_as_a_file_is_answered() {
    let text = format!("{} = 1\n", "k".repeat(1 << 20));
    let lines = plan(&text).unwrap_err();
    assert!(lines[0].contains("there is no such key"), "{}", &lines[0][lines[0].len() - 200..]);
}
