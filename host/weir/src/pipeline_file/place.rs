//! Where a key stands: a line and column of the pipeline file, or a `--set` of the command line.

use std::ops::Range;

/// Where something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A byte of the pipeline file.
    File(usize),
    /// The `--set` with this index.
    Override(usize),
}

/// The text of the file and of the overrides, for turning places into what a person can find.
#[derive(Debug, Clone)]
pub struct SourceText<'a> {
    /// The file's name as the user gave it.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
    /// The arguments of `--set`.
    pub overrides: &'a [String],
}

impl SourceText<'_> {
    /// `FILE:LINE:COLUMN`, both counted from 1, columns in characters; or the override.
    pub fn describe(&self, place: Place) -> String {
        match place {
            Place::File(offset) => {
                let (line, column) = self.line_and_column(offset);
                format!("{}:{line}:{column}", self.name)
            }
            // Only the key: what stands behind the sign may be a secret.
            Place::Override(index) => {
                let text = self.overrides.get(index).map_or("", String::as_str);
                format!("--set {}", text.split('=').next().unwrap_or(text).trim())
            }
        }
    }

    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let offset = floor_boundary(self.text, offset);
        let before = &self.text[..offset];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }
}

/// The place of a span in the file.
pub fn in_file(span: Range<usize>) -> Place {
    Place::File(span.start)
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_line_and_a_column_in_characters() {
        let source = SourceText { name: "p.toml", text: "a = 1\nü = 2\n", overrides: &[] };
        assert_eq!(source.describe(Place::File(0)), "p.toml:1:1");
        assert_eq!(source.describe(Place::File(9)), "p.toml:2:3");
        assert_eq!(source.describe(Place::File(900)), "p.toml:3:1");
    }

    #[test]
    fn the_value_of_an_override_is_not_shown() {
        let overrides = ["kafka.main.properties.password=geheim".to_owned()];
        let source = SourceText { name: "p.toml", text: "", overrides: &overrides };
        assert_eq!(source.describe(Place::Override(0)), "--set kafka.main.properties.password");
    }
}
