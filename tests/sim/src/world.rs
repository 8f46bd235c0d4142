//! Lives one after another, until the input is read: the history of one seed.

use crate::clock::SimulatedClock;
use crate::history::{Ending, History};
use crate::life::{self, End};
use crate::outside::broker::Broker;
use crate::outside::{Defect, Outside, Shared};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::versions::{Control, Version};
use std::path::Path;
use std::sync::Arc;
use weir_runtime::version::UndecidedSwap;

/// A pipeline that is not done after so many lives never is.
const LIVES_MAX: u64 = 150;

/// Behind so many lives there are no more faults, so that an honest pipeline comes to its end.
const LIVES_WITH_FAULTS: u64 = 60;

/// What goes on from life to life.
pub struct World {
    /// Everything outside.
    pub outside: Shared,
    /// Time.
    pub clock: Arc<SimulatedClock>,
    /// Decides whose turn it is.
    pub random: Random,
    /// The number of the next life.
    pub lives: u64,
    /// A swap whose first decision is unknown, to the process that goes on.
    pub doubt: Option<(Version, UndecidedSwap)>,
    /// Keeps the pipeline's directory.
    disk: tempfile::TempDir,
}

impl World {
    /// The world of a seed, with a mistake in it where a test asks for one.
    pub fn new(seed: u64, defect: Option<Defect>) -> World {
        let disk = directory();
        let outside = Outside {
            scenario: Arc::new(Scenario::new(seed)),
            broker: Broker::default(),
            directory: disk.path().to_owned(),
            readable: usize::MAX,
            next_commit: None,
            control: Control::default(),
            random: Random::new(seed, 2),
            faults: true,
            defect,
            planted: 0,
            log: Vec::new(),
            counts: std::collections::BTreeMap::new(),
        };
        World {
            outside: Shared::new(outside),
            clock: Arc::default(),
            random: Random::new(seed, 3),
            lives: 0,
            doubt: None,
            disk,
        }
    }

    /// The pipeline's directory.
    pub fn directory(&self) -> &Path {
        self.disk.path()
    }

    fn run(&mut self) -> Ending {
        while self.lives < LIVES_MAX {
            if self.lives == LIVES_WITH_FAULTS {
                self.outside.lock().faults = false;
            }
            match life::live(self, true) {
                End::Finished => return Ending::Finished,
                End::Stopped(why) => return Ending::Stopped(why),
                End::Crashed => {}
            }
            if self.random.one_in(4) {
                self.clock.jump_back(self.random.below(500));
            }
            self.clock.advance(self.random.below(1000));
        }
        Ending::Endless
    }
}

/// A directory in memory where there is one: a simulated disk need not survive.
fn directory() -> tempfile::TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory
        .or_else(|_| tempfile::tempdir())
        .expect("a directory can be made in /dev/shm or the temporary one")
}

/// The history of a seed.
pub fn history(seed: u64, defect: Option<Defect>) -> History {
    let mut world = World::new(seed, defect);
    let ending = world.run();
    world.end(ending)
}

impl World {
    /// What was seen, up to this end.
    pub fn end(&self, ending: Ending) -> History {
        let mut outside = self.outside.lock();
        outside.note(format!("{ending:?}"));
        let broker = std::mem::take(&mut outside.broker);
        History {
            scenario: outside.scenario.clone(),
            committed: broker.committed,
            decisions: broker.decisions,
            swaps: std::mem::take(&mut outside.control.begun),
            ending,
            log: std::mem::take(&mut outside.log),
            faults: outside.counts.clone(),
            planted: outside.planted,
        }
    }
}
