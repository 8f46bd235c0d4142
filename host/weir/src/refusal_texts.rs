//! Every refusal of a start names one command that weir knows, and has its section in the manual.

use crate::CommandLine;
use clap::Parser;
use std::path::Path;
use weir_protocol::decision::Owner;
use weir_protocol::epoch::CheckpointId;
use weir_protocol::position::Partition;
use weir_protocol::remedy::{Called, Remedy, ResetTo};
use weir_protocol::savepoint::SavepointRefusal;
use weir_protocol::verdict::Refusal;

/// One of each; a new one has to be added here, or the compiler says so in [`listed`].
fn refusals() -> Vec<Refusal> {
    let id = || CheckpointId::parse("7-01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").unwrap();
    let text = || "text".to_owned();
    let partition = || Partition::new("orders", 1);
    let (found, expected) = (Owner::of("weir.", "a"), Owner::of("weir.", "b"));
    let reset = |way| Refusal::OffsetsReset {
        partition: partition(),
        found: text(),
        expected: text(),
        id: id().to_string(),
        way,
    };
    vec![
        Refusal::ForeignOwner { partition: partition(), found, expected },
        Refusal::UnknownMetadata { partition: partition(), found: "AgAA".to_owned() },
        Refusal::UnknownMetadata { partition: partition(), found: "w2;p=1".to_owned() },
        Refusal::Disagree { first: text(), second: text() },
        reset(ResetTo::Snapshot),
        reset(ResetTo::Current),
        reset(ResetTo::Earliest),
        Refusal::EntryMissing { partition: partition(), id: text() },
        Refusal::GroupGone { last: text() },
        Refusal::InputsUnknown { sources: text(), now: text(), last: text() },
        Refusal::InputGone { from: text(), partition: partition(), id: text() },
        Refusal::DecisionWentBack { found: id(), hint: id() },
        Refusal::RolledBack { found: id(), hint: id() },
        Refusal::PartitionGone { partition: partition(), id: text() },
        Refusal::ManifestLost { id: id(), why: text(), needed: text() },
        Refusal::Future { id: id(), why: text() },
        Refusal::CannotTellNew { partition: partition() },
        Refusal::LettersUnknown { partition: partition(), id: id(), why: text() },
        Refusal::SourceRenamed { partition: partition(), was: text(), now: text(), id: text() },
    ]
}

/// Its place among [`refusals`].
fn listed(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::ForeignOwner { .. } => 0,
        Refusal::UnknownMetadata { .. } => 1,
        Refusal::Disagree { .. } => 3,
        Refusal::OffsetsReset { .. } => 4,
        Refusal::EntryMissing { .. } => 7,
        Refusal::GroupGone { .. } => 8,
        Refusal::InputsUnknown { .. } => 9,
        Refusal::InputGone { .. } => 10,
        Refusal::DecisionWentBack { .. } => 11,
        Refusal::RolledBack { .. } => 12,
        Refusal::PartitionGone { .. } => 13,
        Refusal::ManifestLost { .. } => 14,
        Refusal::Future { .. } => 15,
        Refusal::CannotTellNew { .. } => 16,
        Refusal::LettersUnknown { .. } => 17,
        Refusal::SourceRenamed { .. } => 18,
    }
}

fn remedies() -> Vec<Remedy> {
    let id = || CheckpointId::parse("7-01J9ZQ3W5X7Y8Z9A0B1C2D3E4F").unwrap();
    let asked = || "before upgrade".to_owned();
    let savepoints = [
        SavepointRefusal::HappenedBefore { asked: asked(), decided: id() },
        SavepointRefusal::NotThere("there is none".to_owned()),
        SavepointRefusal::Beyond { asked: asked(), savepoint: id(), what: String::new() },
    ];
    let elsewhere = [
        Remedy::Set { key: "max_parallelism".to_owned(), value: "5760".to_owned() },
        Remedy::OwnDataDir,
        Remedy::NewSavepoint,
        Remedy::RestartFinished,
        Remedy::StateStats,
        Remedy::Reset { to: ResetTo::Latest, only: Some(Partition::new("orders", 1)) },
    ];
    let refusals = refusals();
    let all = refusals.iter().map(Refusal::remedy).chain(savepoints.iter().map(SavepointRefusal::remedy));
    all.chain(elsewhere).collect()
}

/// How the command lines of these tests call a pipeline.
fn called() -> [Called; 4] {
    let file = Called {
        pipeline: "orders".to_owned(),
        file: Some("my orders.toml".to_owned()),
        cluster: Some("main".to_owned()),
        ..Called::default()
    };
    let elsewhere = Called { data_dir: Some("/var/lib/weir".to_owned()), ..file.clone() };
    let server = Called {
        pipeline: "orders".to_owned(),
        server: Some("http://127.0.0.1:8380".to_owned()),
        ..Called::default()
    };
    let keyed = Called { keyed: true, ..file.clone() };
    [file, elsewhere, server, keyed]
}

/// Words as a shell makes them of plain words and of words in single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in command.chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words
}

#[test]
fn every_refusal_names_one_command_that_weir_knows_and_has_a_section() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/REFUSALS.md");
    let page = std::fs::read_to_string(page).unwrap();
    let refusals = refusals();
    for refusal in &refusals {
        assert_eq!(refusals[listed(refusal)].name(), refusal.name());
        let heading = format!("\n## {}\n", refusal.name());
        assert!(page.contains(&heading), "docs/REFUSALS.md has no section {}", refusal.name());
    }
    for remedy in remedies() {
        for called in called() {
            let told = remedy.told(&called);
            let (purpose, _) = told.split_once(": `").expect("a purpose and its command");
            assert!(purpose.starts_with("to ") && !purpose.ends_with("shows"), "{told}");
            let commands: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
            let [command] = commands.as_slice() else { panic!("one command, and not {commands:?}") };
            if let Err(error) = CommandLine::try_parse_from(words(command)) {
                panic!("{command}: {error}");
            }
            let name = called.file.as_deref().filter(|_| !command.contains(" orders"));
            assert!(command.contains(name.unwrap_or("orders")), "{command}");
        }
    }
}
