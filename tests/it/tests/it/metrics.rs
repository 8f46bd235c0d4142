//! Metrics of pipelines that work, restart and are swapped: each is in the golden list, a strict parser reads them, and
//! the numbers are those of what was done.

use crate::harness::counting::{served_with, works};
use crate::harness::job::Job;
use crate::harness::probes::{LISTEN, Probes, Scrape, golden};
use crate::harness::record::Record;
use crate::harness::waiting::until;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const PER_PARTITION: u64 = 100;
const KEYLESS: usize = 9;

/// Metrics that a `weir run` whose operators measure and whose sinks are Kafka's has no samples of.
const NOT_OF_A_RUN: &[&str] = &["weir_swaps"];

/// Counts of keys behind an operator that measures; records without a key are dead letters.
fn measured() -> (Job, Vec<Record>) {
    let mut job = Job::new("metrics");
    let [input, output, dead] = ["in", "out", "dead"].map(|topic| job.create_topic(topic));
    job.add_kafka_source("orders", &input);
    job.add("watermarks = \"monotonous\"");
    let measure = "keeps_key = true\nconfig = { behaviour = \"measure\" }";
    job.add_operator("look", "orders", "hostile_guests", measure);
    job.add_operator("count", "look", "count_by_key", "on_error = { dead_letter = \"dead\" }");
    job.add_kafka_sink("out", "count", &output);
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    let mut records = Record::numbered_batch(3, PER_PARTITION);
    records.iter_mut().take(KEYLESS).for_each(|record| record.key = None);
    job.cluster.produce(&input, &records);
    (job, records)
}

/// The families are those of the golden list, each with its labels and no others.
#[track_caller]
fn is_golden(scrape: &Scrape) {
    let golden = golden();
    let names =
        |of: Vec<(&str, &str, &str, &str)>| of.into_iter().map(|of| format!("{of:?}")).collect::<Vec<_>>();
    let found = scrape.families.iter().map(|f| (&*f.name, &*f.kind, &*f.unit, &*f.help));
    let wanted = golden.iter().map(|g| (&*g.name, &*g.kind, &*g.unit, &*g.help));
    assert_eq!(names(found.collect()), names(wanted.collect()));
    for (family, golden) in scrape.families.iter().zip(&golden) {
        for sample in &family.samples {
            assert!(golden.sample_names().contains(&sample.name), "{sample:?}");
            let labels: BTreeSet<&str> =
                sample.labels.keys().map(String::as_str).filter(|l| *l != "le").collect();
            let wanted: BTreeSet<&str> = golden.labels.iter().map(String::as_str).collect();
            assert_eq!(labels, wanted, "{sample:?}");
        }
    }
}

#[test]
fn a_scrape_of_a_working_pipeline_is_the_golden_list_and_says_what_was_done() {
    let (job, records) = measured();
    let mut weir = job.start_with(&LISTEN, &[]);
    let probes = Probes::of(&mut weir);
    let all = records.len() as f64;
    let scrape = until("everything to be decided, and told", || {
        let scrape = probes.scrape();
        let read = scrape.sum("weir_source_records_total", &[]) == all;
        let stable = scrape.all("weir_source_last_stable_offset", &[]).len() == 3;
        let decided =
            scrape.all("weir_oldest_undecided_record_age_seconds", &[]).iter().all(|s| s.value == 0.0);
        let counted = scrape.sum("weir_operator_input_records_total", &[("operator", "count")]) == all;
        (read && stable && decided && counted && scrape.sum("weir_undecided_records", &[]) == 0.0)
            .then_some(scrape)
    });
    is_golden(&scrape);
    let silent = scrape.families.iter().filter(|family| family.samples.is_empty());
    let silent: Vec<&str> = silent.map(|family| family.name.as_str()).collect();
    assert_eq!(silent, NOT_OF_A_RUN, "families without samples");

    let (keyless, good) = (KEYLESS as f64, all - KEYLESS as f64);
    let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len) as f64;
    let bytes: f64 = records.iter().map(|record| length(&record.key) + length(&record.value)).sum();
    assert_eq!(scrape.one("weir_source_bytes_total", &[("source", "orders")]), bytes);
    let [look, count] = [("operator", "look"), ("operator", "count")];
    for (name, labels, expected) in [
        ("weir_operator_input_records_total", look, all),
        ("weir_operator_output_records_total", look, all),
        ("weir_operator_input_bytes_total", look, bytes),
        ("weir_operator_output_bytes_total", look, bytes),
        ("weir_operator_input_records_total", count, all),
        ("weir_operator_output_records_total", count, good),
        ("weir_operator_dead_letter_records_total", count, keyless),
        ("weir_operator_skipped_records_total", count, 0.0),
        ("weir_operator_instances_recycled_total", count, 0.0),
        ("weir_guest_counter_total", ("name", "rows"), all),
        ("weir_sink_records_total", ("sink", "out"), good),
        ("weir_sink_records_total", ("sink", "dead"), keyless),
        ("weir_pipeline_state", ("state", "running"), 1.0),
        ("weir_pipeline_state", ("state", "failed"), 0.0),
        ("weir_restarts_total", ("cause", "transient"), 0.0),
    ] {
        assert_eq!(scrape.one(name, &[labels]), expected, "{name} {labels:?}");
    }
    let rejected = scrape.all("weir_operator_rejected_records_total", &[count]);
    let rejected: BTreeMap<&str, f64> =
        rejected.iter().filter(|s| s.value > 0.0).map(|s| (s.labels["kind"].as_str(), s.value)).collect();
    assert_eq!(rejected, BTreeMap::from([("null_key", keyless)]));
    for partition in ["0", "1", "2"] {
        let at = |name: &str| scrape.one(name, &[("source", "orders"), ("partition", partition)]);
        let told =
            ["weir_source_position_offset", "weir_source_end_offset", "weir_source_last_stable_offset"]
                .map(at);
        assert_eq!(told, [PER_PARTITION as f64; 3], "partition {partition}");
        assert_eq!(at("weir_source_lag_records"), 0.0);
    }
    assert!(scrape.one("weir_operator_calls_total", &[look]) >= 1.0);
    assert!(scrape.one("weir_operator_cpu_seconds_total", &[look]) > 0.0);
    assert!(scrape.one("weir_operator_memory_bytes", &[look]) >= 65_536.0);
    let watermark = scrape.one("weir_operator_watermark_timestamp_seconds", &[look]);
    let highest = records.iter().map(|record| record.timestamp).max().unwrap() as f64 / 1000.0;
    assert!(watermark <= highest && watermark > highest - 1.0, "{watermark} {highest}");
    assert!(scrape.one("weir_operator_watermark_lag_seconds", &[look]) >= 3_600.0 - 1.0);
    checkpoints_add_up(&scrape);
    process_is_told(&scrape);
    nothing_of_a_record(&probes, &scrape);
    weir.signal(libc::SIGTERM);
    weir.ends_with(0);
}

fn checkpoints_add_up(scrape: &Scrape) {
    let completed = scrape.one("weir_checkpoints_completed_total", &[]);
    assert!(completed >= 1.0);
    assert_eq!(scrape.one("weir_checkpoint_duration_seconds_count", &[]), completed);
    for phase in ["align", "freeze", "write", "decide"] {
        assert_eq!(
            scrape.one("weir_checkpoint_phase_duration_seconds_count", &[("phase", phase)]),
            completed
        );
    }
    let (parts, whole) = (
        scrape.sum("weir_checkpoint_phase_duration_seconds_sum", &[]),
        scrape.one("weir_checkpoint_duration_seconds_sum", &[]),
    );
    assert!(parts > 0.0 && parts <= whole, "{parts} of {whole}");
    assert!(scrape.one("weir_checkpoint_state_bytes", &[]) > 0.0);
    assert!(scrape.one("weir_checkpoint_written_bytes_total", &[]) > 0.0);
    assert!(scrape.one("weir_checkpoint_epoch", &[]) >= completed);
    let timeout = scrape.one("weir_transaction_timeout_seconds", &[]);
    let margin = scrape.one("weir_transaction_margin_seconds", &[]);
    assert!(margin > 0.0 && margin <= timeout, "{margin} of {timeout}");
}

fn process_is_told(scrape: &Scrape) {
    let one = |name| scrape.one(name, &[]);
    assert!(one("process_resident_memory_bytes") > 1e6 && one("process_cpu_seconds_total") > 0.0);
    assert!(one("process_open_fds") > 3.0 && one("process_open_fds") <= one("process_max_fds"));
    assert!(one("weir_data_dir_free_bytes") <= one("weir_data_dir_size_bytes"));
    assert!(one("weir_memory_limit_bytes") > one("weir_state_memory_limit_bytes"));
    assert_eq!(scrape.one("weir_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
}

/// Not a key, not a value, not a header; and the other form says the same.
fn nothing_of_a_record(probes: &Probes, scrape: &Scrape) {
    let told = probes.get("/metrics", "*/*");
    assert_eq!(told.content, "text/plain; version=0.0.4; charset=utf-8");
    // The pipeline's name ends in numbers that could be taken for a value.
    let name = told.text.split("pipeline=\"").nth(1).and_then(|rest| rest.split('"').next());
    let text = told.text.replace(name.expect("the pipeline is a label"), "");
    for secret in ["key-", "0-17", "2-99"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let other = Scrape::read("prometheus", &told.text);
    let names = |scrape: &Scrape| -> BTreeSet<String> {
        scrape.families.iter().flat_map(|family| &family.samples).map(|sample| sample.name.clone()).collect()
    };
    assert_eq!(names(&other), names(scrape));
}

#[test]
fn counters_never_go_down_over_a_restart_and_the_restart_is_counted_with_its_cause() {
    let mut job = Job::local("metrics-restart");
    job.add("[source.made]\nkind = \"generator\"\nrate = 2000\nkeys = 20");
    job.add_operator("count", "made", "count_by_key", "");
    job.add("[sink.out]\nkind = \"blackhole\"\ninput = \"count\"");
    // A subtask panics at a barrier; the incarnation ends, the process does not.
    let environment = [("WEIR_KILL_AT", "state_frozen:5"), ("WEIR_KILL_BY", "panic")];
    let mut weir = job.start_with(&LISTEN, &environment);
    let probes = Probes::of(&mut weir);
    let mut before = probes.scrape();
    let mut go_on = |what: &str, done: &dyn Fn(&Scrape) -> bool| {
        until(what, || {
            let now = probes.scrape();
            now.goes_on_from(&before);
            before = now;
            done(&before).then(|| before.clone())
        })
    };
    let restarted =
        go_on("a restart", &|now| now.sum("weir_restarts_total", &[("cause", "transient")]) == 1.0);
    assert_eq!(restarted.one("weir_checkpoints_failed_total", &[]), 1.0);
    let completed = restarted.one("weir_checkpoints_completed_total", &[]);
    let after = go_on("checkpoints after it", &|now| {
        now.sum("weir_checkpoints_completed_total", &[]) >= completed + 3.0
    });
    assert_eq!(after.one("weir_pipeline_state", &[("state", "running")]), 1.0);
    assert_eq!(after.sum("weir_restarts_total", &[]), 1.0);
    probes.await_status("/readyz", 200);
}

#[test]
fn a_server_tells_of_all_its_pipelines_counts_their_swaps_and_forgets_what_is_deleted() {
    let (job, mut server) = served_with("metrics-served", &LISTEN);
    let probes = Probes::of(&mut server.weir);
    probes.await_status("/readyz", 200);
    let name = [("pipeline", job.name.as_str())];
    let before = probes.scrape();
    is_golden(&before);
    assert_eq!(before.one("weir_pipeline_state", &[name[0], ("state", "running")]), 1.0);
    let version = server.upload("count-by-key", "swap_good");
    let rules = json!({"probation": {"time": "100ms", "records": 1}});
    let swap = server.swap(&job.name, "count", &version, &rules);
    assert_eq!(server.await_swap(&job.name, &swap)["state"], "completed");
    let after = until("the new version to work", || {
        let now = probes.scrape();
        now.goes_on_from(&before);
        let calls = |of: &Scrape| of.one("weir_operator_calls_total", &name);
        (calls(&now) > calls(&before) && now.sum("weir_swaps_total", &name) == 1.0).then_some(now)
    });
    assert_eq!(after.one("weir_swaps_total", &[name[0], ("outcome", "completed")]), 1.0);
    works(&server, &job.name);
    server.post(&format!("/v1/pipelines/{}/stop", job.name), &json!({})).expect(202);
    until("the stop to be told", || {
        let now = probes.scrape();
        (now.sum("weir_pipeline_state", &[name[0], ("state", "stopped")]) == 1.0).then_some(())
    });
    // What it had counted is there until it is deleted.
    let stopped = probes.scrape();
    stopped.goes_on_from(&after);
    assert_eq!(stopped.one("weir_pipeline_desired_running", &name), 0.0);
    server.delete(&format!("/v1/pipelines/{}", job.name));
    until("its metrics to go", || {
        let now = probes.scrape();
        now.families
            .iter()
            .all(|f| f.samples.iter().all(|s| s.labels.get("pipeline") != Some(&job.name)))
            .then_some(())
    });
    // None of this keeps the API from anybody.
    assert_eq!(probes.status("/readyz"), 200);
}
