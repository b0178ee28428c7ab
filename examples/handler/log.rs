//! The last deliveries, for whoever asks what happened to a record.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use crate::delivery::Delivery;

/// Deliveries that are kept: about 2 MiB.
const KEPT: usize = 10_000;

/// One answered delivery.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    at: Timestamp,
    topic: String,
    partition: Option<i32>,
    offset: Option<i64>,
    key: String,
    seq: Option<u64>,
    attempt: u32,
    status: u16,
}

/// The last deliveries, in the order of their answers.
#[derive(Default)]
pub struct Log(VecDeque<Entry>);

impl Log {
    /// Adds one; the oldest goes when there are too many.
    pub fn push(&mut self, delivery: &Delivery, status: u16, at: Timestamp) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Entry {
            at,
            topic: delivery.topic.clone(),
            partition: delivery.place.map(|place| place.0),
            offset: delivery.place.map(|place| place.1),
            key: delivery.key.clone(),
            seq: delivery.seq,
            attempt: delivery.attempt,
            status,
        });
    }

    /// All that are kept, or those of one key.
    pub fn entries(&self, key: Option<&str>) -> Vec<Entry> {
        self.0
            .iter()
            .filter(|entry| key.is_none_or(|key| entry.key == key))
            .cloned()
            .collect()
    }
}
