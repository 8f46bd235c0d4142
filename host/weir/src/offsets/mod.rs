//! Where a pipeline goes on: looked at, changed, and handed to another consumer group. The command line and the server
//! do the same here.
//!
//! - [`situation`]: what is decided, without fencing anybody
//! - [`reset`]: a decision of its own, with other positions and no output
//! - [`hand_over`]: the way back to another program

mod hand_over;
mod reset;
mod situation;

pub use situation::Situation;

use crate::failure::{Exit, Failure};
use weir_control::host::{
    OffsetMove, OffsetsReset, OffsetsTarget, PartitionOffset, PipelineOffsets, ResetOffsets,
};
use weir_protocol::decision::Metadata;
use weir_protocol::reset::{Move, Unit};

/// Where the pipeline stands.
pub fn show(situation: &mut Situation) -> Result<PipelineOffsets, Failure> {
    let ends = situation.ends()?;
    let refused = situation.refusal()?;
    let partitions = situation.partitions.iter().zip(ends).map(|(known, end)| PartitionOffset {
        source: known.source.clone(),
        topic: known.partition.topic.to_string(),
        partition: known.partition.number,
        offset: known.position.map(|position| position.offset),
        leader_epoch: known.position.map(|position| position.leader_epoch).filter(|epoch| *epoch >= 0),
        end,
        lag: known.position.zip(end).map(|(position, end)| (end - position.offset).max(0)),
        committed_by: match &known.metadata {
            Metadata::Empty => known.position.map(|_| "another consumer".to_owned()),
            Metadata::Decision(record) => Some(format!("checkpoint {}", record.id)),
            Metadata::Unknown(text) => Some(format!("unknown: {text}")),
        },
    });
    Ok(PipelineOffsets {
        decided: situation.record.as_ref().map(|record| record.id.to_string()),
        manifest: situation.record.as_ref().map(|record| record.manifest.to_string()),
        group: situation.group(),
        refused,
        partitions: partitions.collect(),
    })
}

/// Says what was asked for means, and does it unless that is all.
pub fn reset(situation: Situation, asked: &ResetOffsets) -> Result<OffsetsReset, Failure> {
    let called = situation.called.clone();
    let done = match &asked.to {
        OffsetsTarget::Group(group) => hand_over::run(situation, group, asked),
        _ => reset::run(situation, asked),
    };
    done.map_err(|failure| failure.told(&called))
}

/// A situation in which a person has to do something first.
fn refused(message: String) -> Failure {
    Failure::new(Exit::NeedsPerson, message)
}

fn shown(to: &Move, unit: Unit) -> OffsetMove {
    OffsetMove {
        source: to.source.clone(),
        topic: to.partition.topic.to_string(),
        partition: to.partition.number,
        from: to.from.map(|from| from.offset),
        to: to.to.offset,
        consequence: to.consequence(unit),
    }
}
