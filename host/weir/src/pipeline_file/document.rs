//! The parsed TOML as a tree of our own: every value with its place, strings filled in, overrides merged.

use super::interpolation::{Filled, Surroundings, fill};
use super::place::{Place, in_file};
use super::report::Report;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where its key stands (for an element of a list: where it stands itself).
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// A value of the file.
#[derive(Debug, Clone)]
pub enum Value {
    /// A string, after `${…}` was filled in.
    Text {
        /// What it says.
        text: String,
        /// What stands in the file, where something was filled in: that is what errors show.
        written: Option<String>,
    },
    /// A whole number.
    Whole(i64),
    /// A number with a fraction, and its text.
    Float(f64, String),
    /// True or false.
    Boolean(bool),
    /// A date and time, as written.
    Datetime(String),
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(Table),
}

impl Value {
    /// What it is, in a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text { .. } => "a string",
            Value::Whole(_) => "a whole number",
            Value::Float(..) => "a number with a fraction",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// What it is and says, without what was filled in.
    pub fn shown(&self) -> String {
        match self {
            Value::Text { text, written } => format!("{:?}", written.as_ref().unwrap_or(text)),
            Value::Whole(number) => number.to_string(),
            Value::Float(_, text) | Value::Datetime(text) => text.clone(),
            Value::Boolean(value) => value.to_string(),
            Value::List(_) | Value::Table(_) => self.kind().to_owned(),
        }
    }

    /// The text of a scalar.
    pub fn scalar_text(&self) -> Option<String> {
        match self {
            Value::Text { text, .. } | Value::Float(_, text) | Value::Datetime(text) => Some(text.clone()),
            Value::Whole(number) => Some(number.to_string()),
            Value::Boolean(value) => Some(value.to_string()),
            Value::List(_) | Value::Table(_) => None,
        }
    }
}

/// Keys and values in the file's order.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The entries.
    pub entries: Vec<(String, Node)>,
}

impl Table {
    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    /// The place of the key that a path names, or of the nearest key above it.
    pub fn place_of(&self, path: &str) -> Option<Place> {
        let (mut table, mut place) = (self, None);
        for name in path.split('.') {
            let Some(node) = table.get(name) else { return place };
            place = Some(node.place);
            let Value::Table(next) = &node.value else { return place };
            table = next;
        }
        place
    }

    /// Puts `over` on top: tables are merged, everything else is replaced.
    pub fn merge(&mut self, over: Table) {
        for (name, node) in over.entries {
            match self.entries.iter_mut().find(|(known, _)| *known == name) {
                Some((_, Node { value: Value::Table(below), .. }))
                    if matches!(node.value, Value::Table(_)) =>
                {
                    let Value::Table(above) = node.value else { continue };
                    below.merge(above);
                }
                Some((_, below)) => *below = node,
                None => self.entries.push((name, node)),
            }
        }
    }

    /// All leaves with their dotted paths below `prefix`.
    pub fn leaves<'a>(&'a self, prefix: &str, found: &mut Vec<(String, &'a Node)>) {
        for (name, node) in &self.entries {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match &node.value {
                Value::Table(table) => table.leaves(&path, found),
                _ => found.push((path, node)),
            }
        }
    }

    /// What was filled in anywhere, with what stands in the file instead.
    pub fn filled_in(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (_, node) in &self.entries {
            collect_filled(&node.value, &mut found);
        }
        found
    }
}

fn collect_filled(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Text { text, written: Some(written) } => found.push((text.clone(), written.clone())),
        Value::List(items) => items.iter().for_each(|item| collect_filled(&item.value, found)),
        Value::Table(table) => table.entries.iter().for_each(|(_, node)| collect_filled(&node.value, found)),
        _ => {}
    }
}

/// Turns parsed TOML into a tree.
pub struct Builder<'a> {
    /// What `${…}` is filled in from.
    pub surroundings: &'a dyn Surroundings,
    /// Takes problems.
    pub report: &'a Report,
    /// The override that is read, `None` for the file.
    pub over: Option<usize>,
}

impl Builder<'_> {
    /// A table and everything in it. `path` is that of the table, empty at the top.
    pub fn table(&self, table: &DeTable<'_>, path: &str) -> Table {
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name = AsRef::<str>::as_ref(key.get_ref() as &std::borrow::Cow<'_, str>).to_owned();
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let node = self.node(value.get_ref(), self.place(key.span()), &path);
            (name, node)
        };
        Table { entries: table.iter().map(entry).collect() }
    }

    fn place(&self, span: std::ops::Range<usize>) -> Place {
        self.over.map_or_else(|| in_file(span), Place::Override)
    }

    fn node(&self, value: &DeValue<'_>, place: Place, path: &str) -> Node {
        let value = match value {
            DeValue::String(text) => self.text(text, place, path),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Whole(number),
                Err(_) => {
                    self.report.problem(place, path, "the number is too large");
                    Value::Whole(0)
                }
            },
            DeValue::Float(number) => {
                Value::Float(number.as_str().parse().unwrap_or(f64::NAN), number.as_str().to_owned())
            }
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(time) => Value::Datetime(time.to_string()),
            DeValue::Array(items) => Value::List(
                items.iter().map(|item| self.node(item.get_ref(), self.place(item.span()), path)).collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table, path)),
        };
        Node { place, value }
    }

    fn text(&self, text: &str, place: Place, path: &str) -> Value {
        match fill(text, self.surroundings) {
            Ok(Filled::Unchanged) => Value::Text { text: text.to_owned(), written: None },
            Ok(Filled::With(filled)) => Value::Text { text: filled, written: Some(text.to_owned()) },
            Err(problems) => {
                for problem in problems {
                    self.report.problem(place, path, problem);
                }
                Value::Text { text: text.to_owned(), written: Some(text.to_owned()) }
            }
        }
    }
}
