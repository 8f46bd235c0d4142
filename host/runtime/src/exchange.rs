//! The step between two stages: rows go to the subtask that owns their key, control elements to all subtasks.
//!
//! A channel is bounded in rows that wait in it ([`Credit`]). Barriers and watermarks always get in, so that a full
//! channel never holds up a checkpoint for more than the rows in front of the barrier.

use crate::credit::Credit;
use crate::waits::Waits;
use crossbeam_channel::Sender;
use std::sync::Arc;
use weir_protocol::align::Barrier;
use weir_protocol::batch::Batch;
use weir_protocol::connector::ConnectorError;
use weir_protocol::key_group::{KeyGroups, murmur2};
use weir_protocol::plan::Distribution;
use weir_protocol::watermark::Watermark;

/// What travels between subtasks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them are batches, and a box would be an allocation for each"
)]
pub enum Element {
    /// Rows.
    Batch(Batch),
    /// How far event time has come.
    Watermark(Watermark),
    /// Everything in front of it belongs to the epoch.
    Barrier(Barrier),
}

/// An element and the input of the receiver that it came on.
#[derive(Debug)]
pub struct Parcel {
    /// Which input of the receiving inbox.
    pub input: usize,
    /// What.
    pub element: Element,
}

/// The sending end of one channel.
pub struct ChannelSender {
    /// The receiver's inbox.
    pub inbox: Sender<Parcel>,
    /// Which of its inputs this is.
    pub input: usize,
    /// The bytes that wait.
    pub credit: Arc<Credit>,
}

impl ChannelSender {
    fn send(&self, element: Element) {
        // A receiver that is gone has reported why, or will.
        let _ = self.inbox.send(Parcel { input: self.input, element });
    }
}

/// One subtask's end of an exchange.
pub struct ExchangeSender {
    channels: Vec<ChannelSender>,
    distribution: Distribution,
    groups: KeyGroups,
    subtask: usize,
    next: usize,
    /// For a channel that is full.
    waits: Waits,
    /// Per receiver the rows of the batch at hand; kept for its memory.
    rows: Vec<Vec<usize>>,
}

impl ExchangeSender {
    /// The end of the sender with this number; `channels` is in the order of the receiving subtasks.
    pub fn new(
        channels: Vec<ChannelSender>,
        distribution: Distribution,
        groups: KeyGroups,
        subtask: usize,
        waits: Waits,
    ) -> ExchangeSender {
        let rows = vec![Vec::new(); channels.len()];
        ExchangeSender { channels, distribution, groups, subtask, next: subtask, waits, rows }
    }

    /// Sends each row to its receiver, waiting where a channel is full.
    pub fn send(&mut self, batch: Batch) -> Result<(), ConnectorError> {
        let one = match self.distribution {
            Distribution::Forward => Some(self.subtask % self.channels.len()),
            Distribution::RoundRobin => {
                self.next = (self.next + 1) % self.channels.len();
                Some(self.next)
            }
            Distribution::ByKey if self.channels.len() == 1 => Some(0),
            Distribution::ByKey => None,
        };
        if let Some(to) = one {
            return self.send_to(to, batch);
        }
        for rows in &mut self.rows {
            rows.clear();
        }
        for row in 0..batch.rows {
            let ordinal = self.groups.ordinal(murmur2(batch.keys.bytes(row)));
            self.rows[self.groups.owner(ordinal, self.channels.len())].push(row);
        }
        for to in 0..self.channels.len() {
            if self.rows[to].len() == batch.rows {
                return self.send_to(to, batch);
            }
            if !self.rows[to].is_empty() {
                let share = batch.gather(&self.rows[to]);
                self.send_to(to, share)?;
            }
        }
        Ok(())
    }

    fn send_to(&self, to: usize, batch: Batch) -> Result<(), ConnectorError> {
        let (credit, bytes) = (&self.channels[to].credit, batch.size_bytes());
        while !credit.try_take(bytes, self.waits.clock.monotonic()) {
            self.waits.still_alive()?;
            self.waits.back_pressured(|| credit.wait(bytes));
        }
        self.waits.meters.records_out.add(batch.rows as u64);
        self.channels[to].send(Element::Batch(batch));
        Ok(())
    }

    /// Sends a control element to every receiver.
    pub fn broadcast(&self, element: &Element) {
        for channel in &self.channels {
            channel.send(element.clone());
        }
    }
}
