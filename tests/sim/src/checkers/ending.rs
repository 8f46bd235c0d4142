//! Every history comes to its end: whatever failed, the input is read and decided.

use crate::history::{Ending, History};

/// Finds a pipeline that stopped for good, or goes on for ever.
pub fn check(history: &History) -> Result<(), String> {
    match &history.ending {
        Ending::Finished => Ok(()),
        Ending::Stopped(why) => Err(format!("the pipeline stopped for good: {why}")),
        Ending::Endless => Err("the pipeline does not come to its end".to_owned()),
    }
}
