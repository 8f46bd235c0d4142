//! Memory of a process, as Linux counts it.

use crate::failure::Failure;
use std::fs;

/// Bytes of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Memory {
    /// Resident.
    pub rss_bytes: u64,
    /// Resident, shared pages divided among those who share them.
    pub pss_bytes: u64,
    /// Threads.
    pub threads: u64,
}

/// Of a process.
pub fn of(pid: i32) -> Result<Memory, Failure> {
    let read = |file: String| fs::read_to_string(&file).map_err(Failure::of(file));
    let rollup = read(format!("/proc/{pid}/smaps_rollup"))?;
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(Failure::of("threads"))?.count() as u64;
    Ok(Memory { rss_bytes: bytes(&rollup, "Rss:"), pss_bytes: bytes(&rollup, "Pss:"), threads })
}

/// A line such as `Pss:    1234 kB`.
fn bytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_system_are_read() {
        let text = "Rss:               2048 kB\nPss:               1024 kB\nPss_Dirty:   7 kB\n";
        assert_eq!((bytes(text, "Rss:"), bytes(text, "Pss:"), bytes(text, "Swap:")), (2 << 20, 1 << 20, 0));
    }

    #[test]
    fn this_process_has_memory_and_threads() {
        let memory = of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(memory.pss_bytes > 0 && memory.rss_bytes >= memory.pss_bytes && memory.threads > 0);
    }
}
