//! A document is looked at before it is applied: what it becomes, and what the brokers say to it.

use super::document;
use super::host::WeirHost;
use crate::called;
use crate::online::{self, Checked, Outcome};
use serde_json::Value;
use weir_control::host::{CheckOutcome, OnlineCheck, PipelineDocument, Refused};

/// What a document becomes.
pub fn explain(host: &WeirHost, document: &PipelineDocument) -> Result<Value, Refused> {
    let prepared = document::prepare(document, host.allowed(), host.engine())?;
    let explained = prepared.plan.explain();
    // A component is a file of the registry here; what the document calls it is what a reader knows.
    let mut explained = serde_json::to_value(&explained).expect("an explanation is made of texts");
    for (name, file) in &document.components {
        let path = file.path.file_name().map(|name| name.to_string_lossy().into_owned());
        path.into_iter().for_each(|path| rename(&mut explained, &path, name));
    }
    Ok(explained)
}

/// Puts one text for another, wherever a text begins with it.
fn rename(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) => {
            if let Some(rest) = text.strip_prefix(from) {
                *text = format!("{to}{rest}");
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, from, to)),
        Value::Object(map) => map.iter_mut().for_each(|(_, value)| rename(value, from, to)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Every check of a start.
pub fn look(host: &WeirHost, document: &PipelineDocument) -> Result<Vec<OnlineCheck>, Refused> {
    let prepared = document::prepare(document, host.allowed(), host.engine())?;
    let called = called::on_a_server(&prepared.plan, host.url());
    let checks = online::checks(&prepared, host.data_dir().path(), &called);
    let shown = |Checked { check, outcome, message }| OnlineCheck {
        check,
        outcome: match outcome {
            Outcome::Ok => CheckOutcome::Ok,
            Outcome::Warning => CheckOutcome::Warning,
            Outcome::Failed => CheckOutcome::Failed,
            Outcome::Refused => CheckOutcome::Refused,
            Outcome::Unasked => CheckOutcome::Unasked,
        },
        message,
    };
    Ok(checks.into_iter().map(shown).collect())
}
