//! Work that goes on beside the stream: persisting what a barrier froze, reading a restored checkpoint whole, and making
//! the instances of a new version.
//!
//! A job is a value; threads only run it, so the simulation can run it when it likes.

use crate::subtask::Report;
use crate::successor::{Preparation, PreparedInstance};
use crate::verification::Verification;
use std::path::PathBuf;
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::state::{FrozenState, StatePart};

/// The state of one operator as one subtask handed it over at the barrier.
pub struct FrozenPart {
    /// The operator of the plan, by name.
    pub operator: String,
    /// The subtask of the operator.
    pub subtask: usize,
    /// The ordinals that it owns.
    pub ordinals: std::ops::Range<u32>,
    /// What the barrier froze.
    pub frozen: Box<dyn FrozenState>,
}

impl std::fmt::Debug for FrozenPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrozenPart({}/{})", self.operator, self.subtask)
    }
}

/// What became of a frozen part.
#[derive(Debug)]
pub enum Persisted {
    /// It is on disk, fsynced; so many bytes were written for it alone.
    Done(StatePart, u64),
    /// It is not; it can be tried again.
    Failed(FrozenPart, ConnectorError),
}

/// Something to do beside the stream.
pub enum Job {
    /// Writes a frozen part into the directory of a checkpoint that is being made.
    Persist {
        /// The epoch that the barrier ended.
        epoch: Epoch,
        /// The part.
        part: FrozenPart,
        /// The checkpoint's directory, not under its final name yet.
        checkpoint: PathBuf,
    },
    /// Compares the checksums of all files that this incarnation was restored from.
    Verify(Verification),
    /// Makes the instances of a new version.
    Prepare {
        /// Which swap of the incarnation.
        swap: u64,
        /// How.
        preparation: Preparation,
    },
}

/// The instances of a new version, or why there are none.
pub type Prepared = Result<Vec<PreparedInstance>, ConnectorError>;

impl Job {
    /// Does it. The answer goes to the coordinator.
    pub fn run(self) -> Report {
        match self {
            Job::Persist { epoch, part, checkpoint } => {
                Report::Persisted { epoch, result: persist(part, checkpoint) }
            }
            Job::Verify(verification) => Report::Verified(verification.run()),
            Job::Prepare { swap, preparation } => Report::Prepared { swap, result: preparation.make() },
        }
    }
}

fn persist(mut part: FrozenPart, checkpoint: PathBuf) -> Persisted {
    let directory = checkpoint.join(weir_protocol::state::state_directory(&part.operator, part.subtask));
    let prepared = clear(&directory).map_err(|error| {
        ConnectorError::transient(format!("{} cannot be prepared: {error}", directory.display()))
    });
    match prepared.and_then(|()| part.frozen.persist(&directory)) {
        Ok(persisted) => Persisted::Done(
            StatePart {
                operator: part.operator,
                subtask: part.subtask,
                ordinal_start: part.ordinals.start,
                ordinal_end: part.ordinals.end,
                next_list_position: persisted.next_list_position,
                files: persisted.files,
            },
            persisted.new_bytes,
        ),
        Err(error) => Persisted::Failed(part, error),
    }
}

/// Removes what an attempt that failed has left, and makes the directories above.
fn clear(directory: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match directory.parent() {
        Some(parent) => std::fs::create_dir_all(parent),
        None => Ok(()),
    }
}
