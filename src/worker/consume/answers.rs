//! What handlers and the dead-letter topic have answered: counted, shown, and told to the engine.

use tracing::warn;

use super::Loop;
use crate::engine::{Event, Verdict};
use crate::telemetry::worker_metrics::Class;
use crate::topic::TopicPartition;
use crate::worker::dead_letters::Written;
use crate::worker::delivery::Delivered;
use crate::worker::delivery::answer::class;
use crate::worker::onlooker::Sight;
use crate::worker::reachability;
use crate::worker::record::Record;

impl Loop {
    pub(super) fn take_answers(&mut self) {
        for (ticket, hindered) in self.deliveries.take_handled() {
            self.tell(Event::Handled { ticket, hindered });
        }
        let mut delivered = std::mem::take(&mut self.delivered);
        self.deliveries.take_over(&mut delivered);
        let any = !delivered.is_empty();
        for answer in delivered.drain(..) {
            self.count(&answer);
            self.tale.of(&answer.record, &answer.verdict, self.now);
            let Delivered {
                ticket,
                verdict,
                took,
                record,
                ..
            } = answer;
            let seen = self.onlooker.is_some().then(|| {
                let partition = TopicPartition::new(&*record.topic, record.partition);
                (partition, record.offset, verdict.clone())
            });
            self.tell_one_of_many(Event::Finished {
                ticket,
                verdict,
                took,
                payload: record,
            });
            // What the engine wants with it is carried out later.
            if let Some((partition, offset, verdict)) = &seen {
                self.show(&Sight::Answered {
                    partition,
                    offset: *offset,
                    verdict,
                    took,
                    again_in: self.engine.again_in(ticket),
                });
            }
        }
        if any {
            self.tell(Event::Tick);
        }
        self.delivered = delivered;
        self.act();
    }

    fn count(&self, answer: &Delivered) {
        let metrics = &self.metrics;
        let failed = |class| metrics.failed.get_or_create(&Class { class }).inc();
        if is_of_handler(&answer.verdict) {
            metrics.handler_seconds.observe(answer.took.as_secs_f64());
        }
        match &answer.verdict {
            Verdict::Done => metrics.done.inc(),
            Verdict::Skip => 0,
            Verdict::SlowDown { failure, .. }
                if [class::CONNECT, class::START].contains(&failure.class) =>
            {
                failed(failure.class)
            }
            Verdict::SlowDown { .. } => metrics.slow_downs.inc(),
            Verdict::Duplicate => metrics.duplicates.inc(),
            // Counted as a claim.
            Verdict::Postponed { .. } => 0,
            Verdict::Cancelled => metrics.cancelled.inc(),
            Verdict::Retry(failure)
            | Verdict::Reject(failure)
            | Verdict::Misconfigured(failure)
            | Verdict::Undeliverable { failure, .. }
            | Verdict::NotYet(failure) => failed(failure.class),
        };
        match (answer.reached, &answer.verdict) {
            (Some(true), _) => reachability::handler(&self.health, None),
            (Some(false), Verdict::Retry(failure)) => {
                reachability::connection_broke(&self.health, &failure.message, answer.took);
            }
            (Some(false), Verdict::SlowDown { failure, .. }) => {
                reachability::handler(&self.health, Some(&failure.message));
            }
            _ => {}
        }
    }

    pub(super) fn take_dead_letters(&mut self) {
        let mut written = std::mem::take(&mut self.written);
        self.dead_letters.take_over(&mut written);
        for Written {
            ticket,
            result,
            record,
        } in written.drain(..)
        {
            self.show(&Sight::DeadLettered {
                record: &record,
                result: &result,
            });
            match &result {
                Ok(()) => self.metrics.dead_lettered.inc(),
                Err(error) => {
                    self.tell_of_refusal(&record, error);
                    self.dead_letter_watch.refused.notify_one();
                    self.metrics.dead_letters_failed.inc()
                }
            };
            self.tell(Event::DeadLettered {
                ticket,
                result,
                payload: record,
            });
        }
        self.written = written;
        self.act();
    }

    /// While a dead-letter topic takes nothing, each record of many is refused again and again.
    fn tell_of_refusal(&mut self, record: &Record, error: &str) {
        let Record {
            topic,
            partition,
            offset,
            ..
        } = record;
        let record = format_args!("{topic}/{partition}/{offset}");
        match self.refused_letters.change(self.now) {
            Some(0) => warn!(
                %record,
                error, "a dead letter was not taken; its record waits and is tried again"
            ),
            Some(untold) => warn!(
                %record,
                error,
                untold,
                "dead letters were not taken; their records wait and are tried again"
            ),
            None => {}
        }
    }
}

/// Whether the handler was asked, or could have been: what was over before took none of its time.
fn is_of_handler(verdict: &Verdict) -> bool {
    !matches!(
        verdict,
        Verdict::Duplicate
            | Verdict::Postponed { .. }
            | Verdict::Undeliverable { .. }
            | Verdict::NotYet(_)
            | Verdict::Cancelled
    )
}
