//! How values of state become bytes and come back. What is written here lies on disk: a change of an encoding is a
//! new version of every state that uses it.

/// A value of state, as bytes. An encoding is for ever; another one is a raised `version` and a `fn migrate`.
pub trait Codec: Sized {
    /// Appends the encoded value.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what [`encode`](Self::encode) wrote. An `Err` says what was expected.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

/// The number's bytes, little-endian.
macro_rules! little_endian {
    ($($number:ty),*) => {$(
        impl Codec for $number {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn decode(bytes: &[u8]) -> Result<Self, String> {
                match bytes.try_into() {
                    Ok(bytes) => Ok(<$number>::from_le_bytes(bytes)),
                    Err(_) => Err(wrong_length(bytes, stringify!($number), size_of::<$number>())),
                }
            }
        }
    )*};
}

little_endian!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64);

#[cold]
pub(crate) fn wrong_length(bytes: &[u8], name: &str, expected: usize) -> String {
    format!("{} bytes, where {name} has {expected}", bytes.len())
}

/// No bytes: what counts is that there is a value.
impl Codec for () {
    fn encode(&self, _out: &mut Vec<u8>) {}

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes {
            [] => Ok(()),
            _ => Err(wrong_length(bytes, "()", 0)),
        }
    }
}

/// One byte, 0 or 1.
impl Codec for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err("neither the byte 0 nor the byte 1, as a bool has".to_string()),
        }
    }
}

/// The bytes.
impl Codec for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        Ok(bytes.to_vec())
    }
}

/// UTF-8.
impl Codec for String {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        String::from_utf8(bytes.to_vec()).map_err(|error| format!("not a text: {error}"))
    }
}

/// `u32` length of the first, the first, the second.
impl<A: Codec, B: Codec> Codec for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_with_length(&self.0, out);
        self.1.encode(out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (first, rest) = split_with_length(bytes)?;
        Ok((A::decode(first)?, B::decode(rest)?))
    }
}

/// `u32` length of the first, the first, the same for the second, the third.
impl<A: Codec, B: Codec, C: Codec> Codec for (A, B, C) {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_with_length(&self.0, out);
        encode_with_length(&self.1, out);
        self.2.encode(out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (first, rest) = split_with_length(bytes)?;
        let (second, third) = split_with_length(rest)?;
        Ok((A::decode(first)?, B::decode(second)?, C::decode(third)?))
    }
}

fn encode_with_length(part: &impl Codec, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    part.encode(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn split_with_length(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let split = bytes.split_first_chunk();
    let split = split.and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize));
    split.ok_or_else(|| "a part of a tuple is cut off".to_string())
}

/// JSON text, through serde.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(
    /// The value.
    pub T,
);

/// Panics where serde cannot write the value, such as a map whose keys are no texts.
#[cfg(feature = "json")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec for Json<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        if let Err(error) = serde_json::to_writer(out, &self.0) {
            panic!("a value of state cannot be written as JSON: {error}");
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map(Json).map_err(|error| format!("not the expected JSON: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: impl Codec) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    #[test]
    fn numbers_are_little_endian() {
        assert_eq!(bytes(258_u64), [2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes(-2_i64), [254, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(u64::decode(&bytes(258_u64)), Ok(258));
        assert_eq!(f64::decode(&bytes(-0.5)), Ok(-0.5));
        assert_eq!(u64::decode(&[1, 2]).unwrap_err(), "2 bytes, where u64 has 8");
    }

    #[test]
    fn tuples_keep_their_parts_apart() {
        let value = ("ab".to_string(), (7_u32, String::new()), "c".to_string());
        assert_eq!(Codec::decode(&bytes(value.clone())), Ok(value));
        assert_eq!(bytes((1_u8, 2_u8)), [1, 0, 0, 0, 1, 2]);
        assert!(<(u8, u8)>::decode(&[9, 0, 0, 0, 1]).is_err());
    }

    #[test]
    fn what_was_not_encoded_is_not_decoded() {
        assert!(bool::decode(&[2]).is_err());
        assert!(<()>::decode(&[0]).is_err());
        assert!(String::decode(&[0xff]).is_err());
        assert_eq!(Vec::decode(&[0xff]), Ok(vec![0xff]));
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_is_compact_text() {
        assert_eq!(bytes(Json(vec![1, 2])), b"[1,2]");
        assert_eq!(Json::<Vec<u8>>::decode(b"[1,2]"), Ok(Json(vec![1, 2])));
        assert!(Json::<Vec<u8>>::decode(b"[1,").is_err());
    }
}
