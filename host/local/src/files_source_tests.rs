//! What a files source promises: replay from any line, an end, and no reading on in a file that was changed.

use super::*;
use std::io::Write;
use weir_protocol::connector::ErrorKind;

fn path_in(directory: &tempfile::TempDir, name: &str) -> String {
    directory.path().join(name).to_str().unwrap().to_owned()
}

fn source(path: String, format: FileFormat) -> FilesSource {
    FilesSource::new(FilesSourceOptions {
        name: "in".to_owned(),
        paths: vec![path],
        format,
        may_be_empty: false,
    })
}

fn raw(directory: &tempfile::TempDir, content: &str) -> FilesSource {
    let path = path_in(directory, "a.txt");
    fs::write(&path, content).unwrap();
    source(path, FileFormat::RawLines)
}

fn from_the_beginning(source: &mut FilesSource) -> Positions {
    let partitions = source.partitions().unwrap();
    source.resolve(&partitions, StartPolicy::Earliest).unwrap()
}

/// Reads up to `polls` batches of `rows_max` rows.
fn read(reader: &mut dyn SourceReader, rows_max: usize, polls: usize) -> Result<Vec<String>, ConnectorError> {
    let (mut values, mut batch) = (Vec::new(), Batch::default());
    for _ in 0..polls {
        batch.clear();
        if reader.poll(&mut batch, BatchLimits { rows_max, bytes_max: 1 << 20 }, Duration::ZERO)?
            == Polled::End
        {
            break;
        }
        values
            .extend((0..batch.rows).map(|row| String::from_utf8(batch.values.bytes(row).to_vec()).unwrap()));
    }
    Ok(values)
}

#[test]
fn a_file_is_replayed_from_each_of_its_positions() {
    let directory = tempfile::tempdir().unwrap();
    let mut source = raw(&directory, "one\n\ntwo\nthree");
    let all = ["one", "", "two", "three"];
    for polls in 0..6 {
        let start = from_the_beginning(&mut source);
        let mut reader = source.reader(&start, None).unwrap();
        let mut values = read(&mut *reader, 1, polls).unwrap();
        let mut next = source.reader(&reader.positions(), None).unwrap();
        values.extend(read(&mut *next, 10, 10).unwrap());
        assert_eq!(values, all);
    }
}

#[test]
fn origins_are_the_bytes_at_which_lines_begin() {
    let directory = tempfile::tempdir().unwrap();
    let mut source = raw(&directory, "one\n\ntwo\n");
    let start = from_the_beginning(&mut source);
    let mut batch = Batch::default();
    let limits = BatchLimits { rows_max: 10, bytes_max: 1 << 20 };
    source.reader(&start, None).unwrap().poll(&mut batch, limits, Duration::ZERO).unwrap();
    let offsets: Vec<_> = (0..3).map(|row| batch.origins.of(row).unwrap().offset).collect();
    assert_eq!(offsets, [0, 4, 5]);
}

#[test]
fn a_bounded_run_ends_where_the_file_ended_at_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut source = raw(&directory, "one\ntwo\n");
    let partitions = source.partitions().unwrap();
    let ends = source.ends(&partitions).unwrap();
    let mut file = File::options().append(true).open(&*partitions[0].topic).unwrap();
    file.write_all(b"three\n").unwrap();
    let start = from_the_beginning(&mut source);
    let values = read(&mut *source.reader(&start, Some(&ends)).unwrap(), 10, 10).unwrap();
    assert_eq!(values, ["one", "two"]);
    let values = read(&mut *source.reader(&start, None).unwrap(), 10, 10).unwrap();
    assert_eq!(values, ["one", "two", "three"]);
}

#[test]
fn a_batch_stays_below_its_bytes_and_a_large_line_is_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut source = raw(&directory, &"x".repeat(100).replace('x', "twenty bytes of text\n"));
    let start = from_the_beginning(&mut source);
    let mut reader = source.reader(&start, None).unwrap();
    let (mut batch, mut rows) = (Batch::default(), 0);
    let limits = BatchLimits { rows_max: 100, bytes_max: 200 };
    while reader.poll(&mut batch, limits, Duration::ZERO).unwrap() == Polled::Rows {
        assert!(batch.size_bytes() <= 200);
        rows += batch.rows;
        batch.clear();
    }
    assert_eq!(rows, 100);
    let mut reader = source.reader(&start, None).unwrap();
    reader.poll(&mut batch, BatchLimits { rows_max: 100, bytes_max: 1 }, Duration::ZERO).unwrap();
    assert_eq!(batch.rows, 1);
}

fn position_behind_two_lines(source: &mut FilesSource) -> Positions {
    let start = from_the_beginning(source);
    let mut reader = source.reader(&start, None).unwrap();
    assert_eq!(read(&mut *reader, 2, 1).unwrap().len(), 2);
    reader.positions()
}

#[test]
fn a_file_that_shrank_is_refused_with_its_position_and_size() {
    let directory = tempfile::tempdir().unwrap();
    let mut source = raw(&directory, "one\ntwo\nthree\n");
    let positions = position_behind_two_lines(&mut source);
    let mut source = raw(&directory, "one\n");
    let error = source.reader(&positions, None).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Refused);
    for part in ["a.txt", "byte 8", "4 bytes", "back"] {
        assert!(error.message.contains(part), "{}", error.message);
    }
}

#[test]
fn a_file_with_another_beginning_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut source = raw(&directory, "one\ntwo\nthree\n");
    let positions = position_behind_two_lines(&mut source);
    let mut source = raw(&directory, "ten\ntwo\nthree\n");
    let error = source.reader(&positions, None).err().unwrap();
    assert!(error.message.contains("other bytes"), "{}", error.message);
    let mut source = raw(&directory, "one\ntwo\nfour\nfive\n");
    assert_eq!(read(&mut *source.reader(&positions, None).unwrap(), 10, 9).unwrap(), ["four", "five"]);
}

#[test]
fn a_file_continued_inside_its_last_line_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut source = raw(&directory, "one\ntwo");
    let positions = position_behind_two_lines(&mut source);
    assert!(source.reader(&positions, None).is_ok());
    let mut source = raw(&directory, "one\ntwofold\n");
    assert_eq!(source.reader(&positions, None).err().unwrap().kind, ErrorKind::Refused);
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut source = raw(&directory, "one\ntwo\n");
    let partitions = source.partitions().unwrap();
    let (start, ends) = (from_the_beginning(&mut source), source.ends(&partitions).unwrap());
    let mut reader = source.reader(&start, Some(&ends)).unwrap();
    fs::write(&*partitions[0].topic, "one\n").unwrap();
    assert_eq!(read(&mut *reader, 10, 10).unwrap_err().kind, ErrorKind::Refused);
}

#[test]
fn a_bad_line_is_named_by_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(&directory, "in.jsonl");
    fs::write(&path, "{\"value\":\"a\"}\n\n{\"value\":\"b\"}\nnonsense\n").unwrap();
    let mut source = source(path, FileFormat::JsonLines);
    let start = from_the_beginning(&mut source);
    let mut reader = source.reader(&start, None).unwrap();
    assert_eq!(read(&mut *reader, 2, 1).unwrap(), ["a", "b"]);
    let error = read(&mut *reader, 2, 1).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permanent);
    assert!(
        error.message.contains("in.jsonl:4: ") && error.message.contains("expected"),
        "{}",
        error.message
    );
}

#[test]
fn a_star_matches_files_in_order_and_each_keeps_its_name() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b-1.jsonl", "a-2.jsonl", "a-10.jsonl", ".a-hidden.jsonl", "a.txt"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    fs::create_dir(directory.path().join("a-directory.jsonl")).unwrap();
    let paths = vec![path_in(&directory, "a*.jsonl"), path_in(&directory, "a-2.jsonl")];
    let options = FilesSourceOptions {
        name: "in".to_owned(),
        paths,
        format: FileFormat::JsonLines,
        may_be_empty: false,
    };
    let found = FilesSource::new(options).partitions().unwrap();
    let expected = ["a-10.jsonl", "a-2.jsonl"].map(|name| Partition::new(path_in(&directory, name), 0));
    assert_eq!(found, expected);
    let error = source(path_in(&directory, "z*"), FileFormat::JsonLines).partitions().unwrap_err();
    assert!(error.message.contains("no file matches"));
    assert!(source("/no*/x".to_owned(), FileFormat::JsonLines).partitions().is_err());
}

#[test]
fn a_star_stands_for_any_text() {
    for (pattern, name, expected) in [
        ("*", "", true),
        ("a*", "a", true),
        ("*a*b", "xaab", true),
        ("a*a", "a", false),
        ("a*b*c", "abc", true),
        ("a*b*c", "acb", false),
        ("a", "ab", false),
        ("**", "x", true),
        ("*.j", "a.jx", false),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}
