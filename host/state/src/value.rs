//! Value state: one value per key, behind a write-back cache.

pub(crate) mod cache;
pub(crate) mod epoch_log;
pub(crate) mod sorted_log;

mod entries;
mod index;
mod overlay;
mod short_bytes;
