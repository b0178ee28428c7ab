//! Which dead letters. Pure, and a text: what was replayed is known by the filter that chose it.

use std::ops::Range;

use anyhow::ensure;
use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::letter::Letter;
use crate::api::Span;

/// Which dead letters, as arguments.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which dead letters (all, unless some are named)")]
pub struct FilterArgs {
    /// Of this reason, such as Rejected; can be given several times
    #[arg(long = "reason", value_name = "REASON")]
    reasons: Vec<String>,
    /// That failed at this time or later: 2h (ago), or 2026-11-01T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// That failed before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// With this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// In this partition of the dead-letter topic
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// With these offsets in the dead-letter topic: 100..200 (without 200), 100.., ..200, or 100 alone
    #[arg(long, value_name = "RANGE", value_parser = offsets)]
    offsets: Option<Offsets>,
    /// With this header, or this header with this value; can be given several times
    #[arg(long = "header", value_name = "NAME[=VALUE]")]
    headers: Vec<String>,
    /// That came from this topic; can be given several times
    #[arg(long = "origin-topic", value_name = "TOPIC")]
    origin_topics: Vec<String>,
}

/// A time, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A time.
    At(Timestamp),
    /// So long before now.
    Ago(Span),
}

/// Offsets from the first to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets(i64, i64);

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Moment::At(at));
    }
    let ago = text.parse::<Span>().map(Moment::Ago);
    ago.map_err(|_| {
        "write how long ago, such as 2h, or a time, such as 2026-11-01T06:00:00Z".to_owned()
    })
}

fn offsets(text: &str) -> Result<Offsets, String> {
    let number = |text: &str, without: i64| match text {
        "" => Some(without),
        text => text.parse::<i64>().ok().filter(|number| *number >= 0),
    };
    let range = match text.split_once("..") {
        Some((first, end)) => number(first, 0).zip(number(end, i64::MAX)),
        None => text.parse::<i64>().ok().map(|one| (one, one + 1)),
    };
    match range {
        Some((first, end)) if first >= 0 && first < end => Ok(Offsets(first, end)),
        _ => Err("write 100..200, 100.., ..200 or 100".to_owned()),
    }
}

impl FilterArgs {
    /// The filter, with times that stay.
    ///
    /// # Errors
    /// If no dead letter can satisfy it.
    pub fn filter(&self, now: Timestamp) -> anyhow::Result<Filter> {
        let at = |moment: Moment| match moment {
            Moment::At(at) => at.as_millisecond(),
            Moment::Ago(ago) => {
                now.as_millisecond() - i64::try_from(ago.0.as_millis()).unwrap_or(i64::MAX)
            }
        };
        let sorted = |texts: &[String]| {
            let mut sorted = texts.to_vec();
            sorted.sort();
            sorted.dedup();
            sorted
        };
        let filter = Filter {
            reasons: sorted(&self.reasons),
            since: self.since.map(at),
            until: self.until.map(at),
            key: self.key.clone(),
            partition: self.partition,
            offsets: self.offsets.map(|Offsets(first, end)| (first, end)),
            headers: sorted(&self.headers),
            origin_topics: sorted(&self.origin_topics),
        };
        ensure!(
            filter
                .since
                .zip(filter.until)
                .is_none_or(|(since, until)| since < until),
            "--until is not after --since, so no dead letter is meant; correct one of them"
        );
        Ok(filter)
    }
}

/// Which dead letters. Equal filters have equal texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<(i64, i64)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origin_topics: Vec<String>,
}

impl Filter {
    /// Whether it lets everything through.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
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
    letter
        .headers
        .iter()
        .any(|(n, v)| n == name && value.is_none_or(|value| v.as_deref() == Some(value.as_bytes())))
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

    #[test]
    fn ranges_and_times_are_read() {
        for (text, range) in [
            ("3..5", Some((3, 5))),
            ("3..", Some((3, i64::MAX))),
            ("..5", Some((0, 5))),
            ("3", Some((3, 4))),
            ("5..3", None),
            ("-1", None),
            ("x", None),
        ] {
            let read = offsets(text).ok().map(|Offsets(first, end)| (first, end));
            assert_eq!(read, range, "{text}");
        }
        assert!(matches!(moment("2h"), Ok(Moment::Ago(_))));
        assert!(matches!(moment("2026-11-01T06:00:00Z"), Ok(Moment::At(_))));
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn the_order_of_arguments_does_not_matter() {
        let of = |reasons: [&str; 2]| {
            let args = FilterArgs {
                reasons: reasons.map(str::to_owned).to_vec(),
                ..FilterArgs::default()
            };
            args.filter(Timestamp::UNIX_EPOCH).unwrap()
        };
        assert_eq!(of(["a", "b"]), of(["b", "a"]));
        let text = serde_json::to_string(&of(["a", "b"])).unwrap();
        assert_eq!(text, r#"{"reasons":["a","b"]}"#);
    }
}
