//! The status as it was written last, and the kinds of its reasons.

use std::time::Duration;

use super::due::{Due, due};
use crate::api::KafkaConsumerStatus;

/// What was written last. Changes only by [`Told::wrote`]: what was merely thought of in between was
/// told nobody.
#[derive(Debug, Default)]
pub struct Told {
    status: Option<KafkaConsumerStatus>,
    labels: Vec<&'static str>,
    at: Option<Duration>,
}

impl Told {
    /// The status as it stands: ours, or else the one that the cache shows.
    pub fn status(&self, cached: Option<&KafkaConsumerStatus>) -> KafkaConsumerStatus {
        self.status.as_ref().or(cached).cloned().unwrap_or_default()
    }

    /// This process has written nothing yet.
    pub fn is_silent(&self) -> bool {
        self.status.is_none()
    }

    /// The reasons that were written are of these kinds; only their numbers may differ.
    pub fn reasons_are_of(&self, labels: &[&'static str]) -> bool {
        self.labels == labels
    }

    /// When `next` is to be written.
    pub fn due(
        &self,
        cached: Option<&KafkaConsumerStatus>,
        next: &KafkaConsumerStatus,
        now: Duration,
    ) -> Due {
        let age = self.at.map(|at| now.saturating_sub(at));
        match self.status.as_ref().or(cached) {
            Some(written) => due(written, next, age),
            None => Due::Now,
        }
    }

    /// `status`, whose reasons are of the kinds `labels`, was written.
    pub fn wrote(&mut self, status: KafkaConsumerStatus, labels: Vec<&'static str>, now: Duration) {
        self.status = Some(status);
        self.labels = labels;
        self.at = Some(now);
    }
}
