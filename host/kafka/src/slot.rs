//! One of the two slots: a transactional id, its producer and how far its transaction is.
//!
//! - **K1** Recycling takes the id anew without asking whether another incarnation has taken it meanwhile. That is
//!   safe because an epoch is decided only when the *other* slot is initialised already: of the two producers, the one
//!   of the next epoch is always older than the last decision. A zombie that wakes up while it recycles finds that
//!   one fenced, and can decide nothing.

use crate::client::Client;
use crate::cluster::Shared;
use crate::partition_list::PartitionList;
use crate::transactional_producer::TransactionalProducer;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::kill_point::reached;
use weir_protocol::transaction::{Stage, Transaction};

/// How long fencing one id may take: longer than a broker's restart, and than a stuck earlier commit usually takes.
const FENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long giving up an open transaction may take.
const ABORT_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Default)]
struct State {
    producer: Option<Arc<TransactionalProducer>>,
    transaction: Transaction,
    failed: Option<ConnectorError>,
    /// The incarnation is over: a recycling under way must not take the id from the next one.
    ended: bool,
}

/// A slot. The order of calls is the decision log's; writers only ask for the client of an open epoch.
pub(crate) struct Slot {
    id: String,
    state: Mutex<State>,
    changed: Condvar,
}

impl Slot {
    pub(crate) fn new(id: String) -> Slot {
        Slot { id, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fences the id. The slot is ready afterwards.
    pub(crate) fn fence(&self, shared: &Shared) -> Result<(), ConnectorError> {
        let producer = TransactionalProducer::fenced(shared, &self.id, Instant::now() + FENCE_TIMEOUT)?;
        self.lock().producer = Some(Arc::new(producer));
        Ok(())
    }

    /// Gives the producer back: the slot was fenced and is not written to (guarantees without transactions).
    pub(crate) fn release(&self) {
        self.lock().producer = None;
    }

    /// The incarnation is over.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
    }

    /// Waits while the slot is being recycled.
    fn initialised(&self) -> Result<(MutexGuard<'_, State>, Arc<TransactionalProducer>), ConnectorError> {
        let deadline = Instant::now() + FENCE_TIMEOUT;
        let mut state = self.lock();
        loop {
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            if let Some(producer) = &state.producer
                && !matches!(state.transaction.stage(), Stage::Committed(_) | Stage::Dead)
            {
                let producer = producer.clone();
                return Ok((state, producer));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ConnectorError::transient(format!(
                    "transactional id {}: not initialised in time",
                    self.id
                )));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits while the slot is being recycled (K1).
    pub(crate) fn await_initialised(&self) -> Result<(), ConnectorError> {
        self.initialised().map(drop)
    }

    /// Waits until the slot is ready and opens the transaction.
    pub(crate) fn begin(&self, epoch: Epoch) -> Result<(), ConnectorError> {
        let (mut state, producer) = self.initialised()?;
        producer.begin().inspect_err(|error| state.fail(error))?;
        state.transaction.begun(epoch);
        Ok(())
    }

    /// The client of an epoch that is open.
    pub(crate) fn client(&self, epoch: Epoch) -> Result<Arc<Client>, ConnectorError> {
        let state = self.lock();
        match (&state.producer, state.transaction.stage()) {
            (Some(producer), Stage::Open(open)) if open == epoch => Ok(producer.client().clone()),
            _ => Err(ConnectorError::transient(format!(
                "transactional id {}: the transaction of epoch {epoch} is not open",
                self.id
            ))),
        }
    }

    /// Waits until all records of the epoch are stored.
    pub(crate) fn flush(&self, epoch: Epoch, lifetime: Duration) -> Result<(), ConnectorError> {
        let (producer, deadline) = self.running(lifetime)?;
        // Without the lock: a flush may last as long as a broker's restart.
        let flushed = producer.flush(deadline);
        let mut state = self.lock();
        flushed.inspect_err(|error| state.fail(error))?;
        state.transaction.flushed(epoch);
        Ok(())
    }

    /// Offsets, then the commit. Only Ok means decided; after an error the outcome is unknown.
    pub(crate) fn decide(
        &self,
        epoch: Epoch,
        offsets: PartitionList,
        group: &str,
        lifetime: Duration,
    ) -> Result<(), ConnectorError> {
        let (producer, deadline) = self.running(lifetime)?;
        reached("before_send_offsets");
        let sent = producer.send_offsets(offsets, group, deadline);
        let permit = {
            let mut state = self.lock();
            sent.inspect_err(|error| state.fail(error))?;
            state.transaction.offsets_sent(epoch)
        };
        reached("after_send_offsets");
        let committed = producer.commit(&permit, deadline);
        let mut state = self.lock();
        committed.inspect_err(|error| state.fail(error))?;
        state.transaction.committed(permit);
        Ok(())
    }

    /// Aborts a transaction of which nothing of the decision was sent. One that is in doubt is left to the fence.
    pub(crate) fn abandon(&self) {
        let producer = {
            let mut state = self.lock();
            let undecided = matches!(state.transaction.stage(), Stage::Open(_) | Stage::Flushed(_));
            state.transaction.fail();
            if undecided { state.producer.clone() } else { None }
        };
        if let Some(producer) = producer
            && let Err(error) = producer.abort(ABORT_TIMEOUT)
        {
            tracing::debug!(id = self.id, "the open transaction is left to the broker: {error}");
        }
    }

    /// Replaces the producer behind the stream: a late request of the old one then has no effect.
    pub(crate) fn retire(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<(), ConnectorError> {
        if !recycles() {
            self.lock().transaction.recycled();
            return Ok(());
        }
        let (slot, shared) = (self.clone(), shared.clone());
        let replace = move || {
            let deadline = Instant::now() + FENCE_TIMEOUT;
            let connected = TransactionalProducer::connected(&shared, &slot.id, deadline);
            reached("in_recycle");
            let fresh = connected.and_then(|producer| {
                if slot.lock().ended {
                    return Err(ConnectorError::transient("the incarnation is over"));
                }
                if producer.init(Instant::now() + RECYCLE_PATIENCE)? {
                    return Ok(producer);
                }
                TransactionalProducer::fenced(&shared, &slot.id, deadline)
            });
            let mut state = slot.lock();
            let old = state.producer.take();
            match fresh {
                // Given up meanwhile: nobody begins an epoch on this slot any more.
                Ok(_) if state.transaction.stage() == Stage::Dead => {}
                Ok(producer) => {
                    state.producer = Some(Arc::new(producer));
                    state.transaction.recycled();
                }
                Err(error) => state.fail(&error),
            }
            drop(state);
            slot.changed.notify_all();
            // Its handle is destroyed on a thread of its own, once the last writer has let go.
            drop(old);
        };
        let started = std::thread::Builder::new().name("weir-kafka-recycle".to_owned()).spawn(replace);
        started.map(drop).map_err(|error| ConnectorError::transient(format!("starting a thread: {error}")))
    }

    /// The producer, and until when a call can still matter: the broker aborts the transaction by then. Its clock
    /// started with the first record of the epoch, which may be long after `begin` on an idle stream and is not
    /// known here; a call that comes too late is answered as fenced.
    fn running(&self, lifetime: Duration) -> Result<(Arc<TransactionalProducer>, Instant), ConnectorError> {
        match &self.lock().producer {
            Some(producer) => Ok((producer.clone(), Instant::now() + lifetime)),
            None => Err(ConnectorError::transient(format!("transactional id {}: no transaction", self.id))),
        }
    }
}

/// The tests of late requests leave recycling out, to show what it is for.
#[cfg(feature = "kill-points")]
fn recycles() -> bool {
    std::env::var_os("WEIR_TEST_WITHOUT_RECYCLING").is_none()
}

#[cfg(not(feature = "kill-points"))]
fn recycles() -> bool {
    true
}

/// A recycled producer that is not initialised after this long is replaced by another new client.
const RECYCLE_PATIENCE: Duration = Duration::from_secs(2);

impl State {
    fn fail(&mut self, error: &ConnectorError) {
        self.transaction.fail();
        self.failed.get_or_insert_with(|| error.clone());
    }
}
