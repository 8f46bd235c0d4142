//! Kill -9 at random moments under load, for a minute.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::load::Load;
use crate::harness::model;
use crate::harness::moments::Moments;
use crate::harness::waiting::pause;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the faults go on, in seconds.
const SECONDS: (&str, u64) = ("WEIR_TEST_CHAOS_SECONDS", 60);
/// Seed of the moments. Printed, so that a run can be repeated.
const SEED: &str = "WEIR_TEST_SEED";
/// A life lasts at most this long.
const LIFE_MS_MAX: u64 = 4000;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn a_minute_of_random_kills_under_load_loses_and_doubles_nothing() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = from_environment(SEED).unwrap_or(now.as_millis() as u64).max(1);
    let time = Duration::from_secs(from_environment(SECONDS.0).unwrap_or(SECONDS.1));
    println!("{SEED}={seed}");
    let mut moments = Moments::new(seed);
    let mut job = Job::processed("chaos");
    job.add_files_sink("files", "prefix");
    let load = Load::start(&job.cluster, &job.topic("in"), PARTITIONS, 5);
    let (begun, mut lives) = (Instant::now(), 0);
    while begun.elapsed() < time {
        let mut weir = job.start();
        pause(Duration::from_millis(moments.next(LIFE_MS_MAX)));
        if moments.next(8) == 0 {
            weir.signal(libc::SIGTERM);
            pause(Duration::from_millis(moments.next(300)));
        }
        weir.kill();
        lives += 1;
    }
    let input = load.stop();
    job.run_to_end();
    println!("{lives} lives, {} records", input.len());
    model::prefixed(&input, &job.cluster.read_committed(&job.topic("out")), PARTITIONS);
    let files: Vec<String> = job.values("files");
    model::each_once(&model::prefixed_texts(&input), &files);
}
