//! The running pipeline: it carries out what `weir-protocol` decides.
//!
//! The tour follows a record, then the checkpoint, then the life of a pipeline:
//!
//! - [`source_task`], [`operator_task`], [`sink_task`]: the steps that a batch passes on one thread; [`event_time`] gives
//!   it its timestamps, [`keyed_calls`] is the state around a call, [`timer_rounds`] says which timers fire next
//! - [`exchange`] and [`inbox`]: the way from one stage to the next, with the alignment of barriers; [`credit`] says how much
//!   waits on it, [`wiring`] lays it, [`placement`] says who reads which partition
//! - [`chain`]: the steps of one subtask put together as the plan says
//! - [`subtask`]: the thread that pumps a chain, [`waits`] how it spends its time
//! - [`coordinator`]: pumps the checkpoint rule; [`checkpoint_store`] is its disk, [`persist`] and
//!   [`verification`] are what goes on beside the stream
//! - [`at_most_once`]: the coordinator that decides before it processes
//! - [`recovery`]: look, fence, read, judge, restore, decide the start; [`keyed_start`] is its part about state
//! - [`savepoint_store`]: portable copies of decided checkpoints; [`pinned_state`] holds one for a reader
//! - [`incarnation`]: one life, from recovery to its end; [`assembly`] makes its tasks
//! - [`supervisor`]: lives one after another
//! - [`version`], [`successor`], [`version_tally`]: what runs, what takes over at a barrier, and how both have done;
//!   [`state_opening`] is the state of either; [`handle`] asks for it, and is told
//! - [`connect`]: what the binary plugs in; [`data_dir`], [`clock`], [`meters`] with
//!   [`duration_histogram`]: what surrounds it
//!
//! There is no native library here, and no name of a connector.

pub mod assembly;
pub mod at_most_once;
pub mod chain;
pub mod checkpoint_store;
pub mod clock;
pub mod connect;
pub mod coordinator;
pub mod credit;
pub mod data_dir;
pub mod duration_histogram;
pub mod event_time;
pub mod exchange;
pub mod format_file;
pub mod handle;
pub mod inbox;
pub mod incarnation;
pub mod keyed_calls;
pub mod keyed_start;
pub mod meters;
pub mod operator_task;
pub mod persist;
pub mod pinned_state;
pub mod placement;
pub mod recovery;
pub mod replay;
mod retention;
pub mod savepoint_store;
pub mod sink_task;
pub mod source_task;
pub mod state_opening;
pub mod subtask;
pub mod successor;
pub mod supervisor;
pub mod timer_rounds;
pub mod verification;
pub mod version;
pub mod version_tally;
pub mod waits;
pub mod wiring;
