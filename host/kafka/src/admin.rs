//! Questions to the cluster that are not data: metadata, ends of partitions, configuration, state of the group.

use crate::client::{Client, Settings, c_text, milliseconds};
use crate::client_error::{ClientError, ErrorCode};
use crate::denied::reading;
use crate::partition_list::{Entry, PartitionList, read_entry};
use rdkafka::bindings as native;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::ptr;
use std::time::Duration;
use weir_protocol::connector::ConnectorError;
use weir_protocol::permission::{Grantee, Operation};
use weir_protocol::position::{Partition, Position, Positions};

/// How long one question may take, connecting included.
pub(crate) const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// What the cluster says about a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicFacts {
    pub code: ErrorCode,
    /// Replicas per partition, in the order of the partitions.
    pub replicas: BTreeMap<i32, usize>,
}

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffsetSpec {
    Earliest,
    /// The last stable offset: where a reader of committed data ends now.
    LastStable,
    /// Behind the last record, decided or not.
    End,
    /// The first record at or after the time.
    Timestamp(i64),
}

/// A configuration that is described.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resource<'a> {
    Topic(&'a str),
    Broker(i32),
}

/// What is known of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFacts {
    /// The broker's word: `Empty`, `Stable`, `Dead` where there is none...
    pub state: String,
    /// Members that are consuming now.
    pub members: usize,
}

impl Client {
    /// What the cluster says about the topics, and the number of one broker. An answer means that a broker is there.
    pub(crate) fn topics(
        &self,
        topics: &[&str],
        timeout: Duration,
    ) -> Result<(BTreeMap<String, TopicFacts>, Option<i32>), ClientError> {
        let mut found = BTreeMap::new();
        let mut broker = None;
        if topics.is_empty() {
            broker = self.metadata(None, timeout, &mut found)?;
        }
        for topic in topics {
            broker = self.metadata(Some(topic), timeout, &mut found)?;
        }
        Ok((found, broker))
    }

    fn metadata(
        &self,
        topic: Option<&str>,
        timeout: Duration,
        found: &mut BTreeMap<String, TopicFacts>,
    ) -> Result<Option<i32>, ClientError> {
        let mut metadata: *const native::rd_kafka_metadata = ptr::null();
        let name =
            topic.map(c_text).transpose().map_err(|_| ClientError::from_code(ErrorCode::INVALID_TOPIC))?;
        // SAFETY: the handle is alive; a topic handle is given back; the answer is read before it is destroyed,
        // and its arrays have the counts that stand beside them.
        unsafe {
            let handle = name.map_or(ptr::null_mut(), |name| {
                native::rd_kafka_topic_new(self.handle(), name.as_ptr(), ptr::null_mut())
            });
            let code =
                native::rd_kafka_metadata(self.handle(), 0, handle, &mut metadata, milliseconds(timeout));
            if !handle.is_null() {
                native::rd_kafka_topic_destroy(handle);
            }
            ErrorCode::from(code).check()?;
            let answer = &*metadata;
            for topic in slice(answer.topics, answer.topic_cnt) {
                let partitions = slice(topic.partitions, topic.partition_cnt);
                let name = CStr::from_ptr(topic.topic).to_string_lossy().into_owned();
                let replicas =
                    partitions.iter().map(|p| (p.id, usize::try_from(p.replica_cnt).unwrap_or(0))).collect();
                let code = ErrorCode(ptr::addr_of!(topic.err).cast::<i32>().read());
                found.insert(name, TopicFacts { code, replicas });
            }
            let broker = slice(answer.brokers, answer.broker_cnt).first().map(|broker| broker.id);
            native::rd_kafka_metadata_destroy(metadata);
            Ok(broker)
        }
    }

    /// The cluster's id; none for clusters that do not tell it.
    pub(crate) fn cluster_id(&self, timeout: Duration) -> Option<String> {
        // SAFETY: the handle is alive; the text ends with 0 and is freed by librdkafka's function.
        unsafe {
            let text = native::rd_kafka_clusterid(self.handle(), milliseconds(timeout));
            if text.is_null() {
                return None;
            }
            let id = CStr::from_ptr(text).to_string_lossy().into_owned();
            native::rd_kafka_mem_free(self.handle(), text.cast());
            Some(id)
        }
    }

    /// Offsets of partitions, as a reader of committed data sees them; all of `wanted` ask for `End`, or none.
    pub(crate) fn offsets(
        &self,
        wanted: &[(Partition, OffsetSpec)],
        to: &Grantee,
    ) -> Result<Positions, ConnectorError> {
        if wanted.is_empty() {
            return Ok(Positions::new());
        }
        let mut list = PartitionList::new();
        for (partition, spec) in wanted {
            let code = match spec {
                OffsetSpec::Earliest => -2,
                OffsetSpec::LastStable | OffsetSpec::End => -1,
                OffsetSpec::Timestamp(at) => *at,
            };
            list.add(partition, Position::at(code), None)?;
        }
        let isolation = match wanted.iter().any(|(_, spec)| *spec == OffsetSpec::End) {
            true => native::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
            false => native::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
        };
        let ask = |queue: *mut native::rd_kafka_queue_t, options: *mut native::rd_kafka_AdminOptions_t| {
            // SAFETY: options and queue are alive for the call; an error object is taken over.
            unsafe {
                let error = native::rd_kafka_AdminOptions_set_isolation_level(options, isolation);
                ClientError::check(error)?;
                native::rd_kafka_ListOffsets(self.handle(), list.native(), options, queue);
            }
            Ok(())
        };
        let read = |event: *mut native::rd_kafka_event_t| {
            let mut count = 0;
            // SAFETY: the event is alive and of this kind; the array has `count` entries.
            unsafe {
                let result = native::rd_kafka_event_ListOffsets_result(event);
                let infos = native::rd_kafka_ListOffsets_result_infos(result, &mut count);
                (0..count)
                    .map(|at| {
                        read_entry(native::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos.add(at)))
                    })
                    .collect::<Vec<Entry>>()
            }
        };
        let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
        let entries = self
            .question(operation, ask, read)
            .map_err(|error| error.of("asking for the ends of partitions"))?;
        let mut positions = Positions::new();
        for entry in entries {
            let what = format!("asking for an offset of {}", entry.partition);
            let needs = [reading(&entry.partition.topic)];
            entry.code.check().map_err(|error| error.needing(to, &needs).of(&what))?;
            let position = Position { offset: entry.offset, leader_epoch: entry.leader_epoch };
            positions.insert(entry.partition, position);
        }
        Ok(positions)
    }

    /// The configuration of a topic or broker.
    pub(crate) fn configuration(
        &self,
        resource: Resource<'_>,
    ) -> Result<BTreeMap<String, String>, ClientError> {
        let (kind, name) = match resource {
            Resource::Topic(name) => {
                (native::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name.to_owned())
            }
            Resource::Broker(id) => {
                (native::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_BROKER, id.to_string())
            }
        };
        let name = c_text(&name).map_err(|_| ClientError::from_code(ErrorCode::INVALID_TOPIC))?;
        let ask = |queue: *mut native::rd_kafka_queue_t, options: *mut native::rd_kafka_AdminOptions_t| {
            // SAFETY: the resource is ours and destroyed after the call, which copies it.
            unsafe {
                let mut resource = native::rd_kafka_ConfigResource_new(kind, name.as_ptr());
                native::rd_kafka_DescribeConfigs(self.handle(), &mut resource, 1, options, queue);
                native::rd_kafka_ConfigResource_destroy(resource);
            }
            Ok(())
        };
        // SAFETY: the event is alive and of this kind; arrays have the counts that are returned with them.
        let read = |event: *mut native::rd_kafka_event_t| unsafe {
            read_configuration(native::rd_kafka_event_DescribeConfigs_result(event))
        };
        self.question(native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, ask, read)?
    }

    /// Whether the authorizer lets us do something with a topic; none where the broker does not say.
    pub(crate) fn may_use(&self, topic: &str, operation: Operation) -> Option<bool> {
        let wanted = match operation {
            Operation::Read => native::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ,
            Operation::Write => native::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE,
            Operation::Describe | Operation::DescribeConfigs | Operation::IdempotentWrite => return None,
        };
        let name = c_text(topic).ok()?;
        let ask = |queue: *mut native::rd_kafka_queue_t, options: *mut native::rd_kafka_AdminOptions_t| {
            // SAFETY: options and queue are alive for the call; the collection is ours and destroyed after the call,
            // which copies it; an error object is taken over.
            unsafe {
                let error = native::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
                ClientError::check(error)?;
                let mut names = [name.as_ptr()];
                let topics = native::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
                native::rd_kafka_DescribeTopics(self.handle(), topics, options, queue);
                native::rd_kafka_TopicCollection_destroy(topics);
            }
            Ok(())
        };
        let read = |event: *mut native::rd_kafka_event_t| {
            let (mut topics, mut count) = (0, 0);
            // SAFETY: the event is alive and of this kind; arrays have the counts that are returned with them. The
            // operations are read as numbers, for the broker may know some that the bindings do not.
            unsafe {
                let result = native::rd_kafka_event_DescribeTopics_result(event);
                let described = native::rd_kafka_DescribeTopics_result_topics(result, &mut topics);
                if topics == 0 {
                    return None;
                }
                let allowed = native::rd_kafka_TopicDescription_authorized_operations(*described, &mut count);
                (!allowed.is_null() && count > 0)
                    .then(|| (0..count).any(|at| allowed.add(at).cast::<u32>().read() == wanted as u32))
            }
        };
        let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        self.question(operation, ask, read).ok()?
    }

    /// Makes a topic with as many replicas as the cluster gives by default; one that exists already is left as it is.
    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), ClientError> {
        let name = c_text(topic).map_err(|_| ClientError::from_code(ErrorCode::INVALID_TOPIC))?;
        let mut text: [c_char; 256] = [0; 256];
        let ask = |queue: *mut native::rd_kafka_queue_t, options: *mut native::rd_kafka_AdminOptions_t| {
            // SAFETY: the request is ours and destroyed after the call, which copies it; -1 = the cluster's default.
            unsafe {
                let (space, size) = (text.as_mut_ptr(), text.len());
                let mut new = native::rd_kafka_NewTopic_new(name.as_ptr(), partitions, -1, space, size);
                if new.is_null() {
                    return Err(ClientError::from_code(ErrorCode::INVALID_TOPIC));
                }
                native::rd_kafka_CreateTopics(self.handle(), &mut new, 1, options, queue);
                native::rd_kafka_NewTopic_destroy(new);
            }
            Ok(())
        };
        let read = |event: *mut native::rd_kafka_event_t| {
            let mut count = 0;
            // SAFETY: the event is alive and of this kind; the array has `count` entries.
            unsafe {
                let result = native::rd_kafka_event_CreateTopics_result(event);
                let topics = native::rd_kafka_CreateTopics_result_topics(result, &mut count);
                (0..count)
                    .map(|at| ErrorCode::from(native::rd_kafka_topic_result_error(*topics.add(at))))
                    .find(|code| *code != ErrorCode::NONE && *code != ErrorCode::TOPIC_EXISTS)
            }
        };
        let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS;
        match self.question(operation, ask, read)? {
            Some(code) => Err(ClientError::from_code(code)),
            None => Ok(()),
        }
    }

    /// State and number of members of a consumer group.
    pub(crate) fn group(&self, group: &str) -> Result<GroupFacts, ConnectorError> {
        let name = c_text(group)?;
        let mut list: *const native::rd_kafka_group_list = ptr::null();
        let timeout = milliseconds(QUESTION_TIMEOUT);
        // SAFETY: the handle is alive; the answer is read before it is destroyed.
        unsafe {
            let code = native::rd_kafka_list_groups(self.handle(), name.as_ptr(), &mut list, timeout);
            let asked = ErrorCode::from(code).check();
            asked.map_err(|error| error.of(&format!("asking for the consumer group {group}")))?;
            let facts = slice((*list).groups, (*list).group_cnt).first().map(|found| GroupFacts {
                state: CStr::from_ptr(found.state).to_string_lossy().into_owned(),
                members: usize::try_from(found.member_cnt).unwrap_or(0),
            });
            native::rd_kafka_group_list_destroy(list);
            Ok(facts.unwrap_or(GroupFacts { state: "Dead".to_owned(), members: 0 }))
        }
    }

    /// One admin request: asked with a fresh queue, awaited, read.
    pub(crate) fn question<T>(
        &self,
        operation: native::rd_kafka_admin_op_t,
        ask: impl FnOnce(
            *mut native::rd_kafka_queue_t,
            *mut native::rd_kafka_AdminOptions_t,
        ) -> Result<(), ClientError>,
        read: impl FnOnce(*mut native::rd_kafka_event_t) -> T,
    ) -> Result<T, ClientError> {
        let timeout = milliseconds(QUESTION_TIMEOUT);
        // SAFETY: queue, options and event are made here, used while alive and destroyed once.
        unsafe {
            let queue = native::rd_kafka_queue_new(self.handle());
            let options = native::rd_kafka_AdminOptions_new(self.handle(), operation);
            let mut text: [c_char; 256] = [0; 256];
            native::rd_kafka_AdminOptions_set_request_timeout(
                options,
                timeout,
                text.as_mut_ptr(),
                text.len(),
            );
            let asked = ask(queue, options);
            native::rd_kafka_AdminOptions_destroy(options);
            let event = match asked {
                // The request's own time-out answers first; the margin is for its delivery.
                Ok(()) => native::rd_kafka_queue_poll(queue, timeout + 1_000),
                Err(error) => {
                    native::rd_kafka_queue_destroy(queue);
                    return Err(error);
                }
            };
            let answer = if event.is_null() {
                Err(ClientError::from_code(ErrorCode::TIMED_OUT))
            } else {
                let answer =
                    ErrorCode::from(native::rd_kafka_event_error(event)).check().map(|()| read(event));
                native::rd_kafka_event_destroy(event);
                answer
            };
            native::rd_kafka_queue_destroy(queue);
            answer
        }
    }
}

/// # Safety
///
/// `result` is a live answer.
unsafe fn read_configuration(
    result: *const native::rd_kafka_DescribeConfigs_result_t,
) -> Result<BTreeMap<String, String>, ClientError> {
    let (mut resources, mut count) = (0, 0);
    let mut found = BTreeMap::new();
    // SAFETY: by contract; arrays have the counts that are returned with them; texts end with 0.
    unsafe {
        let list = native::rd_kafka_DescribeConfigs_result_resources(result, &mut resources);
        for at in 0..resources {
            let resource = *list.add(at);
            ErrorCode::from(native::rd_kafka_ConfigResource_error(resource)).check()?;
            let entries = native::rd_kafka_ConfigResource_configs(resource, &mut count);
            for entry in (0..count).map(|at| *entries.add(at)) {
                let value = native::rd_kafka_ConfigEntry_value(entry);
                if !value.is_null() {
                    let name = CStr::from_ptr(native::rd_kafka_ConfigEntry_name(entry));
                    let text = |text: &CStr| text.to_string_lossy().into_owned();
                    found.insert(text(name), text(CStr::from_ptr(value)));
                }
            }
        }
    }
    Ok(found)
}

/// # Safety
///
/// `first` points to `count` values that live as long as the answer that they stand in; or `count` is 0.
unsafe fn slice<'a, T>(first: *const T, count: i32) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: by contract.
        Ok(count) if count > 0 && !first.is_null() => unsafe { std::slice::from_raw_parts(first, count) },
        _ => &[],
    }
}

/// Settings of a client that only asks.
pub(crate) fn asking(mut settings: Settings) -> Settings {
    settings.set("debug", "feature").set("log_level", 7);
    settings
}
