//! Confluent's wire format: a zero byte, the schema's id in four bytes (the highest first), then what is encoded.

/// The magic byte.
const MAGIC: u8 = 0;
/// Bytes in front of what is encoded.
const HEAD_BYTES: usize = 5;

/// Splits a value into the schema's id and what is encoded.
pub fn split(value: &[u8]) -> Result<(u32, &[u8]), String> {
    let Some((head, encoded)) = value.split_first_chunk::<HEAD_BYTES>() else {
        return Err(format!("{} bytes are too few for the wire format, which begins with 5", value.len()));
    };
    let [magic, id @ ..] = head;
    if *magic != MAGIC {
        return Err(format!("the value begins with byte {magic}, the wire format begins with 0"));
    }
    Ok((u32::from_be_bytes(*id), encoded))
}
