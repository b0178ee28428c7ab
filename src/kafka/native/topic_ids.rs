//! Topics' ids, asked for over a consumer that is there anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::answers::text;

/// What a broker without topic ids gives: 16 bytes of zero.
pub const NO_TOPIC_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The ids of `topics`, in Base64, of those that exist and have one. Waits for up to `timeout`.
pub fn topic_ids<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &BTreeSet<Arc<str>>,
    timeout: Duration,
) -> Result<BTreeMap<String, String>, RDKafkaErrorCode> {
    let names: Vec<CString> = topics
        .iter()
        .filter_map(|topic| CString::new(topic.as_bytes()).ok())
        .collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let rk = consumer.client().native_ptr();
    let op = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    // SAFETY: the client and the names are alive during all of it; the call copies what it keeps;
    // options, collection, event and queue are ours and destroyed once, the event before the queue.
    // librdkafka's own time-out is the one that is waited for, so the event always comes; should it
    // not, the answer that comes later finds the queue gone and is dropped with its reference.
    unsafe {
        let queue = rd::rd_kafka_queue_new(rk);
        let options = rd::rd_kafka_AdminOptions_new(rk, op);
        rd::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, ptr::null_mut(), 0);
        let collection =
            rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        rd::rd_kafka_DescribeTopics(rk, collection, options, queue);
        rd::rd_kafka_TopicCollection_destroy(collection);
        rd::rd_kafka_AdminOptions_destroy(options);
        let event = rd::rd_kafka_queue_poll(queue, timeout_ms.saturating_add(1000));
        let ids = read(event);
        if !event.is_null() {
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_queue_destroy(queue);
        ids
    }
}

/// # Safety
/// `event` must be null, or alive and the result of a DescribeTopics.
unsafe fn read(
    event: *mut rd::rd_kafka_event_t,
) -> Result<BTreeMap<String, String>, RDKafkaErrorCode> {
    // SAFETY: by this function's contract; what is read belongs to the event and is copied.
    unsafe {
        if event.is_null() {
            return Err(RDKafkaErrorCode::OperationTimedOut);
        }
        let error = rd::rd_kafka_event_error(event);
        if error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        let mut ids = BTreeMap::new();
        for index in 0..count {
            let topic = *topics.add(index);
            let error = rd::rd_kafka_TopicDescription_error(topic);
            if !error.is_null() && rd::rd_kafka_error_code(error) as i32 != 0 {
                continue;
            }
            if let Some(id) = id_of(topic) {
                ids.insert(text(rd::rd_kafka_TopicDescription_name(topic)), id);
            }
        }
        Ok(ids)
    }
}

/// # Safety
/// `topic` must be alive, and exist in Kafka.
pub(super) unsafe fn id_of(topic: *const rd::rd_kafka_TopicDescription_t) -> Option<String> {
    // SAFETY: by this function's contract; the text belongs to the description and is copied.
    let id = unsafe {
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        text(rd::rd_kafka_Uuid_base64str(id))
    };
    (!id.is_empty() && id != NO_TOPIC_ID).then_some(id)
}
