//! Nothing of a version that failed its probation is visible, and which version runs changes by swaps only.

use crate::history::{History, Said};
use crate::versions::{ALL, Version};
use std::collections::VecDeque;

/// Finds a result of a bad version, a dead letter that only such a one can have made, and a version that came by itself.
pub fn check(history: &History) -> Result<(), String> {
    for record in &history.committed {
        let of = &history.decisions[record.decision].id;
        if let Some(bad) =
            ALL.iter().find(|version| version.is_bad() && is_of(&record.written.value, **version))
        {
            return Err(format!("{:?} of version {bad:?} is visible since {of}", record.written));
        }
        if let Said::Dead(partition, offset) = record.says()
            && !history.scenario.input[partition][offset].poison
        {
            return Err(format!("record {partition}-{offset} is a dead letter since {of}, and no poison"));
        }
    }
    changes(history)
}

fn is_of(value: &str, version: Version) -> bool {
    value.rsplit(' ').next() == Some(version.digest())
}

/// Each change is a swap that was begun, and none is used twice.
fn changes(history: &History) -> Result<(), String> {
    let mut begun: VecDeque<(&str, &str)> =
        history.swaps.iter().map(|(from, to)| (from.digest(), to.digest())).collect();
    let mut running = Version::First.digest();
    for decided in &history.decisions {
        let Ok(checkpoint) = &decided.checkpoint else { continue };
        let found = checkpoint.version.as_str();
        if found == running {
            continue;
        }
        let Some(at) = begun.iter().position(|swap| *swap == (running, found)) else {
            return Err(format!(
                "{} names version {found} behind {running}, and no swap did that",
                decided.id
            ));
        };
        begun.drain(..=at);
        running = found;
    }
    Ok(())
}
