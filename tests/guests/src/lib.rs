//! Guests that misbehave on purpose. The configuration key `behaviour` chooses how: see [`behaviour`].
//!
//! The features `describe_endless` and `describe_traps` make guests that misbehave before they have a configuration,
//! the feature `keyed` one that misuses state and timers: see `keyed.rs`. The feature `migrating` makes one that behaves:
//! the next version of `count_by_key`. The features `swap_…` make versions of it that take its place while it runs, the features
//! `measured_…` those that a measurement tells apart.

pub mod behaviour;
#[cfg(feature = "keyed")]
pub mod keyed;
#[cfg(any(feature = "measured_next", feature = "measured_traps"))]
pub mod measured;
#[cfg(feature = "migrating")]
pub mod migrating;
#[cfg(any(feature = "describe_endless", feature = "describe_traps"))]
mod processor;
#[cfg(any(
    feature = "swap_good",
    feature = "swap_traps",
    feature = "swap_rejects",
    feature = "swap_slow",
    feature = "swap_breaks_state"
))]
pub mod swapped;

#[cfg(any(feature = "describe_endless", feature = "describe_traps"))]
pub use processor::ThisOperator;

#[cfg(not(any(
    feature = "describe_endless",
    feature = "describe_traps",
    feature = "keyed",
    feature = "measured_next",
    feature = "measured_traps",
    feature = "migrating",
    feature = "swap_good",
    feature = "swap_traps",
    feature = "swap_rejects",
    feature = "swap_slow",
    feature = "swap_breaks_state"
)))]
weir_sdk::map_batches! {
    open: behaviour::Behaviour::from_config,
    |behaviour: &behaviour::Behaviour, batch: &weir_sdk::Batch| behaviour.process(batch)
}

#[cfg(all(
    test,
    not(any(
        feature = "describe_endless",
        feature = "describe_traps",
        feature = "keyed",
        feature = "measured_next",
        feature = "measured_traps",
        feature = "migrating",
        feature = "swap_good",
        feature = "swap_traps",
        feature = "swap_rejects",
        feature = "swap_slow",
        feature = "swap_breaks_state"
    ))
))]
mod tests {
    use super::ThisOperator;
    use weir_sdk::testing::{Case, Outcome, keyless};

    fn run(behaviour: &str) -> Result<Outcome, String> {
        let case = Case::new().config("behaviour", behaviour).config("grow_bytes", "9");
        case.record(keyless("a")).record(keyless("poison")).record(keyless("big")).run::<ThisOperator>()
    }

    #[test]
    fn each_malformed_output_is_refused_with_the_name_of_its_column() {
        for (behaviour, message) in [
            ("offsets_out_of_order", "values.offsets: "),
            ("offsets_past_data", "values.offsets: "),
            ("wrong_count", "values.offsets: "),
            ("count_without_rows", "count is 2 without rows"),
            ("rows_out_of_range", "rows: the batch has no row 3"),
            ("port_out_of_range", "ports: there is no output port 7"),
            ("emitted_and_rejected", "rejections: row 0 is emitted and refused"),
            ("rejected_twice", "rejections: row 0 is refused twice"),
        ] {
            let error = run(behaviour).expect_err(behaviour);
            assert!(error.starts_with(message), "{behaviour}: {error}");
        }
    }

    #[test]
    fn the_harmless_ones_answer() {
        assert_eq!(run("pass").unwrap().values(), ["a", "poison", "big"]);
        assert_eq!(run("drop_all").unwrap().emitted.len(), 0);
        assert_eq!(run("reject_on_value").unwrap().rejections, [(1, "poisoned".into())]);
        assert_eq!(run("reject_on_value").unwrap().values(), ["a", "big"]);
        assert_eq!(run("grow_value").unwrap().values(), ["a", "poison", "xxxxxxxxx"]);
        assert_eq!(run("err_on_value").unwrap_err(), "row 1 is poisoned");
        assert_eq!(run("err").unwrap_err(), "this guest fails every batch");
        assert!(run("unheard_of").unwrap_err().contains("unheard_of"));
    }

    #[test]
    #[should_panic(expected = "row 1 is poisoned")]
    fn a_panic_names_the_row() {
        let _ = run("trap_on_value");
    }
}
