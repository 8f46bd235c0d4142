//! Answers of the server as tables for people.

use super::connection::OutputFormat;
use serde_json::Value;
use std::io::Write;

/// A column: its heading, and where its value is (`a.b` is a member of a member).
pub type Column = (&'static str, &'static str);

/// Shows the items of a list, or the answer itself for programs.
pub fn list(format: OutputFormat, answer: &Value, columns: &[Column]) {
    match format {
        OutputFormat::Json => json(answer),
        OutputFormat::Table => {
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            print(&render(&items, columns));
        }
    }
}

/// Shows one thing, a line per column; or the answer itself for programs.
pub fn one(format: OutputFormat, answer: &Value, columns: &[Column]) {
    match format {
        OutputFormat::Json => json(answer),
        OutputFormat::Table => {
            let width = columns.iter().map(|(heading, _)| heading.len()).max().unwrap_or(0);
            let shown = columns.iter().filter(|(_, path)| !value(answer, path).is_null());
            let lines =
                shown.map(|(heading, path)| format!("{heading:<width$}  {}\n", text(value(answer, path))));
            print(&lines.collect::<String>());
        }
    }
}

/// Shows what the server answered.
pub fn json(answer: &Value) {
    print(&format!("{answer:#}\n"));
}

/// The table as text: as wide as it must be, nothing is cut.
pub fn render(items: &[Value], columns: &[Column]) -> String {
    let mut rows: Vec<Vec<String>> =
        vec![columns.iter().map(|(heading, _)| heading.to_uppercase()).collect()];
    rows.extend(items.iter().map(|item| columns.iter().map(|(_, path)| text(value(item, path))).collect()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn value<'a>(item: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(item, |value, key| &value[key])
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A closed pipe is no reason to fail.
pub fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let items = [json!({"name": "a", "status": {"actual": "running"}}), json!({"name": "longer"})];
        let text = render(&items, &[("name", "name"), ("actual", "status.actual")]);
        assert_eq!(text, "NAME    ACTUAL\na       running\nlonger  -\n");
    }
}
