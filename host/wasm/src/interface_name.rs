//! Names such as `weir:operator/mapping@0.1.0`, taken apart.

use std::fmt;

/// The name of an interface with its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceName<'a> {
    /// `weir:operator`.
    pub package: &'a str,
    /// `mapping`.
    pub interface: &'a str,
    /// `0.1.0`, if the name has one.
    pub version: Option<Version>,
}

/// A semantic version without a pre-release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
    /// The third number.
    pub patch: u64,
}

impl Version {
    /// Reads `1.2.3`; pre-releases are no version of a contract.
    pub fn parse(text: &str) -> Option<Version> {
        let mut numbers = text.split('.').map(|number| number.parse::<u64>().ok());
        let version = Version { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }

    /// True where a host that speaks `self` runs an operator built for `built_for`: the same `0.x` (or the same
    /// major from 1 on), and nothing newer.
    pub fn runs(self, built_for: Version) -> bool {
        let same_line = match self.major {
            0 => built_for.major == 0 && built_for.minor == self.minor,
            major => built_for.major == major,
        };
        same_line && built_for <= self
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl<'a> InterfaceName<'a> {
    /// Takes a name apart; `None` where it is not `namespace:package/interface`, with or without a version.
    pub fn parse(name: &'a str) -> Option<InterfaceName<'a>> {
        let (path, version) = match name.split_once('@') {
            Some((path, version)) => (path, Some(Version::parse(version)?)),
            None => (name, None),
        };
        let (package, interface) = path.split_once('/')?;
        package.contains(':').then_some(InterfaceName { package, interface, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_runs_what_was_built_for_an_older_patch_of_the_same_contract() {
        let runs = |host, guest| Version::parse(host).unwrap().runs(Version::parse(guest).unwrap());
        assert!(runs("0.1.1", "0.1.0") && runs("0.1.1", "0.1.1") && runs("1.4.0", "1.2.9"));
        assert!(!runs("0.1.0", "0.1.1") && !runs("0.2.0", "0.1.0") && !runs("1.0.0", "2.0.0"));
    }

    #[test]
    fn a_name_is_taken_apart() {
        let name = InterfaceName::parse("weir:operator/mapping@0.1.0").unwrap();
        assert_eq!((name.package, name.interface), ("weir:operator", "mapping"));
        assert_eq!(name.version.unwrap().to_string(), "0.1.0");
        for odd in ["run", "a/b", "weir:operator/mapping@0.1", "weir:operator/mapping@0.1.0-rc1"] {
            assert_eq!(InterfaceName::parse(odd), None, "{odd}");
        }
    }
}
