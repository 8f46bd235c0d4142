//! Versions of `count_by_key` that take its place while it runs: one that behaves, and one for each rule of probation.
//!
//! All but `swap_breaks_state` keep the same state and emit the same counts, so a reader who sees a wrong one has seen a
//! record of a version that should have taken itself back.

/// A version starts to misbehave with the second half of a hundred of some key: probation sees good records first.
#[cfg(not(feature = "swap_breaks_state"))]
fn misbehaves(count: u64) -> bool {
    count % 100 >= 50
}

#[cfg(not(feature = "swap_breaks_state"))]
weir_sdk::keyed! {
    output out keeps_key;
    state count: Value<u64>;

    fn process(_record, emit) -> Result<(), String> {
        let n = count.get().unwrap_or(0) + 1;
        if cfg!(feature = "swap_traps") && misbehaves(n) {
            // What is written before a trap must leave no trace.
            count.set(n + 1_000_000);
            panic!("this version traps");
        }
        if cfg!(feature = "swap_rejects") && misbehaves(n) {
            return Err("this version refuses good records".to_owned());
        }
        if cfg!(feature = "swap_slow") {
            let mut sum = n;
            for step in 0..400_000_u64 {
                sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(step));
            }
            if sum == 1 {
                return Err("one in two to the 64".to_owned());
            }
        }
        count.set(n);
        emit.write_value(|out| out.put_decimal(n));
        Ok(())
    }
}

// The state has the same name and is of another kind.
#[cfg(feature = "swap_breaks_state")]
weir_sdk::keyed! {
    output out keeps_key;
    state count: Map<u64, u64>;

    fn process(_record, emit) -> Result<(), String> {
        let n = count.get(&0).unwrap_or(0) + 1;
        count.put(&0, n);
        emit.write_value(|out| out.put_decimal(n));
        Ok(())
    }
}
