//! How many of the oldest checkpoints may go behind a decision.
//!
//! The decision of a start repeats the state of the checkpoint before it, by links to the same files. If those are
//! damaged, a pipeline that starts again and again makes one such checkpoint after the other; they must not push out
//! the older ones that are whole. So a start counts for nothing, and deletes nothing but the start that it repeats.

use weir_protocol::epoch::CheckpointId;

/// Of all checkpoints, oldest first: how many may go where the last `retain` that hold something of their own are kept.
pub(crate) fn expired(
    checkpoints: &[CheckpointId],
    retain: usize,
    is_start: impl Fn(&CheckpointId) -> bool,
) -> usize {
    let mut counted = 0;
    for (index, id) in checkpoints.iter().enumerate().rev() {
        let before = index.checked_sub(1).map(|before| &checkpoints[before]);
        // A start is the first of its incarnation, which mostly is told by the names alone.
        let continues = before.is_some_and(|before| before.incarnation == id.incarnation);
        counted += usize::from(continues || !is_start(id));
        if counted == retain {
            return index;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::epoch::{Epoch, Incarnation};

    /// Checkpoints by incarnation; a capital letter is the decision of its start.
    fn kept(lives: &str, retain: usize) -> String {
        let checkpoints: Vec<CheckpointId> = lives
            .chars()
            .enumerate()
            .map(|(epoch, life)| CheckpointId {
                epoch: Epoch(epoch as u64),
                incarnation: Incarnation::parse(&format!("{:026}", life.to_ascii_lowercase() as u32))
                    .unwrap(),
            })
            .collect();
        let is_start = |id: &CheckpointId| lives.as_bytes()[id.epoch.0 as usize].is_ascii_uppercase();
        lives[expired(&checkpoints, retain, is_start)..].to_owned()
    }

    #[test]
    fn the_last_that_hold_something_of_their_own_are_kept() {
        assert_eq!(kept("Aaaaa", 3), "aaa");
        assert_eq!(kept("aa", 3), "aa");
    }

    #[test]
    fn starts_do_not_push_out_what_they_repeat() {
        assert_eq!(kept("AaaaBCDEFG", 3), "aaaBCDEFG");
        assert_eq!(kept("AaaaBCDd", 3), "aaBCDd");
        assert_eq!(kept("AaaaBbCc", 2), "bCc");
    }

    #[test]
    fn the_oldest_that_is_left_of_a_life_need_not_be_its_start() {
        assert_eq!(kept("abbCc", 3), "bbCc");
    }
}
