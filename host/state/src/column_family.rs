//! Names of column families: one per declared state and one per declared timer.
//!
//! | what | name |
//! |---|---|
//! | a state | `<kind>.<name>@<version>`, as in `value.count@1` |
//! | a timer | `timer.<name>` |
//! | RocksDB's own, always empty | `default` |
//!
//! Persisted, keep stable.

use weir_protocol::state::{StateDeclaration, StateKind, TimerDeclaration};

/// A column family by what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FamilyName {
    /// A state at one version of its encoding.
    State { kind: StateKind, name: String, version: u32 },
    /// A timer.
    Timer { name: String },
}

impl FamilyName {
    /// The family of a declared state.
    pub(crate) fn of_state(state: &StateDeclaration) -> FamilyName {
        FamilyName::State { kind: state.kind, name: state.name.clone(), version: state.version }
    }

    /// The family of a declared timer.
    pub(crate) fn of_timer(timer: &TimerDeclaration) -> FamilyName {
        FamilyName::Timer { name: timer.name.clone() }
    }

    /// The name on disk.
    pub(crate) fn text(&self) -> String {
        match self {
            FamilyName::State { kind, name, version } => format!("{}.{name}@{version}", kind.name()),
            FamilyName::Timer { name } => format!("timer.{name}"),
        }
    }

    /// Reads a name from disk; `None` where weir did not make it.
    pub(crate) fn parse(text: &str) -> Option<FamilyName> {
        let (kind, rest) = text.split_once('.')?;
        if kind == "timer" {
            return Some(FamilyName::Timer { name: rest.to_owned() });
        }
        let kind = [StateKind::Value, StateKind::Map, StateKind::List]
            .into_iter()
            .find(|known| known.name() == kind)?;
        let (name, version) = rest.rsplit_once('@')?;
        Some(FamilyName::State { kind, name: name.to_owned(), version: version.parse().ok()? })
    }

    /// True where keys begin with the time instead of the ordinal.
    pub(crate) fn is_timer(&self) -> bool {
        matches!(self, FamilyName::Timer { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text_form() {
        for (name, text) in [
            (
                FamilyName::State { kind: StateKind::Value, name: "count".to_owned(), version: 1 },
                "value.count@1",
            ),
            (
                FamilyName::State { kind: StateKind::Map, name: "a.b@c".to_owned(), version: 20 },
                "map.a.b@c@20",
            ),
            (FamilyName::Timer { name: "flush@2".to_owned() }, "timer.flush@2"),
        ] {
            assert_eq!(name.text(), text);
            assert_eq!(FamilyName::parse(text), Some(name));
        }
        assert_eq!(FamilyName::parse("default"), None);
        assert_eq!(FamilyName::parse("value.count"), None);
        assert_eq!(FamilyName::parse("set.count@1"), None);
    }
}
