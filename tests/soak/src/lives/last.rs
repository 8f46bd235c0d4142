//! The end of a soak: the pipeline runs to the end of its input, and everything is compared.

use super::{STUCK_AFTER, Soak};
use crate::harness::guests;
use crate::harness::job::Job;
use crate::harness::waiting::{LOOK_EVERY, pause};
use crate::summary::Summary;
use std::path::Path;
use std::process::Command;
use std::sync::PoisonError;
use std::time::Instant;

impl Soak {
    /// No more load, no more faults: the pipeline runs to the end of its input, and closes all windows.
    pub fn drain(&mut self) -> bool {
        self.keyed.stop_load();
        if !self.ends(&["--until-end"]) {
            return false;
        }
        // Windows are open still: what is kept is compared before they close.
        self.keyed.saw_open_state();
        self.ends(&["--until-end", "--drain"])
    }

    /// Lets the pipeline run to its end.
    fn ends(&mut self, options: &[&str]) -> bool {
        let (started, mut weir) = (Instant::now(), self.keyed.job.start_with(options, &[]));
        let ended = loop {
            if weir.has_ended() {
                break weir.exit_code() == 0;
            }
            if started.elapsed() > STUCK_AFTER {
                break false;
            }
            pause(LOOK_EVERY);
        };
        if ended {
            println!(
                "{:7.1} s  {} ended in {:.2?}",
                self.began.elapsed().as_secs_f32(),
                options.join(" "),
                started.elapsed()
            );
        } else {
            println!("{}", self.wrong(&mut weir, "the pipeline did not come to its end"));
        }
        ended
    }

    /// Compares everything. After a failure the pipeline's directory is kept.
    pub fn end(&mut self) -> Summary {
        let mut summary = std::mem::take(&mut self.summary);
        if !summary.went_wrong() && self.progress().1.is_empty() {
            summary.findings = self.keyed.end();
        } else {
            summary.findings = self.keyed.ended_early();
        }
        (summary.read, summary.written) = (self.progress().0, self.written());
        summary.modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner).answers.clone();
        if !summary.is_clean() {
            keep(&self.keyed.job, self.broker.directory());
        }
        summary
    }
}

fn keep(job: &Job, broker: &Path) {
    let kept = guests::target().join("soak-failed");
    let _ = std::fs::remove_dir_all(&kept);
    let copied = Command::new("cp").arg("-a").arg(job.path("")).arg(&kept).status();
    let _ = std::fs::copy(broker.join("server.log"), kept.join("broker.log"));
    if copied.is_ok_and(|status| status.success()) {
        println!("logs (the broker's too), checkpoints and the pipeline file are in {}", kept.display());
    }
}
