//! Which dead letters, as arguments.

use anyhow::ensure;
use clap::Args;
use jiff::Timestamp;

use crate::api::Span;
use crate::redrive::filter::Filter;

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

#[cfg(test)]
mod tests {
    use super::*;

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
