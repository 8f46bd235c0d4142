//! What `weir offsets` says.

use crate::commands::client::connection::OutputFormat;
use crate::commands::client::table;
use serde_json::json;
use weir_control::host::{OffsetsReset, PipelineOffsets};

/// Where a pipeline stands.
pub fn offsets(format: OutputFormat, found: &PipelineOffsets) {
    if format == OutputFormat::Json {
        return table::json(&json!(found));
    }
    let mut text = match &found.decided {
        Some(id) => {
            format!("decided: checkpoint {id} (manifest {})\n", found.manifest.as_deref().unwrap_or("-"))
        }
        None => "decided: nothing\n".to_owned(),
    };
    if let Some(group) = &found.group {
        text += &format!("group: {group}\n");
    }
    text += &format!("{:<40} {:>12} {:>12} {:>10}  committed by\n", "partition", "position", "end", "lag");
    for one in &found.partitions {
        let name = format!("{} {}:{}", one.source, one.topic, one.partition);
        let (offset, end, lag) = (number(one.offset), number(one.end), number(one.lag));
        let by = one.committed_by.as_deref().unwrap_or("-");
        text += &format!("{name:<40} {offset:>12} {end:>12} {lag:>10}  {}\n", by.escape_debug());
    }
    if let Some(refused) = &found.refused {
        text += &format!("a start would be refused: {refused}\n");
    }
    table::print(&text);
}

/// What a reset means, or has done.
pub fn reset(format: OutputFormat, done: &OffsetsReset) {
    if format == OutputFormat::Json {
        return table::json(&json!(done));
    }
    let mut text = String::new();
    for one in &done.moves {
        let name = format!("{} {}:{}", one.source, one.topic, one.partition);
        let consequence = if done.group.is_some() { "" } else { one.consequence.as_str() };
        let line = format!("{name:<40} {:>12} -> {:<12} {consequence}", number(one.from), one.to);
        text += &format!("{}\n", line.trim_end());
    }
    for note in &done.notes {
        text += &format!("{note}\n");
    }
    if let Some(needs) = &done.needs {
        text += &format!("not to be done like this: {needs}\n");
    }
    text += &match (done.dry_run, &done.group, &done.decided) {
        (true, ..) if done.needs.is_some() => "nothing was changed\n".to_owned(),
        (true, ..) => "nothing was changed; --execute does it\n".to_owned(),
        (false, Some(group), _) => {
            format!(
                "written: consumer group {group} goes on from these offsets; do not start this pipeline again before that program is stopped\n"
            )
        }
        (false, None, decided) => format!(
            "decided: checkpoint {}; the pipeline goes on from these positions\n",
            decided.as_deref().unwrap_or("-")
        ),
    };
    table::print(&text);
}

/// A number, or a dash.
fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}
