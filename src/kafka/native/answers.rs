//! What librdkafka's answers say, in plain values; and lists of partitions for its questions.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::Arc;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_AclOperation_t as Operation;

use super::topic_ids::id_of;
use crate::foreign;
use crate::topic::TopicPartition;

/// A code of librdkafka's with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `rd_kafka_resp_err_t`.
    pub code: i32,
    /// For people.
    pub message: String,
}

/// One value for each partition asked for.
pub type PerPartition<T> = Vec<(TopicPartition, Result<T, Failure>)>;

/// A committed offset with its text; the offset is negative where nothing was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// What the committer wrote beside it.
    pub metadata: Vec<u8>,
}

/// A group's members and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Members at present.
    pub members: Vec<Member>,
    /// Such as `Stable` or `Empty`, in Kafka's words.
    pub state: String,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Kafka's name of it, another one each time that it joins.
    pub id: String,
    /// Its own name of itself, `client.id`.
    pub client_id: String,
    /// The address it comes from, as the broker sees it.
    pub host: Arc<str>,
    /// The partitions that it has; none while they are being shared out.
    pub partitions: Vec<TopicPartition>,
}

/// A topic that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its partitions.
    pub partitions: Vec<i32>,
    /// Whether we may read its records; none where that was not asked, or not answered.
    pub may_read: Option<bool>,
    /// Whether we may write to it, likewise.
    pub may_write: Option<bool>,
    /// Kafka's id of it, in Base64: a topic that was deleted and made anew has another. None where the broker gives none.
    pub id: Option<String>,
}

/// Topics, each with its own failure.
pub type Topics = Vec<(String, Result<Topic, Failure>)>;

/// Settings of topics, each with its own failure.
pub type Configs = Vec<(String, Result<BTreeMap<String, String>, Failure>)>;

/// What became of a request.
pub type Answer<T> = Result<T, Failure>;
/// An array of `T` that belongs to an event.
///
/// # Safety
/// `items` must point to `count` pointers that are valid for `'a`, or `count` must be 0.
unsafe fn items<'a, T>(items: *mut *const T, count: usize) -> &'a [*const T] {
    if items.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: by this function's contract.
    unsafe { std::slice::from_raw_parts(items, count) }
}

pub(super) fn offsets(event: *mut rd::rd_kafka_event_t) -> PerPartition<i64> {
    // SAFETY: the event is a ListOffsets result (its id says so) and outlives what is read here.
    unsafe {
        let result = rd::rd_kafka_event_ListOffsets_result(event);
        let mut count = 0;
        let infos = rd::rd_kafka_ListOffsets_result_infos(result, &mut count);
        let mut name = Arc::from("");
        items(infos, count)
            .iter()
            .map(|&info| {
                let partition = rd::rd_kafka_ListOffsetsResultInfo_topic_partition(info);
                read(&*partition, &mut name, |partition| partition.offset)
            })
            .collect()
    }
}

pub(super) fn committed(event: *mut rd::rd_kafka_event_t) -> Answer<PerPartition<Committed>> {
    // SAFETY: as in `offsets`, of ListConsumerGroupOffsets.
    unsafe {
        let result = rd::rd_kafka_event_ListConsumerGroupOffsets_result(event);
        let mut count = 0;
        let groups = rd::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &mut count);
        group_partitions(items(groups, count), |partition| Committed {
            offset: partition.offset,
            metadata: if partition.metadata.is_null() {
                Vec::new()
            } else {
                let bytes = partition.metadata.cast::<u8>();
                std::slice::from_raw_parts(bytes, partition.metadata_size).to_vec()
            },
        })
    }
}

pub(super) fn altered(event: *mut rd::rd_kafka_event_t) -> Answer<PerPartition<()>> {
    // SAFETY: as in `offsets`, of AlterConsumerGroupOffsets.
    unsafe {
        let result = rd::rd_kafka_event_AlterConsumerGroupOffsets_result(event);
        let mut count = 0;
        let groups = rd::rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &mut count);
        group_partitions(items(groups, count), |_| ())
    }
}

/// The partitions of the one group that was asked for.
///
/// # Safety
/// The pointers must be valid.
unsafe fn group_partitions<T>(
    groups: &[*const rd::rd_kafka_group_result_t],
    value: impl Fn(&rd::rd_kafka_topic_partition_t) -> T,
) -> Answer<PerPartition<T>> {
    let mut answer = Vec::new();
    for &group in groups {
        // SAFETY: by this function's contract; the list has `cnt` elements.
        unsafe {
            error_of(rd::rd_kafka_group_result_error(group))?;
            let list = rd::rd_kafka_group_result_partitions(group);
            if list.is_null() {
                continue;
            }
            let count = usize::try_from((*list).cnt).unwrap_or(0);
            if count > 0 {
                let elements = std::slice::from_raw_parts((*list).elems, count);
                let mut name = Arc::from("");
                answer.extend(
                    elements
                        .iter()
                        .map(|element| read(element, &mut name, &value)),
                );
            }
        }
    }
    Ok(answer)
}

pub(super) fn topics(event: *mut rd::rd_kafka_event_t) -> Topics {
    // SAFETY: as in `offsets`, of DescribeTopics.
    unsafe {
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        items(topics, count)
            .iter()
            .map(|&topic| {
                let name = text(rd::rd_kafka_TopicDescription_name(topic));
                let described = error_of(rd::rd_kafka_TopicDescription_error(topic)).map(|()| {
                    let mut count = 0;
                    let partitions = rd::rd_kafka_TopicDescription_partitions(topic, &mut count);
                    let partitions = items(partitions, count)
                        .iter()
                        .map(|&partition| rd::rd_kafka_TopicPartitionInfo_partition(partition))
                        .collect();
                    Topic {
                        partitions,
                        may_read: may(topic, Operation::RD_KAFKA_ACL_OPERATION_READ),
                        may_write: may(topic, Operation::RD_KAFKA_ACL_OPERATION_WRITE),
                        id: id_of(topic),
                    }
                });
                (name, described)
            })
            .collect()
    }
}

/// # Safety
/// `topic` must be alive.
unsafe fn may(topic: *const rd::rd_kafka_TopicDescription_t, operation: Operation) -> Option<bool> {
    // SAFETY: by this function's contract. The operations are read as the numbers that they are in
    // C: a newer broker may send one that the Rust enum does not have.
    unsafe {
        let mut count = 0;
        let operations = rd::rd_kafka_TopicDescription_authorized_operations(topic, &mut count);
        if operations.is_null() || count == 0 {
            return None;
        }
        let operations = std::slice::from_raw_parts(operations.cast::<i32>(), count);
        let enough = [operation, Operation::RD_KAFKA_ACL_OPERATION_ALL];
        let enough = enough.map(|operation| operation as i32);
        Some(
            enough
                .iter()
                .any(|operation| operations.contains(operation)),
        )
    }
}

pub(super) fn configs(event: *mut rd::rd_kafka_event_t) -> Configs {
    // SAFETY: as in `offsets`, of DescribeConfigs.
    unsafe {
        let result = rd::rd_kafka_event_DescribeConfigs_result(event);
        let mut count = 0;
        let resources = rd::rd_kafka_DescribeConfigs_result_resources(result, &mut count);
        items(resources, count)
            .iter()
            .map(|&resource| {
                let name = text(rd::rd_kafka_ConfigResource_name(resource));
                let code = rd::rd_kafka_ConfigResource_error(resource) as i32;
                if code != 0 {
                    let message = text(rd::rd_kafka_ConfigResource_error_string(resource));
                    return (name, Err(Failure { code, message }));
                }
                let mut count = 0;
                let entries = rd::rd_kafka_ConfigResource_configs(resource, &mut count);
                let entry = |&entry: &*const rd::rd_kafka_ConfigEntry_t| {
                    let value = rd::rd_kafka_ConfigEntry_value(entry);
                    (text(rd::rd_kafka_ConfigEntry_name(entry)), text(value))
                };
                (name, Ok(items(entries, count).iter().map(entry).collect()))
            })
            .collect()
    }
}

pub(super) fn group(event: *mut rd::rd_kafka_event_t) -> Answer<Group> {
    // SAFETY: as in `offsets`, of DescribeConsumerGroups.
    unsafe {
        let result = rd::rd_kafka_event_DescribeConsumerGroups_result(event);
        let mut count = 0;
        let groups = rd::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        let Some(&group) = items(groups, count).first() else {
            return Err(Failure {
                code: -1,
                message: "the answer names no group".to_owned(),
            });
        };
        error_of(rd::rd_kafka_ConsumerGroupDescription_error(group))?;
        let state = rd::rd_kafka_ConsumerGroupDescription_state(group);
        let members = rd::rd_kafka_ConsumerGroupDescription_member_count(group);
        Ok(Group {
            members: (0..members)
                .filter_map(|index| {
                    member(rd::rd_kafka_ConsumerGroupDescription_member(group, index))
                })
                .collect(),
            state: text(rd::rd_kafka_consumer_group_state_name(state)),
        })
    }
}

/// What a member is and has; none for no member.
///
/// # Safety
/// `member` must be null or alive.
unsafe fn member(member: *const rd::rd_kafka_MemberDescription_t) -> Option<Member> {
    if member.is_null() {
        return None;
    }
    // SAFETY: by this function's contract; what belongs to the member lives as long.
    unsafe {
        // Java's brokers write "/10.0.0.5".
        let said = |raw| foreign::printable(&text(raw));
        let host = said(rd::rd_kafka_MemberDescription_host(member));
        Some(Member {
            id: said(rd::rd_kafka_MemberDescription_consumer_id(member)),
            client_id: said(rd::rd_kafka_MemberDescription_client_id(member)),
            host: host.trim_start_matches('/').into(),
            partitions: assigned(rd::rd_kafka_MemberDescription_assignment(member)),
        })
    }
}

/// The partitions of an assignment.
///
/// # Safety
/// `assignment` must be null or alive.
unsafe fn assigned(assignment: *const rd::rd_kafka_MemberAssignment_t) -> Vec<TopicPartition> {
    if assignment.is_null() {
        return Vec::new();
    }
    // SAFETY: by this function's contract. The list has as many elements as it says, each with a C string.
    unsafe {
        let list = rd::rd_kafka_MemberAssignment_partitions(assignment);
        let Some(list) = list.as_ref().filter(|list| !list.elems.is_null()) else {
            return Vec::new();
        };
        let count = usize::try_from(list.cnt).unwrap_or(0);
        let elements = std::slice::from_raw_parts(list.elems, count);
        let partition = |at: &rd::rd_kafka_topic_partition_t| {
            TopicPartition::new(text(at.topic).as_str(), at.partition)
        };
        elements.iter().map(partition).collect()
    }
}

/// One partition of an answer: its value or its error. `topic` is the last one's name, which its
/// neighbours share.
///
/// # Safety
/// The partition's topic must be a C string.
unsafe fn read<T>(
    partition: &rd::rd_kafka_topic_partition_t,
    topic: &mut Arc<str>,
    value: impl Fn(&rd::rd_kafka_topic_partition_t) -> T,
) -> (TopicPartition, Result<T, Failure>) {
    // SAFETY: by this function's contract. The code is read as the number that it is in C: a
    // broker newer than these bindings may send one that the Rust enum does not have.
    let (name, code) = unsafe {
        (
            text(partition.topic),
            ptr::addr_of!(partition.err).cast::<i32>().read(),
        )
    };
    let answer = match code {
        0 => Ok(value(partition)),
        code => Err(Failure {
            code,
            message: words(code),
        }),
    };
    if **topic != *name {
        *topic = name.into();
    }
    (
        TopicPartition::new(Arc::clone(topic), partition.partition),
        answer,
    )
}

pub(super) fn failure_of(event: *mut rd::rd_kafka_event_t) -> Failure {
    // SAFETY: the event is alive; its text lives as long.
    unsafe {
        Failure {
            code: rd::rd_kafka_event_error(event) as i32,
            message: text(rd::rd_kafka_event_error_string(event)),
        }
    }
}

/// # Safety
/// `error` must be null or alive.
unsafe fn error_of(error: *const rd::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: by this function's contract.
    unsafe {
        match rd::rd_kafka_error_code(error) as i32 {
            0 => Ok(()),
            code => Err(Failure {
                code,
                message: text(rd::rd_kafka_error_string(error)),
            }),
        }
    }
}

/// librdkafka's words for a code.
pub(in crate::kafka) fn words(code: i32) -> String {
    // SAFETY: the C function takes any number and gives a static text; the Rust signature wants an
    // enum, so it is called by its C type.
    unsafe {
        let by_number: unsafe extern "C" fn(i32) -> *const c_char = std::mem::transmute(
            rd::rd_kafka_err2str as unsafe extern "C" fn(rd::rd_kafka_resp_err_t) -> *const c_char,
        );
        text(by_number(code))
    }
}

/// # Safety
/// `text` must be null or a C string.
pub(super) unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(text).to_string_lossy().into_owned() }
}

/// A list of partitions in librdkafka's memory.
pub(super) struct PartitionList(pub(super) *mut rd::rd_kafka_topic_partition_list_t);

impl PartitionList {
    pub(super) fn new<'a>(
        partitions: impl ExactSizeIterator<Item = (&'a TopicPartition, i64, Option<&'a [u8]>)>,
    ) -> Self {
        let size = c_int::try_from(partitions.len()).unwrap_or(c_int::MAX);
        // SAFETY: the list is ours until it is dropped; `add` gives an element of it. A text goes
        // into malloc's memory, because the list frees it.
        unsafe {
            let list = rd::rd_kafka_topic_partition_list_new(size);
            for (partition, offset, metadata) in partitions {
                // Names with a zero byte are refused where they come in.
                let Ok(name) = CString::new(partition.topic.as_bytes()) else {
                    continue;
                };
                let element =
                    rd::rd_kafka_topic_partition_list_add(list, name.as_ptr(), partition.partition);
                (*element).offset = offset;
                if let Some(bytes) = metadata.filter(|bytes| !bytes.is_empty()) {
                    let memory = rd::rd_kafka_mem_malloc(ptr::null_mut(), bytes.len());
                    ptr::copy_nonoverlapping(bytes.as_ptr(), memory.cast(), bytes.len());
                    (*element).metadata = memory;
                    (*element).metadata_size = bytes.len();
                }
            }
            Self(list)
        }
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: made by `new`, destroyed once.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.0) }
    }
}
