//! Which dead letters. Pure, and a text: what was replayed is known by the filter that chose it.

use std::ops::Range;

use super::letter::Letter;

pub use crate::worker_config::replay::{Filter, Whose};

impl Filter {
    /// Whether it lets everything through.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it means all that `other` does: it is the same but for wider bounds on partition and offsets, or means
    /// everybody's.
    pub fn covers(&self, other: &Self) -> bool {
        let without_place = |filter: &Self| Self {
            partition: None,
            offsets: None,
            whose: None,
            ..filter.clone()
        };
        let holds = |(first, end): (i64, i64)| {
            let inner = other.offsets.unwrap_or((i64::MIN, i64::MAX));
            first <= inner.0 && inner.1 <= end
        };
        self.is_all()
            || ((self.whose.is_none() || self.whose == other.whose)
                && (self.partition.is_none() || self.partition == other.partition)
                && self.offsets.is_none_or(holds)
                && without_place(self) == without_place(other))
    }

    /// The same, of these offsets of a partition only.
    #[must_use]
    pub fn only(&self, partition: i32, offsets: Range<i64>) -> Self {
        Self {
            partition: Some(partition),
            offsets: Some((offsets.start, offsets.end)),
            ..self.clone()
        }
    }

    /// What of a partition's offsets can satisfy it.
    pub fn within(&self, partition: i32, all: Range<i64>) -> Range<i64> {
        if self.partition.is_some_and(|only| only != partition) {
            return all.start..all.start;
        }
        let (first, end) = self.offsets.unwrap_or((0, i64::MAX));
        let start = all.start.max(first);
        start..all.end.min(end).max(start)
    }

    /// The same, whoever gave them up.
    #[must_use]
    pub fn of_all(&self) -> Self {
        Self {
            whose: None,
            ..self.clone()
        }
    }

    /// Whether it means this one.
    pub fn matches(&self, letter: &Letter<'_>) -> bool {
        self.is_all() || (!self.is_of_another(letter) && self.describes(letter))
    }

    /// Whether it means one consumer's letters, and this is another one's.
    pub fn is_of_another(&self, letter: &Letter<'_>) -> bool {
        self.whose.as_ref().is_some_and(|whose| {
            let said = letter.given_up_by();
            said.is_some_and(|[group, consumer]| {
                whose.is_not(consumer.as_deref(), group.as_deref())
            })
        })
    }

    /// Whether it would mean this one, whoever gave it up.
    pub fn describes(&self, letter: &Letter<'_>) -> bool {
        let time = || letter.failed_at();
        let one_of = |wanted: &[String], is: Option<&str>| {
            wanted.is_empty() || is.is_some_and(|is| wanted.iter().any(|wanted| wanted == is))
        };
        self.partition.is_none_or(|only| only == letter.partition)
            && self
                .offsets
                .is_none_or(|(first, end)| (first..end).contains(&letter.offset))
            && self
                .key
                .as_ref()
                .is_none_or(|key| letter.key.as_deref() == Some(key.as_bytes()))
            && (self.reasons.is_empty() || one_of(&self.reasons, Some(&letter.reason())))
            && (self.origin_topics.is_empty()
                || one_of(&self.origin_topics, letter.origin_topic().as_deref()))
            && self
                .since
                .is_none_or(|since| time().is_some_and(|at| at >= since))
            && self
                .until
                .is_none_or(|until| time().is_some_and(|at| at < until))
            && self.headers.iter().all(|wanted| has(letter, wanted))
    }
}

/// Any header of the name counts: names may repeat.
fn has(letter: &Letter<'_>, wanted: &str) -> bool {
    let (name, value) = match wanted.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (wanted, None),
    };
    letter.headers.iter().any(|(n, v)| {
        **n == *name.as_bytes() && value.is_none_or(|value| v.as_deref() == Some(value.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::*;

    fn filter(change: impl FnOnce(&mut Filter)) -> Filter {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    }

    #[test]
    fn every_part_of_a_filter_can_refuse() {
        let mut letter = letter(&[
            ("tenant", "a"),
            ("tenant", "b"),
            ("drover-dlq-topic", "orders"),
            ("drover-dlq-reason", "Rejected"),
        ]);
        letter.key = Some(b"k".as_slice().into());
        (letter.partition, letter.offset) = (2, 10);
        let yes: [fn(&mut Filter); 9] = [
            |f| f.reasons = vec!["Other".into(), "Rejected".into()],
            |f| f.key = Some("k".into()),
            |f| f.partition = Some(2),
            |f| f.offsets = Some((10, 11)),
            |f| f.headers = vec!["tenant".into()],
            |f| f.headers = vec!["tenant=a".into(), "tenant=b".into()],
            |f| f.origin_topics = vec!["orders".into()],
            |f| f.since = Some(7_000),
            |f| f.until = Some(7_001),
        ];
        for (index, change) in yes.into_iter().enumerate() {
            assert!(filter(change).matches(&letter), "{index}");
        }
        let no: [fn(&mut Filter); 9] = [
            |f| f.reasons = vec!["Other".into()],
            |f| f.key = Some("l".into()),
            |f| f.partition = Some(1),
            |f| f.offsets = Some((11, 12)),
            |f| f.headers = vec!["owner".into()],
            |f| f.headers = vec!["tenant=c".into()],
            |f| f.origin_topics = vec!["refunds".into()],
            |f| f.since = Some(7_001),
            |f| f.until = Some(7_000),
        ];
        for (index, change) in no.into_iter().enumerate() {
            assert!(!filter(change).matches(&letter), "{index}");
        }
    }

    #[test]
    fn a_letter_is_another_ones_only_where_drover_says_so() {
        let whose = |consumer: &str, group: Option<&str>| {
            filter(|f| {
                f.whose = Some(Whose {
                    consumer: consumer.into(),
                    group: group.map(Into::into),
                });
            })
        };
        let ours = whose("shop/a", Some("shop.a"));
        let drover = |consumer, group| {
            letter(&[
                ("drover-dlq-topic", "orders"),
                ("drover-dlq-group", group),
                ("drover-dlq-consumer", consumer),
            ])
        };
        assert!(ours.matches(&drover("shop/a", "shop.a")));
        assert!(!ours.matches(&drover("shop/b", "shop.b")));
        assert!(!ours.matches(&drover("other/a", "other.a")));
        // Its group, or its name, was changed.
        assert!(ours.matches(&drover("shop/a", "before")));
        assert!(ours.matches(&drover("shop/before", "shop.a")));
        // A file does not say in which namespace it will be.
        assert!(whose("a", None).matches(&drover("other/a", "other.a")));
        assert!(!whose("a", None).matches(&drover("shop/b", "shop.b")));
        // Of one that was written before letters said it nobody knows.
        assert!(ours.matches(&letter(&[("drover-dlq-topic", "orders")])));
        // What other tools write names no KafkaConsumer; what Drover writes in their names does.
        let said = "Rejected after 1 attempts: no";
        for (group, message) in [("their.group", "boom"), ("shop.a", said)] {
            assert!(ours.matches(&letter(&[
                ("kafka_dlt-original-topic", "orders"),
                ("kafka_dlt-original-consumer-group", group),
                ("kafka_dlt-exception-message", message),
            ])));
        }
        for (name, value, why) in [
            (
                "kafka_dlt-original-consumer-group",
                "shop.b",
                "kafka_dlt-exception-message",
            ),
            (
                "__connect.errors.connector.name",
                "shop/b",
                "__connect.errors.exception.message",
            ),
        ] {
            assert!(
                !ours.matches(&letter(&[(name, value), (why, said)])),
                "{name}"
            );
            assert!(
                ours.matches(&letter(&[(name, value), (why, "boom")])),
                "{name}"
            );
        }
    }

    #[test]
    fn everybodys_letters_are_everyones_and_no_ones_all_of_them() {
        let of = |consumer: &str| {
            filter(|f| {
                f.reasons = vec!["Rejected".into()];
                f.whose = Some(Whose {
                    consumer: consumer.into(),
                    group: None,
                });
            })
        };
        let (a, b) = (of("shop/a"), of("shop/b"));
        assert!(a.of_all().covers(&a) && a.covers(&a) && Filter::default().covers(&a));
        assert!(!a.covers(&b) && !a.covers(&a.of_all()));
    }

    #[test]
    fn a_filter_bounds_what_must_be_read() {
        let filter = filter(|f| (f.partition, f.offsets) = (Some(1), Some((5, 20))));
        assert_eq!(filter.within(1, 0..10), 5..10);
        assert_eq!(filter.within(1, 30..40), 30..30);
        assert!(filter.within(0, 0..10).is_empty());
        assert_eq!(Filter::default().within(0, 3..9), 3..9);
    }
}
