//! Every compression codec of Kafka is read and written. The judge is Kafka's own tool, which reads the segments.

use crate::harness::job::Job;
use crate::harness::kafka_process::kafka_tool;
use crate::secure_broker::secure;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Long enough that every codec makes it shorter: a batch that does not become shorter stays as it is.
const RECORDS: usize = 20;

fn value(number: usize) -> String {
    format!("{number} ").repeat(200)
}

/// The codecs of the batches of records of a topic, once each. Batches of transaction markers are never compressed.
fn codecs_of(topic: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(secure().directory().join("data")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&format!("{topic}-")) {
            files.push(entry.path().join("00000000000000000000.log").display().to_string());
        }
    }
    let said = kafka_tool("org.apache.kafka.tools.DumpLogSegments", &["--files", &files.join(",")], "");
    let of_records = said.lines().filter(|line| line.contains("isControl: false"));
    let codec = |line: &str| {
        let (_, rest) = line.split_once("compresscodec: ").expect("the tool tells the codec");
        rest.split(' ').next().expect("a word").to_lowercase()
    };
    let mut found: Vec<String> = of_records.map(codec).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn every_codec_of_the_java_client_is_read_and_every_codec_is_written_as_configured() {
    let cluster = secure().admin();
    for codec in CODECS {
        let mut job = Job::on(&cluster, codec);
        job.add(&format!("[kafka.main.producer_properties]\n\"compression.type\" = \"{codec}\""));
        let job = job.with_processed();
        let lines: String = (0..RECORDS).map(|number| value(number) + "\n").collect();
        let (input, output) = (job.topic("in"), job.topic("out"));
        let arguments =
            ["--bootstrap-server", cluster.address(), "--topic", &input, "--compression-codec", codec];
        kafka_tool("org.apache.kafka.tools.ConsoleProducer", &arguments, &lines);
        assert_eq!(codecs_of(&input), [codec], "as the Java client wrote it");

        job.run_to_end();
        assert_eq!(codecs_of(&output), [codec], "as weir wrote it");
        let mut values: Vec<Vec<u8>> =
            cluster.read_committed(&output).into_iter().filter_map(|record| record.value).collect();
        values.sort();
        let mut expected: Vec<Vec<u8>> =
            (0..RECORDS).map(|number| format!("processed_{}", value(number)).into_bytes()).collect();
        expected.sort();
        assert_eq!(values, expected, "{codec}");
    }
}
