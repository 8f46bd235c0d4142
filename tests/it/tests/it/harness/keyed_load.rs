//! A load that `count_by_key`, `tumbling_sum` and `join` can all read: two topics in step, keys that repeat, event time
//! that rises in each partition, so that with monotonous watermarks nothing is ever late.

use super::cluster::{Cluster, producer, send};
use super::keyed_model::KeyedModel;
use super::load_pause::LoadPause;
use super::record::{Record, first_timestamp};
use super::waiting::pause;
use rdkafka::producer::Producer;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two bursts.
const PACE: Duration = Duration::from_millis(10);
/// Event time between two records of a partition.
const STEP_MS: i64 = 5;
/// Distinct keys.
const KEYS: u64 = 97;
/// What a value that is no number begins with.
pub const POISON: &str = "poison-";

/// Which of the two topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Counted, summed and joined.
    Left,
    /// Joined.
    Right,
}

/// How much is written.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Partitions of each topic.
    pub partitions: i32,
    /// Records for each partition at a time, at most 100 times in a second.
    pub burst: u64,
    /// Every so many records of a partition one has a value that is neither a number nor JSON; 0 = never.
    pub poison_every: u64,
}

/// A producer beside a running pipeline.
pub struct KeyedLoad {
    stop: Arc<AtomicBool>,
    pause: Arc<LoadPause>,
    thread: Option<JoinHandle<()>>,
}

/// The record with this number in its partition. Its value is its id, which no other record of both topics has.
fn record(side: Side, partition: i32, number: u64, amount: Amount) -> Record {
    let id = (number * 64 + partition as u64) * 2 + u64::from(side == Side::Right);
    let poisoned = amount.poison_every > 0 && number % amount.poison_every == amount.poison_every / 2;
    let value = if poisoned { format!("{POISON}{id}") } else { id.to_string() };
    // Any two numbers of a partition that are near have different keys, and partitions share keys.
    let key = (number * 31 + partition as u64 * 7) % KEYS;
    let timestamp = first_timestamp() + number as i64 * STEP_MS;
    Record { timestamp, ..Record::of(partition, &value).keyed(&format!("key-{key}")) }
}

impl KeyedLoad {
    /// Writes to both topics until it is stopped. The model knows of a record before the broker does.
    pub fn start(
        cluster: &Cluster,
        topics: [String; 2],
        amount: Amount,
        model: Arc<Mutex<KeyedModel>>,
    ) -> KeyedLoad {
        let stop = Arc::new(AtomicBool::new(false));
        let pause_wanted = Arc::new(LoadPause::default());
        let (stopped, observed, producer) = (stop.clone(), pause_wanted.clone(), producer(cluster.address()));
        let body = move || {
            let mut first = 0;
            while !stopped.load(Ordering::Relaxed) {
                observed.observe(&producer);
                for number in first..first + amount.burst {
                    for partition in 0..amount.partitions {
                        for (side, topic) in [Side::Left, Side::Right].into_iter().zip(&topics) {
                            let record = record(side, partition, number, amount);
                            model.lock().unwrap_or_else(PoisonError::into_inner).wrote(side, &record);
                            send(&producer, topic, &record);
                        }
                    }
                }
                first += amount.burst;
                pause(PACE);
            }
            producer.flush(super::waiting::DEADLINE).expect("the load is stored");
        };
        KeyedLoad { stop, pause: pause_wanted, thread: Some(std::thread::spawn(body)) }
    }

    /// Does something while nothing is under way to the broker.
    pub fn while_paused(&self, act: impl FnOnce()) {
        self.pause.during(act);
    }

    /// Stops when all is stored.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is stopped once").join().expect("the load ends well");
    }
}

impl Drop for KeyedLoad {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
