//! Which dead letters. Pure, and a text: what was replayed is known by the filter that chose it.

use std::ops::Range;

use super::letter::Letter;

pub use crate::worker_config::replay::Filter;

impl Filter {
    /// Whether it lets everything through.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it means all that `other` does: it is the same but for wider bounds on partition and offsets.
    pub fn covers(&self, other: &Self) -> bool {
        let without_place = |filter: &Self| Self {
            partition: None,
            offsets: None,
            ..filter.clone()
        };
        let holds = |(first, end): (i64, i64)| {
            let inner = other.offsets.unwrap_or((i64::MIN, i64::MAX));
            first <= inner.0 && inner.1 <= end
        };
        self.is_all()
            || ((self.partition.is_none() || self.partition == other.partition)
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

    /// Whether it means this one.
    pub fn matches(&self, letter: &Letter<'_>) -> bool {
        if self.is_all() {
            return true;
        }
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
    fn a_filter_bounds_what_must_be_read() {
        let filter = filter(|f| (f.partition, f.offsets) = (Some(1), Some((5, 20))));
        assert_eq!(filter.within(1, 0..10), 5..10);
        assert_eq!(filter.within(1, 30..40), 30..30);
        assert!(filter.within(0, 0..10).is_empty());
        assert_eq!(Filter::default().within(0, 3..9), 3..9);
    }
}
