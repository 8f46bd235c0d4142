//! Reads one table: each getter notes its key as known, `finish` reports the keys that nobody asked for.

use super::accepted::Accepted;
use super::document::{Node, Table, Value};
use super::place::Place;
use super::renamed_keys;
use super::report::Report;
use super::units;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// A longer key is no misspelling of a known one.
const NAME_BYTES_COMPARED_MAX: usize = 100;

static EMPTY: Table = Table { entries: Vec::new() };

/// A table that is being read.
pub struct Section<'a> {
    report: &'a Report,
    table: &'a Table,
    place: Place,
    path: String,
    pattern: String,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub fn top(table: &'a Table, report: &'a Report) -> Section<'a> {
        let (path, pattern) = (String::new(), String::new());
        Section { report, table, place: Place::File(0), path, pattern, known: RefCell::default() }
    }

    fn below(&self, node: Option<&'a Node>, name: &str, pattern: &str) -> Section<'a> {
        let (path, pattern) = (join(&self.path, name), join(&self.pattern, pattern));
        let (table, place) = match node {
            Some(Node { value: Value::Table(table), place }) => (table, *place),
            Some(node) => {
                self.report.problem(
                    node.place,
                    &path,
                    format!("expected a section [{pattern}], found {}", node.value.shown()),
                );
                (&EMPTY, node.place)
            }
            None => (&EMPTY, self.place),
        };
        Section { report: self.report, table, place, path, pattern, known: RefCell::default() }
    }

    /// The value of a key, which is known from now on.
    pub fn node(&self, key: &'static str) -> Option<&'a Node> {
        if !self.known.borrow().contains(&key) {
            self.known.borrow_mut().push(key);
        }
        self.report.known(join(&self.pattern, key));
        self.table.get(key)
    }

    /// Notes a form that the value of a key may have, for the schema.
    pub fn accepts(&self, key: &'static str, form: Accepted) {
        self.report.accepts(join(&self.pattern, key), form);
    }

    /// Notes words that a key may have beside its other forms.
    pub fn accepts_words(&self, key: &'static str, words: &[&str]) {
        self.accepts(key, Accepted::Words(words.iter().map(|word| (*word).to_owned()).collect()));
    }

    /// Notes that a key must be there.
    pub fn requires(&self, key: &'static str) {
        self.report.requires(join(&self.pattern, key));
    }

    /// Reports a problem with a key of this section.
    pub fn problem(&self, key: &str, message: impl Into<String>) {
        let place = self.table.get(key).map_or(self.place, |node| node.place);
        self.report.problem(place, &join(&self.path, key), message);
    }

    fn wrong(&self, key: &str, expected: &str, found: &Value) {
        self.problem(key, format!("expected {expected}, found {}", found.shown()));
    }

    /// A table that may be missing: then all of its keys have their defaults.
    pub fn section(&self, key: &'static str) -> Section<'a> {
        let node = self.node(key);
        self.below(node, key, key)
    }

    /// The sections `[key.NAME]`, in the file's order.
    pub fn sections(&self, key: &'static str) -> Vec<(String, Section<'a>)> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let Value::Table(table) = &node.value else {
            self.wrong(key, &format!("sections [{key}.NAME]"), &node.value);
            return Vec::new();
        };
        let parent = self.below(Some(node), key, key);
        let named = table.entries.iter();
        named.map(|(name, node)| (name.clone(), parent.below(Some(node), name, "NAME"))).collect()
    }

    /// A string.
    pub fn text(&self, key: &'static str) -> Option<String> {
        self.accepts(key, Accepted::Text);
        let node = self.node(key)?;
        match &node.value {
            Value::Text { text, .. } => Some(text.clone()),
            other => {
                self.wrong(key, "a string", other);
                None
            }
        }
    }

    /// A string that must be there.
    pub fn required_text(&self, key: &'static str, meaning: &str) -> String {
        self.requires(key);
        if self.table.get(key).is_none() {
            self.problem(key, format!("is missing: {meaning}"));
        }
        self.text(key).unwrap_or_default()
    }

    /// A string or a list of strings.
    pub fn texts(&self, key: &'static str) -> Vec<String> {
        self.accepts(key, Accepted::Texts);
        let Some(node) = self.node(key) else { return Vec::new() };
        let expected = "a string or a list of strings";
        match &node.value {
            Value::Text { text, .. } => vec![text.clone()],
            Value::List(items) => items
                .iter()
                .filter_map(|item| match &item.value {
                    Value::Text { text, .. } => Some(text.clone()),
                    other => {
                        self.wrong(key, expected, other);
                        None
                    }
                })
                .collect(),
            other => {
                self.wrong(key, expected, other);
                Vec::new()
            }
        }
    }

    /// A table of keys that the file chooses, each with a string or a list of strings, in the file's order. `pattern`
    /// stands for such a key in messages.
    pub fn named_texts(&self, key: &'static str, pattern: &str) -> Vec<(String, Vec<String>)> {
        self.accepts(key, Accepted::NamedTexts);
        let Some(node) = self.node(key) else { return Vec::new() };
        let Value::Table(table) = &node.value else {
            self.wrong(key, &format!("a table {{ {pattern} = ... }}"), &node.value);
            return Vec::new();
        };
        let mut named = Vec::new();
        for (name, node) in &table.entries {
            let items = match &node.value {
                Value::List(items) => items.as_slice(),
                _ => std::slice::from_ref(node),
            };
            let mut texts = Vec::new();
            for item in items {
                match &item.value {
                    Value::Text { text, .. } => texts.push(text.clone()),
                    other => {
                        let path = format!("{}.{name}", join(&self.path, key));
                        let found = other.shown();
                        let message = format!("expected a string or a list of strings, found {found}");
                        self.report.problem(node.place, &path, message);
                    }
                }
            }
            named.push((name.clone(), texts));
        }
        named
    }

    /// A whole number that is not negative and fits.
    pub fn number<T: TryFrom<u64>>(&self, key: &'static str) -> Option<T> {
        self.accepts(key, Accepted::Number);
        let node = self.node(key)?;
        let number = match &node.value {
            Value::Whole(number) => u64::try_from(*number).ok(),
            // What was filled in is always text.
            Value::Text { text, written: Some(_) } => text.trim().parse().ok(),
            _ => None,
        };
        let fitting = number.and_then(|number| T::try_from(number).ok());
        if fitting.is_none() {
            self.wrong(key, "a whole number", &node.value);
        }
        fitting
    }

    /// A number with or without a fraction.
    pub fn fraction(&self, key: &'static str) -> Option<f64> {
        self.accepts(key, Accepted::Fraction);
        let node = self.node(key)?;
        let number = match &node.value {
            Value::Whole(number) => Some(*number as f64),
            Value::Float(number, _) => Some(*number),
            Value::Text { text, written: Some(_) } => text.trim().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.wrong(key, "a number", &node.value);
        }
        number
    }

    /// True or false.
    pub fn boolean(&self, key: &'static str, default: bool) -> bool {
        self.accepts(key, Accepted::Boolean);
        let Some(node) = self.node(key) else { return default };
        match &node.value {
            Value::Boolean(value) => *value,
            Value::Text { text, written: Some(_) } if text == "true" || text == "false" => text == "true",
            other => {
                self.wrong(key, "true or false", other);
                default
            }
        }
    }

    /// A duration, which is a string with a unit.
    pub fn duration(&self, key: &'static str) -> Option<Duration> {
        self.accepts(key, Accepted::Duration);
        let node = self.node(key)?;
        let found = match &node.value {
            Value::Text { text, .. } => units::duration(text),
            Value::Whole(0) => Some(Duration::ZERO),
            _ => None,
        };
        if found.is_none() {
            let expected =
                "a duration with its unit, such as \"5s\", \"200ms\" or \"10m\", of at most 100 years";
            self.wrong(key, expected, &node.value);
        }
        found
    }

    /// A number of bytes.
    pub fn byte_size(&self, key: &'static str) -> Option<usize> {
        self.accepts(key, Accepted::ByteSize);
        let node = self.node(key)?;
        let found = match &node.value {
            Value::Text { text, .. } => units::byte_size(text),
            Value::Whole(number) => usize::try_from(*number).ok(),
            _ => None,
        };
        if found.is_none() {
            self.wrong(key, "a size, such as \"64MiB\" or \"16 MB\"", &node.value);
        }
        found
    }

    /// One of several words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        self.accepts_words(key, &choices.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        let node = self.node(key)?;
        if let Value::Text { text, .. } = &node.value
            && let Some((_, value)) = choices.iter().find(|(name, _)| name == text)
        {
            return Some(*value);
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        self.wrong(key, &names.join(" or "), &node.value);
        None
    }

    /// A table of strings; numbers and booleans are taken as their text. `a.b = 1` is the key `a.b`.
    pub fn text_map(&self, key: &'static str) -> BTreeMap<String, String> {
        self.accepts(key, Accepted::TextMap);
        let Some(node) = self.node(key) else { return BTreeMap::new() };
        let Value::Table(table) = &node.value else {
            self.wrong(key, "a table of strings", &node.value);
            return BTreeMap::new();
        };
        let mut leaves = Vec::new();
        table.leaves("", &mut leaves);
        let mut map = BTreeMap::new();
        for (name, node) in leaves {
            match node.value.scalar_text() {
                Some(text) => _ = map.insert(name, text),
                None => {
                    let path = format!("{}.{name}", join(&self.path, key));
                    let found = node.value.kind();
                    self.report.problem(node.place, &path, format!("expected a string, found {found}"));
                }
            }
        }
        map
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self) {
        let known = self.known.borrow();
        for (name, node) in &self.table.entries {
            if known.contains(&name.as_str()) {
                continue;
            }
            if self.answer_foreign(name, node) {
                continue;
            }
            // The distance costs the product of both lengths, and a key may be as long as the file.
            let near = name.len() <= NAME_BYTES_COMPARED_MAX;
            let nearest = known
                .iter()
                .filter(|_| near)
                .map(|key| (strsim::damerau_levenshtein(name, key), *key))
                .filter(|(distance, _)| *distance <= name.chars().count().div_ceil(3).max(1))
                .min();
            let hint = match nearest {
                Some((_, key)) => format!("did you mean {key}?"),
                None => format!("there are: {}", known.join(", ")),
            };
            let path = join(&self.path, name);
            self.report.problem(node.place, &path, format!("there is no such key; {hint}"));
        }
    }

    /// Names of Flink, Connect and the Kafka clients are answered with weir's, one line for each.
    fn answer_foreign(&self, name: &str, node: &Node) -> bool {
        let mut leaves = Vec::new();
        match &node.value {
            Value::Table(table) => table.leaves(name, &mut leaves),
            _ => leaves.push((name.to_owned(), node)),
        }
        let mut answered = false;
        for (path, node) in leaves {
            if let Some(answer) = renamed_keys::answer(&path) {
                answered = true;
                let path = join(&self.path, &path);
                self.report.problem(node.place, &path, format!("weir calls this {answer}"));
            }
        }
        answered
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
