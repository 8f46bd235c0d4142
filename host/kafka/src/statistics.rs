//! librdkafka's statistics, of which one number is wanted: how far the transactions of a partition are decided.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_protocol::position::Partition;

#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    topics: BTreeMap<String, Topic>,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: BTreeMap<i32, PartitionStatistics>,
}

#[derive(Deserialize)]
struct PartitionStatistics {
    /// -1001 where nothing was fetched yet.
    ls_offset: i64,
}

/// Per partition the last stable offset, where it is known.
pub(crate) fn last_stable(json: &[u8]) -> Result<BTreeMap<Partition, i64>, serde_json::Error> {
    let statistics: Statistics = serde_json::from_slice(json)?;
    let mut found = BTreeMap::new();
    for (name, topic) in statistics.topics {
        let name: Arc<str> = name.into();
        // -1 stands for a partition that is not known.
        let known = topic.partitions.into_iter().filter(|(number, of)| *number >= 0 && of.ls_offset >= 0);
        found.extend(known.map(|(number, of)| (Partition::new(name.clone(), number), of.ls_offset)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_stable_offsets_are_read_and_unknown_ones_left_out() {
        let json = br#"{"name":"x","topics":{"orders":{"topic":"orders","age":1,"partitions":{
            "0":{"partition":0,"hi_offset":9,"ls_offset":7},"1":{"ls_offset":-1001},"-1":{"ls_offset":0}}}}}"#;
        assert_eq!(last_stable(json).unwrap(), BTreeMap::from([(Partition::new("orders", 0), 7)]));
        assert!(last_stable(b"{}").unwrap().is_empty());
        assert!(last_stable(b"no").is_err());
    }
}
