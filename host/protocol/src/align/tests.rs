//! Scripts of rows, barriers, watermarks and ends on several inputs: what is processed, and what is in the snapshot.

use super::*;
use crate::watermark::{Watermark, WatermarkMerge};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Element {
    Row(u32),
    Barrier(u64),
    Watermark(i64),
    End,
}

/// A subtask that does nothing but line up: elements of held inputs wait, as they do in a channel.
struct Subtask {
    alignment: Alignment,
    watermarks: WatermarkMerge,
    waiting: Vec<VecDeque<Element>>,
    processed: Vec<(usize, u32)>,
    /// Per barrier what had been processed when it was aligned.
    snapshots: Vec<(u64, Vec<(usize, u32)>)>,
    said: String,
}

impl Subtask {
    fn new(inputs: usize) -> Subtask {
        Subtask {
            alignment: Alignment::new(inputs),
            watermarks: WatermarkMerge::new(inputs),
            waiting: vec![VecDeque::new(); inputs],
            processed: Vec::new(),
            snapshots: Vec::new(),
            said: String::new(),
        }
    }

    fn arrives(&mut self, input: usize, element: Element) {
        self.waiting[input].push_back(element);
        while let Some(input) = (0..self.waiting.len())
            .find(|input| !self.alignment.is_held(*input) && !self.waiting[*input].is_empty())
        {
            let element = self.waiting[input].pop_front().expect("it was found to have one");
            self.takes(input, element);
        }
    }

    fn takes(&mut self, input: usize, element: Element) {
        let aligned = match element {
            Element::Row(row) => {
                self.processed.push((input, row));
                write!(self.said, "{input}{row} ").unwrap();
                None
            }
            Element::Watermark(ms) => {
                if let Some(Watermark::At(ms)) = self.watermarks.update(input, Watermark::At(ms)) {
                    write!(self.said, "w{ms} ").unwrap();
                }
                None
            }
            Element::Barrier(epoch) => self.alignment.barrier(input, barrier(epoch), Duration::ZERO),
            Element::End => self.alignment.end(input),
        };
        if let Some(barrier) = aligned {
            write!(self.said, "[{}] ", barrier.epoch).unwrap();
            self.snapshots.push((barrier.epoch.0, self.processed.clone()));
            self.alignment.release(Duration::ZERO);
        }
        if element == Element::End && self.alignment.all_ended() {
            write!(self.said, "end ").unwrap();
        }
    }
}

fn barrier(epoch: u64) -> Barrier {
    Barrier { epoch: Epoch(epoch), last: false }
}

/// Plays a script on so many inputs: `01` is row 1 on input 0, `0|7` a barrier, `0w5` a watermark, `0.` the end.
/// Returns what the subtask did: rows, `w` watermarks that rose, `[7]` snapshots, `end`.
#[track_caller]
fn check(inputs: usize, script: &str, expected: &str) {
    let mut subtask = Subtask::new(inputs);
    for word in script.split_whitespace() {
        let (input, rest) = word.split_at(1);
        let element = match rest.split_at(1) {
            ("|", epoch) => Element::Barrier(epoch.parse().unwrap()),
            ("w", ms) => Element::Watermark(ms.parse().unwrap()),
            (".", "") => Element::End,
            _ => Element::Row(rest.parse().unwrap()),
        };
        subtask.arrives(input.parse().unwrap(), element);
    }
    assert_eq!(subtask.said.trim(), expected);
}

#[test]
fn one_input_is_aligned_by_itself() {
    check(1, "01 0|7 02", "01 [7] 02");
}

#[test]
fn a1_rows_behind_the_barrier_wait_for_the_other_input() {
    check(2, "01 0|7 02 11 1|7 12", "01 11 [7] 02 12");
}

#[test]
fn a1_watermarks_behind_the_barrier_wait_too() {
    check(2, "0w5 1w3 0|7 0w9 1w8 1|7", "w3 w5 [7] w8");
}

#[test]
fn several_barriers_are_aligned_in_order_though_one_input_is_far_ahead() {
    check(2, "01 0|1 02 0|2 03 11 1|1 12 1|2 13", "01 11 [1] 02 12 [2] 03 13");
}

#[test]
fn a2_an_input_that_has_ended_counts_as_aligned_for_every_barrier() {
    check(2, "01 0. 11 1|1 12 1|2 1.", "01 11 [1] 12 [2] end");
}

#[test]
fn a2_the_end_of_the_last_open_input_completes_the_barrier_of_the_others() {
    check(3, "0|1 01 1. 21 2.", "21 [1] 01");
}

#[test]
fn an_end_behind_a_barrier_waits_for_it() {
    check(2, "0|1 0. 11 1|1 1.", "11 [1] end");
}

#[test]
fn an_end_without_a_barrier_takes_no_snapshot() {
    check(2, "01 0. 1.", "01 end");
}

#[test]
fn inputs_are_held_from_their_barrier_to_the_snapshot() {
    let mut alignment = Alignment::new(3);
    let second = Duration::from_secs(1);
    assert_eq!(alignment.barrier(0, barrier(1), Duration::ZERO), None);
    assert_eq!(alignment.barrier(1, barrier(1), second), None);
    assert_eq!((alignment.is_held(0), alignment.is_held(2)), (true, false));
    assert_eq!(alignment.end(2), Some(barrier(1)));
    assert!(alignment.is_held(0), "until the snapshot is taken");
    assert_eq!(alignment.release(second * 3), [(0, second * 3), (1, second * 2)]);
    assert!(!alignment.is_held(0) && !alignment.all_ended());
}

#[test]
fn the_last_barrier_is_told_apart() {
    let last = Barrier { last: true, ..barrier(4) };
    assert_eq!(Alignment::new(1).barrier(0, last, Duration::ZERO), Some(last));
}

#[test]
#[should_panic(expected = "A3")]
fn a3_an_input_does_not_deliver_two_barriers_into_one_alignment() {
    let mut alignment = Alignment::new(2);
    alignment.barrier(0, barrier(1), Duration::ZERO);
    alignment.barrier(0, barrier(2), Duration::ZERO);
}

#[test]
#[should_panic(expected = "A3")]
fn a3_inputs_do_not_deliver_different_barriers() {
    let mut alignment = Alignment::new(2);
    alignment.barrier(0, barrier(1), Duration::ZERO);
    alignment.barrier(1, barrier(2), Duration::ZERO);
}

#[test]
#[should_panic(expected = "A3")]
fn a3_a_barrier_does_not_come_again() {
    let mut alignment = Alignment::new(1);
    alignment.barrier(0, barrier(2), Duration::ZERO);
    alignment.release(Duration::ZERO);
    alignment.barrier(0, barrier(2), Duration::ZERO);
}

/// What one input sends: rows in stretches, a barrier behind each stretch but the last, then its end. An input that ends
/// early has fewer stretches.
fn sends(stretches: &[u32]) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut row = 0;
    for (epoch, rows) in stretches.iter().enumerate() {
        elements.extend((0..*rows).map(|n| Element::Row(row + n)));
        row += rows;
        elements.push(if epoch + 1 < stretches.len() {
            Element::Barrier(epoch as u64 + 1)
        } else {
            Element::End
        });
    }
    elements
}

proptest! {
    #[test]
    fn a_snapshot_has_exactly_the_rows_in_front_of_its_barrier_on_every_input(
        inputs in prop::collection::vec(prop::collection::vec(0u32..4, 1..6), 1..5),
        turns in prop::collection::vec(any::<prop::sample::Index>(), 0..200)
    ) {
        let mut left: Vec<VecDeque<Element>> = inputs.iter().map(|input| sends(input).into()).collect();
        let mut subtask = Subtask::new(inputs.len());
        let mut turns = turns.into_iter();
        loop {
            let open: Vec<usize> = (0..left.len()).filter(|input| !left[*input].is_empty()).collect();
            if open.is_empty() {
                break;
            }
            let input = turns.next().map_or(open[0], |turn| *turn.get(&open));
            let element = left[input].pop_front().expect("it is not empty");
            subtask.arrives(input, element);
        }
        let barriers = inputs.iter().map(|stretches| stretches.len() as u64 - 1).max().unwrap_or(0);
        let taken: Vec<u64> = subtask.snapshots.iter().map(|(epoch, _)| *epoch).collect();
        prop_assert_eq!(taken, (1..=barriers).collect::<Vec<_>>());
        for (epoch, rows) in &subtask.snapshots {
            for (input, stretches) in inputs.iter().enumerate() {
                let in_front: u32 = stretches.iter().take(*epoch as usize).sum();
                let found: Vec<u32> = rows.iter().filter(|(from, _)| *from == input).map(|(_, row)| *row).collect();
                prop_assert_eq!(found, (0..in_front).collect::<Vec<_>>());
            }
        }
        prop_assert!(subtask.alignment.all_ended());
        prop_assert_eq!(subtask.processed.len() as u32, inputs.iter().flatten().sum::<u32>());
    }
}
