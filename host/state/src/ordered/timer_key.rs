//! A timer as a key of its column family: time first, for timers fire in order of time, then of key.

/// `time (i64 with the sign bit flipped, big-endian) | 0 for the null key, 1 for a key | key`. Persisted, keep stable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey(Vec<u8>);

const NULL_KEY: u8 = 0;
const KEY: u8 = 1;

impl TimerKey {
    /// The timer of a record key at a time in milliseconds.
    pub fn new(time_ms: i64, key: Option<&[u8]>) -> TimerKey {
        let mut bytes = Vec::with_capacity(9 + key.map_or(0, <[u8]>::len));
        bytes.extend_from_slice(&time_prefix(time_ms));
        bytes.push(if key.is_some() { KEY } else { NULL_KEY });
        bytes.extend_from_slice(key.unwrap_or_default());
        TimerKey(bytes)
    }

    /// Reads a key of the column family. An error says what is wrong with it.
    pub fn from_stored(stored: &[u8]) -> Result<TimerKey, String> {
        match stored.get(8) {
            Some(&KEY) => Ok(TimerKey(stored.to_vec())),
            Some(&NULL_KEY) if stored.len() == 9 => Ok(TimerKey(stored.to_vec())),
            _ => Err(format!(
                "a stored timer of {} bytes is damaged: expected a time of 8 bytes, then 0, or 1 and the key; restore an \
                 earlier checkpoint",
                stored.len()
            )),
        }
    }

    /// When it fires.
    pub fn time_ms(&self) -> i64 {
        let (time, _) = self.0.split_first_chunk::<8>().expect("made by `new` or checked by `from_stored`");
        (u64::from_be_bytes(*time) ^ (1 << 63)) as i64
    }

    /// The record key that it was set under.
    pub fn key(&self) -> Option<&[u8]> {
        (self.0[8] == KEY).then(|| &self.0[9..])
    }

    /// The key in the column family.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key in the column family.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The end of all timers.
pub(super) const BEHIND_ALL_TIMERS: [u8; 9] = [0xff; 9];

/// The first key behind all timers of that time and before.
pub(super) fn behind_time(time_ms: i64) -> Vec<u8> {
    time_ms.checked_add(1).map_or(BEHIND_ALL_TIMERS.to_vec(), |next| time_prefix(next).to_vec())
}

fn time_prefix(time_ms: i64) -> [u8; 8] {
    ((time_ms as u64) ^ (1 << 63)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_stored_form_stays_as_it_is() {
        assert_eq!(TimerKey::new(1, Some(b"k")).as_bytes(), b"\x80\0\0\0\0\0\0\x01\x01k");
        assert_eq!(TimerKey::new(-1, None).as_bytes(), b"\x7f\xff\xff\xff\xff\xff\xff\xff\0");
    }

    #[test]
    fn a_damaged_timer_is_an_error() {
        for stored in
            [&b""[..], b"\x80\0\0\0\0\0\0\x01", b"\x80\0\0\0\0\0\0\x01\0k", b"\x80\0\0\0\0\0\0\x01\x02"]
        {
            assert!(TimerKey::from_stored(stored).is_err_and(|error| error.contains("damaged")));
        }
    }

    proptest! {
        #[test]
        fn timers_sort_by_time_then_key_and_are_read_back(
            one: (i64, Option<Vec<u8>>), other: (i64, Option<Vec<u8>>), same_time: bool
        ) {
            let other = if same_time { (one.0, other.1) } else { other };
            let [a, b] = [&one, &other].map(|timer| TimerKey::new(timer.0, timer.1.as_deref()));
            prop_assert_eq!(a.cmp(&b), one.cmp(&other));
            prop_assert_eq!((a.time_ms(), a.key().map(<[u8]>::to_vec)), one.clone());
            prop_assert_eq!(TimerKey::from_stored(a.as_bytes()), Ok(a.clone()));
            prop_assert!(a.as_bytes() < behind_time(one.0).as_slice() && a.as_bytes() < &BEHIND_ALL_TIMERS);
        }
    }
}
