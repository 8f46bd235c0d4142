//! How much memory this process may use: the smaller of the machine's and its control groups'.

use std::fs::read_to_string;
use std::path::Path;

/// Where neither can be read.
const UNKNOWN_MEMORY_BYTES: u64 = 2 << 30;
/// Where control groups are mounted.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// The share of keyed state unless `state_memory_max` says otherwise: a quarter.
pub fn default_for_state() -> usize {
    (limit_bytes() / 4) as usize
}

/// What the process may use.
pub fn limit_bytes() -> u64 {
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemTotal:"));
    let own = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_limit(&own, Path::new(CONTROL_GROUPS));
    [machine, group].into_iter().flatten().min().unwrap_or(UNKNOWN_MEMORY_BYTES)
}

/// The smallest limit of the process's control group and all above it. `own` is `/proc/self/cgroup`.
///
/// In version 2 each group has `memory.max`, in version 1 those of the memory controller have
/// `memory.limit_in_bytes`. A group without a limit says `max`, or a number beyond any machine. Inside a container the
/// mounted root is the container's own group, and the path that `/proc` tells may be one of the host: what is not there
/// has no limit.
fn group_limit(own: &str, mounted: &Path) -> Option<u64> {
    let mut limits = Vec::new();
    for line in own.lines() {
        // `hierarchy:controllers:path`; version 2 is the hierarchy 0 without controllers.
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let places: &[(&str, &str)] = match controllers {
            // Beside version 1 it is mounted as `unified`.
            "" => &[("", "memory.max"), ("unified", "memory.max")],
            _ if controllers.split(',').any(|name| name == "memory") => {
                &[("memory", "memory.limit_in_bytes")]
            }
            _ => continue,
        };
        for (root, file) in places {
            for group in Path::new(path.trim_start_matches('/')).ancestors() {
                let limit = read_to_string(mounted.join(root).join(group).join(file)).ok();
                limits.extend(limit.and_then(|text| text.trim().parse::<u64>().ok()));
            }
        }
    }
    limits.into_iter().min()
}

/// A line such as `MemTotal: 1234 kB` of a file below `/proc`, in bytes.
pub fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_machines_memory_is_read_in_bytes() {
        let text = "MemTotal:       24576000 kB\nMemFree: 1 kB\n";
        assert_eq!(kilobytes(text, "MemTotal:"), Some(24_576_000 * 1024));
        assert_eq!(kilobytes("nothing", "MemTotal:"), None);
    }

    #[test]
    fn state_has_a_quarter_of_what_there_is() {
        assert_eq!(default_for_state() as u64, limit_bytes() / 4);
        assert!(default_for_state() > 16 << 20);
    }

    /// A tree of control groups: paths of files and what they say.
    fn groups(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_container_of_version_2_has_the_limit_of_the_root_that_it_sees() {
        let root = groups(&[("memory.max", "536870912\n")]);
        assert_eq!(group_limit("0::/\n", root.path()), Some(512 << 20));
        let root = groups(&[("memory.max", "max\n")]);
        assert_eq!(group_limit("0::/\n", root.path()), None);
    }

    #[test]
    fn the_smallest_limit_on_the_way_up_counts() {
        let root = groups(&[
            ("pods/one/memory.max", "max\n"),
            ("pods/memory.max", "268435456\n"),
            ("pods/other/memory.max", "1\n"),
        ]);
        assert_eq!(group_limit("0::/pods/one\n", root.path()), Some(256 << 20));
    }

    #[test]
    fn version_1_has_a_folder_of_the_memory_controller_of_its_own() {
        let own = "9:name=systemd:/x\n4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/docker/abc\n";
        let root = groups(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/docker/abc/memory.limit_in_bytes", "104857600\n"),
        ]);
        assert_eq!(group_limit(own, root.path()), Some(100 << 20));
        // In a container the path of the host is not there, and its own group is the root.
        let root = groups(&[("memory/memory.limit_in_bytes", "209715200\n")]);
        assert_eq!(group_limit(own, root.path()), Some(200 << 20));
    }
}
