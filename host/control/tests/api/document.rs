//! The OpenAPI document as it was agreed on.

use serde_json::Value;
use std::path::Path;
use weir_control::http::document;

#[test]
fn the_document_is_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = document::json();
    if std::env::var_os("WEIR_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made == golden, "openapi.json differs: look at it, and write it anew with WEIR_UPDATE_GOLDEN=1");
}

#[test]
fn every_operation_has_each_of_its_statuses_and_its_problems_in_one_shape() {
    let document: Value = serde_json::from_str(&document::json()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            let statuses: Vec<&String> = responses.keys().collect();
            assert!(
                statuses.iter().all(|status| status.parse::<u16>().is_ok()),
                "{method} {path}: {statuses:?}"
            );
            assert!(statuses.iter().any(|status| status.starts_with('2')), "{method} {path}: {statuses:?}");
            for code in operation["x-weir-codes"].as_array().unwrap() {
                let listed = document["components"]["responses"].as_object().unwrap().iter();
                let named = format!("`{}`", code.as_str().unwrap());
                let status = listed.filter(|(_, one)| one["description"].as_str().unwrap().contains(&named));
                let status: Vec<&String> = status.map(|(status, _)| status).collect();
                assert_eq!(status.len(), 1, "{named}");
                assert!(responses.contains_key(status[0]), "{method} {path}: {named}");
            }
        }
    }
}
