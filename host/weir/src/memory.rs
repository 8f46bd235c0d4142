//! How much memory this process may use: the smaller of the machine's and its control group's.

use std::fs::read_to_string;

/// Where neither can be read.
const UNKNOWN_MEMORY_BYTES: u64 = 2 << 30;

/// The share of keyed state unless `state_memory_max` says otherwise: a quarter.
pub fn default_for_state() -> usize {
    (limit_bytes() / 4) as usize
}

fn limit_bytes() -> u64 {
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let group = [
        // Control groups version 2, then version 1. A group without a limit says "max", or a number beyond any machine.
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let group = group.iter().find_map(|path| read_to_string(path).ok()?.trim().parse::<u64>().ok());
    [machine, group].into_iter().flatten().min().unwrap_or(UNKNOWN_MEMORY_BYTES)
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read_in_bytes() {
        assert_eq!(total("MemTotal:       24576000 kB\nMemFree: 1 kB\n"), Some(24_576_000 * 1024));
        assert_eq!(total("nothing"), None);
    }

    #[test]
    fn state_has_a_quarter_of_what_there_is() {
        assert_eq!(default_for_state() as u64, limit_bytes() / 4);
        assert!(default_for_state() > 16 << 20);
    }
}
