//! What every case stands on: a broker, topics and records of its own, weir as a child process, and a model.

pub mod broker;
pub mod cluster;
pub mod counting;
pub mod faulty_network;
pub mod guests;
pub mod java;
pub mod job;
pub mod judges;
pub mod keyed_job;
pub mod keyed_load;
pub mod keyed_model;
pub mod load;
pub mod manual;
pub mod model;
pub mod moments;
pub mod murmur2;
pub mod names;
pub mod own_broker;
pub mod probes;
pub mod raw_http;
pub mod record;
pub mod server;
pub mod small_disk;
pub mod waiting;
pub mod watcher;
pub mod weir;
