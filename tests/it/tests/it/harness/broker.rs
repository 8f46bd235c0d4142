//! The broker that tests share: the one of `cargo xtask test`, or one that this run starts.

use super::cluster::Cluster;
use super::own_broker::OwnBroker;
use std::sync::OnceLock;

/// The shared cluster. Tests use topics, groups and transactional ids of their own.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<(Cluster, Option<OwnBroker>)> = OnceLock::new();
    let (cluster, _) = SHARED.get_or_init(|| {
        match std::env::var("WEIR_TEST_KAFKA").ok().filter(|address| !address.is_empty()) {
            Some(address) => (Cluster::at(&address), None),
            None => {
                let broker = OwnBroker::start();
                (Cluster::at(&broker.address()), Some(broker))
            }
        }
    });
    cluster
}
