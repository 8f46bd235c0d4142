//! Keyed state as an author sees it: an object per declaration, always about the key of the current row.
//!
//! Each kind is a file: a typed handle over bytes. Writes wait in the guest; [`Part`](crate::call::Part) says when they go.

mod list;
mod map;
mod map_cache;
mod page;
mod value;
mod value_writes;

pub use list::List;
pub use map::Map;
pub use value::Value;

/// Panics: the bytes of a state cannot be read as its declared type. The panic fails the call, and is in the task log.
#[cold]
#[inline(never)]
fn undecodable(state: &str, what: &str, error: &str) -> ! {
    panic!(
        "a {what} of the state \"{state}\" cannot be read: {error}; \
         if its type was changed, raise its version and write a `fn migrate {state}`"
    )
}
