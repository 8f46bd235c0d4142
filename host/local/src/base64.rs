//! Base 64 as RFC 4648 section 4 defines it (with padding): how bytes that are not text stand in a JSON line.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Adds the encoded form of `bytes`.
pub(crate) fn encode(bytes: &[u8], encoded: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            encoded.push(if place > chunk.len() { b'=' } else { letter });
        }
    }
}

/// Replaces an encoded tail of `buffer`, which begins at `start`, by the bytes that it stands for. `None` where the
/// tail is not base 64 in its only valid spelling.
pub(crate) fn decode_tail(buffer: &mut Vec<u8>, start: usize) -> Option<()> {
    let length = buffer.len() - start;
    if !length.is_multiple_of(4) {
        return None;
    }
    let padding = buffer[start..].iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let mut end = start;
    for at in (start..buffer.len()).step_by(4) {
        let letters = if at + 4 == buffer.len() { 4 - padding } else { 4 };
        let mut bits = 0u32;
        for place in 0..4 {
            bits = bits << 6 | if place < letters { u32::from(six_bits(buffer[at + place])?) } else { 0 };
        }
        let three = bits.to_be_bytes();
        if three[letters..].iter().any(|byte| *byte != 0) {
            // Bits behind the last byte: another spelling of the same bytes.
            return None;
        }
        for byte in &three[1..letters] {
            buffer[end] = *byte;
            end += 1;
        }
    }
    buffer.truncate(end);
    Some(())
}

fn six_bits(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut text = Vec::new();
        encode(bytes, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_vectors_of_rfc_4648_hold() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(encoded(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn bytes_of_every_length_come_back() {
        for length in 0..70u8 {
            let bytes: Vec<u8> = (0..length).map(|i| i.wrapping_mul(73) ^ 0xa5).collect();
            let mut buffer = b"head".to_vec();
            encode(&bytes, &mut buffer);
            assert_eq!(decode_tail(&mut buffer, 4), Some(()));
            assert_eq!(&buffer[4..], bytes);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in ["Zg", "Zg=", "Z===", "Zh==", "Zm9=", "Z-8=", "Zg==Zg==", "===="] {
            assert_eq!(decode_tail(&mut text.as_bytes().to_vec(), 0), None, "{text}");
        }
    }
}
