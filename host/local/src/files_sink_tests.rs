//! What a files sink promises, after a crash at each place: decided files appear once, others never.

use super::*;
use std::collections::BTreeMap;
use tempfile::TempDir;

const LIVES: [&str; 2] = ["01J9ZQ3W5X7Y8Z9A0B1C2D3E4F", "01J9ZQ3W5X7Y8Z9A0B1C2D3E4G"];

fn sink_named(directory: &TempDir, pipeline: &str, name: &str, life: usize) -> FilesSink {
    FilesSink::new(FilesSinkOptions {
        pipeline: pipeline.to_owned(),
        name: name.to_owned(),
        directory: directory.path().join("out"),
        format: FileFormat::RawLines,
        incarnation: Incarnation::parse(LIVES[life]).unwrap(),
    })
}

fn sink(directory: &TempDir, life: usize) -> FilesSink {
    sink_named(directory, "orders", "out", life)
}

fn batch(values: &[&str]) -> Batch {
    let mut batch = Batch::default();
    for value in values {
        batch.push(1, None, Some(value.as_bytes()), None);
    }
    batch
}

fn write_epoch(sink: &mut FilesSink, subtask: usize, epoch: u64, values: &[&str]) -> Vec<PreparedHandle> {
    let mut writer = sink.writer(subtask).unwrap();
    writer.begin(Epoch(epoch)).unwrap();
    assert_eq!(writer.write(&batch(values), 0).unwrap(), Written::All);
    writer.prepare(Epoch(epoch)).unwrap()
}

/// What a reader of the directory sees.
fn seen(directory: &TempDir) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory.path().join("out")).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.path().is_file());
    files.map(|e| (e.file_name().into_string().unwrap(), fs::read_to_string(e.path()).unwrap())).collect()
}

fn staged(directory: &TempDir, pipeline: &str) -> Vec<String> {
    let entries = fs::read_dir(directory.path().join("out/.weir-staged").join(pipeline)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".part")).collect()
}

fn published(epoch: u64, subtask: usize, content: &str) -> (String, String) {
    (format!("out-{epoch:020}-{subtask}.txt"), content.to_owned())
}

#[test]
fn nothing_is_seen_before_the_commit_and_all_of_it_after() {
    let directory = tempfile::tempdir().unwrap();
    let mut sink = sink(&directory, 0);
    let mut handles = write_epoch(&mut sink, 0, 3, &["a", "b"]);
    handles.extend(write_epoch(&mut sink, 1, 3, &["c"]));
    assert!(seen(&directory).is_empty());
    sink.commit(&handles).unwrap();
    let expected = BTreeMap::from([published(3, 0, "a\nb\n"), published(3, 1, "c\n")]);
    assert_eq!(seen(&directory), expected);
    sink.commit(&handles).unwrap();
    assert_eq!(seen(&directory), expected);
    assert!(staged(&directory, "orders").is_empty());
}

#[test]
fn an_epoch_without_records_has_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut sink = sink(&directory, 0);
    assert_eq!(write_epoch(&mut sink, 0, 3, &[]), []);
    sink.commit(&[]).unwrap();
    assert!(seen(&directory).is_empty() && staged(&directory, "orders").is_empty());
}

#[test]
fn what_was_not_decided_is_thrown_away() {
    let directory = tempfile::tempdir().unwrap();
    write_epoch(&mut sink(&directory, 0), 0, 3, &["prepared"]);
    let mut writer = sink(&directory, 0).writer(1).unwrap();
    writer.begin(Epoch(3)).unwrap();
    writer.write(&batch(&["half an epoch"]), 0).unwrap();
    drop(writer);
    assert_eq!(staged(&directory, "orders").len(), 2);
    let mut next = sink(&directory, 1);
    next.recover(&[]).unwrap();
    assert!(seen(&directory).is_empty() && staged(&directory, "orders").is_empty());
    let handles = write_epoch(&mut next, 0, 3, &["again"]);
    next.commit(&handles).unwrap();
    assert_eq!(seen(&directory), BTreeMap::from([published(3, 0, "again\n")]));
}

#[test]
fn a_decided_epoch_is_published_by_recovery_wherever_the_commit_stopped() {
    for renamed in 0..=3 {
        let directory = tempfile::tempdir().unwrap();
        let mut first = sink(&directory, 0);
        let decided: Vec<_> =
            (0..3).flat_map(|subtask| write_epoch(&mut first, subtask, 3, &["decided"])).collect();
        write_epoch(&mut first, 0, 4, &["not decided"]);
        // A commit that was killed after so many renames.
        first.commit(&decided[..renamed]).unwrap();
        for life in [1, 1] {
            sink(&directory, life).recover(&decided).unwrap();
            let expected = (0..3).map(|subtask| published(3, subtask, "decided\n")).collect();
            assert_eq!(seen(&directory), expected);
            assert!(staged(&directory, "orders").is_empty());
        }
    }
}

#[test]
fn other_sinks_and_pipelines_keep_their_staged_files() {
    let directory = tempfile::tempdir().unwrap();
    write_epoch(&mut sink_named(&directory, "orders", "out-1", 0), 0, 3, &["other sink"]);
    write_epoch(&mut sink_named(&directory, "other", "out", 0), 0, 4, &["other pipeline"]);
    let handles = write_epoch(&mut sink(&directory, 0), 0, 5, &["ours"]);
    let foreign = PreparedHandle { sink: "else".to_owned(), handle: "not JSON".to_owned() };
    sink(&directory, 1).recover(&[foreign, handles[0].clone()]).unwrap();
    assert_eq!((staged(&directory, "orders").len(), staged(&directory, "other").len()), (1, 1));
    assert_eq!(seen(&directory), BTreeMap::from([published(5, 0, "ours\n")]));
}

#[test]
fn a_published_file_may_be_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let handles = write_epoch(&mut sink(&directory, 0), 0, 3, &["a"]);
    sink(&directory, 0).commit(&handles).unwrap();
    fs::remove_file(directory.path().join("out").join(published(3, 0, "").0)).unwrap();
    sink(&directory, 1).recover(&handles).unwrap();
    assert!(seen(&directory).is_empty());
}

#[test]
fn decided_work_that_is_lost_or_changed_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let handles = write_epoch(&mut sink(&directory, 0), 0, 3, &["abc"]);
    let path = directory.path().join("out/.weir-staged/orders").join(&staged(&directory, "orders")[0]);
    let refused = |expected: &str| {
        let error = sink(&directory, 1).recover(&handles).unwrap_err();
        assert_eq!(error.kind, weir_protocol::connector::ErrorKind::Refused);
        assert!(error.message.contains(expected), "{}", error.message);
    };
    fs::write(&path, "ab").unwrap();
    refused("has 2 bytes");
    fs::remove_file(&path).unwrap();
    refused("is not there");
    fs::write(directory.path().join("out").join(published(3, 0, "").0), "abc and more").unwrap();
    refused("has 12 bytes");
}

#[test]
fn a_file_of_another_pipeline_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let mut sink = sink(&directory, 0);
    let handles = write_epoch(&mut sink, 0, 3, &["ours"]);
    let path = directory.path().join("out").join(published(3, 0, "").0);
    fs::write(&path, "other").unwrap();
    assert!(sink.commit(&handles).is_err());
    let mut writer = sink.writer(0).unwrap();
    writer.begin(Epoch(3)).unwrap();
    let error = writer.write(&batch(&["x"]), 0).unwrap_err();
    assert!(error.message.contains("there already"), "{}", error.message);
    assert_eq!(fs::read_to_string(path).unwrap(), "other");
}

#[test]
fn rows_beyond_the_buffer_and_from_the_middle_are_written_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut sink = sink(&directory, 0);
    let mut writer = sink.writer(0).unwrap();
    writer.begin(Epoch(1)).unwrap();
    let long = "x".repeat(1000);
    let mut expected = String::new();
    for number in 0..600 {
        let value = format!("{number} {long}");
        writer.write(&batch(&["left out", &value]), 1).unwrap();
        expected += &format!("{value}\n");
    }
    let handles = writer.prepare(Epoch(1)).unwrap();
    sink.commit(&handles).unwrap();
    assert_eq!(seen(&directory), BTreeMap::from([published(1, 0, &expected)]));
}

#[test]
fn a_handle_cannot_name_a_file_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    for handle in [
        r#"{"staged":"../x","published":"y","bytes":1}"#,
        r#"{"staged":"out-0-3-01J9ZQ3W5X7Y8Z9A0B1C2D3E4F.part","published":"../y","bytes":1}"#,
        "{}",
    ] {
        let handle = PreparedHandle { sink: "out".to_owned(), handle: handle.to_owned() };
        assert!(sink(&directory, 0).commit(&[handle]).is_err());
    }
}
