//! One producer with a transactional id: connected, fenced, and its calls with typed errors.

use crate::client::{Client, Kind, c_text, milliseconds};
use crate::client_error::ClientError;
use crate::cluster::Shared;
use crate::denied;
use crate::partition_list::PartitionList;
use crate::topic_handle::TopicHandle;
use crate::transaction_thread::{Stuck, TransactionThread};
use rdkafka::bindings as native;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_protocol::connector::ConnectorError;
use weir_protocol::epoch::Epoch;
use weir_protocol::permission::Grantee;
use weir_protocol::transaction::{Call, CommitPermit, Next};

/// Each call of `init_transactions` restarts librdkafka's machine at once; one long call costs 0.5 to 1 s.
const INIT_STEP: Duration = Duration::from_millis(25);
/// A client that is not initialised after this long is given up: its FindCoordinator may hang on a hung broker. It
/// doubles with each try, for a cluster that is merely slow.
const INIT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a new client may take to connect, per try.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How much longer than its own time-out a call may take before the watchdog gives it up.
const WATCHDOG_MARGIN: Duration = Duration::from_secs(5);
/// A commit is asked in steps of this length and resumed, so that a lost answer is noticed.
const COMMIT_STEP: Duration = Duration::from_secs(5);
/// How long a flush waits before it is looked whether it can end at all.
const FLUSH_STEP: Duration = Duration::from_secs(1);
/// Calls that need no broker.
const LOCAL_CALL: Duration = Duration::from_secs(10);

/// The producer of one slot for one epoch.
pub(crate) struct TransactionalProducer {
    thread: TransactionThread,
    /// Held so that the client keeps the metadata of the topics that it writes.
    _topics: Vec<TopicHandle>,
    id: String,
    grantee: Grantee,
}

impl TransactionalProducer {
    /// Makes producers for `id` until one is initialised. From then on no earlier producer of the id can do
    /// anything, and what it had begun is completely committed or aborted.
    pub(crate) fn fenced(
        shared: &Shared,
        id: &str,
        deadline: Instant,
    ) -> Result<TransactionalProducer, ConnectorError> {
        let mut patience = INIT_PATIENCE;
        loop {
            let producer = TransactionalProducer::connected(shared, id, deadline)?;
            let until = deadline.min(Instant::now() + patience);
            if producer.init(until)? {
                return Ok(producer);
            }
            if Instant::now() >= deadline {
                return Err(ConnectorError::transient(format!(
                    "fencing {id}: the transaction coordinator did not answer in time"
                )));
            }
            patience *= 2;
        }
    }

    /// A producer that knows its topics. It has not touched its id yet.
    pub(crate) fn connected(
        shared: &Shared,
        id: &str,
        deadline: Instant,
    ) -> Result<TransactionalProducer, ConnectorError> {
        let mut settings = shared.producer_settings(id);
        settings
            .set("transactional.id", id)
            .set("transaction.timeout.ms", shared.transaction_timeout.as_millis());
        // librdkafka refuses a client that may wait for an answer for longer than its transaction may last.
        let socket = settings.0.get("socket.timeout.ms").and_then(|text| text.parse::<u128>().ok());
        if socket.is_some_and(|socket| socket > shared.transaction_timeout.as_millis()) {
            settings.set("socket.timeout.ms", shared.transaction_timeout.as_millis());
        }
        let client = Arc::new(Client::new(Kind::Producer, id, &settings)?);
        let topics = shared.warm(&client, CONNECT_PATIENCE, deadline)?;
        Ok(TransactionalProducer {
            thread: TransactionThread::start(client),
            _topics: topics,
            id: id.to_owned(),
            grantee: shared.grantee.clone(),
        })
    }

    /// Initialises in small steps. False where the time was over first.
    pub(crate) fn init(&self, until: Instant) -> Result<bool, ConnectorError> {
        loop {
            let called = self.thread.call(INIT_STEP + WATCHDOG_MARGIN, |client| {
                // SAFETY: the client is alive; the error object is taken over.
                unsafe {
                    ClientError::check(native::rd_kafka_init_transactions(
                        client.handle(),
                        milliseconds(INIT_STEP),
                    ))
                }
            });
            match called {
                Ok(Ok(())) => return Ok(true),
                Ok(Err(error)) if error.next(Call::Init) == Next::Again => {}
                Ok(Err(error)) => return Err(self.error(Call::Init, error)),
                Err(Stuck) => return Ok(false),
            }
            if Instant::now() >= until {
                return Ok(false);
            }
        }
    }

    /// The client, to produce with.
    pub(crate) fn client(&self) -> &Arc<Client> {
        self.thread.client()
    }

    /// Opens the transaction; a local call.
    pub(crate) fn begin(&self) -> Result<(), ConnectorError> {
        let called = self.thread.call(LOCAL_CALL, |client| {
            // SAFETY: the client is alive; the error object is taken over.
            unsafe { ClientError::check(native::rd_kafka_begin_transaction(client.handle())) }
        });
        self.answer(Call::Produce, "begin", called)
    }

    /// Gives the open transaction up, so that readers of its topics do not wait until the broker does. Best effort: the
    /// fence of the next incarnation does the same, and only that counts.
    pub(crate) fn abort(&self, limit: Duration) -> Result<(), ConnectorError> {
        let called = self.thread.call(limit + WATCHDOG_MARGIN, move |client| {
            // SAFETY: the client is alive; the error object is taken over.
            unsafe {
                ClientError::check(native::rd_kafka_abort_transaction(client.handle(), milliseconds(limit)))
            }
        });
        self.answer(Call::Produce, "abort", called)
    }

    /// Waits until all records are stored, and says whether they were.
    pub(crate) fn flush(&self, deadline: Instant) -> Result<(), ConnectorError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let flushed = self.client().flush(left.min(FLUSH_STEP));
            // A fenced producer's flush answers Ok: the failed deliveries tell.
            if let Some(error) = self.client().delivery_error() {
                return Err(self.error(Call::Produce, error));
            }
            match flushed {
                // Records of a topic that may not be written are never sent, and the flush would wait for them.
                Err(error) if self.client().noted().denied_topic().is_some() => {
                    return Err(self.error(Call::Flush, error));
                }
                Err(error) if error.code.is_transport() && Instant::now() < deadline => {}
                flushed => return flushed.map_err(|error| self.error(Call::Flush, error)),
            }
        }
    }

    /// Puts offsets and metadata into the transaction. After any error it must not be committed.
    pub(crate) fn send_offsets(
        &self,
        offsets: PartitionList,
        group: &str,
        deadline: Instant,
    ) -> Result<(), ConnectorError> {
        let limit = deadline.saturating_duration_since(Instant::now());
        let mut needs = vec![denied::group(group)];
        needs.extend(offsets.entries().iter().map(|entry| denied::reading(&entry.partition.topic)));
        let group = c_text(group)?;
        let called = self.thread.call(limit + WATCHDOG_MARGIN, move |client| {
            // SAFETY: client, list and group metadata are alive for the call; the metadata is destroyed once.
            unsafe {
                let member = native::rd_kafka_consumer_group_metadata_new(group.as_ptr());
                let error = native::rd_kafka_send_offsets_to_transaction(
                    client.handle(),
                    offsets.native(),
                    member,
                    milliseconds(limit),
                );
                native::rd_kafka_consumer_group_metadata_destroy(member);
                ClientError::check(error)
            }
        });
        let called = called.map(|sent| sent.map_err(|error| error.needing(&self.grantee, &needs)));
        self.answer(Call::SendOffsets, "sending offsets", called)
    }

    /// Commits, resumed while the client says that it may be. Any error: the outcome is unknown.
    pub(crate) fn commit(&self, permit: &CommitPermit, deadline: Instant) -> Result<(), ConnectorError> {
        let epoch = permit.epoch();
        loop {
            let step = COMMIT_STEP.min(deadline.saturating_duration_since(Instant::now()));
            let called = self.thread.call(step + WATCHDOG_MARGIN, move |client| {
                kill_while_committing(epoch);
                // SAFETY: the client is alive; the error object is taken over.
                unsafe {
                    ClientError::check(native::rd_kafka_commit_transaction(
                        client.handle(),
                        milliseconds(step),
                    ))
                }
            });
            if let Ok(Err(error)) = &called
                && error.next(Call::Commit) == Next::Again
                && Instant::now() < deadline
            {
                tracing::debug!(id = self.id, "commit of epoch {epoch} is resumed: {error}");
                continue;
            }
            return self.answer(Call::Commit, "commit", called);
        }
    }

    /// The error of producing on this client: behind `_FATAL` and `_STATE` stands the real reason.
    fn error(&self, call: Call, error: ClientError) -> ConnectorError {
        let real = self.client().real_error(error, &self.grantee);
        real.of_call(call, &format!("transactional id {}", self.id))
    }

    fn answer(
        &self,
        call: Call,
        doing: &str,
        called: Result<Result<(), ClientError>, Stuck>,
    ) -> Result<(), ConnectorError> {
        match called {
            Ok(answer) => answer.map_err(|error| self.error(call, error)),
            Err(Stuck) => Err(ConnectorError::transient(format!(
                "transactional id {}: {doing} did not answer within the life of the transaction; its outcome is unknown",
                self.id
            ))),
        }
    }
}

/// The place `in_commit`: the process ends while the commit is under way. Epochs end at different moments of it.
#[cfg(feature = "kill-points")]
fn kill_while_committing(epoch: Epoch) {
    const MOMENTS: u64 = 8;
    const MOMENT: Duration = Duration::from_micros(200);
    std::thread::spawn(move || {
        std::thread::sleep(MOMENT * (epoch.0 % MOMENTS) as u32);
        weir_protocol::kill_point::reached("in_commit");
    });
}

#[cfg(not(feature = "kill-points"))]
fn kill_while_committing(_: Epoch) {}
