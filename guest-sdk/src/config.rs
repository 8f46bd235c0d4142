//! The operator's configuration, as the pipeline file gives it.

use crate::imports;

/// The value of a configuration key, or its declared default. `None` if it has neither.
///
/// It crosses to the host, so read it in `open`, not per record.
pub fn config(name: &str) -> Option<String> {
    imports::config(name)
}
