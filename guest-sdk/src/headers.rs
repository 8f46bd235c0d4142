//! The encoding of a record's headers: `u32` count, then per header `u32` length, name, `u32` length or
//! `0xffffffff` for null, value. An empty entry has no headers.

/// The length that stands for a null value.
const NULL_LENGTH: u32 = u32::MAX;

/// The headers of one record, in order, as (name, value). A name that is not UTF-8 reads as the empty text.
#[derive(Clone)]
pub struct Headers<'a> {
    remaining: u32,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    pub(crate) fn of(entry: &'a [u8]) -> Self {
        let mut headers = Headers { remaining: 0, bytes: entry };
        headers.remaining = headers.take_u32().unwrap_or(0);
        headers
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn take_u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let name_length = self.take_u32()? as usize;
        let name = std::str::from_utf8(self.take(name_length)?).unwrap_or_default();
        let value = match self.take_u32()? {
            NULL_LENGTH => None,
            length => Some(self.take(length as usize)?),
        };
        Some((name, value))
    }
}

/// Appends a header to the entry that starts at `start` of `data`. The entry may still be empty.
pub(crate) fn append(data: &mut Vec<u8>, start: usize, name: &str, value: Option<&[u8]>) {
    if data.len() == start {
        data.extend_from_slice(&[0; 4]);
    }
    if let Some(count) = data.get_mut(start..).and_then(|entry| entry.first_chunk_mut::<4>()) {
        *count = (u32::from_le_bytes(*count) + 1).to_le_bytes();
    }
    data.extend_from_slice(&(name.len() as u32).to_le_bytes());
    data.extend_from_slice(name.as_bytes());
    let length = value.map_or(NULL_LENGTH, |value| value.len() as u32);
    data.extend_from_slice(&length.to_le_bytes());
    data.extend_from_slice(value.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_headers_are_read_back_in_order() {
        let mut data = b"entries before".to_vec();
        let start = data.len();
        append(&mut data, start, "first", Some(b"1"));
        append(&mut data, start, "null", None);
        append(&mut data, start, "empty", Some(b""));
        let read: Vec<_> = Headers::of(&data[start..]).collect();
        assert_eq!(read, [("first", Some(&b"1"[..])), ("null", None), ("empty", Some(&b""[..]))]);
    }

    #[test]
    fn an_empty_entry_has_no_headers_and_a_cut_one_ends() {
        assert_eq!(Headers::of(b"").count(), 0);
        assert_eq!(Headers::of(&[2, 0, 0, 0, 9, 0, 0, 0, b'x']).count(), 0);
    }
}
