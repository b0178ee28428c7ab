//! The lines of `drover decide`, read and written. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::scaling::{Decision, PartitionSample, PodSample, Policy, Sample, Schedule};
use crate::topic::{ByPartition, Offset, TopicPartition};

/// The name that the topic has in reasons.
const TOPIC: &str = "topic";
/// Times further from zero than this, in seconds, are no times.
const FAR: f64 = 1e11;

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No JSON, or not of the right form.
    #[error("{0}; {1}")]
    Form(String, &'static str),
    /// Of the right form, but it cannot be.
    #[error("{0}")]
    Value(String),
}

const FIRST: &str = r#"the first line is {"policy":{"maxDelay":60,"minReplicas":1,"maxReplicas":48},"partitions":48}"#;
const OTHERS: &str = r#"a sample is {"at":0.0,"replicas":1,"pods":[{"name":"p1","createdAt":-40.0,"readyAt":null,"partitions":[0],"busySeconds":0.5,"done":100}],"partitions":[{"partition":0,"end":1000,"committed":940}]}"#;

/// The first line.
#[derive(Debug)]
pub(super) struct Setup {
    pub policy: Policy,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Known peaks, as in `spec.scaling.schedule`; not read yet.
    pub schedule: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetupLine {
    policy: PolicyOfLine,
    #[serde(deserialize_with = "number")]
    partitions: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyOfLine {
    /// Seconds.
    max_delay: f64,
    #[serde(default = "one", deserialize_with = "number")]
    min_replicas: u32,
    #[serde(default, deserialize_with = "maybe_number")]
    max_replicas: Option<u32>,
    /// Seconds.
    idle_time_to_zero: Option<f64>,
    #[serde(default = "one", deserialize_with = "number")]
    concurrency: u32,
    /// Records per second that the whole fleet may deliver.
    rate_limit: Option<f64>,
    schedule: Option<Value>,
}

fn one() -> u32 {
    1
}

impl Setup {
    pub fn read(line: &str) -> Result<Self, Error> {
        let read: SetupLine = serde_json::from_str(line).map_err(|error| form(&error, FIRST))?;
        let policy = read.policy;
        let max_delay = span("policy.maxDelay", policy.max_delay)?;
        if max_delay.is_zero() {
            return Err(value("policy.maxDelay is 0; give the promise in seconds"));
        }
        if policy.max_replicas == Some(0) {
            return Err(value(
                "policy.maxReplicas is 0; give at least 1, or leave it out",
            ));
        }
        if policy
            .max_replicas
            .is_some_and(|max| max < policy.min_replicas)
        {
            return Err(value(
                "policy.minReplicas is greater than policy.maxReplicas",
            ));
        }
        if policy.concurrency == 0 {
            return Err(value(
                "policy.concurrency is 0; give the records that a pod handles at once",
            ));
        }
        if policy
            .rate_limit
            .is_some_and(|rate| !(rate > 0.0 && rate.is_finite()))
        {
            return Err(value(
                "policy.rateLimit is not a rate; give records per second, or leave it out",
            ));
        }
        if !(1..=100_000).contains(&read.partitions) {
            return Err(value("partitions must be between 1 and 100000"));
        }
        let idle = policy.idle_time_to_zero;
        Ok(Self {
            policy: Policy {
                min: policy.min_replicas,
                schedule: Schedule::default(),
                max: policy.max_replicas,
                max_delay,
                idle_to_zero: idle
                    .map(|idle| span("policy.idleTimeToZero", idle))
                    .transpose()?,
                rate: policy.rate_limit,
                concurrency: policy.concurrency,
            },
            partitions: read.partitions,
            schedule: policy.schedule,
        })
    }
}

/// A line after the first. What a world knows beyond this is passed over.
#[derive(Deserialize)]
struct SampleLine {
    at: f64,
    #[serde(deserialize_with = "number")]
    replicas: u32,
    pods: Vec<PodOfLine>,
    partitions: Vec<PartitionOfLine>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodOfLine {
    name: String,
    created_at: f64,
    /// None until it works.
    ready_at: Option<f64>,
    partitions: Vec<Number>,
    /// Cumulative, as is `done`. A pod that does not tell both does not report.
    busy_seconds: Option<f64>,
    #[serde(default, deserialize_with = "maybe_whole")]
    done: Option<i64>,
}

#[derive(Deserialize)]
struct PartitionOfLine {
    #[serde(deserialize_with = "number")]
    partition: u32,
    /// None is unknown.
    #[serde(deserialize_with = "maybe_whole")]
    end: Option<i64>,
    /// None is nothing committed yet.
    #[serde(default, deserialize_with = "maybe_whole")]
    committed: Option<i64>,
}

/// Reads a sample of so many partitions, of pods that handle up to `slots` records at once; `before` is the time of the
/// sample before it.
pub(super) fn sample(
    line: &str,
    partitions: u32,
    slots: u32,
    before: Option<f64>,
) -> Result<(f64, Sample), Error> {
    let read: SampleLine = serde_json::from_str(line).map_err(|error| form(&error, OTHERS))?;
    let at = timestamp("at", read.at)?;
    if let Some(before) = before.filter(|&before| read.at < before) {
        return Err(Error::Value(format!(
            "at is {}, before {before} of the sample before; samples come in the order of time",
            read.at
        )));
    }
    // A partition that is not mentioned is unknown.
    let mut seen: ByPartition<Option<PartitionSample>> = (0..partitions)
        .map(|number| (named(number), None))
        .collect();
    let mut told = BTreeSet::new();
    for partition in &read.partitions {
        let number = inside(partition.partition, partitions)?;
        if !told.insert(number) {
            return Err(Error::Value(format!("partition {number} is there twice")));
        }
        let known = partition.end.map(|end| PartitionSample {
            end: Offset(end),
            start: Offset(0),
            committed: partition.committed.map(Offset),
            beyond: None,
            stuck: None,
            pod: None,
        });
        seen.insert(named(number), known);
    }
    let (mut pods, mut names) = (BTreeMap::new(), BTreeSet::new());
    let mut ready = 0;
    for pod in &read.pods {
        timestamp("pods.createdAt", pod.created_at)?;
        let works = match pod.ready_at {
            Some(ready_at) => timestamp("pods.readyAt", ready_at)? <= at,
            None => false,
        };
        ready += u32::from(works);
        for &Number(number) in &pod.partitions {
            let number = inside(number, partitions)?;
            if let Some(Some(known)) = seen.get_mut(&named(number)) {
                known.pod = Some(pod.name.clone());
            }
        }
        if !names.insert(&pod.name) {
            return Err(Error::Value(format!("pod {} is there twice", pod.name)));
        }
        let busy = pod.busy_seconds;
        let busy = busy
            .map(|busy| span("pods.busySeconds", busy))
            .transpose()?;
        // A pod that has not worked yet has not reported.
        if let (true, Some(busy), Some(done)) = (works, busy, pod.done) {
            let report = PodSample {
                done: done.unsigned_abs(),
                busy,
                slots,
                failures: 0,
                slow_downs: 0,
            };
            pods.insert(pod.name.clone(), report);
        }
    }
    let sample = Sample {
        at,
        partitions: seen,
        pods,
        current: read.replicas,
        ready,
        rolling: false,
        held_up: false,
    };
    Ok((read.at, sample))
}

/// JSON counts lines too, but each of ours is its first.
fn form(error: &serde_json::Error, example: &'static str) -> Error {
    let text = error.to_string();
    Error::Form(text.replace(" at line 1 column ", " at column "), example)
}

fn named(number: u32) -> TopicPartition {
    TopicPartition::new(TOPIC, i32::try_from(number).unwrap_or(i32::MAX))
}

fn inside(number: u32, partitions: u32) -> Result<u32, Error> {
    if number < partitions {
        return Ok(number);
    }
    Err(Error::Value(format!(
        "partition {number} is not one of the {partitions} of the first line, which are 0 to {}",
        partitions - 1
    )))
}

fn timestamp(field: &str, seconds: f64) -> Result<Timestamp, Error> {
    let micros = (seconds * 1e6).round();
    let time = (seconds.abs() < FAR).then(|| Timestamp::from_microsecond(micros as i64).ok());
    time.flatten()
        .ok_or_else(|| Error::Value(format!("{field} is {seconds}, which is no time in seconds")))
}

fn span(field: &str, seconds: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| Error::Value(format!("{field} is {seconds} seconds: {error}")))
}

fn value(what: &str) -> Error {
    Error::Value(what.to_owned())
}

/// A count, written as an integer or, as models that compute do, as 940.0; a part of a record does
/// not count.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let integer = number.as_i64().or_else(|| {
        let float = number.as_f64()?.floor();
        (float.abs() < 9e15).then_some(float as i64)
    });
    integer
        .filter(|&count| count >= 0)
        .ok_or_else(|| serde::de::Error::custom(format!("{number} is no count")))
}

fn maybe_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    struct Whole(#[serde(deserialize_with = "whole")] i64);
    Ok(Option::<Whole>::deserialize(deserializer)?.map(|whole| whole.0))
}

/// As [`whole`], of what there are never billions of.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let count = serde_json::Number::deserialize(deserializer)?;
    let integer = count.as_u64().or_else(|| {
        let float = count.as_f64().filter(|float| float.fract() == 0.0)?;
        (0.0..4e9).contains(&float).then_some(float as u64)
    });
    integer
        .and_then(|count| u32::try_from(count).ok())
        .ok_or_else(|| {
            serde::de::Error::custom(format!("{count} is no whole number that fits here"))
        })
}

#[derive(Clone, Copy, Deserialize)]
struct Number(#[serde(deserialize_with = "number")] u32);

fn maybe_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(Option::<Number>::deserialize(deserializer)?.map(|Number(number)| number))
}

/// The answer to a sample.
#[derive(Serialize)]
pub(super) struct Answer {
    at: f64,
    replicas: u32,
    why: Vec<Reason>,
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    message: String,
}

impl Answer {
    pub fn new(at: f64, decision: &Decision) -> Self {
        let why = decision.reasons.iter().map(|why| Reason {
            code: why.label(),
            message: why.to_string(),
        });
        Self {
            at,
            replicas: decision.replicas,
            why: why.collect(),
        }
    }

    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are JSON") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"at":0.5,"replicas":4,"pods":[{"name":"p1","createdAt":-40.0,"readyAt":-10.0,"partitions":[0,1],"busySeconds":12.5,"done":3400},{"name":"p2","createdAt":-1.0,"readyAt":null,"partitions":[],"busySeconds":0,"done":0}],"partitions":[{"partition":0,"end":1000,"committed":940},{"partition":1,"end":null,"committed":7},{"partition":2,"end":8.0,"committed":null}]}"#;

    #[test]
    fn a_sample_says_what_is_known_and_what_is_not() {
        let (at, sample) = sample(LINE, 4, 8, None).unwrap();
        assert_eq!(at, 0.5);
        assert_eq!((sample.current, sample.ready), (4, 1));
        let known: Vec<_> = sample.partitions.values().cloned().collect();
        let first = known[0].clone().unwrap();
        assert_eq!(first.lag().unwrap().0, 60);
        assert_eq!(first.pod.as_deref(), Some("p1"));
        assert_eq!((&known[1], &known[3]), (&None, &None));
        assert_eq!(known[2].clone().unwrap().lag().unwrap().0, 8);
        assert_eq!(sample.pods.len(), 1);
        let report = &sample.pods["p1"];
        assert_eq!((report.done, report.busy.as_millis()), (3400, 12_500));
        assert_eq!(report.slots, 8);
    }

    #[test]
    fn counts_may_be_written_as_models_compute_them() {
        let line = LINE
            .replace(r#""replicas":4"#, r#""replicas":4.0"#)
            .replace("[0,1]", "[0.0,1]")
            .replace(r#""partition":2"#, r#""partition":2.0"#);
        let (_, said) = sample(&line, 4, 8, None).unwrap();
        assert_eq!(said, sample(LINE, 4, 8, None).unwrap().1);
        let setup = Setup::read(
            r#"{"policy":{"maxDelay":60,"minReplicas":1.0,"maxReplicas":8.0},"partitions":4.0}"#,
        );
        let setup = setup.unwrap();
        assert_eq!(
            (setup.policy.min, setup.policy.max, setup.partitions),
            (1, Some(8), 4)
        );
        for wrong in ["4.5", "-1", "1e20", "\"4\""] {
            let line = LINE.replace(r#""replicas":4"#, &format!(r#""replicas":{wrong}"#));
            assert!(sample(&line, 4, 8, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pod_that_does_not_tell_what_it_did_does_not_report() {
        for (from, to) in [
            (r#""busySeconds":12.5,"#, ""),
            (r#""busySeconds":12.5"#, r#""busySeconds":null"#),
            (r#","done":3400"#, ""),
        ] {
            let (_, sample) = sample(&LINE.replace(from, to), 4, 1, None).unwrap();
            assert_eq!((sample.ready, sample.pods.len()), (1, 0), "{to}");
            let first = sample.partitions.values().next().cloned().flatten();
            assert_eq!(first.and_then(|first| first.pod).as_deref(), Some("p1"));
        }
    }

    #[test]
    fn lines_that_cannot_be_are_refused_by_name() {
        let changed = |from: &str, to: &str| sample(&LINE.replace(from, to), 4, 1, None);
        for (from, to, part) in [
            (r#""partition":2"#, r#""partition":4"#, "0 to 3"),
            (
                r#""name":"p2","createdAt":-1.0,"readyAt":null"#,
                r#""name":"p1","createdAt":-1.0,"readyAt":0.0"#,
                "p1 is there twice",
            ),
            ("12.5", "-1", "busySeconds"),
            ("3400", "-3400", "no count"),
            (r#""replicas":4"#, r#""replicas":null"#, "a sample is"),
            (r#""end":1000,"#, "", "missing field `end`"),
            ("0.5", "1e300", "no time"),
        ] {
            let error = changed(from, to).unwrap_err().to_string();
            assert!(error.contains(part), "{from} -> {to}: {error}");
        }
        let error = sample(LINE, 4, 1, Some(0.75)).unwrap_err().to_string();
        assert!(error.contains("before 0.75"), "{error}");
    }

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
                r#"{"policy":{"maxdelay":1},"partitions":1}"#,
                "the first line is",
            ),
            ("", "the first line is"),
        ] {
            let error = Setup::read(line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
