//! One partition: where its group stands, where it is to go on, and what becomes of the records between. Pure.

use std::ops::{Range, RangeInclusive};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::cli::columns::{UNKNOWN, aligned_within, count};
use crate::kafka::admin::{Committed, Error};
use crate::report::Report;
use crate::topic::{Offset, TopicPartition};

/// What is done to a partition.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub partition: TopicPartition,
    /// What is committed; none where nothing is, or nobody knows.
    pub from: Option<Offset>,
    pub to: Offset,
    /// What is committed is of a topic of this name that was deleted.
    pub recreated: bool,
    pub effect: Effect,
    /// Why it was not done.
    pub error: Option<Error>,
}

/// What becomes of records; none where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// So many were not handled, and are not any more.
    pub passed: Option<i64>,
    /// So many were handled, and are once more.
    pub again: Option<i64>,
}

impl Step {
    /// `log` is from the oldest offset to the end; `id` is Kafka's of the topic, where it gives one.
    pub fn new(
        partition: TopicPartition,
        committed: Option<&Committed>,
        id: Option<&str>,
        log: &Range<i64>,
        to: Offset,
    ) -> Self {
        let from = committed.and_then(|committed| committed.offset);
        let report = committed.zip(from).and_then(|(committed, from)| {
            let text = std::str::from_utf8(&committed.metadata).ok()?;
            Report::decode(text, from).ok()
        });
        let report = report.unwrap_or_default();
        let was = report.topic_id.as_deref();
        let recreated = was.zip(id).is_some_and(|(was, is)| was != is);
        let effect = match from {
            Some(from) if !recreated => effect(from.0, &report.ahead, log, to.0),
            _ => Effect::default(),
        };
        Self {
            partition,
            from,
            to,
            recreated,
            effect,
            error: None,
        }
    }

    /// For programs.
    pub fn value(&self) -> Value {
        json!({
            "topic": self.partition.topic,
            "partition": self.partition.partition,
            "from": self.from,
            "to": self.to,
            "passedOver": self.effect.passed,
            "again": self.effect.again,
            "recreated": self.recreated,
            "error": self.error.as_ref().map(ToString::to_string),
        })
    }

    fn cells(&self) -> Vec<String> {
        let from = self.from.map(|from| from.to_string());
        vec![
            self.partition.topic.to_string(),
            self.partition.partition.to_string(),
            from.unwrap_or_else(|| UNKNOWN.to_owned()),
            self.to.to_string(),
            count(self.effect.passed),
            count(self.effect.again),
        ]
    }
}

/// Of a group that stands at `from`, has finished what is `ahead` of it, too, and goes on at `to`. Offsets are counted: some
/// of them may hold no record.
fn effect(from: i64, ahead: &[Range<i64>], log: &Range<i64>, to: i64) -> Effect {
    // Of another log, or of one that was cut: nobody knows what of this one was handled.
    if from > log.end {
        return Effect::default();
    }
    let within = |range: Range<i64>| -> i64 {
        let parts = ahead.iter().map(|done| {
            done.end
                .min(range.end)
                .saturating_sub(done.start.max(range.start))
        });
        parts.map(|part| part.max(0)).fold(0, i64::saturating_add)
    };
    let length = |range: &Range<i64>| range.end.saturating_sub(range.start).max(0);
    let open = from.max(log.start)..to;
    let done = to.max(log.start)..from;
    Effect {
        passed: Some(length(&open).saturating_sub(within(open))),
        // With the offset goes what was said of records beyond it.
        again: Some(length(&done).saturating_add(within(to.max(from)..log.end))),
    }
}

/// An offset at which a group can go on.
///
/// # Errors
/// If the partition has no such place.
pub(super) fn in_log(
    partition: &TopicPartition,
    offset: i64,
    log: &Range<i64>,
) -> anyhow::Result<Offset> {
    let places: RangeInclusive<i64> = log.start..=log.end;
    ensure!(
        places.contains(&offset),
        "--to {offset}: {partition} begins at {} and ends before {}; give an offset from {} to {}",
        log.start,
        log.end,
        log.start,
        log.end
    );
    Ok(Offset(offset))
}

/// All of them, and below them of which topics nothing is known since they are others.
pub(super) fn table(steps: &[Step], width: Option<usize>) -> String {
    let heading = ["TOPIC", "PARTITION", "FROM", "TO", "PASSED OVER", "AGAIN"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(steps.iter().map(Step::cells));
    let mut text = aligned_within(&rows, "", width);
    let mut recreated: Vec<_> = steps
        .iter()
        .filter(|step| step.recreated)
        .map(|step| step.partition.topic.as_ref())
        .collect();
    recreated.dedup();
    for topic in recreated {
        text.push_str(&format!(
            "Topic {topic} was deleted and made anew: its committed offsets speak of the one before.\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(
        from: Option<i64>,
        report: &Report,
        id: Option<&str>,
        log: Range<i64>,
        to: i64,
    ) -> Step {
        let committed = Committed {
            offset: from.map(Offset),
            metadata: report.encode(Offset(from.unwrap_or(0))).into_bytes(),
        };
        let partition = TopicPartition::new("orders", 1);
        Step::new(partition, Some(&committed), id, &log, Offset(to))
    }

    #[test]
    #[allow(
        clippy::single_range_in_vec_init,
        reason = "a list of ranges may have one"
    )]
    fn records_between_are_passed_over_or_handled_again() {
        let ahead = Report {
            ahead: vec![44..46],
            ..Report::default()
        };
        let none = Report::default();
        for (from, report, to, passed, again) in [
            (42, &none, 42, 0, 0),
            (42, &none, 10, 0, 32),
            (42, &none, 50, 8, 0),
            // Those that are gone are not passed over by this.
            (4, &none, 10, 0, 0),
            (4, &none, 12, 2, 0),
            // What is finished ahead is forgotten with the offset.
            (42, &ahead, 42, 0, 2),
            (42, &ahead, 40, 0, 4),
            (42, &ahead, 45, 2, 1),
            (42, &ahead, 50, 6, 0),
        ] {
            let effect = step(Some(from), report, None, 10..50, to).effect;
            let expected = Effect {
                passed: Some(passed),
                again: Some(again),
            };
            assert_eq!(effect, expected, "{from} to {to}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let none = Report::default();
        let nothing_committed = step(None, &none, None, 10..50, 10);
        assert_eq!(nothing_committed.effect, Effect::default());
        let beyond = step(Some(51), &none, None, 10..50, 10);
        assert_eq!(beyond.effect, Effect::default());
        let of_another = Report {
            topic_id: Some("before".to_owned()),
            ..Report::default()
        };
        let recreated = step(Some(42), &of_another, Some("now"), 10..50, 10);
        assert!(recreated.recreated);
        assert_eq!(recreated.effect, Effect::default());
        let the_same = step(Some(42), &of_another, Some("before"), 10..50, 10);
        assert_eq!(the_same.effect.again, Some(32));
        assert_eq!(
            table(&[nothing_committed, recreated], None),
            "\
TOPIC   PARTITION  FROM  TO  PASSED OVER  AGAIN
orders  1          -     10  -            -
orders  1          42    10  -            -
Topic orders was deleted and made anew: its committed offsets speak of the one before.
"
        );
    }

    #[test]
    fn an_offset_that_no_worker_commits_is_counted_from_all_the_same() {
        let far = Report {
            ahead: vec![i64::MIN + 1..i64::MIN + 2, i64::MIN + 3..i64::MIN + 4],
            ..Report::default()
        };
        let effect = step(Some(i64::MIN), &far, None, 10..50, 20).effect;
        assert_eq!((effect.passed, effect.again), (Some(10), Some(0)));
    }

    #[test]
    fn an_offset_lies_between_the_oldest_and_the_end() {
        let partition = TopicPartition::new("orders", 1);
        for offset in [10, 30, 50] {
            assert_eq!(
                in_log(&partition, offset, &(10..50)).unwrap(),
                Offset(offset)
            );
        }
        for offset in [9, 51] {
            let error = in_log(&partition, offset, &(10..50)).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("orders[1] begins at 10"), "{error}");
            assert!(error.contains("give an offset from 10 to 50"), "{error}");
        }
    }
}
