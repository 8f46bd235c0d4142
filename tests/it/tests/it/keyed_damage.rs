//! State files that are missing, cut off or changed: found before an epoch that depends on them is decided, and named.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::Record;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A stopped pipeline whose state is so many keys.
fn counted(stem: &str) -> Job {
    let mut job = Job::new(stem);
    let (input, output) = (job.create_topic("in"), job.create_topic("out"));
    job.add_kafka_source("orders", &input);
    job.add_operator("count", "orders", "count_by_key", "");
    job.add_kafka_sink("out", "count", &output);
    produce(&job);
    job.run_to_end();
    produce(&job);
    job
}

const KEYS: i32 = 3000;

fn produce(job: &Job) {
    let record = |n: i32| Record::of(n % PARTITIONS, "x").keyed(&format!("a-rather-long-key-{n}"));
    job.cluster.produce(&job.topic("in"), &(0..KEYS).map(record).collect::<Vec<_>>());
}

/// The files of state of the newest checkpoint that end like this, the largest first.
fn files(job: &Job, ending: &str) -> Vec<PathBuf> {
    let checkpoints = fs::read_dir(job.pipeline_dir().join("checkpoints")).unwrap().flatten();
    let epoch = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.split_once('-').unwrap().0.parse::<u64>().unwrap()
    };
    let newest = checkpoints.map(|entry| entry.path()).max_by_key(epoch).unwrap();
    let (mut open, mut found) = (vec![newest.join("state")], Vec::new());
    while let Some(directory) = open.pop() {
        for path in fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path()) {
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path),
            }
        }
    }
    found.retain(|path| path.display().to_string().ends_with(ending));
    found.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    found
}

/// It ends, names the file, and has published nothing.
#[track_caller]
fn is_refused(job: &Job, file: &Path) {
    let mut weir = job.start();
    weir.ends_with(4);
    let (said, name) = (weir.last_line(), file.file_name().unwrap().to_string_lossy().into_owned());
    assert!(said.contains(&name), "{name} is not in: {said}");
    let output = job.cluster.read_committed(&job.topic("out"));
    assert_eq!(output.len(), KEYS as usize, "nothing that depends on the damage was decided");
}

#[track_caller]
fn goes_on(job: &Job) {
    job.run_to_end();
    let output = job.cluster.read_committed(&job.topic("out"));
    assert_eq!(output.len(), KEYS as usize * 2);
    assert_eq!(output.iter().filter(|record| record.text() == "2").count(), KEYS as usize);
}

#[test]
fn a_missing_state_file_is_refused_by_name_until_it_is_back() {
    let job = counted("state-missing");
    let file = files(&job, ".sst").remove(0);
    let away = job.path("away");
    fs::rename(&file, &away).unwrap();
    is_refused(&job, &file);
    fs::rename(&away, &file).unwrap();
    goes_on(&job);
}

#[test]
fn a_state_file_that_was_cut_off_is_refused_by_name() {
    let job = counted("state-cut");
    let file = files(&job, ".sst").remove(0);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    is_refused(&job, &file);
    fs::write(&file, &bytes).unwrap();
    goes_on(&job);
}

/// A bit of a file that is changed, and back when it is told. The file is held open: a start that is refused may have
/// linked it into a checkpoint of its own and deleted the one that it repeats.
struct Flipped {
    file: fs::File,
    at: u64,
}

impl Flipped {
    fn new(path: &Path, at: u64) -> Flipped {
        let flipped = Flipped { file: fs::File::options().read(true).write(true).open(path).unwrap(), at };
        flipped.flip();
        flipped
    }

    fn flip(&self) {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, self.at).unwrap();
        self.file.write_all_at(&[byte[0] ^ 4], self.at).unwrap();
    }

    fn back(self) {
        self.flip();
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_state_file_is_refused_by_name() {
    let job = counted("state-flipped");
    for eighth in [0, 1, 4, 7] {
        // A start that is refused may have decided where it starts, so that the newest checkpoint is another one.
        let file = files(&job, ".sst").remove(0);
        let at = fs::metadata(&file).unwrap().len() * eighth / 8;
        let flipped = Flipped::new(&file, at);
        is_refused(&job, &file);
        flipped.back();
    }
    goes_on(&job);
}

#[test]
fn verify_reads_every_byte_before_anybody_is_fenced() {
    let job = counted("state-verified");
    let file = files(&job, ".sst").remove(0);
    let at = fs::metadata(&file).unwrap().len() / 2;
    let flipped = Flipped::new(&file, at);
    let mut weir = job.start_with(&["--verify"], &[]);
    weir.ends_with(4);
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    assert!(
        weir.last_line().contains(&name) && weir.last_line().contains("checksum"),
        "{}",
        weir.last_line()
    );
    assert!(!weir.log().contains("state restored"), "{}", weir.log());
    flipped.back();
    job.start_with(&["--verify", "--until-end"], &[]).ends_with(0);
}

#[test]
fn a_flipped_bit_in_what_describes_the_state_files_is_refused_by_name() {
    let job = counted("state-described");
    for name in ["CURRENT", "MANIFEST", "OPTIONS"] {
        let all = files(&job, "");
        let is_it = |path: &&PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(name);
        let file = all.iter().find(is_it).unwrap_or_else(|| panic!("no {name} in {all:?}")).clone();
        let at = fs::metadata(&file).unwrap().len() / 2;
        let flipped = Flipped::new(&file, at);
        is_refused(&job, &file);
        flipped.back();
    }
    goes_on(&job);
}

#[test]
fn damage_is_found_at_another_parallelism_too() {
    let mut job = counted("state-rescaled");
    job.text = job.text.replace("parallelism = 2", "parallelism = 1");
    // The smaller part is copied out, the larger one linked.
    let file = files(&job, ".sst").pop().unwrap();
    let at = fs::metadata(&file).unwrap().len() / 3;
    let flipped = Flipped::new(&file, at);
    is_refused(&job, &file);
    flipped.back();
    goes_on(&job);
}
