//! Debian packages: who may install them unasked, and the one line to copy for everyone else.

use crate::run;
use crate::stop::Stop;
use std::env;
use std::io;
use std::process::Command;

/// What a machine lacks, and the Debian packages that bring it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// What it is, in words that hold on any system.
    pub what: &'static str,
    /// The Debian packages, separated by spaces.
    pub packages: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installer {
    Root,
    Sudo,
    /// A person, who is told what to run.
    Person,
    /// A person without apt.
    PersonElsewhere,
}

fn installer(apt: bool, root: bool, ci: bool) -> Installer {
    match (apt, root, ci) {
        (false, ..) => Installer::PersonElsewhere,
        (true, true, _) => Installer::Root,
        (true, false, true) => Installer::Sudo,
        (true, false, false) => Installer::Person,
    }
}

fn packages(needs: &[Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> = needs.iter().flat_map(|need| need.packages.split_whitespace()).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn request(needs: &[Need], apt: bool) -> String {
    if apt {
        return format!("sudo apt-get install -y --no-install-recommends {}", packages(needs).join(" "));
    }
    let whats: Vec<_> = needs.iter().map(|need| need.what).collect();
    format!("this machine lacks: {}. Install it with the machine's package manager.", whats.join("; "))
}

/// Sees to it that the needs are met, or stops with what a person has to do (exit code 2).
///
/// Only root, or a machine that says `CI=true`, is changed unasked.
pub fn provide(needs: &[Need]) -> Result<(), Stop> {
    if needs.is_empty() {
        return Ok(());
    }
    let root = run::output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let ci = env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    let sudo = match installer(run::on_path("apt-get").is_some(), root, ci) {
        Installer::Root => false,
        Installer::Sudo => true,
        Installer::Person => return Err(Stop::machine(request(needs, true))),
        Installer::PersonElsewhere => return Err(Stop::machine(request(needs, false))),
    };
    let packages = packages(needs);
    eprintln!("installing {}", packages.join(" "));
    let install = || {
        let mut command = apt_get(sudo);
        command.args(["install", "-y", "-qq", "--no-install-recommends"]).args(&packages);
        run::visibly(&mut command, "apt-get install failed")
    };
    // A fresh container has no package lists and an old machine has stale ones: both fail first and then update.
    install().or_else(|_| {
        run::visibly(apt_get(sudo).args(["update", "-qq"]), "apt-get update failed")?;
        install().map_err(|_| Stop::machine(request(needs, true)))
    })
}

fn apt_get(sudo: bool) -> Command {
    let mut command = Command::new(if sudo { "sudo" } else { "env" });
    if sudo {
        command.args(["-n", "env"]);
    }
    // Stdout is for what the chore was asked for.
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).stdout(io::stderr());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: [Need; 2] = [
        Need { what: "zlib headers", packages: "zlib1g-dev" },
        Need { what: "a C compiler", packages: "build-essential zlib1g-dev" },
    ];

    #[test]
    fn a_person_gets_one_line_to_copy() {
        let line = "sudo apt-get install -y --no-install-recommends build-essential zlib1g-dev";
        assert_eq!(request(&NEEDS, true), line);
    }

    #[test]
    fn without_apt_the_needs_are_named() {
        assert!(request(&NEEDS, false).contains("zlib headers; a C compiler"));
    }

    #[test]
    fn only_root_and_ci_are_changed_unasked() {
        assert_eq!(installer(true, true, false), Installer::Root);
        assert_eq!(installer(true, false, true), Installer::Sudo);
        assert_eq!(installer(true, false, false), Installer::Person);
        assert_eq!(installer(false, true, true), Installer::PersonElsewhere);
    }
}
