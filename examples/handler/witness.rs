//! Counts what was handled, what was handled twice, and what came out of order.
//!
//! Pure: deliveries and times in, counts out. A record is who its place in Kafka says it is; its
//! order is that of the sequence numbers within its key.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::delivery::Delivery;

/// Examples of what went wrong that are kept.
const EXAMPLES: usize = 20;

/// What was seen since the start or the last reset.
#[derive(Default)]
pub struct Witness {
    /// Counts resets, so that what began before one does not count after it.
    epoch: u64,
    topics: HashMap<String, Topic>,
    stats: Stats,
}

/// A delivery's admission, to be shown again when it ends.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    epoch: u64,
}

#[derive(Default)]
struct Topic {
    keys: HashMap<String, Key>,
    partitions: HashMap<i32, Partition>,
}

#[derive(Default)]
struct Key {
    /// Sequence number to the number of times it was handled; 0 while it only began.
    handled: HashMap<u64, u32>,
    highest_begun: Option<u64>,
    in_flight: u32,
}

#[derive(Default)]
struct Partition {
    handled: HashMap<i64, u32>,
    highest_begun: Option<i64>,
}

/// The counts, as `/stats` shows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Records handled at least once.
    pub handled: u64,
    /// Records handled more than once, though nobody had been told to try again: with each
    /// delivery after the first that says it is the first attempt.
    pub handled_twice: u64,
    /// Deliveries that succeeded again and said that they were a later attempt: the answer to an
    /// earlier one did not arrive.
    pub handled_again_on_retry: u64,
    /// Records of a key that began after a later record of the key had begun.
    pub out_of_order: u64,
    /// Deliveries that began while another of their key was in flight.
    pub overlapping: u64,
    /// Records that began after a later record of their partition had begun. Not a fault with
    /// `ordering: Key` or `None`.
    pub out_of_order_in_partition: u64,
    /// Deliveries in all.
    pub deliveries: u64,
    /// Deliveries answered with something else than 2xx, or never.
    pub failed: u64,
    /// Deliveries without a place in Kafka and without a sequence number. Not counted elsewhere.
    pub unidentified: u64,
    /// Deliveries being worked on.
    pub in_flight: u64,
    /// Keys seen.
    pub keys: u64,
    /// Expected less handled; absent if nothing was said to be expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<i64>,
    /// When the first delivery began.
    pub first_begun_at: Option<Timestamp>,
    /// When the first record was handled.
    pub first_handled_at: Option<Timestamp>,
    /// When the last record was handled for its first time.
    pub last_handled_at: Option<Timestamp>,
    /// The first few that were handled twice or out of order, in words.
    pub examples: Vec<String>,
}

impl Stats {
    fn example(&mut self, what: &str, delivery: &Delivery, now: Timestamp) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!(
                "{now}: {what}: topic {:?}, partition and offset {:?}, key {:?}, seq {:?}, attempt {}",
                delivery.topic, delivery.place, delivery.key, delivery.seq, delivery.attempt
            ));
        }
    }
}

impl Witness {
    /// A delivery begins.
    pub fn begin(&mut self, delivery: &Delivery, now: Timestamp) -> Ticket {
        let ticket = Ticket { epoch: self.epoch };
        let stats = &mut self.stats;
        stats.deliveries += 1;
        stats.in_flight += 1;
        stats.first_begun_at.get_or_insert(now);
        let Some(seq) = delivery.seq else {
            stats.unidentified += 1;
            return ticket;
        };
        let topic = self.topics.entry(delivery.topic.clone()).or_default();
        if let Some((partition, offset)) = delivery.place {
            let partition = topic.partitions.entry(partition).or_default();
            let new = !partition.handled.contains_key(&offset);
            if new
                && partition
                    .highest_begun
                    .is_some_and(|highest| offset < highest)
            {
                stats.out_of_order_in_partition += 1;
            }
            partition.handled.entry(offset).or_default();
            partition.highest_begun = partition.highest_begun.max(Some(offset));
        }
        if delivery.key.is_empty() {
            return ticket;
        }
        let keys_before = topic.keys.len();
        let key = topic.keys.entry(delivery.key.clone()).or_default();
        let first_of_key = key.handled.is_empty();
        // A record that comes again after a crash comes after later ones; that is a repetition, not a
        // breach of order.
        let new = !key.handled.contains_key(&seq);
        if new && key.highest_begun.is_some_and(|highest| seq < highest) {
            stats.out_of_order += 1;
            stats.example("out of order", delivery, now);
        }
        if key.in_flight > 0 {
            stats.overlapping += 1;
            stats.example("another of its key in flight", delivery, now);
        }
        key.handled.entry(seq).or_default();
        key.highest_begun = key.highest_begun.max(Some(seq));
        key.in_flight += 1;
        if first_of_key && topic.keys.len() > keys_before {
            stats.keys += 1;
        }
        ticket
    }

    /// A delivery ends. What began before a reset is passed over.
    pub fn end(&mut self, delivery: &Delivery, ticket: Ticket, success: bool, now: Timestamp) {
        if ticket.epoch != self.epoch {
            return;
        }
        let stats = &mut self.stats;
        stats.in_flight -= 1;
        if !success {
            stats.failed += 1;
        }
        let Some(seq) = delivery.seq else { return };
        let topic = self.topics.entry(delivery.topic.clone()).or_default();
        let key = topic.keys.get_mut(&delivery.key);
        let key_times = key.map(|key| {
            key.in_flight -= 1;
            let times = key.handled.entry(seq).or_default();
            *times += u32::from(success);
            *times
        });
        if !success {
            return;
        }
        let place_times = delivery.place.map(|(partition, offset)| {
            let partition = topic.partitions.entry(partition).or_default();
            let times = partition.handled.entry(offset).or_default();
            *times += 1;
            *times
        });
        // The same record twice in the topic is the producer's doing, but a demo and a test want
        // to know: either identity counts.
        let times = place_times.max(key_times).unwrap_or(1);
        if times == 1 {
            stats.handled += 1;
            stats.first_handled_at.get_or_insert(now);
            stats.last_handled_at = Some(now);
        } else if delivery.attempt > 1 {
            stats.handled_again_on_retry += 1;
        } else {
            stats.handled_twice += 1;
            stats.example("handled again", delivery, now);
        }
    }

    /// The counts; with `expected`, also what is missing.
    pub fn stats(&self, expected: Option<u64>) -> Stats {
        let missing = expected.map(|expected| expected as i64 - self.stats.handled as i64);
        Stats {
            missing,
            ..self.stats.clone()
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Self {
            epoch: self.epoch + 1,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests;
