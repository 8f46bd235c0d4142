//! Every form of operator, run natively: what it emits, inherits and refuses.
#![allow(missing_docs)]

use weir_sdk::testing::{Case, keyless, record, tombstone};

mod map_values {
    weir_sdk::map_values!(|value, out| {
        out.put("processed_");
        out.put(value);
    });
}

mod map_values_or_refuse {
    weir_sdk::map_values! {
        config: [required "limit": "the longest value that is taken"],
        open: || weir_sdk::config("limit").and_then(|limit| limit.parse::<usize>().ok()).ok_or("limit is no number".to_string()),
        |limit, value, out| {
            write!(out, "{}:", value.len());
            out.put(value);
            if value.len() > *limit { Err("too long") } else { Ok(()) }
        }
    }
}

mod filter {
    weir_sdk::filter!(|record| record.key().is_some());
}

mod words {
    weir_sdk::map!(|record, emit| {
        for word in record.value().unwrap_or_default().split(|byte| *byte == b' ') {
            match word {
                b"" => {}
                b"again" => emit.record().send(),
                b"key" => emit.key("new").header("how", "key").send(),
                b"unkey" => emit.record().no_key().tombstone(),
                b"late" => emit.timestamp(99).value("late"),
                b"bare" => emit.record().no_headers().send(),
                b"bad" => emit.reject("bad word"),
                other => emit.value(other),
            }
        }
    });
}

mod router {
    weir_sdk::router! {
        ports: ["first", keeps_key "second"],
        |record, emit| -> Result<(), String> {
            match record.value() {
                Some(b"2") => emit.to("second").send(),
                Some(b"1") => emit.to("first").value("one"),
                Some(_) => emit.record().send(),
                None => return Err("a tombstone".into()),
            }
            Ok(())
        }
    }
}

#[cfg(feature = "json")]
mod json {
    weir_sdk::map_json!(|numbers: Vec<u32>| Ok(numbers.iter().sum::<u32>()));
}

#[test]
fn map_values_changes_the_value_and_nothing_else() {
    let outcome = Case::new()
        .record(record("k", "a").at(7).header("h", "1"))
        .record(tombstone("k"))
        .record(keyless(""))
        .run::<map_values::ThisOperator>()
        .unwrap();
    let records: Vec<_> = outcome.emitted.into_iter().map(|emitted| emitted.record).collect();
    assert_eq!(
        records,
        [record("k", "processed_a").at(7).header("h", "1"), tombstone("k"), keyless("processed_")]
    );
}

#[test]
fn a_refused_value_leaves_no_bytes_behind() {
    let case = Case::new()
        .record(keyless("aaaa"))
        .record(keyless("bb"))
        .record(keyless("cccc"))
        .record(tombstone("k"));
    let outcome = case.clone().config("limit", "2").run::<map_values_or_refuse::ThisOperator>().unwrap();
    assert_eq!(outcome.values(), ["2:bb", ""]);
    assert_eq!(outcome.emitted[1].record, tombstone("k"));
    assert_eq!(outcome.rejections, [(0, "too long".into()), (2, "too long".into())]);
    let refusal = case.config("limit", "two").run::<map_values_or_refuse::ThisOperator>().unwrap_err();
    assert_eq!(refusal, "limit is no number");
}

#[test]
fn a_declared_configuration_is_checked() {
    let refused = |case: Case| case.run::<map_values_or_refuse::ThisOperator>().unwrap_err();
    assert_eq!(refused(Case::new()), "the configuration key \"limit\" is required");
    let misspelt = Case::new().config("limit", "1").config("limits", "1");
    assert_eq!(refused(misspelt), "the operator has no configuration key \"limits\"");
}

#[test]
fn a_filter_keeps_records_as_they_are() {
    let outcome = Case::new()
        .record(keyless("gone"))
        .record(record("k", "kept").header("h", "1"))
        .run::<filter::ThisOperator>()
        .unwrap();
    assert_eq!(outcome.emitted.len(), 1);
    assert_eq!(outcome.emitted[0].record, record("k", "kept").header("h", "1"));
    assert_eq!(outcome.emitted[0].source_row, 1);
}

#[test]
fn each_field_is_inherited_until_it_is_set() {
    let words = "plain again key late unkey bare key";
    let source = record("old", words).at(5).header("h", "1");
    let outcome =
        Case::new().record(record("first", "x")).record(source.clone()).run::<words::ThisOperator>().unwrap();
    let records: Vec<_> = outcome.emitted.into_iter().map(|emitted| emitted.record).collect();
    let rekeyed = record("new", words).at(5).header("h", "1").header("how", "key");
    assert_eq!(
        records,
        [
            record("first", "x"),
            record("old", "plain").at(5).header("h", "1"),
            source,
            rekeyed.clone(),
            record("old", "late").at(99).header("h", "1"),
            weir_sdk::testing::SampleRecord { key: None, ..tombstone("").at(5).header("h", "1") },
            record("old", words).at(5),
            rekeyed,
        ]
    );
}

#[test]
fn a_refused_row_takes_back_what_it_emitted() {
    let outcome = Case::new()
        .record(record("a", "key late bad unkey"))
        .record(record("b", "x y"))
        .record(record("c", "key bad"))
        .record(record("d", "z"))
        .run::<words::ThisOperator>()
        .unwrap();
    assert_eq!(outcome.values(), ["x", "y", "z"]);
    assert_eq!(outcome.emitted[0].record, record("b", "x"));
    assert_eq!(outcome.emitted[2].record, record("d", "z"));
    assert_eq!(outcome.rejections, [(0, "bad word".into()), (2, "bad word".into())]);
}

#[test]
fn a_router_sends_to_ports() {
    let outcome = Case::new()
        .record(keyless("1"))
        .record(keyless("2"))
        .record(tombstone("k"))
        .record(keyless("3"))
        .run::<router::ThisOperator>()
        .unwrap();
    assert_eq!(outcome.values_to("first"), ["one", "3"]);
    assert_eq!(outcome.values_to("second"), ["2"]);
    assert_eq!(outcome.rejections, [(2, "a tombstone".into())]);
}

#[cfg(feature = "json")]
#[test]
fn json_is_decoded_and_encoded_and_what_is_not_json_is_refused() {
    let outcome = Case::new()
        .record(keyless("[1, 2, 3]"))
        .record(keyless("{"))
        .record(tombstone("k"))
        .run::<json::ThisOperator>()
        .unwrap();
    assert_eq!(outcome.values(), ["6", ""]);
    assert_eq!(outcome.rejections[0].0, 1);
    assert!(outcome.rejections[0].1.starts_with("the value is not the expected JSON: "), "{outcome:?}");
}
