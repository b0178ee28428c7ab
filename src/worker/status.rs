//! What log, metrics and probes are told.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tracing::{debug, info, warn};

use super::consume::Loop;
use super::health::Doubt;
use super::{Error, reachability};
use crate::engine::Event;
use crate::kafka::errors::{Code, Trouble};
use crate::kafka::security::in_our_words;

/// Between two looks at what is not worth a look each turn.
const LOOK: Duration = Duration::from_secs(1);
/// A wall clock that is off by so much was set; times in reports are whole seconds.
const SET: Duration = Duration::from_secs(1);
/// The same trouble is told again after this long.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// What was told once and lasts is told again after this long.
const STILL: Duration = Duration::from_secs(300);
/// A handler that is away for less than this is not worth a word in the reports.
const AWAY: Duration = Duration::from_secs(5);
/// A worker that no group has taken in asks this often who else is in it, and waits as long for the
/// answer.
pub(super) const KEPT_OUT: Duration = Duration::from_secs(5);

impl Loop {
    /// Sets what changes with every turn, and once a second the rest.
    pub fn publish(&mut self) {
        let now = self.now;
        let metrics = &self.metrics;
        metrics.in_flight.set(gauge(self.engine.in_flight()));
        let held = self.engine.held_bytes() + self.deliveries.prepared_bytes();
        metrics.held_bytes.set(gauge(held));
        if now < self.status_due {
            return;
        }
        self.status_due = now + LOOK;
        self.deliveries.look_after_slots();
        self.deliveries.hang_up_idle(now);
        let totals = self.engine.totals().clone();
        let told = std::mem::replace(&mut self.told, totals.clone());
        for (counter, total, told) in [
            (&metrics.retried, totals.retries, told.retries),
            (
                &metrics.late_results,
                totals.dropped_late,
                told.dropped_late,
            ),
            (
                &metrics.finished_before,
                totals.finished_before,
                told.finished_before,
            ),
            (
                &metrics.possible_duplicates,
                totals.possible_duplicates,
                told.possible_duplicates,
            ),
        ] {
            counter.inc_by(total.saturating_sub(told));
        }
        let oldest = self.engine.oldest_unfinished(now).unwrap_or_default();
        metrics.oldest_unfinished_seconds.set(oldest.as_secs_f64());
        metrics
            .in_flight_limit
            .set(gauge(self.engine.gauges().in_flight_limit));
        // Not only when it opens and closes: a membership may end while it is open, and the next begins with a closed one.
        metrics
            .breaker_open
            .set(self.engine.breaker_is_open().into());
        if self.shares.is_some() {
            metrics.rate_limit.set(self.engine.rate_share());
        }
        metrics.partitions.set(gauge(self.lanes.all().count()));
        metrics.paused.set(gauge(self.paused.len()));
        metrics.stalled.set(gauge(self.stalled.len()));
        metrics
            .kafka_unreachable
            .set(i64::from(self.health.kafka_is_missing()));
        metrics
            .handler_unreachable
            .set(i64::from(self.health.handler_is_missing()));
        let store = self.deliveries.store_trouble();
        metrics.store_unreachable.set(i64::from(store.is_some()));
        // Who delivers without it is ready without it.
        reachability::store(
            &self.health,
            store.as_deref(),
            self.deliveries.waits_for_store(),
        );
        let commit_error = self.engine.commit_error();
        if self.health.commits(commit_error)
            && let Some(why) = commit_error
        {
            warn!(why, "offsets cannot be committed; still trying");
        }
        self.look_at_clock();
        self.look_at_membership();
        self.look_at_topics();
        self.hear_of_dead_letter_topic();
        self.hear_of_handler();
        self.journal_turn();
        self.tell_of_stalled();
    }

    /// Others are told of waits by the wall clock. Somebody may set it; and after the machine has slept it is ahead of
    /// ours, which stood still.
    fn look_at_clock(&mut self) {
        let began = self.clock.began();
        let off = began.abs_diff(self.engine.began());
        if off >= SET {
            info!(
                seconds = off.as_secs(),
                "the wall clock was set, or the machine has slept"
            );
            self.tell(Event::ClockSet(began));
            self.act();
        }
    }

    /// What stays stalled was told once; a log of the last minutes shall have it too.
    fn tell_of_stalled(&mut self) {
        let Some(((partition, offset), class)) = self.stalled.first_key_value() else {
            self.stalled_told = self.now;
            return;
        };
        if self.now.saturating_sub(self.stalled_told) >= STILL {
            self.stalled_told = self.now;
            let records = self.stalled.len();
            warn!(records, %partition, %offset, class, "still stalled: what must wait for these records waits; this is the first of them");
        }
    }

    /// Sets everything once more, when the loop is over.
    pub fn publish_last(&mut self) {
        self.status_due = Duration::ZERO;
        self.publish();
    }

    fn hear_of_dead_letter_topic(&mut self) {
        let flaw = &mut self.dead_letter_watch.flaw;
        if flaw.has_changed().unwrap_or(false) {
            let flaw = *flaw.borrow_and_update();
            self.tell(Event::DeadLetterTopic(flaw));
            self.act();
        }
    }

    /// The first words stand until it is back: what becomes of later connections may change each time.
    fn hear_of_handler(&mut self) {
        let why = self.health.handler_away();
        let lasts = self.health.handler_absence() >= AWAY;
        let away = why.is_some() && (lasts || self.handler_away_told);
        if away != self.handler_away_told {
            self.handler_away_told = away;
            self.tell(Event::HandlerAway(why.filter(|_| away)));
            self.act();
        }
    }

    /// The group may take a worker in without giving it a partition, of which no event tells.
    fn look_at_membership(&mut self) {
        if self.health.is_member() || self.stopping {
            return;
        }
        let asking = self.consumer.membership();
        let mut kept_out = None;
        if self.now >= self.kept_out_due {
            self.kept_out_due = self.now + KEPT_OUT;
            kept_out = Some(self.consumer.kept_out(&self.group_id, KEPT_OUT));
        }
        let health = Arc::clone(&self.health);
        self.watches.spawn(async move {
            if matches!(spawn_blocking(asking).await, Ok(true)) {
                return health.joined();
            }
            if let Some(kept_out) = kept_out
                && matches!(spawn_blocking(kept_out).await, Ok(true))
                && health.outvoted()
            {
                warn!(
                    "the group has members of the classic protocol, for which the broker does not take this worker in; it joins when they are gone"
                );
            }
        });
        while self.watches.try_join_next().is_some() {}
    }

    /// Something went wrong with Kafka outside of any request.
    pub fn trouble(&mut self, code: Code, fatal: bool, reason: &str) -> Result<(), Error> {
        if fatal {
            let error = failed_for_good(reason);
            // One that is fenced joins anew with another client, if it may: nothing is to be restarted for it.
            if !matches!(error, Error::Fenced(_)) {
                self.health.fatal(reason);
            }
            return Err(error);
        }
        match Trouble::of(code) {
            Trouble::Unreachable => self.watch_kafka(reason.to_owned(), Doubt::AllBrokers),
            // librdkafka goes on by itself, and mostly says so when there is no broker left.
            Trouble::Passing => {
                debug!(%code, reason, "Kafka connection");
                self.health.connection_ended(reason);
                self.watch_kafka(reason.to_owned(), Doubt::Connection);
            }
            Trouble::Topic => {
                if self.health.topic(Some(reason)) {
                    warn!(
                        reason,
                        "a topic is not there; create it or change the topics; still trying"
                    );
                }
            }
            Trouble::Refused
                if matches!(
                    code,
                    Code::GroupAuthorizationFailed | Code::TopicAuthorizationFailed
                ) =>
            {
                self.refused(code, None, reason);
            }
            Trouble::Refused if matches!(code, Code::SSL | Code::Authentication) => {
                let reason = in_our_words(reason);
                self.health.connection_ended(&reason);
                self.watch_kafka(reason, Doubt::AllBrokers);
            }
            Trouble::Refused => {
                if self.health.kafka(Some(reason)) {
                    warn!(%code, reason, "Kafka refuses this worker; its credentials or ACLs need a look; still trying");
                }
            }
            Trouble::PolledTooLate => {
                warn!(
                    reason,
                    "the worker did not poll in time and lost its partitions"
                );
            }
            Trouble::OtherAssignor => {
                let _ = self.health.outvoted();
                self.tell_once_in_a_while(
                    code,
                    "the members of the group use another partition.assignment.strategy; this worker joins when they are gone",
                );
            }
            Trouble::Other => self.tell_once_in_a_while(code, reason),
        }
        Ok(())
    }

    fn tell_once_in_a_while(&mut self, code: Code, reason: &str) {
        let now = self.now;
        let told = self
            .last_trouble
            .is_some_and(|(last, at)| last == code && now < at + TELL_AGAIN);
        if told {
            debug!(%code, reason, "Kafka");
        } else {
            self.last_trouble = Some((code, now));
            warn!(%code, reason, "Kafka");
        }
    }

    /// Something came from a broker.
    pub fn heard_from_kafka(&self) {
        reachability::kafka(&self.health, None);
    }
}

/// The client's last words. The code is that of any fatal error.
fn failed_for_good(reason: &str) -> Error {
    match reason.contains("same group.instance.id") {
        true => Error::Fenced(reason.to_owned()),
        false => Error::KafkaFatal(reason.to_owned()),
    }
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_fenced_is_replaced_and_any_other_that_fails_ends_the_worker() {
        let fenced = failed_for_good(
            "Fatal error: Broker: Static consumer fenced by other consumer with same group.instance.id",
        );
        assert!(matches!(fenced, Error::Fenced(_)), "{fenced}");
        let failed = failed_for_good("Fatal error: Broker: Group authorization failed");
        assert!(matches!(failed, Error::KafkaFatal(_)), "{failed}");
    }
}
