//! The rules of the house, as tests: layers, sizes, words that a file must have or must not have, links, kill points.

use crate::harness::guests::repository;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use weir_protocol::kill_point::KILL_POINTS;

/// Native libraries, and the one manifest under `host/` that may name each.
const NATIVE: &[(&str, &str)] = &[
    ("rdkafka", "kafka"),
    ("rocksdb", "state"),
    ("wasmtime", "wasm"),
    ("axum", "control"),
    ("clap", "weir"),
];
/// Crates under `host/` and which of ours they may import; `weir` wires all of them together.
const LAYERS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("kafka", &["protocol"]),
    ("local", &["protocol"]),
    ("wasm", &["protocol"]),
    ("state", &["protocol"]),
    ("runtime", &["protocol"]),
    ("control", &["protocol", "runtime"]),
];
/// What a pure crate does not touch.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
];
const LINES_MAX: usize = 500;
/// Longer files that somebody has looked at twice: none may be added, and none may grow.
const LONGER: &[(&str, usize)] = &[("host/protocol/src/plan.rs", 740)];
/// The one place of the integration tests that lets time pass.
const WAITING: &str = "tests/it/tests/it/harness/waiting.rs";
/// A search for words must not find the list of the words.
const THIS: &str = "tests/it/tests/it/tidy.rs";

/// A file of the repository: its path from the root, and its text.
struct SourceFile {
    path: String,
    text: String,
}

/// Files with this ending that belong to the repository, without what is built.
fn files(ending: &str) -> Vec<SourceFile> {
    let root = repository();
    let (mut open, mut found) = (vec![root.clone()], Vec::new());
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                open.push(path);
            } else if name.ends_with(ending) {
                let relative = path.strip_prefix(&root).unwrap().display().to_string();
                // A file that somebody is just moving away is no file.
                found.extend(fs::read_to_string(&path).map(|text| SourceFile { path: relative, text }));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no {ending} in {}", root.display());
    found
}

#[track_caller]
fn none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Files below `folder` whose lines hold one of the words, as `path:line: text`.
fn with_words(folder: &str, words: &[&str], except: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(".rs") {
        if !file.path.starts_with(folder) || file.path == THIS || except.contains(&file.path.as_str()) {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    found
}

/// Per crate of `host/` the names of its dependencies, without those of its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for file in files("Cargo.toml") {
        let Some(name) = file.path.strip_prefix("host/").and_then(|rest| rest.strip_suffix("/Cargo.toml"))
        else {
            continue;
        };
        let manifest: toml::Table = file.text.parse().unwrap();
        let tables = [manifest.get("dependencies"), manifest.get("build-dependencies")];
        let names = tables.into_iter().flatten().flat_map(|table| table.as_table().unwrap().keys().cloned());
        all.insert(name.to_owned(), names.collect());
    }
    all
}

#[test]
fn each_native_library_is_in_one_manifest_of_the_host() {
    let mut wrong = Vec::new();
    for (name, dependencies) in dependencies() {
        for (library, home) in NATIVE {
            if dependencies.contains(*library) && name != *home {
                wrong.push(format!("host/{name} names {library}"));
            }
        }
    }
    none(wrong, "only its own crate knows a native library");
}

#[test]
fn siblings_of_the_host_never_import_one_another() {
    let mut wrong = Vec::new();
    for (name, dependencies) in dependencies() {
        let allowed = LAYERS.iter().find(|(layer, _)| *layer == name).map(|(_, allowed)| *allowed);
        for ours in dependencies.iter().filter_map(|dependency| dependency.strip_prefix("weir-")) {
            let known = LAYERS.iter().any(|(layer, _)| *layer == ours);
            if allowed.is_some_and(|allowed| known && !allowed.contains(&ours)) {
                wrong.push(format!("host/{name} imports weir-{ours}"));
            }
        }
        if allowed.is_none() && name != "weir" {
            wrong.push(format!("host/{name} has no entry in LAYERS"));
        }
    }
    none(wrong, "a new arrow between crates");
}

#[test]
fn guests_and_operators_know_nothing_of_the_host() {
    let manifests = files("Cargo.toml").into_iter().filter(|file| {
        ["guest-sdk/", "operators/", "tests/guests/"].iter().any(|folder| file.path.starts_with(folder))
    });
    let mut wrong = Vec::new();
    for file in manifests {
        for (layer, _) in LAYERS {
            if file.text.contains(&format!("weir-{layer}")) {
                wrong.push(format!("{} names weir-{layer}", file.path));
            }
        }
    }
    none(wrong, "operators are built against the contract only");
}

#[test]
fn the_protocol_has_no_io_no_clock_and_no_order_of_a_hash() {
    none(with_words("host/protocol/src", IMPURE, &[]), "host/protocol decides, others act");
}

#[test]
fn each_file_says_first_what_it_owns() {
    let silent = files(".rs").into_iter().filter(|file| !file.text.starts_with("//!"));
    none(silent.map(|file| file.path).collect(), "the first line of a file is `//!`");
}

#[test]
fn no_file_is_too_long_to_read() {
    let too_long = files(".rs").into_iter().filter_map(|file| {
        let most = LONGER.iter().find(|(path, _)| *path == file.path).map_or(LINES_MAX, |(_, most)| *most);
        let lines = file.text.lines().count();
        (lines > most).then(|| format!("{}: {lines} lines, at most {most}", file.path))
    });
    none(too_long.collect(), "a file is one step or one kind");
}

#[test]
fn no_test_is_ignored() {
    none(with_words("", &["#[ignore"], &[]), "a test that is not run is not a test");
}

#[test]
fn tests_wait_for_conditions_in_one_place_and_never_sleep() {
    let sleep = ["thread::sleep", "sleep("];
    none(with_words("tests/it", &sleep, &[WAITING]), "only the harness waits");
    let others: Vec<String> =
        with_words("host", &sleep, &[]).into_iter().filter(|line| line.contains("/tests/")).collect();
    none(others, "tests of a crate never sleep");
}

#[test]
fn names_say_what_a_file_owns() {
    let vague = ["utils", "common", "helpers", "manager", "misc"];
    let found = files(".rs").into_iter().filter(|file| {
        Path::new(&file.path).components().any(|part| {
            let name = part.as_os_str().to_string_lossy();
            vague.contains(&name.trim_end_matches(".rs"))
        })
    });
    none(found.map(|file| file.path).collect(), "a name that could be anything is no name");
}

#[test]
fn each_kill_point_has_a_test() {
    let table: BTreeSet<&str> = KILL_POINTS.iter().map(|(name, _)| *name).collect();
    let chapters = [
        crate::kill_points::TESTED,
        crate::keyed_kills::TESTED,
        crate::savepoints::TESTED,
        crate::swaps::TESTED,
    ];
    let tested: BTreeSet<&str> = chapters.into_iter().flatten().copied().collect();
    assert_eq!(tested, table, "left: tested, right: host/protocol/src/kill_point.rs");
}

#[test]
fn each_place_that_is_passed_is_in_the_table_and_each_of_the_table_is_passed() {
    let table: BTreeSet<String> = KILL_POINTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut passed = BTreeSet::new();
    for file in files(".rs").into_iter().filter(|file| file.path.starts_with("host/")) {
        for call in file.text.split("reached(").skip(1) {
            // Also `reached(if last { "a" } else { "b" })`.
            let argument = call.split(')').next().unwrap_or_default();
            passed.extend(argument.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    assert_eq!(passed, table, "left: passed in host/, right: host/protocol/src/kill_point.rs");
}

#[test]
fn relative_links_of_the_manual_lead_somewhere() {
    let pages = files(".md").into_iter();
    let pages = pages.filter(|page| page.path.starts_with("docs/") || !page.path.contains('/'));
    let mut dead = Vec::new();
    for page in pages {
        let folder = repository().join(&page.path).parent().map(PathBuf::from).unwrap();
        for link in page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:") || target.is_empty();
            if !elsewhere && !folder.join(target).exists() {
                dead.push(format!("{}: {link}", page.path));
            }
        }
    }
    none(dead, "dead links");
}

/// Names of tests, of those made by a macro too: `fn name(`, or `name: …` and `name, …` on a line of a test's file.
fn names_of_tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files(".rs") {
        let lines = file.text.lines().map(str::trim);
        for line in lines {
            let function = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            // A line of a macro's input begins with the name.
            let word = line.split([':', ',', ' ']).next().filter(|word| word.matches('_').count() >= 2);
            names.extend(function.or(word).map(str::to_owned));
        }
    }
    names
}

/// The cells under `test` of a page, the last of their rows, with their lines.
fn cells_of_tests(page: &SourceFile) -> Vec<(usize, &str)> {
    let (mut cells, mut inside) = (Vec::new(), false);
    for (number, line) in page.text.lines().enumerate() {
        let last = line.strip_suffix(" |").and_then(|row| row.rsplit(" | ").next());
        match last {
            Some("test") => inside = true,
            Some(cell) if inside => cells.push((number + 1, cell)),
            Some(_) => {}
            None => inside = inside && line.starts_with("|---"),
        }
    }
    cells
}

#[test]
fn each_claim_of_the_manual_names_a_test_that_is_there() {
    let (tests, mut wrong, mut with_table) = (names_of_tests(), Vec::new(), BTreeSet::new());
    let pages = files(".md");
    for page in pages.iter().filter(|page| page.path.starts_with("docs/")) {
        for (number, cell) in cells_of_tests(page) {
            let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
            let is_there = |name: &&str| match name.contains('/') {
                true => repository().join(name).exists(),
                false => tests.contains(*name),
            };
            let is_a_name = |name: &&str| name.contains('/') || name.matches('_').count() >= 2;
            let missing = named.iter().copied().filter(|name| is_a_name(name) && !is_there(name));
            wrong.extend(missing.map(|name| format!("{}:{number}: there is no {name}", page.path)));
            if !named.iter().any(is_there) {
                wrong.push(format!("{}:{number}: no test in {cell:?}", page.path));
            }
            with_table.insert(page.path.as_str());
        }
    }
    none(wrong, "each claim names its test");
    for page in ["EXACTLY_ONCE", "HOT_SWAP", "HTTP_API", "OPERATIONS", "SECURITY"] {
        assert!(
            with_table.contains(format!("docs/{page}.md").as_str()),
            "docs/{page}.md has no table of tests"
        );
    }
}
