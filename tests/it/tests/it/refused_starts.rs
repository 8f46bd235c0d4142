//! Starts that are refused without a server: the command that the line names gets further than the start.

use crate::harness::guests::weir;
use crate::harness::job::Job;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A damage, by what is done to it between two runs.
struct Damage {
    name: &'static str,
    /// Done between the first run and the second.
    early: fn(&Job),
    /// Done before the start that is refused.
    late: fn(&mut Job),
    options: &'static [&'static str],
    /// What the refusal says.
    says: &'static str,
    /// The command that it names begins with this; none where every command would be refused.
    names: Option<&'static str>,
}

/// Two files, an operator, files.
fn job(name: &str) -> Job {
    let mut job = Job::local(name);
    for file in ["in-a.txt", "in-b.txt"] {
        fs::write(job.path(file), "one\ntwo\nthree\n").unwrap();
    }
    job.add("[source.lines]\nkind = \"files\"\npath = \"in-*.txt\"\nformat = \"raw\"");
    job.add_operator("prefix", "lines", "prefix", "");
    job.add_files_sink("files", "prefix");
    job
}

fn grow(job: &Job) {
    for file in ["in-a.txt", "in-b.txt"] {
        let text = fs::read_to_string(job.path(file)).unwrap();
        fs::write(job.path(file), text + "four\n").unwrap();
    }
}

fn write(path: &Path, text: &str) {
    assert!(path.exists(), "{} is not there", path.display());
    fs::write(path, text).unwrap();
}

const DAMAGES: &[Damage] = &[
    Damage {
        name: "format-damaged",
        early: |_| {},
        late: |job| write(&job.data_dir().join("format.json"), "{"),
        options: &[],
        says: "format.json is damaged",
        names: None,
    },
    Damage {
        name: "format-newer",
        early: |_| {},
        late: |job| {
            let newer = r#"{"version":7,"level":9,"readable_by":"9.0.0","written_by":"9.0.0"}"#;
            write(&job.data_dir().join("format.json"), newer);
        },
        options: &[],
        says: "it is of feature level 9",
        names: None,
    },
    Damage {
        name: "other-owner",
        early: |_| {},
        late: |job| write(&job.pipeline_dir().join("OWNER"), "0123456789abcdef\n"),
        options: &[],
        says: "belongs to another pipeline",
        names: Some("weir run "),
    },
    Damage {
        name: "decision-damaged",
        early: |_| {},
        late: |job| write(&job.pipeline_dir().join("DECISION"), "{}"),
        options: &[],
        says: "cannot be used",
        names: Some("weir savepoint create "),
    },
    Damage {
        name: "decision-older",
        early: |job| {
            fs::copy(job.pipeline_dir().join("DECISION"), job.path("older")).unwrap();
        },
        late: |job| {
            fs::copy(job.path("older"), job.pipeline_dir().join("DECISION")).unwrap();
        },
        options: &[],
        says: "the file DECISION was brought back from an older copy",
        names: Some("weir offsets reset "),
    },
    Damage {
        name: "hint-damaged",
        early: |_| {},
        late: |job| write(&job.pipeline_dir().join("LAST_COMMITTED"), "nonsense"),
        options: &[],
        says: "LAST_COMMITTED is damaged",
        names: Some("weir offsets show "),
    },
    Damage {
        name: "checkpoint-gone",
        early: |_| {},
        late: |job| fs::remove_dir_all(job.pipeline_dir().join("checkpoints")).unwrap(),
        options: &[],
        says: "cannot be restored",
        names: Some("weir offsets reset "),
    },
    Damage {
        name: "input-changed",
        early: |_| {},
        late: |job| write(&job.path("in-b.txt"), "two\none\nthree\nfour\n"),
        options: &[],
        says: "what was read before is not what is there now",
        names: Some("weir offsets reset "),
    },
    Damage {
        name: "inputs-renamed",
        early: |_| {},
        late: |job| {
            for file in ["a", "b"] {
                let from = job.path(&format!("in-{file}.txt"));
                fs::rename(from, job.path(&format!("other-{file}.txt"))).unwrap();
            }
            job.text = job.text.replace("in-*.txt", "other-*.txt");
        },
        options: &[],
        says: "knows none of the inputs",
        names: Some("weir offsets reset "),
    },
    Damage {
        name: "no-savepoint",
        early: |_| {},
        late: |_| {},
        options: &["--from-savepoint", "nosuch"],
        says: "nosuch",
        names: Some("weir savepoint list "),
    },
];

/// What a shell in the job's directory makes of a command: whether it was refused, and what it said.
fn typed(job: &Job, command: &str) -> (Option<i32>, String) {
    let directory = weir().parent().expect("a directory");
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(job.path("")).env("PATH", path);
    let output = shell.output().expect("a shell");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn what_a_refused_start_names_is_not_refused_for_the_same_reason() {
    for Damage { name, early, late, options, says, names } in DAMAGES {
        let mut job = job(name);
        job.run_to_end();
        early(&job);
        grow(&job);
        job.run_to_end();
        late(&mut job);
        let mut all = vec!["--until-end"];
        all.extend(*options);
        let mut start = job.start_with(&all, &[]);
        start.ends_with(4);
        let line = start.last_line();
        assert!(line.contains(says), "{name}: {line}");
        let Some(begins) = names else {
            assert!(!line.contains("`weir offsets") && !line.contains("`weir run"), "{name}: {line}");
            let (code, said) = typed(
                &job,
                &format!(
                    "weir offsets reset pipeline.toml --to-current --data-dir {}",
                    job.data_dir().display()
                ),
            );
            assert!(code == Some(4) && said.contains(says), "{name}: it could have been named: {said}");
            continue;
        };
        let command = line.rsplit('`').nth(1).expect("a command");
        assert!(command.starts_with(begins), "{name}: {line}");
        let (code, said) = typed(&job, command);
        assert!(!said.contains(says) || code == Some(0), "{name}: {command}: {said}");
        let needs_a_word = said.contains("--state");
        assert!(code == Some(0) || needs_a_word || begins == &"weir run ", "{name}: {command}: {said}");
    }
}

#[test]
fn a_reset_lets_go_of_a_file_that_was_removed() {
    let job = job("file-removed");
    job.run_to_end();
    fs::remove_file(job.path("in-b.txt")).unwrap();
    job.command(&["offsets", "reset"], &["--to-current", "--execute"], &[]).ends_with(0);
    job.run_to_end();
}

#[test]
fn a_damaged_decision_is_given_up_for_a_savepoint_of_what_is_there() {
    let job = job("decision-given-up");
    // Decided, and not published yet.
    job.start_with(&["--until-end"], &[("WEIR_KILL_AT", "after_hint:1")]).dies();
    assert!(job.values("files").is_empty());
    let decision = job.pipeline_dir().join("DECISION");
    fs::write(&decision, "{}").unwrap();
    grow(&job);
    let made =
        format!("weir savepoint create {} --name kept --data-dir {}", job.name, job.data_dir().display());
    assert_eq!(typed(&job, &made).0, Some(0));
    fs::remove_file(&decision).unwrap();
    job.start_with(&["--until-end", "--from-savepoint", "kept"], &[]).ends_with(0);
    let mut values = job.values("files");
    values.sort();
    let expected: Vec<String> = ["four", "one", "three", "two"]
        .iter()
        .flat_map(|word| [(); 2].map(|()| format!("processed_{word}")))
        .collect();
    assert_eq!(values, expected);
}

#[test]
fn an_older_decision_is_not_gone_on_from_where_what_is_published_behind_it_is_not_here() {
    let job = job("decision-and-checkpoints-older");
    job.run_to_end();
    let (here, copy) = (job.pipeline_dir(), job.path("copy"));
    fs::create_dir(&copy).unwrap();
    fs::copy(here.join("DECISION"), copy.join("DECISION")).unwrap();
    let older: Vec<_> =
        fs::read_dir(here.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    grow(&job);
    job.run_to_end();
    // As if both had been brought back from a copy of before.
    fs::copy(copy.join("DECISION"), here.join("DECISION")).unwrap();
    for entry in fs::read_dir(here.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()) {
        if !older.contains(&entry) {
            fs::remove_dir_all(entry).unwrap();
        }
    }
    let data = job.data_dir().display().to_string();
    let (code, said) =
        typed(&job, &format!("weir offsets reset pipeline.toml --to-snapshot --data-dir {data}"));
    assert!(code == Some(2) && said.contains("its output is published, but it is not here"), "{said}");
}
