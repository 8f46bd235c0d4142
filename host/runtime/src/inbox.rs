//! The first step of a stage behind an exchange: takes elements from all inputs, aligns barriers and merges watermarks.

use crate::credit::Credit;
use crate::exchange::{Element, Parcel};
use crossbeam_channel::Receiver;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::align::{Alignment, Barrier};
use weir_protocol::batch::Batch;
use weir_protocol::watermark::{Watermark, WatermarkMerge};

/// One input: a channel from one subtask of one exchange.
#[derive(Debug)]
struct Channel {
    /// The exchange of the plan.
    exchange: usize,
    /// Which of the exchange's senders.
    sender: usize,
    credit: Arc<Credit>,
    waiting: VecDeque<Element>,
}

/// What the subtask does next.
#[derive(Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them are batches, and a box would be an allocation for each"
)]
pub enum Arrived {
    /// Rows of an exchange.
    Rows(usize, Batch),
    /// The watermark of an exchange, over all of its senders.
    Watermark(usize, Watermark),
    /// All inputs have delivered this barrier: snapshot, pass it on, then [`Inbox::release`].
    Aligned(Barrier),
}

/// The inbox of one subtask.
pub struct Inbox {
    parcels: Receiver<Parcel>,
    channels: Vec<Channel>,
    /// Per exchange of the plan that ends here: its index and the merge over its senders.
    merges: Vec<(usize, WatermarkMerge)>,
    alignment: Alignment,
    /// The input that stands for the subtask's own sources, if it has any.
    own: Option<usize>,
    next: usize,
}

impl Inbox {
    /// An inbox with a channel per (exchange, sender); `own_sources`: the subtask reads sources too.
    pub fn new(
        parcels: Receiver<Parcel>,
        channels: Vec<(usize, usize, Arc<Credit>)>,
        own_sources: bool,
    ) -> Inbox {
        let mut merges: Vec<(usize, WatermarkMerge)> = Vec::new();
        for (exchange, _, _) in &channels {
            if !merges.iter().any(|(known, _)| known == exchange) {
                let senders = channels.iter().filter(|(other, _, _)| other == exchange).count();
                merges.push((*exchange, WatermarkMerge::new(senders)));
            }
        }
        let own = own_sources.then_some(channels.len());
        let alignment = Alignment::new(channels.len() + usize::from(own_sources));
        let channels = channels
            .into_iter()
            .map(|(exchange, sender, credit)| Channel { exchange, sender, credit, waiting: VecDeque::new() })
            .collect();
        Inbox { parcels, channels, merges, alignment, own, next: 0 }
    }

    /// True where nothing can ever arrive: the subtask is fed by its own sources alone.
    pub fn has_no_channels(&self) -> bool {
        self.channels.is_empty()
    }

    /// For a thread that has nothing else to do.
    pub fn parcels(&self) -> &Receiver<Parcel> {
        &self.parcels
    }

    /// Puts a parcel that was received elsewhere where it belongs.
    pub fn put(&mut self, parcel: Parcel) {
        self.channels[parcel.input].waiting.push_back(parcel.element);
    }

    fn collect(&mut self) {
        while let Ok(parcel) = self.parcels.try_recv() {
            self.put(parcel);
        }
    }

    /// The next element that may be processed, if there is one. Inputs are served in turn.
    pub fn next(&mut self, now: Duration) -> Option<Arrived> {
        self.collect();
        for _ in 0..self.channels.len() {
            self.next = (self.next + 1) % self.channels.len();
            let input = self.next;
            while !self.alignment.is_held(input) {
                let Some(element) = self.channels[input].waiting.pop_front() else { break };
                if let Some(arrived) = self.take(input, element, now) {
                    return Some(arrived);
                }
            }
        }
        None
    }

    /// The next barrier that stands at the front of its input, while rows may not be taken. The last one waits until
    /// they may: what a drain has set off must be done before it.
    pub fn next_barrier(&mut self, now: Duration) -> Option<Arrived> {
        self.collect();
        for input in 0..self.channels.len() {
            let front = self.channels[input].waiting.front();
            let at_front = matches!(front, Some(Element::Barrier(barrier)) if !barrier.last);
            if at_front
                && !self.alignment.is_held(input)
                && let Some(element) = self.channels[input].waiting.pop_front()
                && let Some(arrived) = self.take(input, element, now)
            {
                return Some(arrived);
            }
        }
        None
    }

    fn take(&mut self, input: usize, element: Element, now: Duration) -> Option<Arrived> {
        let (exchange, sender) = (self.channels[input].exchange, self.channels[input].sender);
        match element {
            Element::Batch(batch) => {
                self.channels[input].credit.give_back(batch.size_bytes(), now);
                Some(Arrived::Rows(exchange, batch))
            }
            Element::Watermark(watermark) => {
                let (_, merge) = self.merges.iter_mut().find(|(known, _)| *known == exchange)?;
                merge.update(sender, watermark).map(|merged| Arrived::Watermark(exchange, merged))
            }
            Element::Barrier(barrier) => self.alignment.barrier(input, barrier, now).map(Arrived::Aligned),
        }
    }

    /// The coordinator's barrier for the subtask's own sources. Returns it when all inputs have delivered it.
    pub fn own_barrier(&mut self, barrier: Barrier, now: Duration) -> Option<Barrier> {
        let own = self.own.expect("only a subtask with sources of its own is sent a barrier");
        self.alignment.barrier(own, barrier, now)
    }

    /// True while the subtask's own sources have delivered a barrier that other inputs still owe.
    pub fn own_is_held(&self) -> bool {
        self.own.is_some_and(|own| self.alignment.is_held(own))
    }

    /// The snapshot is taken: held inputs go on. Returns the longest time that one was held.
    pub fn release(&mut self, now: Duration) -> Duration {
        let held = self.alignment.release(now);
        for (input, time) in &held {
            // The subtask's own sources have no channel.
            if let Some(channel) = self.channels.get(*input) {
                channel.credit.was_held(now.saturating_sub(*time), now);
            }
        }
        held.into_iter().map(|(_, held)| held).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::credit::WAIT_MAX;
    use crate::exchange::{ChannelSender, ExchangeSender};
    use crate::waits::Waits;
    use crossbeam_channel::unbounded;
    use std::sync::atomic::AtomicBool;
    use weir_protocol::epoch::Epoch;
    use weir_protocol::key_group::KeyGroups;
    use weir_protocol::plan::Distribution;

    const NOW: Duration = Duration::ZERO;

    fn waits(ended: bool) -> Waits {
        let clock = Arc::new(ManualClock::default());
        Waits { ended: Arc::new(AtomicBool::new(ended)), clock, meters: Arc::default() }
    }

    fn barrier(epoch: u64) -> Barrier {
        Barrier { epoch: Epoch(epoch), last: false }
    }

    fn row(key: &str) -> Batch {
        let mut batch = Batch::default();
        batch.push(0, Some(key.as_bytes()), Some(b"v"), None);
        batch
    }

    /// An inbox of one exchange with two senders.
    fn two_inputs() -> (crossbeam_channel::Sender<Parcel>, Inbox) {
        let (to, from) = unbounded();
        let credit = || Arc::new(Credit::new(usize::MAX, WAIT_MAX));
        (to, Inbox::new(from, vec![(4, 0, credit()), (4, 1, credit())], false))
    }

    fn send(to: &crossbeam_channel::Sender<Parcel>, input: usize, element: Element) {
        to.send(Parcel { input, element }).unwrap();
    }

    #[test]
    fn rows_behind_a_barrier_wait_until_every_input_has_delivered_it() {
        let (to, mut inbox) = two_inputs();
        send(&to, 0, Element::Barrier(barrier(7)));
        send(&to, 0, Element::Batch(row("behind")));
        assert_eq!(inbox.next(NOW), None);
        send(&to, 1, Element::Batch(row("in front")));
        assert_eq!(inbox.next(NOW), Some(Arrived::Rows(4, row("in front"))));
        send(&to, 1, Element::Barrier(barrier(7)));
        assert_eq!(inbox.next(NOW), Some(Arrived::Aligned(barrier(7))));
        assert_eq!(inbox.next(NOW), None);
        inbox.release(NOW);
        assert_eq!(inbox.next(NOW), Some(Arrived::Rows(4, row("behind"))));
    }

    #[test]
    fn a_channel_that_was_held_for_a_barrier_has_its_room_afterwards() {
        let (to, from) = unbounded();
        let credit = Arc::new(Credit::new(1 << 20, WAIT_MAX));
        let own = || Arc::new(Credit::new(1 << 20, WAIT_MAX));
        let mut inbox = Inbox::new(from, vec![(4, 0, credit.clone()), (4, 1, own())], false);
        let batch = row("behind");
        send(&to, 0, Element::Barrier(barrier(7)));
        assert_eq!(inbox.next(NOW), None);
        for _ in 0..8 {
            assert!(credit.try_take(batch.size_bytes(), NOW));
            send(&to, 0, Element::Batch(batch.clone()));
        }
        send(&to, 1, Element::Barrier(barrier(7)));
        let late = WAIT_MAX * 60;
        assert_eq!(inbox.next(late), Some(Arrived::Aligned(barrier(7))));
        inbox.release(late);
        (0..8).for_each(|_| drop(inbox.next(late)));
        assert!(credit.try_take(1, late) && credit.try_take(60 << 10, late), "as much as at first");
    }

    #[test]
    fn the_watermark_of_an_exchange_is_the_lowest_of_its_senders() {
        let (to, mut inbox) = two_inputs();
        send(&to, 0, Element::Watermark(Watermark::At(9)));
        assert_eq!(inbox.next(NOW), None);
        send(&to, 1, Element::Watermark(Watermark::At(5)));
        assert_eq!(inbox.next(NOW), Some(Arrived::Watermark(4, Watermark::At(5))));
    }

    #[test]
    fn a_row_goes_to_the_owner_of_its_key_and_to_nobody_else() {
        let groups = KeyGroups::plain(128);
        let (mut receivers, mut channels) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (inbox, from) = unbounded();
            receivers.push(from);
            channels.push(ChannelSender {
                inbox,
                input: 0,
                credit: Arc::new(Credit::new(usize::MAX, WAIT_MAX)),
            });
        }
        let mut sender = ExchangeSender::new(channels, Distribution::ByKey, groups, 0, waits(false));
        let mut batch = Batch::default();
        for key in 0..100 {
            batch.push(key, Some(format!("key-{key}").as_bytes()), None, None);
        }
        sender.send(batch).unwrap();
        let mut seen = 0;
        for (subtask, receiver) in receivers.iter().enumerate() {
            for parcel in receiver.try_iter() {
                let Element::Batch(batch) = parcel.element else { panic!("rows") };
                for row in 0..batch.rows {
                    let hash = weir_protocol::key_group::murmur2(batch.keys.bytes(row));
                    assert_eq!(groups.owner(groups.ordinal(hash), 3), subtask);
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, 100);
    }

    #[test]
    fn a_full_channel_makes_its_sender_wait_and_a_control_element_does_not() {
        let (inbox, from) = unbounded();
        let credit = Arc::new(Credit::new(1, WAIT_MAX));
        let channel = ChannelSender { inbox, input: 0, credit: credit.clone() };
        let groups = KeyGroups::plain(1);
        let mut sender = ExchangeSender::new(vec![channel], Distribution::Forward, groups, 0, waits(true));
        sender.send(row("a")).unwrap();
        // The incarnation has ended when the second one waits.
        assert!(sender.send(row("b")).is_err());
        sender.broadcast(&Element::Barrier(barrier(1)));
        let mut inbox = Inbox::new(from, vec![(0, 0, credit.clone())], false);
        assert_eq!(inbox.next(NOW), Some(Arrived::Rows(0, row("a"))));
        assert_eq!(credit.waiting_bytes(), 0);
        assert_eq!(inbox.next(NOW), Some(Arrived::Aligned(barrier(1))));
    }
}
