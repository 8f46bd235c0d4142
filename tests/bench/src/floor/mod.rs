//! The native floor: the least that a program without WebAssembly needs for the same work, in transactions.
//!
//! It drops what it does not need: no checkpoint, no error policy, no counters. It keeps what a comparison needs:
//! weir's settings, weir's way of fetching, and two transactional producers in turn, so that a commit stops nobody.

mod transactions;
mod writer;

use crate::failure::Failure;
use crate::reader::Reader;
use crate::settings;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use transactions::Transactions;
use writer::Writer;

/// The word on the command line that makes this process a floor.
pub const COMMAND: &str = "floor";
/// What is put before each value.
pub const PREFIX: &[u8] = b"processed_";
/// How long the broker may take to tell the ends of the input.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How records are produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Produce {
    /// One call per record, with its timestamp.
    Each,
    /// One call per batch, with the time of producing.
    Together,
}

/// What a floor process does. Format of its command line: the fields in this order.
pub struct Order {
    pub produce: Produce,
    pub brokers: String,
    pub input: String,
    pub output: String,
    pub interval: Duration,
    pub threads: usize,
}

impl Order {
    /// The command line for this order.
    pub fn arguments(&self) -> [String; 7] {
        let produce = if self.produce == Produce::Each { "record" } else { "batch" };
        [
            COMMAND.to_owned(),
            produce.to_owned(),
            self.brokers.clone(),
            self.input.clone(),
            self.output.clone(),
            self.interval.as_millis().to_string(),
            self.threads.to_string(),
        ]
    }

    /// The order of a command line, behind the word [`COMMAND`].
    pub fn from_arguments(arguments: &[String]) -> Result<Order, Failure> {
        let wrong = || Failure::new("floor: the bench starts this by itself");
        let [produce, brokers, input, output, interval_ms, threads] = arguments else { return Err(wrong()) };
        Ok(Order {
            produce: if produce == "record" { Produce::Each } else { Produce::Together },
            brokers: brokers.clone(),
            input: input.clone(),
            output: output.clone(),
            interval: interval_ms.parse().map(Duration::from_millis).map_err(|_| wrong())?,
            threads: threads.parse().map_err(|_| wrong())?,
        })
    }
}

/// The next offsets of all partitions, as far as their records are in a transaction.
type Positions = Mutex<BTreeMap<i32, i64>>;

/// Processes the input to its end.
pub fn perform(order: &Order) -> Result<(), Failure> {
    let transactions = Arc::new(Transactions::start(&order.brokers, &order.output)?);
    let positions = Arc::new(Positions::default());
    let (tell, told) = mpsc::channel();
    for reader in readers(order)? {
        let (transactions, positions, tell) = (transactions.clone(), positions.clone(), tell.clone());
        let produce = order.produce;
        thread::spawn(move || {
            // The receiver goes only when the process ends.
            let _ = tell.send(process(reader, &transactions, &positions, produce));
        });
    }
    let snapshot = || positions.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut running = order.threads;
    let mut next = Instant::now() + order.interval;
    while running > 0 {
        match told.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(ended) => {
                ended?;
                running -= 1;
            }
            Err(RecvTimeoutError::Timeout) => {
                next = Instant::now() + order.interval;
                transactions.commit_and_go_on(&order.input, snapshot)?;
            }
            Err(RecvTimeoutError::Disconnected) => return Err(Failure::new("a thread has panicked")),
        }
    }
    transactions.commit(&order.input, &snapshot())
}

/// One thread's work.
fn process(
    mut reader: Reader,
    transactions: &Transactions,
    positions: &Positions,
    produce: Produce,
) -> Result<(), Failure> {
    let mut writer = Writer::default();
    while let Some(messages) = reader.fetch()? {
        let open = transactions.open();
        match produce {
            Produce::Each => writer.write_each(open.slot(), messages)?,
            Produce::Together => writer.write_together(open.slot(), messages)?,
        }
        // Before the transaction may change: these positions belong to it.
        positions.lock().unwrap_or_else(PoisonError::into_inner).extend(reader.positions());
    }
    Ok(())
}

/// A reader per thread, partitions dealt out in turn.
fn readers(order: &Order) -> Result<Vec<Reader>, Failure> {
    let config = settings::consumer(&order.brokers, &order.output, order.threads);
    let asker: BaseConsumer = config.create()?;
    let metadata = asker.fetch_metadata(Some(&order.input), ANSWER_TIMEOUT)?;
    let partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
        .map(|partition| partition.id())
        .collect();
    let mut shares = vec![Vec::new(); order.threads];
    for (index, partition) in partitions.into_iter().enumerate() {
        let (_, end) = asker.fetch_watermarks(&order.input, partition, ANSWER_TIMEOUT)?;
        shares[index % order.threads].push((partition, end));
    }
    shares.iter().map(|share| Reader::new(&config, &order.input, share)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_survives_the_command_line() {
        let order = Order {
            produce: Produce::Each,
            brokers: "b:1".to_owned(),
            input: "in".to_owned(),
            output: "out".to_owned(),
            interval: Duration::from_millis(500),
            threads: 2,
        };
        let read = Order::from_arguments(&order.arguments()[1..]).unwrap();
        assert_eq!(read.arguments(), order.arguments());
        assert!(Order::from_arguments(&[]).is_err());
    }
}
