//! What the log tells of attempts that fail, and of a handler that takes nothing: why, and not of each record.

use std::time::Duration;

use tracing::{info, warn};

use crate::engine::{Failure, Verdict};
use crate::worker::delivery::answer::class;
use crate::worker::news::News;
use crate::worker::record::Record;

/// A handler that asks for less now and then only keeps its pace.
const TOLD_AFTER: Duration = Duration::from_secs(10);
/// What lasts is told again after this long, so that a log of the last ten minutes has it.
const TOLD_AGAIN: Duration = Duration::from_secs(300);

/// What was told. Times count from any start.
#[derive(Debug, Default)]
pub(in crate::worker) struct Tale {
    failed: News,
    turned_away: TurnedAway,
}

impl Tale {
    pub(super) fn of(&mut self, record: &Record, verdict: &Verdict, now: Duration) {
        match verdict {
            Verdict::SlowDown { failure, .. }
                if [class::CONNECT, class::START].contains(&failure.class) => {}
            Verdict::SlowDown { failure, .. } => {
                if let Some(lasts) = self.turned_away.asked_for_less(now) {
                    let (why, seconds) = (why(failure), lasts.as_secs());
                    warn!(
                        why,
                        seconds, "the handler takes no record and asks for less; they wait"
                    );
                }
            }
            Verdict::Retry(failure)
            | Verdict::Reject(failure)
            | Verdict::Misconfigured(failure)
            | Verdict::Undeliverable { failure, .. }
            | Verdict::NotYet(failure) => {
                self.taken();
                self.failed(record, failure, now);
            }
            Verdict::Done | Verdict::Skip => self.taken(),
            Verdict::Duplicate | Verdict::Postponed { .. } | Verdict::Cancelled => {}
        }
    }

    fn taken(&mut self) {
        if self.turned_away.took() {
            info!("the handler takes records again");
        }
    }

    fn failed(&mut self, record: &Record, failure: &Failure, now: Duration) {
        let Record {
            topic,
            partition,
            offset,
            ..
        } = record;
        let record = format_args!("{topic}/{partition}/{offset}");
        let (class, why) = (failure.class, why(failure));
        match self.failed.change(now) {
            Some(0) => warn!(%record, class, why, "an attempt has failed"),
            Some(untold) => warn!(%record, class, why, untold, "attempts have failed"),
            None => {}
        }
    }
}

/// The answer's status, without what else the handler wrote: that may be of the record's content.
fn why(failure: &Failure) -> String {
    match failure.status {
        Some(status) => format!("the answer was {status}"),
        None => failure.message.clone(),
    }
}

/// A handler that asks for less, whatever it is given.
#[derive(Debug, Default)]
struct TurnedAway {
    since: Option<Duration>,
    told: Option<Duration>,
}

impl TurnedAway {
    /// For how long it has done nothing else, if that is to be told now.
    fn asked_for_less(&mut self, now: Duration) -> Option<Duration> {
        let lasts = now.saturating_sub(*self.since.get_or_insert(now));
        let is_due = match self.told {
            None => lasts >= TOLD_AFTER,
            Some(told) => now.saturating_sub(told) >= TOLD_AGAIN,
        };
        is_due.then(|| {
            self.told = Some(now);
            lasts
        })
    }

    /// It has taken a record, whatever became of it. True if the opposite was told.
    fn took(&mut self) -> bool {
        self.since = None;
        self.told.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_handler_that_takes_nothing_is_told_once_that_lasts_and_again_now_and_then() {
        let mut turned_away = TurnedAway::default();
        let told = (5..700).filter_map(|second| {
            let lasts = turned_away.asked_for_less(at(second))?;
            Some((second, lasts.as_secs()))
        });
        assert_eq!(told.collect::<Vec<_>>(), [(15, 10), (315, 310), (615, 610)]);
        assert!(turned_away.took());
        assert!(!turned_away.took());
        assert_eq!(turned_away.asked_for_less(at(700)), None);
    }

    #[test]
    fn one_that_keeps_its_pace_is_not_told_of() {
        let mut turned_away = TurnedAway::default();
        for second in 0..1000 {
            assert_eq!(turned_away.asked_for_less(at(second)), None);
            if second % 9 == 8 {
                assert!(!turned_away.took());
            }
        }
    }

    #[test]
    fn what_the_handler_wrote_is_not_told() {
        let mut failure = Failure {
            class: "HttpStatus",
            status: Some(500),
            message: "500 Internal Server Error: no user jo@example.com".to_owned(),
        };
        assert_eq!(why(&failure), "the answer was 500");
        failure.status = None;
        failure.message = "no answer within 10s".to_owned();
        assert_eq!(why(&failure), "no answer within 10s");
    }
}
