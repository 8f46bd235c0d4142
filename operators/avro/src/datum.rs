//! Avro's binary encoding, read as a JSON value: a union is the value of its branch, an enum its symbol, bytes are text with
//! a character for each byte, as in Avro's own JSON encoding.

use crate::schema::{Node, NodeId, Schema};
use serde_json::{Map, Value};

/// Values within values.
const DEPTH_MAX: usize = 64;
/// Items of all arrays and maps of a value: an item may be written with no byte at all.
const ITEMS_MAX: u64 = 1_000_000;
/// Bytes of a number: 64 bits, seven in each.
const VARINT_BYTES_MAX: u32 = 10;

/// Reads all bytes. What is left over means that another schema wrote them.
pub fn read(schema: &Schema, encoded: &[u8]) -> Result<Value, String> {
    let mut reader = Reader { schema, left: encoded, items: 0 };
    let value =
        reader.value(schema.root(), 0).map_err(|why| format!("the value cannot be read by it: {why}"))?;
    match reader.left.len() {
        0 => Ok(value),
        left => {
            Err(format!("{left} bytes are left over behind the value: was it written by another schema?"))
        }
    }
}

struct Reader<'a> {
    schema: &'a Schema,
    left: &'a [u8],
    items: u64,
}

impl<'a> Reader<'a> {
    fn value(&mut self, node: NodeId, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err(format!("it is nested more than {DEPTH_MAX} deep"));
        }
        let schema = self.schema;
        Ok(match schema.node(node) {
            Node::Null => Value::Null,
            Node::Boolean => match self.take(1)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                other => return Err(format!("byte {} is no truth value", other[0])),
            },
            Node::Integer => Value::from(self.integer()?),
            // By its shortest text: 0.1 stays 0.1.
            Node::Float => {
                f32::from_le_bytes(self.array()?).to_string().parse::<f64>().map_or(Value::Null, Value::from)
            }
            Node::Double => Value::from(f64::from_le_bytes(self.array()?)),
            Node::Bytes => by_character(self.sized()?),
            Node::Fixed(size) => by_character(self.take(*size)?),
            Node::Text => Value::from(self.text()?),
            Node::Enum(symbols) => Value::from(self.choice(symbols, "symbols")?.as_str()),
            Node::Union(branches) => {
                let branch = *self.choice(branches, "branches")?;
                self.value(branch, depth + 1)?
            }
            Node::Record(fields) => {
                let mut object = Map::new();
                for (name, of) in fields {
                    let value = self.value(*of, depth + 1).map_err(|why| format!("{name}: {why}"))?;
                    object.insert(name.clone(), value);
                }
                Value::Object(object)
            }
            Node::Array(of) => {
                let mut items = Vec::new();
                while let Some(count) = self.block()? {
                    for _ in 0..count {
                        items.push(self.value(*of, depth + 1)?);
                    }
                }
                Value::Array(items)
            }
            Node::Map(of) => {
                let mut entries = Map::new();
                while let Some(count) = self.block()? {
                    for _ in 0..count {
                        let key = self.text()?.to_owned();
                        entries.insert(key, self.value(*of, depth + 1)?);
                    }
                }
                Value::Object(entries)
            }
        })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let taken = self.left.split_at_checked(count);
        let (taken, left) =
            taken.ok_or_else(|| format!("{count} bytes expected, {} are there", self.left.len()))?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("as many as were asked for"))
    }

    /// Zigzag, seven bits in a byte, the lowest first.
    fn integer(&mut self) -> Result<i64, String> {
        let mut bits = 0_u64;
        for byte in 0..VARINT_BYTES_MAX {
            let [next] = self.array()?;
            bits |= u64::from(next & 0x7f) << (7 * byte);
            if next & 0x80 == 0 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err(format!("a number is longer than {VARINT_BYTES_MAX} bytes"))
    }

    fn sized(&mut self) -> Result<&'a [u8], String> {
        let size = self.integer()?;
        self.take(usize::try_from(size).map_err(|_| format!("{size} is no length"))?)
    }

    fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.sized()?).map_err(|_| "a text is not UTF-8".to_owned())
    }

    fn choice<'s, T>(&mut self, of: &'s [T], what: &str) -> Result<&'s T, String> {
        let index = self.integer()?;
        let chosen = usize::try_from(index).ok().and_then(|index| of.get(index));
        chosen.ok_or_else(|| format!("number {index} of {} {what}", of.len()))
    }

    /// How many items the next block of an array or a map has; none behind the last block.
    fn block(&mut self) -> Result<Option<u64>, String> {
        let count = self.integer()?;
        if count < 0 {
            // Its size in bytes, for those who pass over it.
            self.integer()?;
        }
        self.items = self.items.saturating_add(count.unsigned_abs());
        match (count, self.items > ITEMS_MAX) {
            (0, _) => Ok(None),
            (_, true) => Err(format!("it has more than {ITEMS_MAX} items")),
            (_, false) => Ok(Some(count.unsigned_abs())),
        }
    }
}

fn by_character(bytes: &[u8]) -> Value {
    Value::String(bytes.iter().copied().map(char::from).collect())
}
