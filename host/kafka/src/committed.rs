//! Reads what a group has committed: the decision, as recovery and as onlookers see it.

use crate::client::{Client, Kind, message_code, milliseconds};
use crate::client_error::{ClientError, ErrorCode};
use crate::cluster::Shared;
use crate::denied;
use crate::partition_list::{Entry, PartitionList};
use crate::properties::client_settings;
use rdkafka::bindings as native;
use std::time::{Duration, Instant};
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::{CommittedOffset, Metadata};
use weir_protocol::position::{Partition, Position};

/// How long reading may take: first use of a cluster, a coordinator that moves, a commit that is not yet through.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// One request.
const READ_STEP: Duration = Duration::from_secs(2);
/// Pause after an error.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// How a read treats offsets of a transaction that is not decided yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Waits until it is decided: for recovery.
    Stable,
    /// Shows the previous ones: for a look.
    Unstable,
}

/// A consumer that only reads and writes what its group has committed.
pub(crate) fn consumer(shared: &Shared, isolation: Isolation) -> Result<Client, ConnectorError> {
    consumer_of(shared, &shared.group, isolation)
}

/// The same of any group.
pub(crate) fn consumer_of(
    shared: &Shared,
    group: &str,
    isolation: Isolation,
) -> Result<Client, ConnectorError> {
    let client_id = format!("{}-decision", shared.client_id);
    let mut settings = client_settings(&shared.spec, Kind::Consumer, &client_id);
    settings.set("group.id", group);
    if isolation == Isolation::Unstable {
        settings.set("isolation.level", "read_uncommitted");
    }
    Client::new(Kind::Consumer, &client_id, &settings)
}

/// Reads committed offsets and their metadata. Every error is tried again until a deadline; running out of time is an
/// error, never "no offset".
pub(crate) fn read(
    client: &Client,
    shared: &Shared,
    partitions: &[Partition],
) -> Result<Vec<CommittedOffset>, ConnectorError> {
    read_of(client, shared, &shared.group, partitions)
}

/// The same of any group; `client` is one of it.
pub(crate) fn read_of(
    client: &Client,
    shared: &Shared,
    group: &str,
    partitions: &[Partition],
) -> Result<Vec<CommittedOffset>, ConnectorError> {
    let deadline = Instant::now() + READ_TIMEOUT;
    loop {
        let (partition, error) = match read_once(client, partitions)? {
            Ok(committed) => return Ok(committed),
            // While the coordinator is not found, why not is told to the consumer only.
            Err((partition, error)) => (partition, refused(client).unwrap_or(error)),
        };
        if error.code.is_forbidden() || Instant::now() >= deadline {
            let mut needs = vec![denied::group(group)];
            needs.extend(partition.map(|partition| denied::reading(&partition.topic)));
            let error = error.needing(&shared.grantee, &needs);
            return Err(error.of(&format!("reading the committed offsets of group {group}")));
        }
        tracing::debug!(group, "reading the committed offsets again: {error}");
        std::thread::sleep(READ_PAUSE);
    }
}

/// A refusal that waits in the consumer's queue.
fn refused(client: &Client) -> Option<ClientError> {
    loop {
        // SAFETY: the client is alive; the message is destroyed once, after it was read.
        let code = unsafe {
            let message = native::rd_kafka_consumer_poll(client.handle(), 0);
            if message.is_null() {
                return None;
            }
            let code = message_code(message);
            native::rd_kafka_message_destroy(message);
            code
        };
        if code.is_forbidden() {
            return Some(ClientError::from_code(code));
        }
    }
}

/// What a group has committed, or why one partition of it, or all of it, could not be read.
type Answer = Result<Vec<CommittedOffset>, (Option<Partition>, ClientError)>;

fn read_once(client: &Client, partitions: &[Partition]) -> Result<Answer, ConnectorError> {
    let list = PartitionList::of(partitions)?;
    // SAFETY: client and list are alive; the answer is written into the list.
    let code = unsafe { native::rd_kafka_committed(client.handle(), list.native(), milliseconds(READ_STEP)) };
    if let Err(error) = ErrorCode::from(code).check() {
        return Ok(Err((None, error)));
    }
    let mut committed = Vec::with_capacity(partitions.len());
    for entry in list.entries() {
        if let Err(error) = entry.code.check() {
            return Ok(Err((Some(entry.partition), error)));
        }
        committed.push(offset_of(entry));
    }
    Ok(Ok(committed))
}

fn offset_of(entry: Entry) -> CommittedOffset {
    let found = entry.offset >= 0;
    CommittedOffset {
        partition: entry.partition,
        position: found.then_some(Position { offset: entry.offset, leader_epoch: entry.leader_epoch }),
        metadata: if found { Metadata::parse(&entry.metadata) } else { Metadata::Empty },
    }
}

/// All that a group has committed, of whatever topics. Errors are tried again as in [`read_of`]; a transaction that is
/// under way is waited for.
pub(crate) fn read_all(shared: &Shared, group: &str) -> Result<Vec<CommittedOffset>, ConnectorError> {
    let deadline = Instant::now() + READ_TIMEOUT;
    loop {
        let answer = shared.admin.all_committed(group).and_then(|entries| {
            entries.iter().try_for_each(|entry| entry.code.check())?;
            Ok(entries)
        });
        let error = match answer {
            Ok(entries) => return Ok(entries.into_iter().map(offset_of).collect()),
            Err(error) => error,
        };
        if error.code.is_forbidden() || Instant::now() >= deadline {
            let error = error.needing(&shared.grantee, &[denied::group(group)]);
            return Err(error.of(&format!("reading the committed offsets of group {group}")));
        }
        tracing::debug!(group, "reading the committed offsets again: {error}");
        std::thread::sleep(READ_PAUSE);
    }
}
