//! Versions of `count_by_key` for measurements: their state is the same, and their output tells which version wrote it.
//!
//! `measured_next` behaves. `measured_traps` traps at the last record of each half million of the input of
//! `cargo xtask bench swap`, whose values begin with the record's number.

/// Bytes of a value in front of the digits that are looked at: the number has twelve.
#[cfg(feature = "measured_traps")]
const HIGH_DIGITS: usize = 6;

/// True for the last record of each half million.
#[cfg(feature = "measured_traps")]
fn is_bad(value: Option<&[u8]>) -> bool {
    let digits = value.and_then(|value| value.get(HIGH_DIGITS..)).unwrap_or_default();
    digits.starts_with(b"499999") || digits.starts_with(b"999999")
}

weir_sdk::keyed! {
    output out keeps_key;
    state count: Value<u64>;

    fn process(_record, emit) {
        #[cfg(feature = "measured_traps")]
        if is_bad(_record.value()) {
            panic!("this version traps at the last record of each half million");
        }
        let n = count.get().unwrap_or(0) + 1;
        count.set(n);
        emit.write_value(|out| {
            out.put(b"next ");
            out.put_decimal(n);
        });
    }
}
