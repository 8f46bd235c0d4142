//! Which world a component belongs to, by its exports, and whether it imports anything it must not have.

use crate::artefact::NotAnOperator;
use crate::contract::CONTRACT_VERSION;
use crate::interface_name::{InterfaceName, Version};
use std::fmt;

/// The worlds of the operator contract, as far as they differ to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum World {
    /// Stateless, one input, one output: exports `mapping`.
    Mapper,
    /// Exports `processing`.
    Processor,
}

impl World {
    /// The exported interface that makes it this world.
    pub fn interface(self) -> &'static str {
        match self {
            World::Mapper => "mapping",
            World::Processor => "processing",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            World::Mapper => "mapper",
            World::Processor => "processor",
        })
    }
}

const PACKAGE: &str = "weir:operator";
const IMPORTS: [&str; 9] =
    ["types", "config", "log", "console", "metrics", "value-state", "map-state", "list-state", "timers"];

fn ours() -> Version {
    Version::parse(CONTRACT_VERSION).expect("the contract's version is a constant with three numbers")
}

fn refuse_version(verb: &str, name: &str, package_line: &str) -> NotAnOperator {
    NotAnOperator(format!(
        "{verb} {name}, but this host speaks {PACKAGE} {}; build it against {package_line}, or use another weir",
        ours()
    ))
}

/// Finds the world. Returns it with the full name of the export to call.
pub fn detect<'a>(exports: impl Iterator<Item = &'a str>) -> Result<(World, String), NotAnOperator> {
    let exports: Vec<&str> = exports.collect();
    let mut found: Option<(World, String)> = None;
    for name in &exports {
        let Some((interface, version)) = operator_interface(name) else { continue };
        let world = match interface {
            "mapping" => World::Mapper,
            "processing" => World::Processor,
            _ => continue,
        };
        if !version.is_some_and(|version| ours().runs(version)) {
            return Err(refuse_version("exports", name, &format!("{PACKAGE} {CONTRACT_VERSION}")));
        }
        if let Some((_, other)) = found {
            let both = format!("exports both {other} and {name}; an operator is of one world: leave one out");
            return Err(NotAnOperator(both));
        }
        found = Some((world, (*name).to_owned()));
    }
    found.ok_or_else(|| {
        let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        NotAnOperator(format!(
            "is of no world that weir knows: it exports {exports}; a mapper exports {PACKAGE}/mapping@{CONTRACT_VERSION}, \
             a processor {PACKAGE}/processing@{CONTRACT_VERSION}"
        ))
    })
}

/// The full name of the exported `migration`, where there is one.
pub fn find_migration<'a>(
    mut exports: impl Iterator<Item = &'a str>,
) -> Result<Option<String>, NotAnOperator> {
    let found = exports.find_map(|name| match operator_interface(name) {
        Some(("migration", version)) => Some((name, version)),
        _ => None,
    });
    match found {
        None => Ok(None),
        Some((name, Some(version))) if ours().runs(version) => Ok(Some(name.to_owned())),
        Some((name, _)) => Err(refuse_version("exports", name, &format!("{PACKAGE} {CONTRACT_VERSION}"))),
    }
}

/// The interface and version of a name of our package. A version that cannot be read is `None`.
fn operator_interface(name: &str) -> Option<(&str, Option<Version>)> {
    let rest = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    Some((interface, Version::parse(version)))
}

/// Refuses every import outside the closed list.
pub fn check_imports<'a>(imports: impl Iterator<Item = &'a str>) -> Result<(), NotAnOperator> {
    let mut outside = Vec::new();
    for name in imports {
        match operator_interface(name) {
            Some((interface, version)) if IMPORTS.contains(&interface) => {
                if !version.is_some_and(|version| ours().runs(version)) {
                    return Err(refuse_version("imports", name, &format!("{PACKAGE} {CONTRACT_VERSION}")));
                }
            }
            _ if is_stubbed_wasi(name) => {}
            _ => outside.push(name),
        }
    }
    if outside.is_empty() {
        return Ok(());
    }
    Err(NotAnOperator(format!(
        "imports {}, which no operator may have; allowed are {PACKAGE}/{{{}}}@0.1 and, as stubs, wasi:*@0.2",
        outside.join(", "),
        IMPORTS.join(", ")
    )))
}

/// True for the names that are linked to stubs: `wasi:*` of preview 2.
pub fn is_stubbed_wasi(name: &str) -> bool {
    InterfaceName::parse(name).is_some_and(|name| {
        name.package.starts_with("wasi:") && name.version.is_some_and(|v| v.major == 0 && v.minor == 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(exports: &[&str]) -> Result<World, String> {
        detect(exports.iter().copied()).map(|found| found.0).map_err(|error| error.0)
    }

    #[test]
    fn the_world_follows_from_the_exports() {
        assert_eq!(detected(&["weir:operator/mapping@0.1.0"]), Ok(World::Mapper));
        let migrating = ["weir:operator/migration@0.1.0", "weir:operator/processing@0.1.0"];
        assert_eq!(detected(&migrating), Ok(World::Processor));
        assert_eq!(detected(&["wasi:cli/run@0.2.0", "weir:operator/mapping@0.1.0"]), Ok(World::Mapper));
    }

    #[test]
    fn a_migration_is_found_and_its_version_checked() {
        let found = |exports: &[&str]| find_migration(exports.iter().copied()).map_err(|error| error.0);
        let name = "weir:operator/migration@0.1.0";
        assert_eq!(found(&["weir:operator/processing@0.1.0", name]), Ok(Some(name.to_owned())));
        assert_eq!(found(&["weir:operator/processing@0.1.0"]), Ok(None));
        assert!(found(&["weir:operator/migration@0.2.0"]).unwrap_err().contains("this host speaks"));
    }

    #[test]
    fn other_exports_are_named_with_what_is_known() {
        let none = detected(&["wasi:cli/run@0.2.0"]).unwrap_err();
        assert!(
            none.contains("it exports wasi:cli/run@0.2.0; a mapper exports weir:operator/mapping@0.1.0"),
            "{none}"
        );
        assert!(detected(&[]).unwrap_err().contains("it exports nothing"));
        let newer = detected(&["weir:operator/mapping@0.2.0"]).unwrap_err();
        assert!(
            newer.contains("exports weir:operator/mapping@0.2.0, but this host speaks weir:operator 0.1.0")
        );
        assert!(detected(&["weir:operator/mapping@0.1.9"]).unwrap_err().contains("this host speaks"));
        let both = ["weir:operator/mapping@0.1.0", "weir:operator/processing@0.1.0"];
        assert!(detected(&both).unwrap_err().contains("of one world"));
    }

    #[test]
    fn imports_outside_the_closed_list_are_refused() {
        let check = |name: &str| check_imports([name].into_iter()).map_err(|error| error.0);
        assert_eq!(check("weir:operator/log@0.1.0"), Ok(()));
        assert_eq!(check("wasi:io/streams@0.2.6"), Ok(()));
        let sneaky = check("acme:net/sockets@1.0.0").unwrap_err();
        assert!(
            sneaky.starts_with("imports acme:net/sockets@1.0.0, which no operator may have; allowed are")
        );
        assert!(check("wasi:http/handler@0.3.0").is_err());
        assert!(check("weir:operator/network@0.1.0").is_err());
        assert!(check("weir:operator/log@0.2.0").unwrap_err().contains("this host speaks"));
        assert!(check("run").is_err());
    }
}
