//! Letters as lines for people: the same of this machine and of a server.

use super::summary::Summary;
use crate::commands::savepoint::time_text;
use serde_json::Value;
use std::fmt::Write;
use weir_protocol::counted::counted;

/// The line above the letters.
pub fn heading() -> String {
    format!("{:<28} {:<20} {:<16} {:<12} {:>8}  what", "letter", "failed at", "operator", "kind", "attempt")
}

/// A letter, as [`super::lines::line_of_json`] has it.
pub fn line(letter: &Value) -> String {
    let text = |key: &str| letter[key].as_str().unwrap_or_default();
    let place = place(letter);
    let operator = text("operator");
    if operator.is_empty() {
        return format!("{place:<28} {}", text("stays"));
    }
    let time = letter["failed_at_ms"].as_i64().map_or_else(|| "-".to_owned(), time_text);
    let record = &letter["record"];
    let from = match record["topic"].as_str() {
        Some(topic) => format!("{topic}:{}:{}", record["partition"], record["offset"]),
        None => format!("timer {}", letter["timer"].as_str().unwrap_or("(unnamed)")),
    };
    let state = match (letter["open"].as_bool(), letter["stays"].as_str()) {
        (Some(false), _) => " (dealt with)".to_owned(),
        (_, Some(stays)) => format!(" (stays: {stays})"),
        (_, None) => String::new(),
    };
    let (kind, attempt, message) = (text("kind"), letter["attempt"].to_string(), text("message"));
    format!("{place:<28} {time:<20} {operator:<16} {kind:<12} {attempt:>8}  {from}: {message}{state}")
}

/// The letter's own place, by which `--at` names it.
pub fn place(letter: &Value) -> String {
    let topic = letter["topic"].as_str().unwrap_or_default();
    format!("{topic}:{}:{}", letter["partition"], letter["offset"])
}

/// What stands behind the lines; `hidden` letters have none.
pub fn end(summary: &Summary, hidden: u64) -> String {
    let mut text = String::new();
    if hidden > 0 {
        let _ = writeln!(text, "… {hidden} more; --limit shows more lines");
    }
    let open = counted(summary.taken(), "open letter");
    let _ = writeln!(text, "{open} can be replayed, {}", summary.stay());
    text + &summary.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_names_the_letter_its_record_and_why_it_stays() {
        let mut letter = json!({
            "topic": "dead", "partition": 1, "offset": 7, "open": true, "stays": null, "operator": "parse",
            "kind": "trap", "message": "no", "timer": null, "failed_at_ms": 0, "attempt": 2,
            "record": {"topic": "in", "partition": 0, "offset": 3},
        });
        let told = line(&letter);
        assert!(told.starts_with("dead:1:7 ") && told.ends_with("2  in:0:3: no"), "{told}");
        letter["record"] = json!({"topic": null, "partition": null, "offset": null});
        letter["timer"] = json!("window");
        letter["stays"] = json!("not selected");
        assert!(line(&letter).ends_with("timer window: no (stays: not selected)"), "{}", line(&letter));
        letter["open"] = json!(false);
        assert!(line(&letter).ends_with(" (dealt with)"), "{}", line(&letter));
        letter["operator"] = json!("");
        assert!(line(&letter).ends_with(" not selected"), "{}", line(&letter));
    }
}
