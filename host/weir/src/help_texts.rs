//! What `--help` says of each command, as it was agreed on in `help.txt`.

use crate::CommandLine;
use clap::{Command, CommandFactory};
use std::path::Path;

/// Columns of the golden file; on a terminal the texts fill its width.
const COLUMNS: usize = 100;

/// The help of a command and of all commands below it, but for those that are not for people.
fn texts(command: &mut Command, into: &mut String) {
    let usage = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    *into += &format!("$ {usage} --help\n{}\n\n", lines.join("\n").trim_end());
    for below in command.get_subcommands_mut().filter(|below| !below.is_hide_set()) {
        texts(below, into);
    }
}

fn all() -> String {
    let mut command = CommandLine::command().term_width(COLUMNS);
    command.build();
    let mut all = String::new();
    texts(&mut command, &mut all);
    all
}

#[test]
fn the_help_of_every_command_is_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("help.txt");
    let made = all();
    if std::env::var_os("WEIR_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made == golden, "help.txt differs: look at it, and write it anew with WEIR_UPDATE_GOLDEN=1");
}

#[test]
fn every_command_and_every_option_says_what_it_is_for() {
    fn silent(command: &Command, found: &mut Vec<String>) {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
        if command.get_about().is_none() {
            found.push(name.to_owned());
        }
        let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
        let silent_arguments = arguments.filter(|argument| argument.get_help().is_none());
        found.extend(silent_arguments.map(|argument| format!("{name} {}", argument.get_id())));
        command.get_subcommands().filter(|below| !below.is_hide_set()).for_each(|below| silent(below, found));
    }
    let mut command = CommandLine::command();
    command.build();
    let mut found = Vec::new();
    silent(&command, &mut found);
    assert!(found.is_empty(), "{found:?}");
}

/// Options whose help would show the value of a variable.
fn shown_values(command: &Command, found: &mut Vec<String>) {
    let arguments = command.get_arguments();
    let shown =
        arguments.filter(|argument| argument.get_env().is_some() && !argument.is_hide_env_values_set());
    found.extend(shown.map(|argument| format!("{} {}", command.get_name(), argument.get_id())));
    command.get_subcommands().for_each(|below| shown_values(below, found));
}

#[test]
fn no_help_shows_what_the_environment_holds() {
    let mut found = Vec::new();
    shown_values(&CommandLine::command(), &mut found);
    assert!(found.is_empty(), "{found:?}");
}
