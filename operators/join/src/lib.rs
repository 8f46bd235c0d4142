//! Joins records of two inputs that have the same key and are close to one another in event time.

use serde::de::IgnoredAny;
use weir_sdk::{Emitter, Map, Record, Timer, Value};

weir_sdk::keyed! {
    config required "within_ms": "how far apart two records may be, in milliseconds of event time";
    open within_ms = within_from_config;
    input left;
    input right;
    output pairs keeps_key;
    state lefts: Map<(i64, u64), Vec<u8>>;
    state rights: Map<(i64, u64), Vec<u8>>;
    state arrivals: Value<u64>;
    timer expired: EventTime;

    fn left(record, emit) -> Result<(), String> {
        let arrival = Arrival::of(record, *within_ms)?;
        arrival.pair_with(&rights, |other, time| arrival.emit(emit, arrival.value, other, time));
        arrival.keep(&lefts, &arrivals, &expired);
        Ok(())
    }

    fn right(record, emit) -> Result<(), String> {
        let arrival = Arrival::of(record, *within_ms)?;
        arrival.pair_with(&lefts, |other, time| arrival.emit(emit, other, arrival.value, time));
        arrival.keep(&rights, &arrivals, &expired);
        Ok(())
    }

    fn on_timer expired(timer, _emit) {
        // A timer is set for the first moment at which nothing that is not late can meet its record.
        let kept_from = (timer.time() - *within_ms, 0);
        for side in [&lefts, &rights] {
            side.scan(..kept_from).iter().for_each(|(position, _)| side.remove(position));
        }
        if lefts.first(..).is_none() && rights.first(..).is_none() {
            arrivals.remove();
        }
    }
}

fn within_from_config() -> Result<i64, String> {
    let given = weir_sdk::config("within_ms").unwrap_or_default();
    let within = given.parse().ok().filter(|within| *within >= 0);
    within.ok_or_else(|| format!("within_ms \"{given}\" is no number of milliseconds"))
}

/// A side: by time, then by order of arrival, for several records of one key may have one time.
type Side = Map<(i64, u64), Vec<u8>>;

/// A record that can be joined.
struct Arrival<'a> {
    value: &'a [u8],
    time: i64,
    earliest: i64,
    latest: i64,
}

impl<'a> Arrival<'a> {
    fn of(record: Record<'a>, within_ms: i64) -> Result<Self, String> {
        record.key().ok_or("a record without a key joins nothing")?;
        let value = record.value().ok_or("a tombstone joins nothing")?;
        serde_json::from_slice::<IgnoredAny>(value).map_err(|error| format!("not JSON: {error}"))?;
        let time = record.timestamp();
        let (earliest, latest) = (time.saturating_sub(within_ms), time.checked_add(within_ms));
        let latest = latest.filter(|latest| *latest < i64::MAX).ok_or("its time is too far ahead")?;
        Ok(Arrival { value, time, earliest, latest })
    }

    fn pair_with(&self, side: &Side, mut pair: impl FnMut(&[u8], i64)) {
        side.visit((self.earliest, 0)..=(self.latest, u64::MAX), |(time, _), value| {
            pair(&value, time);
            true
        });
    }

    fn emit(&self, emit: &mut Emitter<'_>, left: &[u8], right: &[u8], other_time: i64) {
        emit.timestamp(self.time.max(other_time)).write_value(|out| {
            [&b"{\"left\":"[..], left, b",\"right\":", right, b"}"].iter().for_each(|part| out.put(part));
        });
    }

    fn keep(&self, side: &Side, arrivals: &Value<u64>, expired: &Timer) {
        let arrival = arrivals.get().unwrap_or(0);
        arrivals.set(arrival + 1);
        side.put(&(self.time, arrival), self.value.to_vec());
        expired.set(self.latest + 1);
    }
}

#[cfg(test)]
mod tests;
