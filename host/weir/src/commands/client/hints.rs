//! Hints of the API that name a route, as the command of this client that asks for it.

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE"];

/// What follows the route of a plan in a hint: `weir apply` is both.
const THEN_APPLY: &str = ", then /apply with its hash";

/// The hint with commands in the place of the routes that have one.
pub fn with_commands(hint: &str) -> String {
    let (mut told, mut rest) = (String::new(), hint);
    while let Some((before, route, behind)) = next_route(rest) {
        let Some(command) = command(route) else {
            told += before;
            told += route;
            rest = behind;
            continue;
        };
        // Where the route stands in quotes already, the command does too.
        told += before.trim_end_matches('`');
        told += &format!("`{command}`");
        rest = behind.trim_start_matches('`');
        rest = rest.strip_prefix(THEN_APPLY).unwrap_or(rest);
    }
    told + rest
}

/// What stands before the next route, the route with its method, and what stands behind it.
fn next_route(text: &str) -> Option<(&str, &str, &str)> {
    let begins = METHODS.iter().filter_map(|method| text.find(&format!("{method} /v1/"))).min()?;
    let path = begins + text[begins..].find('/')?;
    let is_path = |c: char| c.is_ascii_alphanumeric() || "/_-{}".contains(c);
    let ends = text[path..].find(|c| !is_path(c)).map_or(text.len(), |length| path + length);
    Some((&text[..begins], &text[begins..ends], &text[ends..]))
}

fn command(route: &str) -> Option<String> {
    let (method, path) = route.split_once(" /v1/")?;
    let segments: Vec<&str> = path.split('/').collect();
    Some(match (method, segments.as_slice()) {
        ("PUT", ["pipelines", name]) | ("POST", ["pipelines", name, "plan"]) => {
            format!("weir apply {name}.toml")
        }
        ("POST", ["pipelines", name, verb @ ("start" | "stop" | "restart")]) => {
            format!("weir pipeline {verb} {name}")
        }
        ("GET", ["pipelines", name, "savepoints"]) => format!("weir savepoint list {name}"),
        ("POST", ["operators", _, "versions"]) => "weir operator push FILE.wasm".to_owned(),
        ("GET", ["operators", name, "versions"]) => format!("weir operator show {name}"),
        ("GET", ["tokens"]) => "weir token list".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CommandLine;
    use clap::Parser;
    use std::path::Path;

    #[test]
    fn a_route_is_told_as_the_command_that_asks_for_it_and_the_rest_stays() {
        for (hint, told) in [
            ("PUT /v1/pipelines/orders makes it", "`weir apply orders.toml` makes it"),
            (
                "POST /v1/pipelines/a-b/stop, and wait until its status says stopped",
                "`weir pipeline stop a-b`, and wait until its status says stopped",
            ),
            (
                "POST /v1/pipelines/orders/plan, then /apply with its hash, which starts it",
                "`weir apply orders.toml`, which starts it",
            ),
            ("it may be gone: `GET /v1/tokens` shows them", "it may be gone: `weir token list` shows them"),
            ("GET /v1/nothing/of/the/kind is new", "GET /v1/nothing/of/the/kind is new"),
            ("nothing of that", "nothing of that"),
        ] {
            assert_eq!(with_commands(hint), told);
        }
    }

    /// The hints of the source below a directory that name a route.
    fn hints(directory: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                hints(&path, found);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let lines = text.lines().filter(|line| line.contains(".hint(") && line.contains(" /v1/"));
                found.extend(lines.map(|line| line.split('"').nth(1).unwrap().to_owned()));
            }
        }
    }

    #[test]
    fn every_hint_of_the_api_that_names_a_route_has_a_command_that_weir_knows() {
        let mut found = Vec::new();
        hints(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../control/src"), &mut found);
        assert!(found.len() > 5, "{found:?}");
        for hint in found {
            let hint = hint.replace("{name}", "orders").replace("{}", "orders");
            let told = with_commands(&hint);
            assert!(!told.contains("/v1/"), "{hint}");
            let command = told.split('`').nth(1).expect("a command");
            let parsed = CommandLine::try_parse_from(command.split(' '));
            assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
        }
    }
}
