//! JSON in which an object is an object: serde also reads a struct from a list of its values, which no document of ours
//! says, and which a new key would break.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};

/// Reads a value of this shape.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // First as serde_json does it, which finds keys that stand twice, and tells where something is wrong.
    serde_json::from_slice::<T>(bytes)?;
    T::deserialize(Strict(serde_json::from_slice(bytes)?))
}

struct Strict(Value);

impl<'de> IntoDeserializer<'de, Error> for Strict {
    type Deserializer = Strict;

    fn into_deserializer(self) -> Strict {
        self
    }
}

impl<'de> Deserializer<'de> for Strict {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Strict));
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            Value::Object(entries) => {
                let mut entries =
                    MapDeserializer::new(entries.into_iter().map(|(key, value)| (key, Strict(value))));
                let value = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| value)
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        inner: Option<Inner>,
        list: Vec<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        number: f64,
    }

    #[test]
    fn objects_are_read_and_lists_in_their_place_are_not() {
        let read = from_slice::<Outer>(br#"{"inner": {"number": 1}, "list": [1, 2]}"#).unwrap();
        assert_eq!(read, Outer { inner: Some(Inner { number: 1.0 }), list: vec![1, 2] });
        assert_eq!(from_slice::<Outer>(br#"{"list": []}"#).unwrap().inner, None);
        for wrong in [
            &br#"[null, []]"#[..],
            br#"{"inner": [1], "list": []}"#,
            br#"{"list": [], "list": []}"#,
            br#"{"list": {}}"#,
            br#"{"list": [], "more": 1}"#,
            br#"{"list": [256]}"#,
        ] {
            assert!(from_slice::<Outer>(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }
}
