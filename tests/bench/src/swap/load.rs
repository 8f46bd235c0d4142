//! The input of the pipeline that is measured: all keys once, then keys at random, and always more of them than the
//! pipeline has read.

use super::Place;
use super::arguments::Arguments;
use crate::failure::Failure;
use crate::fill::Filling;
use crate::large_state::{self, VALUE_BYTES};

/// A topic and how much was written to it.
pub struct Load<'a> {
    brokers: &'a str,
    /// The topic.
    pub topic: String,
    /// Keys of the state.
    pub keys: u64,
    written: u64,
}

impl<'a> Load<'a> {
    /// Makes the topic and writes each key once.
    pub fn fill(place: &Place, arguments: &'a Arguments) -> Result<Load<'a>, Failure> {
        let topic = format!("{}-in", place.id);
        place.topics.create(&topic)?;
        let keys = large_state::keys_of(arguments.state_bytes);
        let mut load = Load { brokers: &arguments.brokers, topic, keys, written: 0 };
        load.add(keys)?;
        Ok(load)
    }

    /// Writes more records.
    pub fn add(&mut self, records: u64) -> Result<(), Failure> {
        let keys = self.keys;
        let write_key = move |number: u64, key: &mut Vec<u8>| large_state::write_key(number, keys, key);
        let numbers = (self.written, self.written + records);
        let (brokers, topic) = (self.brokers, &self.topic);
        Filling { brokers, topic, numbers, value_bytes: VALUE_BYTES, write_key: &write_key }.write()?;
        self.written += records;
        Ok(())
    }
}
