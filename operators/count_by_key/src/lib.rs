//! Counts the records of each key, and emits each new count as text: the smallest keyed operator there is.

weir_sdk::keyed! {
    output out keeps_key;
    state count: Value<u64>;

    fn process(_record, emit) {
        let n = count.get().unwrap_or(0) + 1;
        count.set(n);
        emit.write_value(|out| out.put_decimal(n));
    }
}

#[cfg(test)]
mod tests {
    use super::ThisOperator;
    use weir_sdk::testing::{Subtask, keyless, record, tombstone};

    #[test]
    fn each_key_is_counted_across_batches() {
        let mut subtask = Subtask::<ThisOperator>::new();
        assert_eq!(subtask.process(["a", "b", "a"].map(|key| record(key, "x"))).values(), ["1", "1", "2"]);
        assert_eq!(subtask.process([record("a", "x"), tombstone("b")]).values(), ["3", "2"]);
    }

    #[test]
    fn all_but_the_value_stays_and_records_without_a_key_are_counted_together() {
        let mut subtask = Subtask::<ThisOperator>::new();
        let outcome = subtask.process([record("a", "x").at(7).header("h", "1"), keyless("x"), keyless("x")]);
        assert_eq!(outcome.emitted[0].record, record("a", "1").at(7).header("h", "1"));
        assert_eq!(outcome.values(), ["1", "1", "2"]);
    }

    #[test]
    fn the_host_is_asked_twice_per_batch() {
        let mut subtask = Subtask::<ThisOperator>::new();
        subtask.process((0..1000).map(|n| record(format!("key-{}", n % 100), "x")));
        assert_eq!(subtask.imports_called(), 2);
    }
}
