//! Shell blocks of the manual, and the shell that runs them as they are written.
//!
//! The convention of those pages: a line that asks the server ends in a comment that begins with the status of the
//! answer, such as `# 202: it has begun`. A line without one asks nothing.

use super::guests::{guest, repository, weir};
use super::waiting::until_within;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a whole page may take.
const PAGE_TIME_MAX: Duration = Duration::from_secs(300);
/// What curl ends with at the end of `--max-time`, which is how the lines that watch a stream end.
const TIME_IS_UP: i32 = 28;

/// The real curl. What came of it is noted where the test reads it: the status, none where there was no answer.
const CURL: &str = r#"#!/bin/bash
head=$(mktemp)
PATH=$PATH_OF_THE_TEST curl -D "$head" "$@"
code=$?
status=$(grep '^HTTP/' "$head" | tail -n 1 | cut -d ' ' -f 2)
echo "answer ${status:-000}" >> "$NOTED"
rm -f "$head"
exit $code
"#;

/// One command of a page, with all of its lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    /// `page:line`.
    pub place: String,
    pub text: String,
    /// The status that its comment names.
    pub status: Option<String>,
}

/// What came of a statement.
#[derive(Debug, Default)]
struct Outcome {
    answers: Vec<String>,
    code: Option<i32>,
}

/// The statements of all `sh` blocks of a page, or of one section of it.
pub fn statements(page: &str, section: Option<&str>) -> Vec<Statement> {
    let text = fs::read_to_string(repository().join(page)).expect("a page of the manual");
    let found = of_text(page, &text, section);
    assert!(!found.is_empty(), "{page}, {section:?}: no block of shell");
    found
}

fn of_text(page: &str, text: &str, section: Option<&str>) -> Vec<Statement> {
    let mut found = Vec::new();
    let (mut inside, mut block) = (section.is_none(), false);
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if !block && line.starts_with('#') {
            inside = section.is_none_or(|section| line.trim_start_matches(['#', ' ']) == section);
        }
        if line.starts_with("```") {
            block = inside && line == "```sh";
            continue;
        }
        if !block || line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut statement = line.to_owned();
        let here = line.split_once("<<'").and_then(|(_, rest)| rest.split_once('\''));
        while statement.ends_with('\\')
            || here.is_some_and(|(word, _)| !statement.ends_with(&format!("\n{word}")))
        {
            let (_, more) = lines.next().expect("the rest of a statement");
            statement = format!("{statement}\n{more}");
        }
        // The rest of a here-document is no shell.
        let last = if here.is_some() { line } else { statement.lines().last().unwrap_or_default() };
        let (_, comment) = last.rsplit_once(" # ").unwrap_or_default();
        let word = comment.split([' ', ':']).next().unwrap_or_default();
        let is_status = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
        let status = is_status.then(|| word.to_owned());
        found.push(Statement { place: format!("{page}:{}", number + 1), text: statement, status });
    }
    found
}

/// Runs them in one shell, in a network of its own, so that the addresses of the page are free; nothing in `directory`
/// but the built guests, where the page says that they are. Each must end well, and be answered as it says.
pub fn run(statements: &[Statement], directory: &Path) {
    let noted = prepare(statements, directory);
    let said = directory.join("said");
    let file = fs::File::create(&said).expect("a file for what is said");
    let mut command = Command::new("unshare");
    // The first process of a namespace of processes takes all others with it.
    command.args(["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]);
    command.args(["sh", "-c", "ip link set lo up && exec bash script"]);
    command.current_dir(directory).env("HOME", directory).env("NOTED", &noted);
    let path = std::env::var("PATH").expect("a search path");
    command.env("PATH_OF_THE_TEST", &path).env("PATH", format!("{}/bin:{path}", directory.display()));
    for variable in
        ["WEIR", "TOKEN", "WEIR_DATA_DIR", "WEIR_LISTEN", "WEIR_KILL_AT", "WEIR_KILL_MARK", "RUST_LOG"]
    {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("it again")).stderr(file);
    let mut child = command.spawn().expect("a shell of its own");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until_within(PAGE_TIME_MAX, "the end of the page", &mut || child.try_wait().expect("our child"));
    }));
    let _ = child.kill();
    let _ = child.wait();
    let said = fs::read_to_string(said).unwrap_or_default();
    let noted = fs::read_to_string(noted).unwrap_or_default();
    assert!(ended.is_ok(), "the page did not end:\n{said}\n{noted}");
    check(statements, &noted, &said);
}

/// Writes what the shell runs and needs, and returns the file in which it notes what came of it.
fn prepare(statements: &[Statement], directory: &Path) -> PathBuf {
    let guests = Path::new(&guest("count_by_key")).parent().expect("the folder of guests").to_owned();
    let bin = directory.join("bin");
    fs::create_dir_all(&bin).expect("a folder");
    fs::create_dir_all(directory.join("target")).expect("a folder");
    symlink(guests, directory.join("target/guests")).expect("a link");
    symlink(weir(), bin.join("weir")).expect("a link");
    fs::write(bin.join("curl"), CURL).expect("a file");
    fs::set_permissions(bin.join("curl"), fs::Permissions::from_mode(0o755)).expect("an executable file");
    let mut script = String::from("set -o pipefail\n");
    for (number, Statement { place, text, .. }) in statements.iter().enumerate() {
        script += &format!("echo '--- {place}'\n{text}\necho \"end $? {number}\" >> \"$NOTED\"\n");
    }
    fs::write(directory.join("script"), script).expect("a file");
    directory.join("noted")
}

fn check(statements: &[Statement], noted: &str, said: &str) {
    let mut outcomes = Vec::new();
    let mut open = Outcome::default();
    for line in noted.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["answer", status] => open.answers.push(status.to_owned()),
            ["end", code, _] => {
                open.code = code.parse().ok();
                outcomes.push(std::mem::take(&mut open));
            }
            _ => panic!("{line:?}"),
        }
    }
    let problems: Vec<String> = statements
        .iter()
        .enumerate()
        .filter_map(|(number, statement)| {
            let why = problem(statement, outcomes.get(number))?;
            Some(format!("{}: {why}\n    {}", statement.place, statement.text))
        })
        .collect();
    assert!(problems.is_empty(), "{}\n\nthe shell said:\n{said}", problems.join("\n"));
}

fn problem(statement: &Statement, outcome: Option<&Outcome>) -> Option<String> {
    let Some(outcome) = outcome else { return Some("it did not come to this line".to_owned()) };
    let watches = statement.text.contains("--max-time");
    if outcome.code != Some(0) && !(watches && outcome.code == Some(TIME_IS_UP)) {
        return Some(format!("it ends with {:?}, answered {:?}", outcome.code, outcome.answers));
    }
    match &statement.status {
        None if outcome.answers.is_empty() => None,
        None => Some(format!("its comment names no status; it was answered {:?}", outcome.answers)),
        Some(status) if outcome.answers.is_empty() => Some(format!("it asks nobody and names {status}")),
        Some(status) if outcome.answers.iter().all(|answer| answer == status) => None,
        Some(_) => Some(format!("it was answered {:?}", outcome.answers)),
    }
}

#[test]
fn statements_are_found_with_all_of_their_lines_and_their_status() {
    let page = "# Page\n\n## One\n```sh\na 1   # 201: made\n\n# a comment\nb \\\n  2 # 20 times\n```\n## Other\n```toml\nx = 1\n```\n```sh\ncat > f <<'END'\nx # 200\nEND\nc # 404\n```\n";
    let texts =
        |section| of_text("p", page, section).into_iter().map(|s| (s.text, s.status)).collect::<Vec<_>>();
    let status = |status: &str| Some(status.to_owned());
    let one = [("a 1   # 201: made".to_owned(), status("201")), ("b \\\n  2 # 20 times".to_owned(), None)];
    let other = [("cat > f <<'END'\nx # 200\nEND".to_owned(), None), ("c # 404".to_owned(), status("404"))];
    assert_eq!(texts(Some("One")), one);
    assert_eq!(texts(Some("Other")), other);
    assert_eq!(texts(None).len(), 4);
    assert_eq!(of_text("p", page, Some("Other"))[1].place, "p:19");
}

#[test]
fn what_does_not_come_out_as_the_page_says_is_a_problem() {
    let statement = |text: &str, status: Option<&str>| Statement {
        place: "p:1".to_owned(),
        text: text.to_owned(),
        status: status.map(str::to_owned),
    };
    let outcome = |code, answers: &[&str]| Outcome {
        code: Some(code),
        answers: answers.iter().map(|&answer| answer.to_owned()).collect(),
    };
    let good = [
        (statement("a", Some("200")), outcome(0, &["200", "200"])),
        (statement("a", None), outcome(0, &[])),
        (statement("a --max-time 3", Some("200")), outcome(28, &["200"])),
    ];
    let bad = [
        (statement("a", Some("200")), outcome(0, &["200", "404"])),
        (statement("a", Some("200")), outcome(0, &[])),
        (statement("a", Some("200")), outcome(28, &["200"])),
        (statement("a", None), outcome(0, &["200"])),
        (statement("a", None), outcome(1, &[])),
    ];
    assert!(good.iter().all(|(statement, outcome)| problem(statement, Some(outcome)).is_none()));
    assert!(bad.iter().all(|(statement, outcome)| problem(statement, Some(outcome)).is_some()));
    assert!(problem(&good[1].0, None).is_some());
}
