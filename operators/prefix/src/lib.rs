//! Puts a text before each value: the smallest operator there is.

weir_sdk::map_values! {
    config: [optional "prefix" = "processed_": "the text put before each value"],
    open: || Ok(weir_sdk::config("prefix").unwrap_or_default()),
    |prefix: &String, value, out| {
        out.put(prefix);
        out.put(value);
    }
}

#[cfg(test)]
mod tests {
    use super::ThisOperator;
    use weir_sdk::testing::{Case, keyless, record, tombstone};

    #[test]
    fn the_default_prefix_is_processed() {
        let outcome = Case::new().record(record("k", "a")).record(keyless("")).run::<ThisOperator>().unwrap();
        assert_eq!(outcome.values(), ["processed_a", "processed_"]);
    }

    #[test]
    fn the_prefix_comes_from_the_configuration() {
        let outcome = Case::new().config("prefix", "p-").record(keyless("a")).run::<ThisOperator>().unwrap();
        assert_eq!(outcome.values(), ["p-a"]);
    }

    #[test]
    fn all_but_the_value_stays_and_tombstones_pass() {
        let sample = record("k", "a").at(7).header("h", "1");
        let outcome = Case::new().record(sample).record(tombstone("k")).run::<ThisOperator>().unwrap();
        assert_eq!(outcome.emitted[0].record, record("k", "processed_a").at(7).header("h", "1"));
        assert_eq!(outcome.emitted[1].record, tombstone("k"));
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        assert!(Case::new().config("prefixes", "p-").run::<ThisOperator>().is_err());
    }
}
