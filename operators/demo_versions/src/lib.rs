//! Versions 2 and 3 of `count_by_key`, as `weir demo` swaps them into a running pipeline.
//!
//! They go on with the state of version 1, so the declaration is the same, and write their number behind each count:
//! so anybody can count how many records of each version have come out. Version 3 has a defect that only some records
//! meet: it handles the others first, and all of that has to be taken back.

/// Which version this is.
const VERSION: u32 = if cfg!(feature = "version_3") { 3 } else { 2 };

/// The records that version 3 stumbles over: one in a thousand, if keys are many.
fn stumbles(key: &[u8], count: u64) -> bool {
    VERSION == 3 && key.ends_with(b"77") && count.is_multiple_of(10)
}

weir_sdk::keyed! {
    output out keeps_key;
    state count: Value<u64>;

    fn process(record, emit) {
        let n = count.get().unwrap_or(0) + 1;
        count.set(n);
        if stumbles(record.key().unwrap_or_default(), n) {
            panic!("version 3 cannot count to {n}");
        }
        emit.write_value(|out| {
            out.put_decimal(n);
            out.put(" v");
            out.put_decimal(VERSION);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{ThisOperator, VERSION};
    use weir_sdk::testing::{Subtask, record};

    #[test]
    fn counts_go_on_and_tell_which_version_wrote_them() {
        let mut subtask = Subtask::<ThisOperator>::new();
        let outcome = subtask.process(["a", "b", "a"].map(|key| record(key, "x")));
        assert_eq!(outcome.values(), ["1", "1", "2"].map(|count| format!("{count} v{VERSION}")));
    }

    #[test]
    fn only_version_3_stumbles_and_only_when_it_has_counted_for_a_while() {
        let records = |count| (0..count).map(|_| record("key-77", "x"));
        let mut subtask = Subtask::<ThisOperator>::new();
        assert_eq!(subtask.process(records(9)).values().len(), 9);
        let ninth = subtask.value::<u64>("count", "key-77");
        assert_eq!(ninth, Some(9));
        let tenth = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| subtask.process(records(1))));
        assert_eq!(tenth.is_err(), VERSION == 3);
    }
}
