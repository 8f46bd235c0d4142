//! The manual is run: every line of shell of these pages, as a newcomer would copy it, from top to bottom.

use crate::harness::manual::{run, statements};

#[test]
fn every_line_of_the_http_api_page_is_answered_as_the_page_says() {
    let directory = tempfile::tempdir().unwrap();
    run(&statements("docs/HTTP_API.md", None), directory.path());
}

#[test]
fn a_newcomer_comes_from_the_readme_to_a_swapped_operator_with_curl_only() {
    let directory = tempfile::tempdir().unwrap();
    run(&statements("README.md", Some("As a server, with `curl` only")), directory.path());
}
