//! Confluent's wire format: a zero byte, a schema id and what is encoded pass through weir untouched, in keys and values;
//! the operator `avro` reads it by schemas of its configuration.

use crate::harness::job::{Job, PARTITIONS};
use crate::harness::record::{Record, first_timestamp};
use serde_json::Value;
use std::path::Path;
use weir_protocol::error_policy::names;

/// Bytes that nothing may take for anything: every byte with every byte behind the magic byte, ends and lengths of all
/// kinds, text that is no UTF-8.
fn wire_records() -> Vec<Record> {
    let wire = |number: usize| -> Vec<u8> {
        let id = (number as u32).wrapping_mul(0x9e37_79b9).to_be_bytes();
        let payload = (0..number % 61).map(|at| (number * 7 + at * 31) as u8);
        [0].into_iter().chain(id).chain(payload).collect()
    };
    let record = |number: usize| Record {
        partition: number as i32 % PARTITIONS,
        offset: 0,
        timestamp: first_timestamp() + number as i64,
        // Each key is there once: the operator that lets the first of each key pass lets all pass.
        key: Some(wire(number * 2 + 1)),
        value: Some(wire(number * 2)),
        headers: vec![("schema".to_owned(), Some(wire(number)))],
    };
    (0..2000).map(record).collect()
}

/// Equal but for the place.
#[track_caller]
fn same(mut found: Vec<Record>, mut expected: Vec<Record>) {
    for records in [&mut found, &mut expected] {
        records.iter_mut().for_each(|record| (record.partition, record.offset) = (0, 0));
        records.sort_by(|a, b| (&a.key, &a.value).cmp(&(&b.key, &b.value)));
    }
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}

#[test]
fn keys_values_and_headers_in_the_wire_format_pass_byte_for_byte_through_exchange_and_operator() {
    let mut job = Job::new("wire");
    let (input, output) = (job.create_topic("in"), job.create_topic("out"));
    job.add_kafka_source("orders", &input);
    job.add_operator("first", "orders", "dedup", "parallelism = 3");
    job.add_kafka_sink("out", "first", &output);
    let records = wire_records();
    job.cluster.produce(&input, &records);
    job.run_to_end();
    same(job.cluster.read_committed(&output), records);
}

/// Values that fastavro has encoded, with the JSON that each is.
fn golden() -> Vec<(Vec<u8>, Value)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../operators/avro/golden");
    let text = std::fs::read_to_string(directory.join("orders.jsonl")).unwrap();
    let line = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let hex = row["wire"].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        ((0..hex.len()).step_by(2).map(byte).collect(), row["json"].clone())
    };
    text.lines().map(line).collect()
}

#[test]
fn avro_is_filtered_inside_the_guest_kept_as_it_is_and_an_unknown_schema_is_a_dead_letter() {
    let schemas = include_str!("../../../../operators/avro/golden/schemas.json");
    let mut job = Job::new("avro");
    let [input, output, json, dead] = ["in", "out", "json", "dead"].map(|name| job.create_topic(name));
    job.add_kafka_source("orders", &input);
    let config = format!("config.schemas = '''{schemas}'''\non_error = {{ dead_letter = \"dead\" }}");
    let german = "config.field = \"customer.country\"\nconfig.equals = \"DE\"";
    job.add_operator("german", "orders", "avro", &format!("{german}\n{config}"));
    let as_json = config.replace("on_error = { dead_letter = \"dead\" }", "on_error = \"skip\"");
    job.add_operator("readable", "orders", "avro", &format!("config.output = \"json\"\n{as_json}"));
    job.add_kafka_sink("out", "german", &output);
    job.add_kafka_sink("json", "readable", &json);
    job.add(&format!("[sink.dead]\nkind = \"kafka\"\ntopic = \"{dead}\""));
    let record = |value: &[u8]| Record { value: Some(value.to_vec()), ..Record::of(0, "").keyed("k") };
    let unknown = record(&[0, 0, 0, 0, 99, 1, 2, 3]);
    let records: Vec<Record> = golden().iter().map(|(wire, _)| record(wire)).collect();
    job.cluster.produce(&input, &records);
    job.cluster.produce(&input, std::slice::from_ref(&unknown));
    job.run_to_end();
    let kept = golden().into_iter().filter(|(_, json)| json["customer"]["country"] == "DE");
    same(job.cluster.read_committed(&output), kept.map(|(wire, _)| record(&wire)).collect());
    let found: Vec<Value> =
        job.cluster.read_committed(&json).iter().map(|r| serde_json::from_str(&r.text()).unwrap()).collect();
    assert_eq!(found, golden().into_iter().map(|(_, json)| json).collect::<Vec<_>>());
    let letters = job.cluster.read_committed(&dead);
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0].key, &letters[0].value), (&unknown.key, &unknown.value));
    let reason = letters[0].header(names::MESSAGE).unwrap();
    assert_eq!(
        reason,
        "schema id 99 is not in the configuration, which has 3, 4, 7, 70000: add it to `schemas`"
    );
}
