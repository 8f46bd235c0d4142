//! The OpenAPI document as it was agreed on.

use std::path::Path;

#[test]
fn the_document_is_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = weir_control::http::document::json();
    if std::env::var_os("WEIR_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made == golden, "openapi.json differs: look at it, and write it anew with WEIR_UPDATE_GOLDEN=1");
}
