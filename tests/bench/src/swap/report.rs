//! The tables.

use super::arguments::Arguments;
use super::clock::UnixMs;
use super::idle::{Idle, Usage};
use super::job::Outcome;
use super::restarts::Restart;
use super::rollbacks::Rollback;
use super::spread::{self, Spread};
use super::swaps::Swap;
use super::uploads::Uploads;
use super::windows::{self, Append, Step, Window};
use std::fs;

/// Threads that are printed.
const THREADS_PRINTED: usize = 8;

/// What the numbers were measured on.
pub fn print_head(arguments: &Arguments) {
    let cores = std::thread::available_parallelism().map(usize::from).unwrap_or(0);
    println!("{cores} cores, load average {}", load_average());
    println!(
        "state {} MiB in {} MiB of memory, checkpoints every {:?}",
        arguments.state_bytes >> 20,
        arguments.memory_bytes >> 20,
        arguments.interval
    );
}

fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn row(what: &str, spread: Option<Spread>) {
    match spread {
        Some(Spread { median, max, count }) => println!("{what:66} {median:>10.1} {max:>10.1} {count:>5}"),
        None => println!("{what:66} {:>10} {:>10} {:>5}", "-", "-", 0),
    }
}

fn heading(title: &str) {
    println!();
    println!("{title:66} {:>10} {:>10} {:>5}", "median", "max", "n");
}

/// Swaps, rollbacks, and stop, change and start.
pub fn print_load(outcome: &Outcome) {
    println!();
    println!(
        "{} MiB of state, {} keys, {:.0} records/s, load average afterwards {}",
        outcome.state_bytes >> 20,
        outcome.keys,
        outcome.rate,
        load_average()
    );
    if !outcome.swaps.is_empty() {
        print_gaps(&windows::windows(&outcome.told.decided, &outcome.appended), outcome);
        print_swaps(&outcome.swaps, &outcome.appended);
    }
    if !outcome.rollbacks.is_empty() {
        print_rollbacks(outcome);
    }
    if !outcome.restarts.is_empty() {
        print_restarts(&outcome.restarts, outcome);
    }
}

/// A number of a window.
type Of = fn(&Window) -> f64;

/// One value per swap: the worst of its windows.
fn worst(windows: &[Window], swaps: &[Swap], of: Of) -> Option<Spread> {
    let worst = |swap: &Swap| windows::touched(windows, &swap.step).map(of).fold(0.0, f64::max);
    spread::of(swaps.iter().map(worst))
}

fn print_gaps(windows: &[Window], outcome: &Outcome) {
    let steps: Vec<Step> = outcome.swaps.iter().map(|swap| swap.step).collect();
    let places: [(&str, Of); 4] = [
        ("longest time without a record behind the operator, ms", |window| window.operator_gap_ms),
        ("longest time without an append at the broker, ms", |window| window.broker_gap_ms),
        ("barrier to decision, ms", |window| window.took_ms),
        ("from one commit to the next, ms", |window| (window.to - window.from) as f64),
    ];
    for (place, of) in places {
        heading(place);
        let (plain, swapped) =
            (spread::of(windows::ordinary(windows, &steps).map(of)), worst(windows, &outcome.swaps, of));
        row("ordinary checkpoint", plain);
        row("swap, from the request to the checkpoint behind it", swapped);
        if let Some((plain, swapped)) = plain.zip(swapped) {
            let (median, max) = (swapped.median - plain.median, swapped.max - plain.max);
            let ratio = swapped.median / plain.median.max(0.1);
            println!(
                "{:66} {median:>10.1} {max:>10.1}    x {ratio:.2}",
                "  more than an ordinary checkpoint"
            );
        }
        let ended = |told: fn(&Swap) -> UnixMs| {
            let windows = outcome.swaps.iter().filter_map(|swap| windows::ended_by(windows, told(swap)));
            spread::of(windows.map(of))
        };
        row("  of it: until the new version has taken over", ended(|swap| swap.running));
        row("  of it: probation and its checkpoint", ended(|swap| swap.completed));
    }
}

fn print_swaps(swaps: &[Swap], appended: &[Vec<Append>]) {
    let since =
        |of: fn(&Swap) -> UnixMs| spread::of(swaps.iter().map(|swap| (of(swap) - swap.step.asked) as f64));
    heading("swap: ms since the request");
    row("accepted: 202", since(|swap| swap.accepted));
    row("prepared: an instance for each subtask", since(|swap| swap.prepared));
    row("the old version's last epoch decided: the new one runs, on probation", since(|swap| swap.running));
    let first = swaps.iter().filter_map(|swap| {
        let first = windows::first_append(appended, swap.step.asked, swap.to_next)?;
        Some((first - swap.step.asked) as f64)
    });
    row("first record of the new version at the broker", spread::of(first));
    row("completed: its first epoch decided, visible to everybody", since(|swap| swap.completed));
}

/// The bad record of a rollback: the first trap behind its request.
fn bad_record(outcome: &Outcome, rollback: &Rollback) -> Option<UnixMs> {
    outcome.told.traps.iter().copied().find(|at| *at >= rollback.asked)
}

/// When something behind a rollback was first committed.
fn committed(outcome: &Outcome, behind: UnixMs) -> Option<UnixMs> {
    outcome.told.decided.iter().map(|decided| decided.at).find(|at| *at > behind)
}

fn print_rollbacks(outcome: &Outcome) {
    let since = |of: &dyn Fn(&Rollback) -> Option<UnixMs>| {
        let times = outcome
            .rollbacks
            .iter()
            .filter_map(|rollback| Some((of(rollback)? - bad_record(outcome, rollback)?) as f64));
        spread::of(times)
    };
    heading("rollback: ms since the bad record trapped");
    row("written down", since(&|rollback| Some(rollback.rolled_back)));
    row("the old version has its state and begins", since(&|rollback| Some(rollback.running)));
    let first = |rollback: &Rollback| windows::first_append(&outcome.appended, rollback.rolled_back, false);
    row("first output of the old version at the broker", since(&first));
    row("first output of the old version committed", since(&|rollback| committed(outcome, rollback.running)));
}

fn print_restarts(restarts: &[Restart], outcome: &Outcome) {
    let since = |of: &dyn Fn(&Restart) -> Option<UnixMs>| {
        spread::of(restarts.iter().filter_map(|restart| Some((of(restart)? - restart.asked) as f64)))
    };
    let first =
        |restart: &Restart| windows::first_append(&outcome.appended, restart.running, restart.to_next);
    heading("stop, change and start: ms since the request");
    row("stopped: what was read is decided", since(&|restart| Some(restart.stopped)));
    row("the other version applied", since(&|restart| Some(restart.applied)));
    row("running: its state is there", since(&|restart| Some(restart.running)));
    row("first record of the new version at the broker", since(&first));
    row("first record of the new version committed", since(&|restart| committed(outcome, restart.running)));
    let gap = restarts.iter().filter_map(|restart| {
        Some((first(restart)? - windows::last_append(&outcome.appended, restart.stopped)?) as f64)
    });
    row("longest time without an append at the broker", spread::of(gap));
}

/// Uploads.
pub fn print_uploads(uploads: &Uploads) {
    heading("upload to ready, ms");
    for upload in &uploads.measured {
        row(&format!("{}, {} KB", upload.what, upload.bytes / 1000), upload.new_ms);
        row(&format!("{}, the same bytes again", upload.what), spread::of([upload.known_ms]));
    }
    if let Some(missing) = &uploads.missing {
        println!("{missing}");
    }
}

/// Many pipelines that do nothing.
pub fn print_idle(idle: &Idle) {
    println!();
    println!(
        "{} idle pipelines, watched for {:?}; all running {:.1} s after the first apply; load average {}",
        idle.pipelines,
        idle.watched,
        idle.started.as_secs_f64(),
        load_average()
    );
    println!("{:36} {:>10} {:>10} {:>9} {:>9}", "", "PSS MiB", "RSS MiB", "CPU %", "threads");
    usage("host without a pipeline", &idle.before, 1.0);
    usage("host with all of them", &idle.with, 1.0);
    let (with, before) = (&idle.with, &idle.before);
    let difference = Usage {
        memory: super::memory::Memory {
            rss_bytes: with.memory.rss_bytes.saturating_sub(before.memory.rss_bytes),
            pss_bytes: with.memory.pss_bytes.saturating_sub(before.memory.pss_bytes),
            threads: with.memory.threads.saturating_sub(before.memory.threads),
        },
        cpu: with.cpu - before.cpu,
    };
    usage("for each", &difference, idle.pipelines as f64);
    usage("one pipeline, a process of its own", &idle.alone, 1.0);
    if let Some((without, with)) = idle.broker {
        println!("broker: {:.1} % of a core before, {:.1} % with them", without * 100.0, with * 100.0);
    }
    let threads = idle.threads.iter().take(THREADS_PRINTED);
    let shares = threads.map(|(name, share)| format!("{name} {:.1}", share * 100.0));
    println!("CPU % by thread: {}", shares.collect::<Vec<_>>().join("  "));
}

fn usage(what: &str, usage: &Usage, among: f64) {
    let mib = |bytes: u64| bytes as f64 / among / f64::from(1 << 20);
    println!(
        "{what:36} {:>10.1} {:>10.1} {:>9.2} {:>9.1}",
        mib(usage.memory.pss_bytes),
        mib(usage.memory.rss_bytes),
        usage.cpu * 100.0 / among,
        usage.memory.threads as f64 / among
    );
}
