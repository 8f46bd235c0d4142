//! How the subkeys of a map become bytes. The bytes sort as the subkeys do, for the host compares bytes. What is
//! written here lies on disk.

use crate::codec::wrong_length;

/// A subkey of a map: bytes that sort as the values of this type do.
pub trait Subkey: Sized {
    /// Appends the encoded subkey.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what [`encode`](Self::encode) wrote. An `Err` says what was expected.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

/// A subkey that has the same number of bytes always, so that another may follow it.
pub trait FixedSubkey: Subkey {
    /// Number of its bytes.
    const BYTES: usize;
}

/// Big-endian; a signed number with its sign bit flipped, so that negative numbers come first.
macro_rules! big_endian {
    ($($number:ty, $flip:expr;)*) => {$(
        impl Subkey for $number {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&(*self ^ $flip).to_be_bytes());
            }

            #[inline]
            fn decode(bytes: &[u8]) -> Result<Self, String> {
                match bytes.try_into() {
                    Ok(bytes) => Ok(<$number>::from_be_bytes(bytes) ^ $flip),
                    Err(_) => Err(wrong_length(bytes, stringify!($number), size_of::<$number>())),
                }
            }
        }

        impl FixedSubkey for $number {
            const BYTES: usize = size_of::<$number>();
        }
    )*};
}

big_endian! {
    u8, 0; u16, 0; u32, 0; u64, 0;
    i8, i8::MIN; i16, i16::MIN; i32, i32::MIN; i64, i64::MIN;
}

/// The bytes.
impl Subkey for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        Ok(bytes.to_vec())
    }
}

/// UTF-8.
impl Subkey for String {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        String::from_utf8(bytes.to_vec()).map_err(|error| format!("not a text: {error}"))
    }
}

/// The first, then the second. Only the last may vary in length.
impl<A: FixedSubkey, B: Subkey> Subkey for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes.split_at_checked(A::BYTES) {
            Some((first, rest)) => Ok((A::decode(first)?, B::decode(rest)?)),
            None => Err(wrong_length(bytes, "the first part of a pair", A::BYTES)),
        }
    }
}

impl<A: FixedSubkey, B: FixedSubkey> FixedSubkey for (A, B) {
    const BYTES: usize = A::BYTES + B::BYTES;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(subkey: &impl Subkey) -> Vec<u8> {
        let mut out = Vec::new();
        subkey.encode(&mut out);
        out
    }

    /// The given subkeys go up; so must their bytes, and each must come back.
    fn check<K: Subkey + PartialEq + std::fmt::Debug>(rising: &[K]) {
        let encoded: Vec<_> = rising.iter().map(bytes).collect();
        assert!(encoded.is_sorted_by(|a, b| a < b), "{rising:?} became {encoded:?}");
        for (subkey, bytes) in rising.iter().zip(&encoded) {
            assert_eq!(K::decode(bytes).as_ref(), Ok(subkey));
        }
    }

    #[test]
    fn bytes_sort_as_the_subkeys_do() {
        check(&[i64::MIN, -300, -1, 0, 1, 300, i64::MAX]);
        check(&[0_u64, 1, 255, 256, u64::MAX]);
        check(&["", "a", "ab", "b", "ä"].map(str::to_string));
        check(&[(-1_i64, 9_u64), (0, 0), (0, 256), (1, 1)]);
        check(&[(1_u8, "b".to_string()), (2, "a".to_string())]);
    }

    #[test]
    fn what_was_not_encoded_is_not_decoded() {
        assert_eq!(i64::decode(&[1]).unwrap_err(), "1 bytes, where i64 has 8");
        assert!(<(i64, u64)>::decode(&[1]).is_err());
    }
}
