//! Long reads at the ends of partitions, by librdkafka's simple consumer: it belongs to no group.
//!
//! A partition begins and ends its watch by itself. To assign a whole set anew, as a group's
//! consumer does, would make every change cost as much as the set is large.

use std::collections::HashMap;
use std::ffi::{CString, c_int};
use std::ptr;
use std::sync::Arc;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaType;

use super::queue::{Event, Queue};
use super::tokens::Tokens;
use crate::kafka::oauth::Grant;
use crate::topic::{Offset, TopicPartition};

/// One client that waits at the ends of any number of partitions.
pub struct Tails {
    topics: HashMap<Arc<str>, Topic>,
    // In this order: queue and tokens must go before the client, the topics before all.
    queue: Arc<Queue>,
    _tokens: Option<Tokens>,
    client: Client<Context>,
}

/// librdkafka's handle of a topic, and how many of its partitions are watched.
struct Topic {
    handle: *mut rd::rd_kafka_topic_t,
    watched: usize,
}

// SAFETY: librdkafka's handles may be used from any thread; this one is freed once, by `Drop`.
unsafe impl Send for Topic {}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: the handle came from `rd_kafka_topic_new`, and the client is still alive.
        unsafe { rd::rd_kafka_topic_destroy(self.handle) }
    }
}

/// What librdkafka says of its connections is for those who look closely: a tail that cannot be
/// watched costs time, never a record.
struct Context;

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason);
    }
}

impl Tails {
    /// Opens a client. Nothing is connected yet.
    pub fn open(config: &ClientConfig) -> KafkaResult<Self> {
        let (config, grant) = Grant::take(config);
        let native_config = config.create_native_config()?;
        let kind = RDKafkaType::RD_KAFKA_CONSUMER;
        let client = Client::new(&config, native_config, kind, Context)?;
        let queue = Queue::new(&client)
            .ok_or_else(|| KafkaError::ClientCreation("no queue for a consumer".to_owned()))?;
        Ok(Self {
            topics: HashMap::new(),
            queue: Arc::new(queue),
            _tokens: Tokens::keep(&client, grant),
            client,
        })
    }

    /// The queue that everything comes through, to be waited at.
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// Waits for what comes at `end`; false where librdkafka does not want to. Not for a partition
    /// that is watched already.
    pub fn begin(&mut self, partition: &TopicPartition, end: Offset) -> bool {
        let Some(topic) = self.topic(&partition.topic) else {
            return false;
        };
        let handle = topic.handle;
        // SAFETY: topic and queue are alive; the call only notes what is to be done.
        let begun = unsafe {
            rd::rd_kafka_consume_start_queue(
                handle,
                partition.partition,
                end.0,
                self.queue.as_ptr(),
            )
        };
        if begun == 0 {
            self.topics
                .entry(partition.topic.clone())
                .and_modify(|topic| topic.watched += 1);
        }
        begun == 0
    }

    /// Waits no more. It **blocks** until librdkafka's own thread has taken note.
    pub fn end(&mut self, partition: &TopicPartition) {
        let Some(topic) = self.topics.get_mut(&partition.topic) else {
            return;
        };
        // SAFETY: the topic is alive.
        unsafe { rd::rd_kafka_consume_stop(topic.handle, partition.partition) };
        topic.watched = topic.watched.saturating_sub(1);
        if topic.watched == 0 {
            self.topics.remove(&partition.topic);
        }
    }

    fn topic(&mut self, name: &Arc<str>) -> Option<&Topic> {
        if !self.topics.contains_key(name) {
            let text = CString::new(&**name).ok()?;
            // SAFETY: the client is alive; name and configuration are copied.
            let handle = unsafe {
                rd::rd_kafka_topic_new(self.client.native_ptr(), text.as_ptr(), ptr::null_mut())
            };
            if handle.is_null() {
                return None;
            }
            let topic = Topic { handle, watched: 0 };
            self.topics.insert(Arc::clone(name), topic);
        }
        self.topics.get(name)
    }
}

impl Queue {
    /// A queue of `client`'s for whatever is sent to it.
    fn new<C: ClientContext>(client: &Client<C>) -> Option<Self> {
        // SAFETY: the client is alive; the call gives a counted reference of our own, or null.
        Self::of(unsafe { rd::rd_kafka_queue_new(client.native_ptr()) })
    }

    /// The next event; waits for it as long as that.
    pub fn wait(&self, millis: c_int) -> Option<Event> {
        // SAFETY: the queue is alive; a non-null event is ours to destroy.
        Event::of(unsafe { rd::rd_kafka_queue_poll(self.as_ptr(), millis) })
    }

    /// Ends a wait before its time.
    pub fn interrupt(&self) {
        // SAFETY: the queue is alive.
        unsafe { rd::rd_kafka_queue_yield(self.as_ptr()) }
    }
}
