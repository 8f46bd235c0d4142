//! A pipeline whose network fails where a test wants it: its clients go through the proxy, those of the test do not.

use super::job::Job;
use super::own_broker::OwnBroker;
use super::waiting::until;
use super::weir::Weir;
use proxy::{Action, Api, Armed, Rule};
use std::sync::{Arc, OnceLock};

/// How long weir's clients wait for an answer: a fault lasts as long.
const SOCKET_TIMEOUT_MS: u32 = 1000;

/// The broker of all tests that let the network fail.
pub fn broker() -> &'static OwnBroker {
    static BROKER: OnceLock<OwnBroker> = OnceLock::new();
    BROKER.get_or_init(OwnBroker::start)
}

/// Sends the clients of this pipeline through the proxy of its broker.
pub fn goes_through_proxy(job: &mut Job, broker: &OwnBroker) {
    job.text = job.text.replace(&broker.address(), &broker.proxied_address());
    job.add(&format!("[kafka.main.properties]\n\"socket.timeout.ms\" = \"{SOCKET_TIMEOUT_MS}\""));
}

/// A fault at a request of this pipeline.
pub fn arm(broker: &OwnBroker, job: &Job, api: Api, skip: u32, action: Action) -> Arc<Armed> {
    broker.proxy().arm(Rule { api, client: job.name.clone(), skip, action })
}

/// Waits until the fault has happened, under a pipeline that has not ended.
pub fn await_fired(weir: &mut Weir, armed: &Armed, what: &str) {
    until(&format!("{what} to happen"), || {
        assert!(!weir.has_ended(), "weir has ended before {what}");
        armed.has_fired().then_some(())
    });
}

/// The epoch that is decided, 0 before the first.
pub fn decided(job: &Job, source: &str) -> u64 {
    job.cluster.decided_epoch(&job.group(), &job.topic(source)).unwrap_or_default()
}

/// Waits until so many more epochs are decided than `before`.
pub fn await_decided(job: &Job, weir: &mut Weir, source: &str, before: u64, more: u64, what: &str) {
    until(&format!("{more} epochs behind {before}, after {what}"), || {
        assert!(!weir.has_ended(), "weir has ended after {what}");
        (decided(job, source) >= before + more).then_some(())
    });
}
