//! Sums the whole numbers of each key in windows of event time that follow one another without gaps.

use std::ops::Range;

weir_sdk::keyed! {
    config required "window_ms": "length of a window in milliseconds";
    open windows = Windows::from_config;
    output sums keeps_key;
    output late keeps_key;
    state sum: Map<i64, i64>;
    timer window_end: EventTime;

    fn read_ahead sum(record) {
        windows.around(record.timestamp()).map(|window| window.start)
    }

    fn process(record, emit) -> Result<(), String> {
        let window = windows.around(record.timestamp()).ok_or("no window reaches that far in time")?;
        if window.end <= record.watermark() {
            emit.to("late").send();
            return Ok(());
        }
        let before = sum.get(&window.start).unwrap_or(0);
        sum.put(&window.start, before.checked_add(number(record.value())?).ok_or("the sum is too large")?);
        window_end.set(window.end);
        Ok(())
    }

    fn on_timer window_end(timer, emit) {
        let window_start = timer.time() - windows.length_ms;
        let Some(total) = sum.get(&window_start) else { return };
        sum.remove(&window_start);
        let key = serde_json::Value::from(timer.key().map(String::from_utf8_lossy));
        // The last moment of the window, so that a window of the same length behind this one finds it in its place.
        emit.to("sums").timestamp(timer.time() - 1).write_value(|out| {
            write!(out, "{{\"key\":{key},\"window_start\":{window_start},\"sum\":{total}}}");
        });
    }
}

/// The configured windows: they begin at the multiples of their length.
struct Windows {
    length_ms: i64,
}

impl Windows {
    fn from_config() -> Result<Self, String> {
        let given = weir_sdk::config("window_ms").unwrap_or_default();
        match given.parse() {
            Ok(length_ms) if length_ms > 0 => Ok(Windows { length_ms }),
            _ => Err(format!("window_ms \"{given}\" is no number of milliseconds above 0")),
        }
    }

    /// The window that a time falls into.
    fn around(&self, time_ms: i64) -> Option<Range<i64>> {
        let start = time_ms.checked_sub(time_ms.rem_euclid(self.length_ms))?;
        Some(start..start.checked_add(self.length_ms)?)
    }
}

fn number(value: Option<&[u8]>) -> Result<i64, String> {
    let text = String::from_utf8_lossy(value.ok_or("a tombstone has no number")?);
    text.trim().parse().map_err(|_| format!("the value \"{text}\" is no whole number"))
}

#[cfg(test)]
mod tests;
