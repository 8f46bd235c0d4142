//! A producer that keeps a topic busy beside a running pipeline, and remembers all that it wrote.

use super::cluster::{Cluster, producer};
use super::load_pause::LoadPause;
use super::record::Record;
use super::waiting::pause;
use rdkafka::producer::Producer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Numbered records, until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    pause: Arc<LoadPause>,
    thread: Option<JoinHandle<Vec<Record>>>,
}

/// Between two bursts.
const PACE: Duration = Duration::from_millis(10);

impl Load {
    /// Writes `burst` records to each partition, again and again: at most 100 times in a second.
    pub fn start(cluster: &Cluster, topic: &str, partitions: i32, burst: u64) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let pause_wanted = Arc::new(LoadPause::default());
        let (stopped, observed) = (stop.clone(), pause_wanted.clone());
        let (topic, producer) = (topic.to_owned(), producer(cluster.address()));
        let body = move || {
            let (mut written, mut number) = (Vec::new(), 0);
            while !stopped.load(Ordering::Relaxed) {
                observed.observe(&producer);
                for number in number..number + burst {
                    for partition in 0..partitions {
                        let record = Record::numbered(partition, number);
                        super::cluster::send(&producer, &topic, &record);
                        written.push(record);
                    }
                }
                number += burst;
                pause(PACE);
            }
            producer.flush(super::waiting::DEADLINE).expect("the load is stored");
            written
        };
        Load { stop, pause: pause_wanted, thread: Some(std::thread::spawn(body)) }
    }

    /// Does something while nothing is under way to the broker.
    pub fn while_paused(&self, act: impl FnOnce()) {
        self.pause.during(act);
    }

    /// Stops, and returns all that is stored.
    pub fn stop(mut self) -> Vec<Record> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is stopped once").join().expect("the load ends well")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
