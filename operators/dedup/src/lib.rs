//! Lets the first record of each key through and drops its repeats, for a day.

weir_sdk::keyed! {
    output out keeps_key;
    state seen: Value<()> { ttl = "1d" };

    fn process(record, emit) {
        // Without a key there is nothing by which a record could repeat another.
        if record.key().is_none() {
            emit.record().send();
        } else if seen.get().is_none() {
            seen.set(());
            emit.record().send();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ThisOperator;
    use weir_sdk::testing::{Subtask, keyless, record, tombstone};

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    #[test]
    fn the_first_record_of_a_key_goes_on_as_it_is_and_repeats_are_dropped() {
        let mut subtask = Subtask::<ThisOperator>::new();
        let first = record("a", "1").at(7).header("h", "1");
        let outcome = subtask.process([first.clone(), record("a", "2"), tombstone("a"), record("b", "3")]);
        let records: Vec<_> = outcome.emitted.into_iter().map(|emitted| emitted.record).collect();
        assert_eq!(records, [first, record("b", "3")]);
        assert_eq!(subtask.process([record("b", "4"), record("c", "5")]).values(), ["5"]);
    }

    #[test]
    fn a_key_is_forgotten_a_day_after_the_record_that_went_on() {
        let mut subtask = Subtask::<ThisOperator>::new();
        subtask.process([record("a", "1")]);
        subtask.advance_time(DAY_MS - 1);
        assert_eq!(
            subtask.process([record("a", "2")]).emitted.len(),
            0,
            "a repeat does not begin the day anew"
        );
        subtask.advance_time(DAY_MS);
        assert_eq!(subtask.process([record("a", "3")]).values(), ["3"]);
    }

    #[test]
    fn records_without_a_key_repeat_nothing() {
        let outcome = Subtask::<ThisOperator>::new().process([keyless("1"), keyless("1")]);
        assert_eq!(outcome.values(), ["1", "1"]);
    }
}
