//! Metrics of the process and the machine: under the names that every Prometheus client uses where there are such.

use super::catalogue::*;
use super::exposition::Exposition;
use crate::memory;
use rustix::process::{Resource, getrlimit};
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// When the process began, but for a moment.
static BEGUN: LazyLock<f64> =
    LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()));

/// What is asked of the process.
pub struct ProcessMetrics {
    data_dir: PathBuf,
    state_memory_bytes: u64,
}

impl ProcessMetrics {
    /// `state_memory_bytes` is the budget of keyed state.
    pub fn new(data_dir: &Path, state_memory_bytes: u64) -> ProcessMetrics {
        LazyLock::force(&BEGUN);
        ProcessMetrics { data_dir: data_dir.to_owned(), state_memory_bytes }
    }

    /// Writes them. What cannot be read is left out.
    pub fn write(&self, to: &mut Exposition) {
        let features = if cfg!(feature = "kill-points") { "kill-points" } else { "" };
        to.add(&BUILD, &[env!("CARGO_PKG_VERSION"), features], 1.0);
        if let Ok(disk) = rustix::fs::statvfs(&self.data_dir) {
            to.count(&DATA_DIR_SIZE, &[], disk.f_blocks.saturating_mul(disk.f_frsize));
            to.count(&DATA_DIR_FREE, &[], disk.f_bavail.saturating_mul(disk.f_frsize));
        }
        to.count(&MEMORY_LIMIT, &[], memory::limit_bytes());
        to.count(&STATE_MEMORY_LIMIT, &[], self.state_memory_bytes);
        if let Ok(status) = read_to_string("/proc/self/status") {
            for (metric, field) in
                [(&PROCESS_RESIDENT_MEMORY, "VmRSS:"), (&PROCESS_VIRTUAL_MEMORY, "VmSize:")]
            {
                if let Some(bytes) = memory::kilobytes(&status, field) {
                    to.count(metric, &[], bytes);
                }
            }
        }
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        to.add(&PROCESS_CPU, &[], cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
        to.add(&PROCESS_START_TIME, &[], *BEGUN);
        if let Ok(files) = read_dir("/proc/self/fd") {
            to.count(&PROCESS_OPEN_FDS, &[], files.count() as u64);
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            to.count(&PROCESS_MAX_FDS, &[], most);
        }
    }
}
