//! The first line of `drover decide`: policy and partitions. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::numbers::{maybe_number, number, span};
use super::protocol::Error;
use super::sample::MOST_PARTITIONS;
use crate::fleet::nearest;
use crate::scaling::{Policy, Schedule};

const EXAMPLE: &str = r#"the first line is {"policy":{"maxDelay":60,"minReplicas":1,"maxReplicas":48},"partitions":48}"#;

/// The first line.
#[derive(Debug)]
pub(super) struct Setup {
    pub policy: Policy,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Known peaks, as in `spec.scaling.schedule`; not read yet.
    pub schedule: Option<Value>,
    /// What else it has, and nobody here reads.
    pub passed_over: Vec<String>,
}

#[derive(Deserialize)]
struct SetupLine {
    policy: PolicyOfLine,
    #[serde(deserialize_with = "number")]
    partitions: u32,
    #[serde(flatten)]
    more: BTreeMap<String, IgnoredAny>,
}

const MEMBERS: [&str; 2] = ["policy", "partitions"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyOfLine {
    /// Seconds.
    max_delay: f64,
    #[serde(default, deserialize_with = "maybe_number")]
    min_replicas: Option<u32>,
    #[serde(default, deserialize_with = "maybe_number")]
    max_replicas: Option<u32>,
    /// Seconds.
    idle_time_to_zero: Option<f64>,
    #[serde(default, deserialize_with = "maybe_number")]
    concurrency: Option<u32>,
    /// Records per second that the whole fleet may deliver.
    rate_limit: Option<f64>,
    schedule: Option<Value>,
    #[serde(flatten)]
    more: BTreeMap<String, IgnoredAny>,
}

const MEMBERS_OF_POLICY: [&str; 7] = [
    "maxDelay",
    "minReplicas",
    "maxReplicas",
    "idleTimeToZero",
    "concurrency",
    "rateLimit",
    "schedule",
];

impl Setup {
    pub fn read(line: &str) -> Result<Self, Error> {
        let read: SetupLine =
            serde_json::from_str(line).map_err(|error| Error::form(&error, EXAMPLE))?;
        let policy = read.policy;
        let mut passed_over = strangers("", read.more.keys(), &MEMBERS)?;
        passed_over.extend(strangers(
            "policy.",
            policy.more.keys(),
            &MEMBERS_OF_POLICY,
        )?);
        let (min, max) = (policy.min_replicas.unwrap_or(1), policy.max_replicas);
        let concurrency = policy.concurrency.unwrap_or(1);
        let max_delay = span("policy.maxDelay", policy.max_delay)?;
        if max_delay.is_zero() {
            return Err(Error::value(
                "policy.maxDelay is 0; give the promise in seconds",
            ));
        }
        if max == Some(0) {
            return Err(Error::value(
                "policy.maxReplicas is 0; give at least 1, or leave it out",
            ));
        }
        if max.is_some_and(|max| max < min) {
            return Err(Error::value(
                "policy.minReplicas is greater than policy.maxReplicas",
            ));
        }
        if concurrency == 0 {
            return Err(Error::value(
                "policy.concurrency is 0; give the records that a pod handles at once",
            ));
        }
        if policy
            .rate_limit
            .is_some_and(|rate| !(rate > 0.0 && rate.is_finite()))
        {
            return Err(Error::value(
                "policy.rateLimit is not a rate; give records per second, or leave it out",
            ));
        }
        if !(1..=MOST_PARTITIONS).contains(&read.partitions) {
            return Err(Error::Value(format!(
                "partitions must be between 1 and {MOST_PARTITIONS}"
            )));
        }
        let idle = policy.idle_time_to_zero;
        Ok(Self {
            policy: Policy {
                min,
                schedule: Schedule::default(),
                max,
                max_delay,
                idle_to_zero: idle
                    .map(|idle| span("policy.idleTimeToZero", idle))
                    .transpose()?,
                rate: policy.rate_limit,
                concurrency,
            },
            partitions: read.partitions,
            schedule: policy.schedule,
            passed_over,
        })
    }
}

/// Members that are none of `known`. What was clearly meant to be one is refused: its default would hold without a word.
fn strangers<'a>(
    place: &str,
    names: impl Iterator<Item = &'a String>,
    known: &[&str],
) -> Result<Vec<String>, Error> {
    let mut strangers = Vec::new();
    for name in names {
        if let Some(meant) = nearest(name, known.iter().copied()) {
            return Err(Error::Value(format!(
                "{place}{name} is not known; did you mean {meant}?"
            )));
        }
        strangers.push(format!("{place}{name}"));
    }
    Ok(strangers)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_line_is_the_policy() {
        let setup = Setup::read(r#"{"policy":{"maxDelay":60,"maxReplicas":48},"partitions":48}"#);
        let setup = setup.unwrap();
        assert_eq!((setup.policy.min, setup.policy.max), (1, Some(48)));
        assert_eq!(setup.policy.max_delay, Duration::from_secs(60));
        for (line, part) in [
            (
                r#"{"policy":{"maxDelay":0},"partitions":1}"#,
                "maxDelay is 0",
            ),
            (r#"{"policy":{"maxDelay":-1},"partitions":1}"#, "maxDelay"),
            (r#"{"policy":{"maxDelay":1},"partitions":0}"#, "between 1"),
            (
                r#"{"policy":{"maxDelay":1,"minReplicas":2,"maxReplicas":1},"partitions":1}"#,
                "greater",
            ),
            (
                r#"{"policy":{"maxDelay":1,"minReplicas":-1},"partitions":1}"#,
                "no whole number",
            ),
            (
                r#"{"policy":{"maxdelay":1},"partitions":1}"#,
                "the first line is",
            ),
            ("", "the first line is"),
        ] {
            let error = Setup::read(line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn counts_may_be_written_as_models_compute_them() {
        let line =
            r#"{"policy":{"maxDelay":60,"minReplicas":1.0,"maxReplicas":8.0},"partitions":4.0}"#;
        let setup = Setup::read(line).unwrap();
        assert_eq!(
            (setup.policy.min, setup.policy.max, setup.partitions),
            (1, Some(8), 4)
        );
    }

    #[test]
    fn what_is_null_has_its_default() {
        let plain = Setup::read(r#"{"policy":{"maxDelay":60},"partitions":4}"#).unwrap();
        for name in MEMBERS_OF_POLICY.into_iter().skip(1) {
            let line = format!(r#"{{"policy":{{"maxDelay":60,"{name}":null}},"partitions":4}}"#);
            let setup = Setup::read(&line).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(setup.policy, plain.policy, "{name}");
            assert!(setup.schedule.is_none() && setup.passed_over.is_empty());
        }
    }

    #[test]
    fn what_is_not_known_is_passed_over_by_name_and_a_slip_refused() {
        let line = r#"{"policy":{"maxDelay":60,"lagThreshold":5},"partitions":4,"world":"mine"}"#;
        let setup = Setup::read(line).unwrap();
        assert_eq!(setup.passed_over, ["world", "policy.lagThreshold"]);
        for (member, meant) in [
            (r#""maxreplicas":9"#, "maxReplicas"),
            (r#""minReplica":0"#, "minReplicas"),
            (r#""idleTimeToZer0":3"#, "idleTimeToZero"),
            (r#""maxDelayy":3"#, "maxDelay"),
        ] {
            let line = format!(r#"{{"policy":{{"maxDelay":60,{member}}},"partitions":4}}"#);
            let error = Setup::read(&line).unwrap_err().to_string();
            let part = format!("did you mean {meant}?");
            assert!(error.contains(&part), "{member}: {error}");
        }
    }
}
