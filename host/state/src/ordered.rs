//! Map state, list state and timers as ordered layers over one column family each.
//!
//! Newest first: the *overlay* of the running call, the *dirty* layer of the running epoch, the *frozen* layer that is
//! being persisted, and the database. A read takes what the newest layer says of a key; a scan merges all four in order.
//!
//! - **O1** A clear hides every entry under its prefix in the layers below, and none that its own layer wrote after it.
//! - **O2** A frozen layer may be applied to the database at any moment, in part and more than once: as long as it lies
//!   above, nobody sees a difference.
//! - **O3** A discarded call leaves nothing. Only a committed call reaches the dirty layer.
//!
//! What was removed is walked over once: `gaps` remembers where nothing is.
//!
//! Map and list keep stored values with the header of [`ValueCodec`]; timers keep empty values under [`TimerKey`]s.

mod gaps;
mod layer;
mod layers;
mod list_state;
mod map_state;
mod merge;
mod page;
mod stored_value;
mod timer_key;
mod timer_set;

#[cfg(test)]
mod database_double;
#[cfg(test)]
mod map_and_list_tests;
#[cfg(test)]
mod timer_tests;

pub use layer::FrozenLayer;
pub use list_state::ListState;
pub use map_state::MapState;
pub use page::ScanRange;
pub use stored_value::{ValueCodec, split as split_stored_value};
pub use timer_key::TimerKey;
pub use timer_set::TimerSet;

/// The database below the layers: one column family. Errors are one line that names the file or the directory.
pub trait Stored: Send + Sync {
    /// The stored bytes of each key, `None` where there are none. `keys` are sorted, and none comes twice.
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, String>;

    /// Shows the entries from `from` (inclusive) to `until` (exclusive) in order of key, until `visit` returns false.
    fn scan(
        &self,
        from: &[u8],
        until: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), String>;
}
