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
/// When it is told that a transaction is waited for.
const TOLD_AFTER: Duration = Duration::from_secs(10);
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
pub(crate) struct Committed {
    client: Client,
    group: String,
    isolation: Isolation,
}

impl Committed {
    /// Of the pipeline's own group.
    pub(crate) fn own(shared: &Shared, isolation: Isolation) -> Result<Committed, ConnectorError> {
        Committed::of(shared, &shared.group, isolation)
    }

    /// Of any group.
    pub(crate) fn of(
        shared: &Shared,
        group: &str,
        isolation: Isolation,
    ) -> Result<Committed, ConnectorError> {
        let client_id = format!("{}-decision", shared.client_id);
        let mut settings = client_settings(&shared.spec, Kind::Consumer, &client_id);
        settings.set("group.id", group);
        if isolation == Isolation::Unstable {
            settings.set("isolation.level", "read_uncommitted");
        }
        let client = Client::new(Kind::Consumer, &client_id, &settings)?;
        Ok(Committed { client, group: group.to_owned(), isolation })
    }

    /// For commits.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Reads committed offsets and their metadata. Every error is tried again until a deadline; running out of time is
    /// an error, never "no offset".
    pub(crate) fn read(
        &self,
        shared: &Shared,
        partitions: &[Partition],
    ) -> Result<Vec<CommittedOffset>, ConnectorError> {
        // While the coordinator is not found, why not is told to the consumer only.
        let once = || {
            let answer = read_once(&self.client, partitions)?;
            Ok(answer.map_err(|(partition, error)| (partition, refused(&self.client).unwrap_or(error))))
        };
        // To the client a transaction that is not decided is an answer that does not come.
        let waits = |error: &ClientError| {
            self.isolation == Isolation::Stable
                && matches!(error.code, ErrorCode::TIMED_OUT | ErrorCode::UNSTABLE_OFFSETS)
                && Committed::of(shared, &self.group, Isolation::Unstable)
                    .and_then(|look| read_once(&look.client, partitions))
                    .is_ok_and(|answer| answer.is_ok())
        };
        until_answered(shared, &self.group, once, waits)
    }
}

/// All that a group has committed, of whatever topics. Errors are tried again; a transaction that is under way is waited
/// for.
pub(crate) fn read_all(shared: &Shared, group: &str) -> Result<Vec<CommittedOffset>, ConnectorError> {
    let once = || {
        let answer = shared.admin.all_committed(group).and_then(|entries| {
            entries.iter().try_for_each(|entry| entry.code.check())?;
            Ok(entries)
        });
        Ok(answer.map_err(|error| (None, error)))
    };
    let waits = |error: &ClientError| error.code == ErrorCode::UNSTABLE_OFFSETS;
    Ok(until_answered(shared, group, once, waits)?.into_iter().map(offset_of).collect())
}

/// Asks until there is an answer, or a deadline. `waits` tells an error that means that a transaction is not decided yet.
fn until_answered<What>(
    shared: &Shared,
    group: &str,
    once: impl Fn() -> Result<Answer<What>, ConnectorError>,
    waits: impl Fn(&ClientError) -> bool,
) -> Result<What, ConnectorError> {
    let (begun, mut told) = (Instant::now(), false);
    loop {
        let (partition, error) = match once()? {
            Ok(answer) => return Ok(answer),
            Err(why) => why,
        };
        let (time, is_last) = (begun.elapsed(), begun.elapsed() >= READ_TIMEOUT);
        if (is_last || !told && time >= TOLD_AFTER) && waits(&error) {
            if is_last {
                return Err(ConnectorError::transient(format!(
                    "group {group} has offsets of a transaction that was neither committed nor aborted in {READ_TIMEOUT:?}; `kafka-transactions.sh find-hanging` can name it"
                )));
            }
            told = true;
            tracing::warn!(
                "group {group} has offsets of a transaction that is neither committed nor aborted yet; waiting for its end, which its producer or its timeout brings"
            );
        }
        if error.code.is_forbidden() || is_last {
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
type Answer<What> = Result<What, (Option<Partition>, ClientError)>;

fn read_once(
    client: &Client,
    partitions: &[Partition],
) -> Result<Answer<Vec<CommittedOffset>>, ConnectorError> {
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
