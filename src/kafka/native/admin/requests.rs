//! The requests themselves: what each hands to librdkafka, and to whom it is sent.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;
use tokio::sync::oneshot;

use super::{Native, Pending, Receiver, Target};
use crate::kafka::native::answers::{
    self, Committed, Configs, Failure, Group, PartitionList, PerPartition, Topics,
};
use crate::topic::TopicPartition;

impl Native {
    /// ListOffsets: each partition with -1 (latest), -2 (earliest) or a time in milliseconds.
    pub fn list_offsets(
        &self,
        partitions: &[(TopicPartition, i64)],
        read_committed: bool,
        timeout: Duration,
    ) -> Receiver<PerPartition<i64>> {
        let (sender, receiver) = oneshot::channel();
        let op = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
        self.request(
            op,
            Target::Brokers(timeout),
            Pending::Offsets(sender),
            |rk, options, queue| {
                let level = if read_committed {
                    rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                } else {
                    rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
                };
                let list = PartitionList::new(partitions.iter().map(|(p, o)| (p, *o, None)));
                // SAFETY: all pointers are alive during the call, and the call copies what it keeps.
                unsafe {
                    let error = rd::rd_kafka_AdminOptions_set_isolation_level(options, level);
                    if !error.is_null() {
                        rd::rd_kafka_error_destroy(error);
                    }
                    rd::rd_kafka_ListOffsets(rk, list.0, options, queue);
                }
            },
        );
        receiver
    }

    /// ListConsumerGroupOffsets of one group; all partitions that it has where none are named.
    pub fn committed(
        &self,
        group: &CStr,
        partitions: Option<&[TopicPartition]>,
    ) -> Receiver<PerPartition<Committed>> {
        let (sender, receiver) = oneshot::channel();
        let op = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;
        self.request(
            op,
            Target::Coordinator(group),
            Pending::Committed(sender),
            |rk, options, queue| {
                let list = partitions.map(|partitions| {
                    PartitionList::new(partitions.iter().map(|p| (p, -1001, None)))
                });
                let list_ptr = list.as_ref().map_or(ptr::null_mut(), |list| list.0);
                // SAFETY: all pointers are alive during the call, and the call copies what it keeps;
                // the request made here is destroyed here.
                unsafe {
                    let mut request =
                        rd::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), list_ptr);
                    rd::rd_kafka_ListConsumerGroupOffsets(rk, &mut request, 1, options, queue);
                    rd::rd_kafka_ListConsumerGroupOffsets_destroy(request);
                }
            },
        );
        receiver
    }

    /// AlterConsumerGroupOffsets of one group, with a text for each partition.
    pub fn alter(
        &self,
        group: &CStr,
        offsets: &[(TopicPartition, i64, Option<Vec<u8>>)],
    ) -> Receiver<PerPartition<()>> {
        let (sender, receiver) = oneshot::channel();
        let op = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS;
        self.request(
            op,
            Target::Coordinator(group),
            Pending::Altered(sender),
            |rk, options, queue| {
                let list =
                    PartitionList::new(offsets.iter().map(|(p, o, text)| (p, *o, text.as_deref())));
                // SAFETY: as in `committed`.
                unsafe {
                    let mut request =
                        rd::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), list.0);
                    rd::rd_kafka_AlterConsumerGroupOffsets(rk, &mut request, 1, options, queue);
                    rd::rd_kafka_AlterConsumerGroupOffsets_destroy(request);
                }
            },
        );
        receiver
    }

    /// The ids of the cluster's brokers. The closure blocks for up to `timeout`.
    pub fn brokers(
        &self,
        timeout: Duration,
    ) -> impl Fn() -> Result<Vec<i32>, Failure> + Send + Sync + 'static {
        let shared = self.shared.clone();
        move || {
            let Some(shared) = &shared else {
                return Ok(Vec::new());
            };
            let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
            let mut metadata = ptr::null();
            // SAFETY: the client is alive; what is returned is read and destroyed here.
            unsafe {
                let rk = shared.client.native_ptr();
                let none = ptr::null_mut();
                let code = rd::rd_kafka_metadata(rk, 0, none, &mut metadata, timeout_ms) as i32;
                if code != 0 || metadata.is_null() {
                    return Err(Failure {
                        code,
                        message: answers::words(code),
                    });
                }
                let count = usize::try_from((*metadata).broker_cnt).unwrap_or(0);
                let brokers = match count {
                    0 => Vec::new(),
                    _ => std::slice::from_raw_parts((*metadata).brokers, count)
                        .iter()
                        .map(|broker| broker.id)
                        .collect(),
                };
                rd::rd_kafka_metadata_destroy(metadata);
                Ok(brokers)
            }
        }
    }

    /// DescribeTopics: each topic's partitions, as this broker knows them, and where `rights` is set
    /// whether we may write.
    pub fn topics(
        &self,
        broker: i32,
        topics: &[CString],
        rights: bool,
        timeout: Duration,
    ) -> Receiver<Topics> {
        let (sender, receiver) = oneshot::channel();
        let op = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        self.request(
            op,
            Target::Brokers(timeout),
            Pending::Topics(sender),
            |rk, options, queue| {
                let mut names: Vec<*const c_char> = topics.iter().map(|t| t.as_ptr()).collect();
                // SAFETY: the names are alive during the call; the collection copies them and is
                // destroyed here. The error text is not asked for.
                unsafe {
                    rd::rd_kafka_AdminOptions_set_broker(options, broker, ptr::null_mut(), 0);
                    let error = rd::rd_kafka_AdminOptions_set_include_authorized_operations(
                        options,
                        c_int::from(rights),
                    );
                    if !error.is_null() {
                        rd::rd_kafka_error_destroy(error);
                    }
                    let collection = rd::rd_kafka_TopicCollection_of_topic_names(
                        names.as_mut_ptr(),
                        names.len(),
                    );
                    rd::rd_kafka_DescribeTopics(rk, collection, options, queue);
                    rd::rd_kafka_TopicCollection_destroy(collection);
                }
            },
        );
        receiver
    }

    /// DescribeConfigs of topics.
    pub fn topic_configs(&self, topics: &[CString], timeout: Duration) -> Receiver<Configs> {
        let (sender, receiver) = oneshot::channel();
        let op = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
        self.request(
            op,
            Target::Brokers(timeout),
            Pending::Configs(sender),
            |rk, options, queue| {
                let kind = rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
                // SAFETY: the names are alive during the calls, which copy them; the resources are
                // copied too and destroyed here.
                unsafe {
                    let mut resources: Vec<_> = topics
                        .iter()
                        .map(|topic| rd::rd_kafka_ConfigResource_new(kind, topic.as_ptr()))
                        .collect();
                    rd::rd_kafka_DescribeConfigs(
                        rk,
                        resources.as_mut_ptr(),
                        resources.len(),
                        options,
                        queue,
                    );
                    for resource in resources {
                        rd::rd_kafka_ConfigResource_destroy(resource);
                    }
                }
            },
        );
        receiver
    }

    /// DescribeConsumerGroups of one group.
    pub fn group(&self, group: &CStr) -> Receiver<Group> {
        let (sender, receiver) = oneshot::channel();
        let op = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
        self.request(
            op,
            Target::Coordinator(group),
            Pending::Group(sender),
            |rk, options, queue| {
                let mut name = group.as_ptr();
                // SAFETY: the name is alive during the call, which copies it.
                unsafe { rd::rd_kafka_DescribeConsumerGroups(rk, &mut name, 1, options, queue) }
            },
        );
        receiver
    }
}
