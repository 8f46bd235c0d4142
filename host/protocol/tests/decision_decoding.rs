//! Decision records from generated input: what is written is read again, and nothing else is a decision.

#![expect(clippy::unwrap_used, reason = "the functions that generate input are tests too")]

use proptest::prelude::*;
use weir_protocol::decision::{DecisionRecord, Metadata, Owner};
use weir_protocol::epoch::{CheckpointId, Epoch, Incarnation};
use weir_protocol::manifest::ManifestHash;

fn record() -> impl Strategy<Value = DecisionRecord> {
    ("(?s).{0,8}", "(?s).{0,8}", any::<u64>(), "[0-9A-Z]{26}", any::<[u8; 4]>()).prop_map(
        |(prefix, pipeline, epoch, incarnation, bytes)| DecisionRecord {
            owner: Owner::of(&prefix, &pipeline),
            id: CheckpointId {
                epoch: Epoch(epoch),
                incarnation: Incarnation::parse(&incarnation).expect("a generated one"),
            },
            manifest: ManifestHash::of(&bytes),
        },
    )
}

/// What is read is what was written, letter by letter; all else is not ours.
fn is_read_as_written(text: &str) -> Result<(), TestCaseError> {
    match Metadata::parse(text) {
        Metadata::Empty => prop_assert_eq!(text, ""),
        Metadata::Decision(record) => prop_assert_eq!(record.to_string(), text),
        Metadata::Unknown(shown) => prop_assert!(text.starts_with(&shown)),
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_decision_survives_its_text(record in record()) {
        let text = record.to_string();
        // The brokers' limit for metadata is 4096 bytes.
        prop_assert!(text.len() < 120, "{}", text);
        prop_assert_eq!(Metadata::parse(&text), Metadata::Decision(record));
    }

    #[test]
    fn a_changed_decision_is_another_one_or_none(
        record in record(), at: prop::sample::Index, with in "(?s)|.|[0-9;=+w]", keep: bool
    ) {
        let text = record.to_string();
        let at = at.index(text.len());
        let rest = if keep { at } else { at + 1 };
        let changed = format!("{}{with}{}", &text[..at], &text[rest..]);
        is_read_as_written(&changed)?;
        if changed != text {
            prop_assert_ne!(Metadata::parse(&changed), Metadata::Decision(record));
        }
    }

    #[test]
    fn arbitrary_text_is_never_a_panic(text in "(?s).{0,200}") {
        is_read_as_written(&text)?;
        is_read_as_written(&format!("w1;{text}"))?;
    }

    #[test]
    fn text_of_the_parts_of_a_decision_is_read_as_written(
        text in "w1;p=[0-9a-f]{0,13};n=[+0-9]{0,3};i=[0-9A-Za-z]{25,27};h=[0-9a-fA-F]{15,17};?"
    ) {
        is_read_as_written(&text)?;
    }
}

#[test]
fn a_number_that_is_written_otherwise_is_not_ours() {
    let rest = "i=01J9ZQ3W5X7Y8Z9A0B1C2D3E4F;h=00112233445566ff";
    assert!(matches!(Metadata::parse(&format!("w1;p=aabbccddeeff;n=5;{rest}")), Metadata::Decision(_)));
    for epoch in ["+5", "05", "-5", "5 ", ""] {
        let read = Metadata::parse(&format!("w1;p=aabbccddeeff;n={epoch};{rest}"));
        assert!(matches!(read, Metadata::Unknown(_)), "{epoch:?}: {read:?}");
    }
}
