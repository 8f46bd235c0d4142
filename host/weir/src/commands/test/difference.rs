//! Compares output records with the expected ones and shows what differs.

use similar::TextDiff;
use weir_local::record_lines::{LineReader, write_row};
use weir_protocol::batch::Batch;
use weir_protocol::plan::FileFormat;

/// Lines that are the same and are shown around a difference.
const CONTEXT_LINES: usize = 3;

/// `None` where the records are the same, however their JSON is written.
pub fn between(name: &str, expected: &str, lines: &[String]) -> Option<String> {
    let expected: Vec<String> =
        expected.lines().filter(|line| !line.trim().is_empty()).map(canonical).collect();
    if expected == lines {
        return None;
    }
    let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let (old, new) = (text(&expected), text(lines));
    let difference = TextDiff::from_lines(&old, &new);
    let shown = difference.unified_diff().context_radius(CONTEXT_LINES).header(name, "output").to_string();
    Some(shown)
}

/// A line as weir writes it; one that is not a record (a port in front, say) stays as it is.
fn canonical(line: &str) -> String {
    let mut reader = LineReader::default();
    let Ok(Some(record)) = reader.read(FileFormat::JsonLines, line.as_bytes()) else {
        return line.to_owned();
    };
    let mut batch = Batch::default();
    batch.push(record.timestamp, record.key, record.value, record.headers);
    let mut text = Vec::new();
    match write_row(FileFormat::JsonLines, &batch, 0, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).trim_end().to_owned(),
        Err(_) => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_the_same_however_their_json_is_written() {
        let output = [r#"{"key":"k","value":"v","timestamp":-1}"#.to_owned()];
        assert_eq!(between("e", "{ \"value\": \"v\", \"key\": \"k\" }\n\n", &output), None);
    }

    #[test]
    fn a_difference_shows_both_sides() {
        let output = [r#"{"key":null,"value":"new","timestamp":-1}"#.to_owned()];
        let shown = between("e", "{\"value\":\"old\"}\n", &output).unwrap();
        assert!(shown.contains("-{\"key\":null,\"value\":\"old\""), "{shown}");
        assert!(shown.contains("+{\"key\":null,\"value\":\"new\""), "{shown}");
    }
}
