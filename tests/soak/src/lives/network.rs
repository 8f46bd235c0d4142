//! Lives whose network fails at one request, or as a whole.

use super::{STUCK_AFTER, Soak, Went};
use crate::faults::NetworkFault;
use crate::harness::waiting::{LOOK_EVERY, pause};
use crate::harness::weir::Weir;
use proxy::{Action, Armed, Rule};
use std::sync::Arc;
use std::time::Instant;

impl Soak {
    /// The next request of this kind of the pipeline will meet its fault.
    pub(super) fn arm(&self, fault: &NetworkFault) -> Arc<Armed> {
        let NetworkFault { api, skip, action } = *fault;
        self.broker.proxy().arm(Rule { api, client: self.keyed.job.name.clone(), skip, action })
    }

    /// A request of a running pipeline meets its fault, and the pipeline goes on.
    pub(super) fn survives_request(&mut self, weir: &mut Weir, fault: &NetworkFault, said: String) -> String {
        let (armed, said) = (self.arm(fault), format!("{said}, {fault}"));
        if let Err(wrong) = self.await_fired(weir, &armed) {
            return self.wrong(weir, &format!("{wrong}, {said}"));
        }
        self.summary.network(fault.action);
        let (before, since) = (self.progress().0, Instant::now());
        if fault.action == Action::Hold {
            // Its client gives it up, asks again, and decides more.
            if let wrong @ (Went::Ended | Went::Stuck) = self.await_output(weir, before, since) {
                return self.wrong(weir, &format!("the host {wrong}, {said}"));
            }
            armed.release();
        }
        let (before, since) = (self.progress().0, Instant::now());
        self.goes_on(weir, before, since, said)
    }

    /// Waits until the fault has happened.
    pub(super) fn await_fired(&self, weir: &mut Weir, armed: &Armed) -> Result<(), String> {
        let begun = Instant::now();
        while !armed.has_fired() {
            if weir.has_ended() {
                return Err("the host ended by itself".to_owned());
            }
            if begun.elapsed() > STUCK_AFTER {
                return Err("there never was such a request".to_owned());
            }
            pause(LOOK_EVERY);
        }
        Ok(())
    }

    /// All connections end at once.
    pub(super) fn survives_cut(&mut self, weir: &mut Weir, said: String) -> String {
        self.broker.proxy().cut_all();
        self.summary.network(Action::Cut);
        let (before, since) = (self.progress().0, Instant::now());
        self.goes_on(weir, before, since, format!("{said}, all connections cut"))
    }
}
