//! The status as it was written last, and the kinds of its reasons.

use std::time::Duration;

use super::due::{Due, due};
use crate::api::KafkaConsumerStatus;
use crate::controller::pace::Pace;

/// What was written last. Changes only by [`Told::wrote`]: what was merely thought of in between was
/// told nobody.
#[derive(Debug, Default)]
pub struct Told {
    /// None as soon as the cache shows it: one copy is enough.
    status: Option<KafkaConsumerStatus>,
    labels: Vec<&'static str>,
    at: Option<Duration>,
    /// When it is its numbers' turn.
    turn: Option<Duration>,
}

impl Told {
    /// The status as it stands: ours, or else the one that the cache shows.
    pub fn status(&self, cached: Option<&KafkaConsumerStatus>) -> KafkaConsumerStatus {
        self.status.as_ref().or(cached).cloned().unwrap_or_default()
    }

    /// What was written is forgotten where the cache shows it. What another hand writes over it later is
    /// seen, and written over in turn.
    pub fn shown(&mut self, cached: Option<&KafkaConsumerStatus>) {
        self.status.take_if(|written| cached == Some(&*written));
    }

    /// This process has written nothing yet.
    pub fn is_silent(&self) -> bool {
        self.at.is_none()
    }

    /// The reasons that were written are of these kinds; only their numbers may differ.
    pub fn reasons_are_of(&self, labels: &[&'static str]) -> bool {
        self.labels == labels
    }

    /// When `next` is to be written.
    pub fn due(
        &mut self,
        cached: Option<&KafkaConsumerStatus>,
        next: &KafkaConsumerStatus,
        now: Duration,
    ) -> Due {
        let age = self.at.map(|at| now.saturating_sub(at));
        let due = match self.status.as_ref().or(cached) {
            Some(written) => due(written, next, age),
            None => Due::Now,
        };
        if due == Due::Never {
            // The numbers are again as they were told.
            self.turn = None;
        }
        due
    }

    /// How long the numbers, which are due, wait for their turn; none if that has come.
    pub fn waits(&mut self, pace: &Pace, now: Duration) -> Option<Duration> {
        let turn = *self.turn.get_or_insert_with(|| pace.turn(now));
        let rest = turn.saturating_sub(now);
        (!rest.is_zero()).then_some(rest)
    }

    /// `status`, whose reasons are of the kinds `labels`, was written.
    pub fn wrote(&mut self, status: KafkaConsumerStatus, labels: Vec<&'static str>, now: Duration) {
        self.status = Some(status);
        self.labels = labels;
        self.at = Some(now);
        self.turn = None;
    }
}
