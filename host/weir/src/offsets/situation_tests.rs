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

#[test]
fn offsets_that_were_pending_when_this_looked_are_found_behind_the_fence_and_nothing_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pipeline.toml");
    let text = "name = \"orders\"\n[source.in]\nkind = \"generator\"\ncount = 9\npartitions = 1\n[sink.out]\nkind = \"blackhole\"\ninput = \"in\"\n";
    std::fs::write(&file, text).unwrap();
    let options = PipelineOptions { file, overrides: Vec::new() };
    let mut situation = Situation::of_file(&options, &directory.path().join("data")).unwrap();
    situation.connected.decisions = Box::new(UnderWay { owner: situation.owner.clone() });
    situation.partitions.clear();
    situation.ask(Reading::Onlooking).unwrap();
    assert_eq!(situation.partitions[0].position, Some(Position::at(5)));
    let refused = situation.fence().unwrap_err();
    assert!(refused.message.contains("was changed while this looked"), "{refused}");
    assert_eq!(situation.partitions[0].position, Some(Position::at(7)));
}
