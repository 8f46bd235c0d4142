//! Lives whose disk is full for a while.

use super::{STUCK_AFTER, Soak};
use crate::harness::waiting::{LOOK_EVERY, pause};
use crate::harness::weir::Weir;
use std::time::{Duration, Instant};

/// What is left was enough if nothing has failed for so long.
const ENOUGH_AFTER: Duration = Duration::from_secs(5);
/// What the host says then.
const NO_ROOM: &str = "no space left on device";

impl Soak {
    /// So many bytes are left until something had no room; then there is room, and the host goes on.
    pub(super) fn survives_full_disk(&mut self, weir: &mut Weir, left: u64, said: String) -> String {
        let failures = |weir: &Weir| weir.log().to_lowercase().matches(NO_ROOM).count();
        let (before, begun) = (failures(weir), Instant::now());
        self.disk.fill(left);
        while failures(weir) == before {
            // Old checkpoints go, and what is left may be enough.
            if begun.elapsed() > ENOUGH_AFTER {
                self.disk.fill_up();
            }
            if weir.has_ended() || begun.elapsed() > STUCK_AFTER {
                self.disk.free();
                return self.wrong(weir, &format!("the host had always room or ended, {said}, disk full"));
            }
            pause(LOOK_EVERY);
        }
        self.disk.free();
        self.summary.full_disks += 1;
        let (before, since) = (self.progress().0, Instant::now());
        self.goes_on(weir, before, since, format!("{said}, disk full but for {left} bytes"))
    }
}
