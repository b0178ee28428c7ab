//! Which dead letters, as arguments.

use anyhow::anyhow;
use clap::Args;
use jiff::Timestamp;

use crate::api::{Moment, Offsets};
use crate::redrive::filter::Filter;
use crate::worker_config::replay::NothingMeant;

/// Which dead letters, as arguments.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which dead letters (all, unless some are named)")]
pub struct FilterArgs {
    /// Of this reason, such as Rejected; can be given several times
    #[arg(long = "reason", value_name = "REASON")]
    reasons: Vec<String>,
    /// That failed at this time or later: 2h (ago), or 2026-11-01T06:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// That failed before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// With this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// In this partition of the dead-letter topic
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// With these offsets in the dead-letter topic: 100..200 (without 200), 100.., ..200, or 100 alone
    #[arg(long, value_name = "RANGE")]
    offsets: Option<Offsets>,
    /// With this header, or this header with this value; can be given several times
    #[arg(long = "header", value_name = "NAME[=VALUE]")]
    headers: Vec<String>,
    /// That came from this topic; can be given several times
    #[arg(long = "origin-topic", value_name = "TOPIC")]
    origin_topics: Vec<String>,
}

impl FilterArgs {
    /// The times that are other ones whenever they are read, as they are at `now`; none where there are none.
    pub fn as_of(&self, now: Timestamp) -> Option<String> {
        let times = [("--since", self.since), ("--until", self.until)];
        let moving = times.into_iter().filter_map(|(name, time)| {
            let Some(time @ Moment::Ago(_)) = time else {
                return None;
            };
            let at = Timestamp::from_millisecond(time.millis(now)).ok()?;
            Some(format!("{name} {at}"))
        });
        let moving: Vec<String> = moving.collect();
        (!moving.is_empty()).then(|| moving.join(" "))
    }

    /// The filter, with times that stay.
    ///
    /// # Errors
    /// If no dead letter can satisfy it.
    pub fn filter(&self, now: Timestamp) -> anyhow::Result<Filter> {
        let at = |moment: Moment| moment.millis(now);
        let filter = Filter {
            reasons: self.reasons.clone(),
            since: self.since.map(at),
            until: self.until.map(at),
            key: self.key.clone(),
            partition: self.partition,
            offsets: self.offsets.map(|Offsets(first, end)| (first, end)),
            headers: self.headers.clone(),
            origin_topics: self.origin_topics.clone(),
            whose: None,
        };
        filter.normal().map_err(|NothingMeant| {
            anyhow!("--until is not after --since, so no dead letter is meant; correct one of them")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_so_long_ago_is_told_as_a_time() {
        let now: Timestamp = "2026-11-01T06:00:00.123456Z".parse().unwrap();
        let args = FilterArgs {
            since: Some("60s".parse().unwrap()),
            until: Some("2026-11-01T06:00:00Z".parse().unwrap()),
            ..FilterArgs::default()
        };
        let told = args.as_of(now).unwrap();
        assert_eq!(told, "--since 2026-11-01T05:59:00.123Z");
        let again = FilterArgs {
            since: Some(told.split(' ').nth(1).unwrap().parse().unwrap()),
            ..args.clone()
        };
        assert_eq!(
            again.filter(Timestamp::UNIX_EPOCH).unwrap(),
            args.filter(now).unwrap()
        );
        assert_eq!(again.as_of(now), None);
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
