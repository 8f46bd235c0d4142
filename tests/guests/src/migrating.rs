//! `count_by_key` in its next version: counts are text, and those of version 1 are read.
//!
//! It behaves; it is here because a migration needs two versions, and operators that ship have one.

weir_sdk::keyed! {
    output out keeps_key;
    state count: Value<String> { version = 2 };

    fn process(_record, emit) -> Result<(), String> {
        let before = count.get().unwrap_or_default();
        let before: u64 = if before.is_empty() { 0 } else { before.parse().map_err(|_| "the count is no number")? };
        let now = (before + 1).to_string();
        emit.write_value(|out| out.put(now.as_bytes()));
        count.set(now);
        Ok(())
    }

    fn migrate count(_from_version, entry) -> Result<Option<String>, String> {
        Ok(Some(entry.value::<u64>()?.to_string()))
    }
}
