//! Against values that fastavro has encoded: golden/make.py.

use super::ThisOperator;
use serde_json::Value;
use weir_sdk::testing::{Case, keyless, record, tombstone};

const SCHEMAS: &str = include_str!("../golden/schemas.json");

/// Each value with the JSON that it is.
fn golden() -> Vec<(Vec<u8>, Value)> {
    let line = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let hex = row["wire"].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        ((0..hex.len()).step_by(2).map(byte).collect(), row["json"].clone())
    };
    include_str!("../golden/orders.jsonl").lines().map(line).collect()
}

fn case() -> Case {
    Case::new().config("schemas", SCHEMAS)
}

fn with_all(case: Case) -> Case {
    golden().into_iter().fold(case, |case, (wire, _)| case.record(keyless(wire)))
}

#[test]
fn what_another_encoder_wrote_becomes_the_json_that_it_is() {
    let outcome = with_all(case().config("output", "json")).run::<ThisOperator>().unwrap();
    let found: Vec<Value> = outcome.values().iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let expected: Vec<Value> = golden().into_iter().map(|(_, json)| json).collect();
    assert_eq!(found, expected);
    assert!(outcome.rejections.is_empty());
}

#[test]
fn kept_records_go_on_byte_for_byte() {
    let outcome = with_all(case().config("field", "customer.country").config("equals", "DE"))
        .run::<ThisOperator>()
        .unwrap();
    let kept: Vec<_> = outcome.emitted.into_iter().map(|emitted| emitted.record).collect();
    let expected: Vec<_> = golden()
        .into_iter()
        .filter(|(_, json)| json["customer"]["country"] == "DE")
        .map(|(wire, _)| keyless(wire))
        .collect();
    assert!(expected.len() > 1 && expected.len() < golden().len());
    assert_eq!(kept, expected);
    assert!(outcome.rejections.is_empty());
}

#[test]
fn text_is_compared_as_text_and_all_else_as_json() {
    let kept = |field: &str, equals: &str| {
        let case = with_all(case().config("field", field).config("equals", equals));
        case.run::<ThisOperator>().unwrap().emitted.len()
    };
    assert_eq!((kept("state", "PAID"), kept("gift", "true"), kept("amount", "2.5")), (2, 3, 1));
    assert_eq!((kept("parent", "null"), kept("parent", "-1"), kept("nothing", "null")), (1, 1, 0));
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason_and_the_others_go_on() {
    let whole = golden()[0].0.clone();
    let mut unknown = whole.clone();
    unknown[4] = 9;
    let mut no_magic = whole.clone();
    no_magic[0] = 1;
    let longer = [&whole[..], &[0]].concat();
    let cut = whole[..whole.len() - 1].to_vec();
    let values = [unknown, no_magic, longer, cut, whole[..4].to_vec(), Vec::new(), whole];
    let case = values.iter().fold(case(), |case, value| case.record(keyless(value)));
    let outcome = case.run::<ThisOperator>().unwrap();
    assert_eq!(outcome.emitted.len(), 1);
    let expected = [
        "schema id 9 is not in the configuration, which has 3, 4, 7, 70000: add it to `schemas`",
        "the value begins with byte 1, the wire format begins with 0",
        "schema 7: 1 bytes are left over behind the value: was it written by another schema?",
        "schema 7: the value cannot be read by it: ",
        "4 bytes are too few for the wire format, which begins with 5",
        "0 bytes are too few for the wire format, which begins with 5",
    ];
    assert_eq!(outcome.rejections.len(), expected.len());
    for ((row, reason), (index, expected)) in outcome.rejections.iter().zip(expected.iter().enumerate()) {
        assert_eq!(*row, index);
        assert!(reason.starts_with(expected), "{reason}");
    }
}

#[test]
fn no_cut_and_no_changed_byte_of_a_value_is_a_trap() {
    for (wire, _) in golden() {
        let cuts = (0..wire.len()).map(|length| wire[..length].to_vec());
        let changes = (0..wire.len()).flat_map(|at| {
            [0x01, 0x80, 0xff].map(|with| {
                let mut changed = wire.clone();
                changed[at] ^= with;
                changed
            })
        });
        let values: Vec<Vec<u8>> = cuts.chain(changes).collect();
        let case =
            values.iter().fold(case().config("output", "json"), |case, value| case.record(keyless(value)));
        let outcome = case.run::<ThisOperator>().unwrap();
        assert_eq!(outcome.emitted.len() + outcome.rejections.len(), values.len());
    }
}

#[test]
fn blocks_with_their_size_and_items_without_bytes_have_their_limits() {
    let read = |schema: &str, value: &[u8]| {
        let schemas = format!("{{\"0\": {schema}}}");
        let case = Case::new().config("schemas", &schemas).config("output", "json");
        let outcome = case.record(keyless([&[0, 0, 0, 0, 0], value].concat())).run::<ThisOperator>().unwrap();
        match outcome.rejections.first() {
            Some((_, reason)) => Err(reason.clone()),
            None => Ok(outcome.values()[0].to_owned()),
        }
    };
    let items = r#"{"type": "array", "items": "int"}"#;
    // A block of -2 items in 2 bytes, a block of one item, the end.
    assert_eq!(read(items, &[3, 4, 2, 4, 2, 6, 0]).unwrap(), "[1,2,3]");
    let nothings = r#"{"type": "array", "items": "null"}"#;
    let many = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0];
    assert!(read(nothings, &many).unwrap_err().contains("more than 1000000 items"));
    let deep = r#"{"type": "record", "name": "D", "fields": [{"name": "d", "type": ["null", "D"]}]}"#;
    assert!(read(deep, &[2; 200]).unwrap_err().contains("nested more than 64 deep"));
    let endless = r#"{"type": "record", "name": "E", "fields": [{"name": "e", "type": "E"}]}"#;
    assert!(read(endless, &[]).unwrap_err().contains("nested more than 64 deep"));
}

#[test]
fn tombstones_pass_and_keys_stay() {
    let (wire, _) = golden().remove(0);
    let case = case().config("output", "json").record(tombstone("k")).record(record("k", wire));
    let outcome = case.run::<ThisOperator>().unwrap();
    assert_eq!(outcome.emitted.len(), 2);
    assert_eq!(outcome.emitted[0].record, tombstone("k"));
    assert_eq!(outcome.emitted[1].record.key, record("k", "").key);
}

#[test]
fn a_configuration_that_cannot_be_is_refused_before_the_first_record() {
    let refused = |case: Case| case.run::<ThisOperator>().unwrap_err();
    let with = |schemas: &str| refused(Case::new().config("schemas", schemas));
    assert!(with("[]").contains("no JSON object"));
    assert!(with("{}").contains("empty"));
    assert!(with(r#"{"x": {"type": "string"}}"#).contains("\"x\" is no schema id"));
    assert!(with(r#"{"5": {"type": "strin"}}"#).starts_with("schemas: 5: "));
    assert_eq!(refused(case().config("field", "a..b")), "field \"a..b\" is no dotted path");
    assert_eq!(refused(case().config("output", "xml")), "output \"xml\": expected wire or json");
}
