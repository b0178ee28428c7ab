//! Reads a consumer's queue event by event.
//!
//! `BaseConsumer::poll` would do, but it drops the topic and the offset of an end of partition (the
//! only sign of where reading stands behind transaction markers), panics on a header name or commit
//! metadata that is not UTF-8 (anybody may write one), and costs an allocation a record.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};

use rdkafka::TopicPartitionList;
use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::headers;
use crate::topic::{Offset, TopicPartition};

/// A reference to the queue that a consumer's records, rebalances, commits, errors and log lines
/// come through. Must not outlive the consumer.
pub struct Queue(NonNull<rd::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues are thread safe (they have their own lock).
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// The queue of `consumer`; None if it belongs to no group.
    pub fn of_consumer<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the client pointer is valid as long as `consumer` is; the call gives a counted
        // reference of our own, or null.
        let queue = unsafe { rd::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Self::of(queue)
    }

    /// A counted reference that is ours, unless it is null.
    pub(super) fn of(queue: *mut rd::rd_kafka_queue_t) -> Option<Self> {
        NonNull::new(queue).map(Self)
    }

    pub(super) fn as_ptr(&self) -> *mut rd::rd_kafka_queue_t {
        self.0.as_ptr()
    }

    /// The next event, if there is one. Never waits.
    pub fn poll(&self) -> Option<Event> {
        // SAFETY: the queue is alive until drop; a non-null event is ours to destroy.
        Event::of(unsafe { rd::rd_kafka_queue_poll(self.0.as_ptr(), 0) })
    }

    /// Sends a commit whose result comes through this queue, with its `number`. The crate's own asynchronous
    /// commit asks for no result, and librdkafka then gives none.
    pub fn commit<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        list: &TopicPartitionList,
        number: usize,
    ) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: client, list and queue are valid; the call copies the list and counts a
        // reference to the queue. Without a callback there is nothing that must outlive the call;
        // what it keeps for us is a number, which nobody takes for an address.
        let error = unsafe {
            rd::rd_kafka_commit_queue(
                consumer.client().native_ptr(),
                list.ptr(),
                self.0.as_ptr(),
                None,
                ptr::without_provenance_mut(number),
            )
        };
        code(error).map_or(Ok(()), Err)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the reference was counted for us and is not used after this.
        unsafe { rd::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// Something that came out of the queue. What it holds lives as long as it does.
pub struct Event(NonNull<rd::rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours and nothing borrowed from it outlives it.
        unsafe { rd::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// An event's content.
pub enum Polled<'a> {
    /// A record.
    Message(Message<'a>),
    /// Reading has come to the end of a partition.
    End {
        /// The partition.
        partition: TopicPartition,
        /// The next offset that reading would give.
        next: Offset,
    },
    /// The group gives partitions; to be answered with an assign.
    Assign(Vec<TopicPartition>),
    /// The group takes partitions; to be answered with an unassign.
    Revoke(Vec<TopicPartition>),
    /// A commit came back.
    Committed {
        /// The one of this number.
        number: usize,
        /// What was wrong with the commit as a whole.
        error: Option<RDKafkaErrorCode>,
        /// What was wrong with single partitions.
        partitions: Vec<(TopicPartition, Option<RDKafkaErrorCode>)>,
    },
    /// Something went wrong.
    Error {
        /// librdkafka's code.
        code: RDKafkaErrorCode,
        /// The client can do nothing any more.
        fatal: bool,
        /// Where, if it concerns one partition: the offset that could not be read, if there is one.
        place: Option<(TopicPartition, Option<Offset>)>,
        /// In words.
        reason: String,
    },
    /// A line for the log.
    Log {
        /// syslog's level, 0 to 7.
        level: i32,
        /// librdkafka's facility.
        facility: String,
        /// The line.
        text: String,
    },
    /// Nothing that concerns us.
    Other,
}

impl Event {
    /// An event that is ours, unless it is null.
    pub(super) fn of(event: *mut rd::rd_kafka_event_t) -> Option<Self> {
        NonNull::new(event).map(Self)
    }

    /// Takes the event apart. A second call on a record's event gives [`Polled::Other`].
    pub fn read(&self) -> Polled<'_> {
        let event = self.0.as_ptr();
        // SAFETY: the event is valid until drop.
        match unsafe { rd::rd_kafka_event_type(event) } {
            rd::RD_KAFKA_EVENT_FETCH => self.message().map_or(Polled::Other, Polled::Message),
            rd::RD_KAFKA_EVENT_REBALANCE => self.rebalance(),
            rd::RD_KAFKA_EVENT_OFFSET_COMMIT => {
                let partitions = self
                    .list()
                    .iter()
                    .map(|p| (named(p), code(p.err)))
                    .collect();
                // SAFETY: the event is valid; what it gives is the number that it was sent with.
                let number = unsafe { rd::rd_kafka_event_opaque(event) }.addr();
                Polled::Committed {
                    number,
                    error: code(self.error()),
                    partitions,
                }
            }
            rd::RD_KAFKA_EVENT_ERROR => self.failure(),
            rd::RD_KAFKA_EVENT_LOG => self.log(),
            _ => Polled::Other,
        }
    }

    fn message(&self) -> Option<Message<'_>> {
        // SAFETY: the event is valid; the message it gives belongs to it.
        let message = unsafe { rd::rd_kafka_event_message_next(self.0.as_ptr()) };
        // SAFETY: a non-null message lives as long as the event, which the lifetime says.
        unsafe { message.as_ref() }.map(|raw| Message { raw })
    }

    fn rebalance(&self) -> Polled<'_> {
        let partitions = self.list().iter().map(named).collect();
        match self.error() {
            rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                Polled::Assign(partitions)
            }
            // Any other code is answered like a revocation: it clears the assignment, without
            // which librdkafka would wait for ever.
            _ => Polled::Revoke(partitions),
        }
    }

    fn failure(&self) -> Polled<'_> {
        let Some(code) = code(self.error()) else {
            return Polled::Other;
        };
        let place = self.place();
        if code == RDKafkaErrorCode::PartitionEOF {
            return match place {
                Some((partition, Some(next))) => Polled::End { partition, next },
                _ => Polled::Other,
            };
        }
        let event = self.0.as_ptr();
        // SAFETY: both take the valid event; the text belongs to it and is copied at once.
        unsafe {
            Polled::Error {
                code,
                fatal: rd::rd_kafka_event_error_is_fatal(event) != 0,
                place,
                reason: text(rd::rd_kafka_event_error_string(event)),
            }
        }
    }

    /// The partition and offset of an error, where it has them.
    fn place(&self) -> Option<(TopicPartition, Option<Offset>)> {
        // SAFETY: the event is valid; a non-null partition is ours and destroyed below.
        let partition =
            NonNull::new(unsafe { rd::rd_kafka_event_topic_partition(self.0.as_ptr()) })?;
        // SAFETY: just checked; read before it is destroyed.
        let (name, offset) = unsafe { (named(partition.as_ref()), partition.as_ref().offset) };
        // SAFETY: ours, and not used after this.
        unsafe { rd::rd_kafka_topic_partition_destroy(partition.as_ptr()) };
        Some((name, (offset >= 0).then_some(Offset(offset))))
    }

    fn log(&self) -> Polled<'_> {
        let (mut facility, mut line) = (ptr::null::<c_char>(), ptr::null::<c_char>());
        let mut level: c_int = 0;
        // SAFETY: the event is valid, the three pointers are to our own variables; the texts
        // belong to the event and are copied at once.
        unsafe {
            if rd::rd_kafka_event_log(self.0.as_ptr(), &mut facility, &mut line, &mut level) != 0 {
                return Polled::Other;
            }
            Polled::Log {
                level,
                facility: text(facility),
                text: text(line),
            }
        }
    }

    fn error(&self) -> rd::rd_kafka_resp_err_t {
        // SAFETY: the event is valid.
        unsafe { rd::rd_kafka_event_error(self.0.as_ptr()) }
    }

    fn list(&self) -> &[rd::rd_kafka_topic_partition_t] {
        // SAFETY: the list, if there is one, belongs to the event, and holds `cnt` elements.
        unsafe {
            match rd::rd_kafka_event_topic_partition_list(self.0.as_ptr()).as_ref() {
                Some(list) => elements(list),
                None => &[],
            }
        }
    }
}

/// A record, still in librdkafka's memory.
pub struct Message<'a> {
    raw: &'a rd::rd_kafka_message_t,
}

impl<'a> Message<'a> {
    /// Identifies the topic for as long as the consumer lives, so that its name need not be looked
    /// at for each record.
    pub fn topic_handle(&self) -> usize {
        self.raw.rkt.addr()
    }

    /// The topic's name.
    pub fn topic(&self) -> &'a str {
        // SAFETY: a fetched message has a topic, whose name lives as long as the consumer.
        let name = unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.raw.rkt)) };
        name.to_str().unwrap_or_default()
    }

    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.raw.partition
    }

    /// The record's place.
    pub fn offset(&self) -> Offset {
        Offset(self.raw.offset)
    }

    /// The error that stands in a record's place, if any.
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        code(self.raw.err)
    }

    /// The key; None is Kafka's null.
    pub fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: librdkafka gives a pointer and its length, alive as long as the event.
        unsafe { bytes(self.raw.key, self.raw.key_len) }
    }

    /// The value; None is Kafka's null, a tombstone.
    pub fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: as for the key.
        unsafe { bytes(self.raw.payload, self.raw.len) }
    }

    /// Milliseconds since 1970, if the record carries a time.
    pub fn timestamp(&self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid, the pointer is to our own variable.
        let millis = unsafe { rd::rd_kafka_message_timestamp(self.raw, &mut kind) };
        (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && millis >= 0)
            .then_some(millis)
    }

    /// Gives each header's name and value (None is Kafka's null) in the record's order.
    pub fn each_header(&self, f: impl FnMut(&'a [u8], Option<&'a [u8]>)) {
        let mut found = ptr::null_mut();
        // SAFETY: the message is valid; the headers, if any, belong to it.
        if unsafe { rd::rd_kafka_message_headers(self.raw, &mut found) }
            != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return;
        }
        // SAFETY: as above; they live as long as the event.
        unsafe { headers::each(found, f) }
    }
}

/// A consumer's place in its group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The group's generation (with KIP-848 the member's epoch), once the group has taken it in.
    pub generation: Option<i32>,
    /// The member's id: the group's, or with KIP-848 always its own; empty where it has none.
    pub id: String,
}

/// The place of `consumer` in its group. Asks librdkafka's own thread, which answers at once unless
/// it is busy.
pub fn place<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Place {
    // SAFETY: the client is valid; a non-null result is ours and destroyed below.
    let metadata = unsafe { rd::rd_kafka_consumer_group_metadata(consumer.client().native_ptr()) };
    let Some(metadata) = NonNull::new(metadata) else {
        return Place::default();
    };
    // SAFETY: just checked; the id is a text that belongs to it and is read before it is destroyed.
    unsafe {
        let generation = rd::rd_kafka_consumer_group_metadata_generation_id(metadata.as_ptr());
        let id = rd::rd_kafka_consumer_group_metadata_member_id(metadata.as_ptr());
        let id = text(id);
        rd::rd_kafka_consumer_group_metadata_destroy(metadata.as_ptr());
        Place {
            generation: (generation > 0).then_some(generation),
            id,
        }
    }
}

/// The commit metadata of each element of `list`, where it has some. Anybody may have written it.
pub fn metadata(list: &TopicPartitionList) -> Vec<Option<Vec<u8>>> {
    // SAFETY: the list is valid and holds `cnt` elements; metadata is a pointer with its length.
    unsafe {
        elements(&*list.ptr())
            .iter()
            .map(|element| bytes(element.metadata, element.metadata_size).map(<[u8]>::to_vec))
            .collect()
    }
}

/// # Safety
/// `list.elems` must point to `list.cnt` elements.
unsafe fn elements(
    list: &rd::rd_kafka_topic_partition_list_t,
) -> &[rd::rd_kafka_topic_partition_t] {
    let count = usize::try_from(list.cnt).unwrap_or(0);
    if list.elems.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(list.elems, count) }
}

/// # Safety
/// A non-null `start` must point to `length` bytes that live for `'a`.
pub(super) unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(start.cast(), length) })
}

/// # Safety
/// `text` must be null or end with a zero.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .trim()
        .to_owned()
}

fn named(element: &rd::rd_kafka_topic_partition_t) -> TopicPartition {
    // SAFETY: an element's topic is a text that lives as long as the element.
    TopicPartition::new(unsafe { text(element.topic) }, element.partition)
}

fn code(err: rd::rd_kafka_resp_err_t) -> Option<RDKafkaErrorCode> {
    (err != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| err.into())
}
