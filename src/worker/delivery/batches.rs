//! Which deliveries go to the handler together.
//!
//! The engine has decided already which records may be in flight together: never two of a key with
//! ordering Key, and with Partition only runs that it marks. So company is a matter of size and time
//! alone. A record that failed before goes alone: whoever fails a whole batch shows itself by that,
//! and the others are finished without it.

use std::collections::VecDeque;
use std::time::Duration;

use super::Delivery;
use crate::engine::Ticket;

/// How large a batch may be, and what may be waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records at most.
    pub records: usize,
    /// Bytes of keys, values and headers at most, unless one record alone has more.
    pub bytes: usize,
    /// The longest that a record waits for company.
    pub wait: Duration,
    /// Batches are runs of one partition, as the engine marks them.
    pub in_order: bool,
}

/// Deliveries that wait for company, or for a slot.
pub struct Batches {
    limits: Limits,
    /// Waits for company.
    open: Vec<Delivery>,
    open_bytes: usize,
    open_since: Duration,
    /// Wait for a slot.
    closed: VecDeque<Vec<Delivery>>,
}

impl Batches {
    /// None yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: Vec::new(),
            open_bytes: 0,
            open_since: Duration::ZERO,
            closed: VecDeque::new(),
        }
    }

    /// Adds a delivery, which came at `now`, to a batch of no more than `most` bytes, if that is said.
    pub fn push(&mut self, delivery: Delivery, now: Duration, most: Option<usize>) {
        match self.closed.back_mut() {
            Some(run) if delivery.follows => return run.push(delivery),
            _ => debug_assert!(!delivery.follows, "a run comes at once"),
        }
        if self.limits.in_order || delivery.attempt > 1 {
            self.closed.push_back(vec![delivery]);
            return;
        }
        let bytes = delivery.record.content_bytes();
        let most = most.unwrap_or(usize::MAX).min(self.limits.bytes);
        if self.open_bytes.saturating_add(bytes) > most {
            self.close();
        }
        if self.open.is_empty() {
            self.open_since = now;
        }
        self.open_bytes += bytes;
        self.open.push(delivery);
        if self.open.len() >= self.limits.records {
            self.close();
        }
    }

    fn close(&mut self) {
        self.open_bytes = 0;
        if !self.open.is_empty() {
            self.closed.push_back(std::mem::take(&mut self.open));
        }
    }

    /// Nothing waits for company any more.
    pub fn flush(&mut self) {
        self.close();
    }

    /// Takes a batch that is due at `now`.
    pub fn take(&mut self, now: Duration) -> Option<Vec<Delivery>> {
        if self.closed.is_empty() && self.open_due().is_some_and(|due| due <= now) {
            self.close();
        }
        self.closed.pop_front()
    }

    /// When the next batch is due.
    pub fn due(&self) -> Option<Duration> {
        if self.closed.is_empty() {
            self.open_due()
        } else {
            Some(Duration::ZERO)
        }
    }

    fn open_due(&self) -> Option<Duration> {
        (!self.open.is_empty()).then(|| self.open_since + self.limits.wait)
    }

    /// Takes back a delivery that has not gone yet.
    pub fn remove(&mut self, ticket: Ticket) -> Option<Delivery> {
        let place = |batch: &[Delivery]| batch.iter().position(|d| d.ticket == ticket);
        if let Some(index) = place(&self.open) {
            let delivery = self.open.remove(index);
            self.open_bytes -= delivery.record.content_bytes();
            return Some(delivery);
        }
        for at in 0..self.closed.len() {
            if let Some(index) = place(&self.closed[at]) {
                let delivery = self.closed[at].remove(index);
                if self.closed[at].is_empty() {
                    self.closed.remove(at);
                }
                return Some(delivery);
            }
        }
        None
    }
}

#[cfg(test)]
#[path = "batches_tests.rs"]
mod tests;
