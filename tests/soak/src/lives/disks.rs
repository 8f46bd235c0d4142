//! Lives whose disk is full for a while.

use super::{STUCK_AFTER, Soak};
use crate::harness::waiting::{LOOK_EVERY, pause};
use crate::harness::weir::Weir;
use std::time::Instant;

/// What the host says then.
const NO_ROOM: &str = "no space left on device";

impl Soak {
    /// So many bytes are left until something had no room; then there is room, and the host goes on.
    pub(super) fn survives_full_disk(&mut self, weir: &mut Weir, left: u64, said: String) -> String {
        let failures = |weir: &Weir| weir.log().to_lowercase().matches(NO_ROOM).count();
        let (before, begun) = (failures(weir), Instant::now());
        while failures(weir) == before {
            // What becomes free meanwhile, when old checkpoints go, is filled too.
            self.disk.fill(left);
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
