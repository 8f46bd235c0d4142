//! What is decided is what is read behind the fence, not what an onlooker sees.

use super::*;
use weir_protocol::decision::{CommittedOffset, Decision};
use weir_protocol::epoch::Epoch;

/// A log in which a transaction of somebody else is under way: an onlooker does not see its offsets yet.
struct UnderWay {
    owner: Owner,
}

impl UnderWay {
    fn at(&self, partitions: &[Partition], offset: i64) -> Vec<CommittedOffset> {
        let metadata = Metadata::parse(&format!(
            "w1;p={};n=4;i=01J9ZQ3W5X7Y8Z9A0B1C2D3E4F;h=00112233445566ff",
            self.owner
        ));
        let entry = |partition: &Partition| CommittedOffset {
            partition: partition.clone(),
            position: Some(Position::at(offset)),
            metadata: metadata.clone(),
        };
        partitions.iter().map(entry).collect()
    }
}

impl weir_protocol::connector::DecisionLog for UnderWay {
    fn look(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError> {
        Ok(self.at(partitions, 5))
    }

    fn fence(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn read(&mut self, partitions: &[Partition]) -> Result<Vec<CommittedOffset>, ConnectorError> {
        Ok(self.at(partitions, 7))
    }

    fn covered(&self, partitions: &[Partition]) -> Vec<Partition> {
        partitions.to_vec()
    }

    fn begin(&mut self, _: Epoch) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn flush(&mut self, _: Epoch) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn decide(&mut self, _: &Decision) -> Result<(), ConnectorError> {
        panic!("nothing is to be decided")
    }

    fn retire(&mut self, _: Epoch) -> Result<(), ConnectorError> {
        Ok(())
    }
}

/// A pipeline in front of that log; `source` is the rest of its source.
fn situation(directory: &Path, source: &str) -> Situation {
    let file = directory.join("pipeline.toml");
    let text = format!(
        "name = \"orders\"\n[source.in]\n{source}\n[sink.out]\nkind = \"blackhole\"\ninput = \"in\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let options = PipelineOptions { file, overrides: Vec::new() };
    let mut situation = Situation::of_file(&options, &directory.join("data")).unwrap();
    situation.connected.decisions = Box::new(UnderWay { owner: situation.owner.clone() });
    situation.partitions.clear();
    situation.ask(Reading::Onlooking).unwrap();
    assert_eq!(situation.partitions[0].position, Some(Position::at(5)));
    situation
}

#[test]
fn offsets_that_were_pending_when_this_looked_are_found_behind_the_fence_and_nothing_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let mut situation = situation(directory.path(), "kind = \"generator\"\ncount = 9\npartitions = 1");
    let refused = situation.fence().unwrap_err();
    assert!(refused.message.contains("was changed while this looked"), "{refused}");
    assert_eq!(situation.partitions[0].position, Some(Position::at(7)));
}

#[test]
fn what_a_reset_repeats_of_a_file_is_told_in_bytes() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("in.txt"), "one\ntwo\n").unwrap();
    let situation = situation(directory.path(), "kind = \"files\"\npath = \"in.txt\"\nformat = \"raw\"");
    let to = weir_control::host::OffsetsTarget::Earliest;
    let asked = weir_control::host::ResetOffsets { to, topics: Vec::new(), state: None, dry_run: true };
    let told = crate::offsets::reset(situation, &asked).unwrap();
    assert_eq!(told.moves[0].consequence, "5 bytes are REPEATED");
}
