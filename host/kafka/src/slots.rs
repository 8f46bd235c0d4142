//! The two slots of a pipeline, and the plain producer where its guarantee needs no transaction.
//!
//! All sinks of the deciding cluster share them: one epoch is one transaction on slot `epoch % 2`.

use crate::client::{Client, Kind};
use crate::cluster::Shared;
use crate::slot::Slot;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::plan::transactional_id;

/// How long the plain producer may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Both slots.
pub(crate) struct Slots {
    slots: [Arc<Slot>; 2],
    plain: Mutex<Option<Arc<Client>>>,
}

impl Slots {
    /// Slots with the ids `<prefix><pipeline>.<worker>.<slot>`: a contract, for recovery fences by these names.
    pub(crate) fn new(id_prefix: &str, pipeline: &str) -> Slots {
        let slot = |number| Arc::new(Slot::new(transactional_id(id_prefix, pipeline, number)));
        Slots { slots: [slot(0), slot(1)], plain: Mutex::new(None) }
    }

    /// The slot of an epoch.
    pub(crate) fn of(&self, epoch: Epoch) -> &Arc<Slot> {
        &self.slots[epoch.slot()]
    }

    /// The slot that does not carry the epoch.
    pub(crate) fn beside(&self, epoch: Epoch) -> &Slot {
        &self.slots[1 - epoch.slot()]
    }

    /// The incarnation is over: nothing here takes an id again.
    pub(crate) fn end(&self) {
        self.slots.iter().for_each(|slot| slot.end());
    }

    /// Fences both ids, side by side.
    pub(crate) fn fence(&self, shared: &Shared) -> Result<(), ConnectorError> {
        let [first, second] = &self.slots;
        std::thread::scope(|scope| {
            let other = scope.spawn(|| second.fence(shared));
            let own = first.fence(shared);
            let other = other.join().expect("fencing does not panic");
            own.and(other)
        })
    }

    /// Gives up what is open, side by side.
    pub(crate) fn abandon(&self) {
        let [first, second] = &self.slots;
        std::thread::scope(|scope| {
            scope.spawn(|| second.abandon());
            first.abandon();
        });
    }

    /// Gives back both transactional producers.
    pub(crate) fn release(&self) {
        self.slots.iter().for_each(|slot| slot.release());
    }

    /// The producer without transactions, made at its first use.
    pub(crate) fn plain(&self, shared: &Shared) -> Result<Arc<Client>, ConnectorError> {
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = plain.as_ref() {
            return Ok(client.clone());
        }
        let client_id = format!("{}-sink", shared.client_id);
        let mut settings = shared.producer_settings(&client_id);
        settings.set("message.timeout.ms", shared.transaction_timeout.as_millis());
        let client = Arc::new(Client::new(Kind::Producer, &client_id, &settings)?);
        shared.warm(&client, CONNECT_TIMEOUT, Instant::now() + CONNECT_TIMEOUT)?;
        *plain = Some(client.clone());
        Ok(client)
    }
}
