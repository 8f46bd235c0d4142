//! `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` in strings. `$${` stands for `${` itself.
//!
//! What is filled in may be a secret: no message here repeats it.

use std::path::PathBuf;

/// What strings are filled in from.
pub trait Surroundings {
    /// An environment variable, `None` where it is not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a file, or why it cannot be read.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// The process's environment, and files relative to the pipeline file's directory.
pub struct ProcessSurroundings {
    /// The pipeline file's directory.
    pub directory: PathBuf,
}

impl Surroundings for ProcessSurroundings {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(self.directory.join(path)).map_err(|error| error.to_string())
    }
}

/// A string after filling in.
#[derive(Debug, PartialEq, Eq)]
pub enum Filled {
    /// There was nothing to fill in.
    Unchanged,
    /// Something was.
    With(String),
}

/// Fills in a string; errors are whole sentences.
pub fn fill(text: &str, surroundings: &dyn Surroundings) -> Result<Filled, Vec<String>> {
    if !text.contains("${") {
        return Ok(Filled::Unchanged);
    }
    let (mut filled, mut problems, mut rest) = (String::new(), Vec::new(), text);
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            filled.push_str(&rest[..start - 1]);
            filled.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        filled.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('}') else {
            problems
                .push("\"${\" has no closing \"}\"; write \"$${\" for the characters themselves".to_owned());
            break;
        };
        match reference(&rest[start + 2..start + end], surroundings) {
            Ok(value) => filled.push_str(&value),
            Err(problem) => problems.push(problem),
        }
        rest = &rest[start + end + 1..];
    }
    filled.push_str(rest);
    if problems.is_empty() { Ok(Filled::With(filled)) } else { Err(problems) }
}

fn reference(inner: &str, surroundings: &dyn Surroundings) -> Result<String, String> {
    match inner.split_once(':') {
        Some(("env", name)) => {
            let (name, default) = match name.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (name, None),
            };
            let value = surroundings.variable(name).or_else(|| default.map(str::to_owned));
            value.ok_or_else(|| {
                format!(
                    "the environment variable {name} is not set; set it, or write ${{env:{name}:-default}}"
                )
            })
        }
        Some(("file", path)) => {
            // An editor ends a file with a line feed; it is not part of a password.
            let read = surroundings.file(path).map(|text| text.trim_end_matches(['\n', '\r']).to_owned());
            read.map_err(|error| format!("the file {path} cannot be read: {error}"))
        }
        _ => Err(format!(
            "${{{inner}}} is not known; there are ${{env:NAME}}, ${{env:NAME:-default}} and ${{file:PATH}}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Surroundings for Fixed {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "HOST").then(|| "broker".to_owned())
        }

        fn file(&self, path: &str) -> Result<String, String> {
            if path == "secret" { Ok("geheim\n".to_owned()) } else { Err("not found".to_owned()) }
        }
    }

    fn filled(text: &str) -> String {
        match fill(text, &Fixed).unwrap() {
            Filled::With(text) => text,
            Filled::Unchanged => text.to_owned(),
        }
    }

    #[test]
    fn variables_defaults_and_files_are_filled_in() {
        assert_eq!(filled("${env:HOST}:9092,${env:OTHER:-localhost:9093}"), "broker:9092,localhost:9093");
        assert_eq!(filled("<${file:secret}>"), "<geheim>");
        assert_eq!(filled("${env:OTHER:-}"), "");
    }

    #[test]
    fn two_dollar_signs_stand_for_the_characters_themselves() {
        assert_eq!(filled("$${env:HOST} costs $5"), "${env:HOST} costs $5");
        assert_eq!(fill("costs $5", &Fixed), Ok(Filled::Unchanged));
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let problems = fill("${env:A}${file:b}${c}${", &Fixed).unwrap_err();
        let expected = ["variable A is not set", "file b cannot be read", "${c} is not known", "no closing"];
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.contains(part), "{problem}");
        }
    }
}
