//! Pipelines that need their data directory: what is missing, damaged, from the future or somebody else's is refused.

use crate::harness::job::Job;
use std::path::PathBuf;

/// A generator into Kafka: its positions are in the manifest only.
fn generated(stem: &str) -> Job {
    let mut job = Job::new(stem);
    let output = job.create_topic("out");
    job.add("[source.made]\nkind = \"generator\"\ncount = 300\npartitions = 2\n");
    job.add_operator("prefix", "made", "prefix", "");
    job.add_kafka_sink("out", "prefix", &output);
    job.run_to_end();
    job
}

/// The manifest of the newest checkpoint: the names sort by epoch within one number of digits.
fn newest_manifest(job: &Job) -> PathBuf {
    let checkpoints = std::fs::read_dir(job.pipeline_dir().join("checkpoints")).unwrap().flatten();
    let epoch = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.split_once('-').unwrap().0.parse::<u64>().unwrap()
    };
    checkpoints.map(|entry| entry.path()).max_by_key(epoch).unwrap().join("manifest.json")
}

fn refused(job: &Job, why: &str) {
    let before = job.cluster.read_committed(&job.topic("out")).len();
    let mut weir = job.start();
    weir.ends_with(4);
    assert!(weir.last_line().contains(why), "{}", weir.last_line());
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), before);
}

#[test]
fn a_pipeline_that_needs_its_manifest_goes_on_with_it_and_ends_at_once_when_all_is_done() {
    let job = generated("kept");
    job.run_to_end();
    assert_eq!(job.cluster.read_committed(&job.topic("out")).len(), 300);
}

#[test]
fn a_missing_checkpoint_is_refused_where_positions_are_only_there() {
    let job = generated("missing");
    std::fs::remove_dir_all(job.data_dir()).unwrap();
    refused(&job, "its manifest is missing");
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let job = generated("damaged");
    let manifest = newest_manifest(&job);
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replacen("150", "149", 1)).unwrap();
    refused(&job, "its hash is");
}

#[test]
fn a_checkpoint_that_was_cut_off_is_refused() {
    let job = generated("cut");
    let manifest = newest_manifest(&job);
    let bytes = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, &bytes[..bytes.len() / 2]).unwrap();
    refused(&job, "cannot be restored");
}

#[test]
fn a_manifest_from_the_future_is_refused() {
    let job = generated("future");
    let manifest = newest_manifest(&job);
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    json["version"] = 99.into();
    std::fs::write(&manifest, json.to_string()).unwrap();
    refused(&job, "from the future");
}

#[test]
fn a_data_directory_that_is_in_use_is_refused_and_its_user_goes_on() {
    let job = Job::processed("in-use");
    let mut first = job.start();
    first.await_log("first start");
    let mut second = job.start();
    second.ends_with(1);
    assert!(second.last_line().contains("is in use by another weir"), "{}", second.last_line());
    job.cluster.produce(&job.topic("in"), &[crate::harness::record::Record::numbered(0, 0)]);
    job.await_output(&mut first, &job.topic("out"));
}

#[test]
fn the_data_directory_of_another_pipeline_is_refused() {
    let job = generated("foreign");
    let mut weir = job.start_with(&["--set", "id_prefix=other."], &[]);
    weir.ends_with(4);
    assert!(weir.last_line().contains("belongs to another pipeline"), "{}", weir.last_line());
}
