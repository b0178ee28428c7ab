//! A line after the first: what a world shows of itself. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::numbers::{Number, list, maybe_count, maybe_offset, number, span, timestamp};
use super::protocol::Error;
use crate::scaling::{PartitionSample, PodSample, PodStart, Sample};
use crate::topic::{ByPartition, Offset, TopicPartition};

/// The name that the topic has in reasons.
const TOPIC: &str = "topic";
/// More partitions than this are a slip.
pub(super) const MOST_PARTITIONS: u32 = 100_000;

const EXAMPLE: &str = r#"a sample is {"at":0.0,"replicas":1,"pods":[{"name":"p1","createdAt":-40.0,"readyAt":null,"partitions":[0],"busySeconds":0.5,"done":100}],"partitions":[{"partition":0,"end":1000,"committed":940}]}"#;

/// What a world knows beyond this is passed over.
#[derive(Deserialize)]
struct SampleLine {
    at: f64,
    #[serde(deserialize_with = "number")]
    replicas: u32,
    #[serde(default, deserialize_with = "list")]
    pods: Vec<PodOfLine>,
    #[serde(deserialize_with = "list")]
    partitions: Vec<PartitionOfLine>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodOfLine {
    name: String,
    created_at: Option<f64>,
    /// None until it works.
    ready_at: Option<f64>,
    /// None while it has none.
    #[serde(default, deserialize_with = "list")]
    partitions: Vec<Number>,
    /// Cumulative, as is `done`. A pod that does not tell both does not report.
    busy_seconds: Option<f64>,
    #[serde(default, deserialize_with = "maybe_count")]
    done: Option<u64>,
}

#[derive(Deserialize)]
struct PartitionOfLine {
    #[serde(deserialize_with = "number")]
    partition: u32,
    /// None is unknown.
    #[serde(deserialize_with = "maybe_offset")]
    end: Option<i64>,
    /// None is nothing committed yet.
    #[serde(default, deserialize_with = "maybe_offset")]
    committed: Option<i64>,
}

/// A sample that was read.
#[derive(Debug)]
pub(super) struct Read {
    /// Seconds, as they were written.
    pub at: f64,
    /// Partitions of the topic, which may be more than before.
    pub partitions: u32,
    pub sample: Sample,
}

/// Reads a sample of so many partitions at least, of pods that handle up to `slots` records at once; `before` is the time
/// of the sample before it.
pub(super) fn read(
    line: &str,
    partitions: u32,
    slots: u32,
    before: Option<f64>,
) -> Result<Read, Error> {
    let read: SampleLine =
        serde_json::from_str(line).map_err(|error| Error::form(&error, EXAMPLE))?;
    let at = timestamp("at", read.at)?;
    if let Some(before) = before.filter(|&before| read.at < before) {
        return Err(Error::Value(format!(
            "at is {}, before {before} of the sample before; samples come in the order of time",
            read.at
        )));
    }
    let partitions = partitions.max(named_partitions(&read)?);
    // A partition that is not mentioned is unknown.
    let mut seen: ByPartition<Option<PartitionSample>> = (0..partitions)
        .map(|number| (named(number), None))
        .collect();
    let mut owners = owners(&read.pods, read.at);
    let mut told = BTreeSet::new();
    for partition in &read.partitions {
        let number = partition.partition;
        if !told.insert(number) {
            return Err(Error::Value(format!("partition {number} is there twice")));
        }
        let known = partition.end.map(|end| PartitionSample {
            end: Offset(end),
            start: Offset(0),
            committed: partition.committed.map(Offset),
            beyond: None,
            stuck: None,
            pod: owners.remove(&number).flatten().map(str::to_owned),
        });
        seen.insert(named(number), known);
    }
    let (mut pods, mut names) = (BTreeMap::new(), BTreeSet::new());
    let (mut ready, mut starts) = (0, Vec::new());
    for pod in &read.pods {
        if !names.insert(&pod.name) {
            return Err(Error::Value(format!("pod {} is there twice", pod.name)));
        }
        let time =
            |field: &str, time: Option<f64>| time.map(|time| timestamp(field, time)).transpose();
        let made = time("pods.createdAt", pod.created_at)?;
        let ready_at = time("pods.readyAt", pod.ready_at)?;
        let works = pod.works(read.at);
        ready += u32::from(works);
        starts.extend(made.map(|made| PodStart {
            made,
            ready: ready_at.filter(|_| works),
        }));
        let busy = pod.busy_seconds;
        let busy = busy
            .map(|busy| span("pods.busySeconds", busy))
            .transpose()?;
        // A pod that has not worked yet has not reported.
        if let (true, Some(busy), Some(done)) = (works, busy, pod.done) {
            let report = PodSample {
                done,
                busy,
                slots,
                failures: 0,
                slow_downs: 0,
            };
            pods.insert(pod.name.clone(), report);
        }
    }
    Ok(Read {
        at: read.at,
        partitions,
        sample: Sample {
            at,
            partitions: seen,
            pods,
            starts,
            current: read.replicas,
            ready,
            rolling: false,
            held_up: false,
        },
    })
}

impl PodOfLine {
    fn works(&self, at: f64) -> bool {
        self.ready_at.is_some_and(|ready_at| ready_at <= at)
    }
}

/// Partitions that there are if each one exists that anything is said of.
fn named_partitions(read: &SampleLine) -> Result<u32, Error> {
    let owned = read.pods.iter().flat_map(|pod| &pod.partitions);
    let told = read.partitions.iter().map(|told| told.partition);
    match told.chain(owned.map(|&Number(number)| number)).max() {
        Some(last) if last >= MOST_PARTITIONS => Err(Error::Value(format!(
            "partition {last} is none that can be; they are 0 to {} at most",
            MOST_PARTITIONS - 1
        ))),
        last => Ok(last.map_or(0, |last| last + 1)),
    }
}

/// Who has which partition. While partitions change hands both the old and the new pod may say that one is theirs: then it
/// is the one's that works and, where both do, nobody knows whose.
fn owners(pods: &[PodOfLine], at: f64) -> BTreeMap<u32, Option<&str>> {
    let mut owners = BTreeMap::new();
    for works in [true, false] {
        let mut claimed: BTreeMap<u32, Option<&str>> = BTreeMap::new();
        for pod in pods.iter().filter(|pod| pod.works(at) == works) {
            let name = pod.name.as_str();
            for &Number(number) in &pod.partitions {
                let owner = claimed.entry(number).or_insert(Some(name));
                *owner = owner.filter(|&owner| owner == name);
            }
        }
        for (number, owner) in claimed {
            owners.entry(number).or_insert(owner);
        }
    }
    owners
}

fn named(number: u32) -> TopicPartition {
    TopicPartition::new(TOPIC, i32::try_from(number).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const LINE: &str = r#"{"at":0.5,"replicas":4,"pods":[{"name":"p1","createdAt":-40.0,"readyAt":-10.0,"partitions":[0,1],"busySeconds":12.5,"done":3400},{"name":"p2","createdAt":-1.0,"readyAt":null,"partitions":[],"busySeconds":0,"done":0}],"partitions":[{"partition":0,"end":1000,"committed":940},{"partition":1,"end":null,"committed":7},{"partition":2,"end":8.0,"committed":null}]}"#;

    fn sample(line: &str, slots: u32) -> Sample {
        read(line, 4, slots, None)
            .unwrap_or_else(|error| panic!("{error}: {line}"))
            .sample
    }

    fn owner(sample: &Sample, number: u32) -> Option<&str> {
        let seen = sample.partitions.get(&named(number))?.as_ref()?;
        seen.pod.as_deref()
    }

    #[test]
    fn a_sample_says_what_is_known_and_what_is_not() {
        let read = read(LINE, 4, 8, None).unwrap();
        assert_eq!((read.at, read.partitions), (0.5, 4));
        let sample = read.sample;
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
        let time = |seconds| Timestamp::from_second(seconds).unwrap();
        let start = |made, ready| PodStart { made, ready };
        assert_eq!(
            sample.starts,
            [start(time(-40), Some(time(-10))), start(time(-1), None)]
        );
    }

    #[test]
    fn counts_may_be_written_as_models_compute_them() {
        let line = LINE
            .replace(r#""replicas":4"#, r#""replicas":4.0"#)
            .replace("[0,1]", "[0.0,1]")
            .replace(r#""partition":2"#, r#""partition":2.0"#);
        assert_eq!(sample(&line, 8), sample(LINE, 8));
        for wrong in ["4.5", "-1", "1e20", "\"4\""] {
            let line = LINE.replace(r#""replicas":4"#, &format!(r#""replicas":{wrong}"#));
            assert!(read(&line, 4, 8, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_says_nothing_new_may_be_left_out_or_be_null() {
        let same = |from: &str, to: &str| {
            assert!(LINE.contains(from), "{from}");
            assert_eq!(sample(&LINE.replace(from, to), 8), sample(LINE, 8), "{to}");
        };
        same(r#","partitions":[],"#, ",");
        same(r#","partitions":[],"#, r#","partitions":null,"#);
        same(r#""committed":null"#, r#""committed":-1"#);
        same(r#""committed":null"#, r#""committed":-1001.0"#);
        same(r#","committed":null"#, "");
        same(r#""end":null"#, r#""end":-1"#);
        same(r#""readyAt":null,"#, "");
        // Somebody who does not know when a pod was made still knows of it.
        for told in ["", r#""createdAt":null,"#] {
            let line = LINE.replace(r#""createdAt":-40.0,"#, told);
            let sample = sample(&line, 8);
            assert_eq!((sample.ready, sample.starts.len()), (1, 1), "{told}");
        }
        for none in ["[]", "null"] {
            let line = format!(r#"{{"at":1,"replicas":0,"pods":{none},"partitions":null}}"#);
            let sample = sample(&line, 1);
            assert_eq!((sample.partitions.len(), sample.ready), (4, 0));
            assert!(sample.partitions.values().all(Option::is_none));
        }
        assert_eq!(
            sample(r#"{"at":1,"replicas":0,"partitions":[]}"#, 1).ready,
            0
        );
    }

    #[test]
    fn a_pod_that_does_not_tell_what_it_did_does_not_report() {
        for (from, to) in [
            (r#""busySeconds":12.5,"#, ""),
            (r#""busySeconds":12.5"#, r#""busySeconds":null"#),
            (r#","done":3400"#, ""),
        ] {
            let sample = sample(&LINE.replace(from, to), 1);
            assert_eq!((sample.ready, sample.pods.len()), (1, 0), "{to}");
            assert_eq!(owner(&sample, 0), Some("p1"));
        }
    }

    #[test]
    fn partitions_may_be_added_and_are_unknown_until_they_are_told() {
        let line = LINE.replace(r#""partition":2"#, r#""partition":5"#);
        let added = read(&line, 4, 1, None).unwrap();
        assert_eq!(added.partitions, 6);
        let known = |number| added.sample.partitions[&named(number)].is_some();
        assert_eq!(added.sample.partitions.len(), 6);
        assert!(known(5) && !known(2) && !known(4));
        // A pod that has one says that it is there.
        let line = LINE.replace("[0,1]", "[0,1,4]");
        assert_eq!(read(&line, 4, 1, None).unwrap().partitions, 5);
        // There are never fewer again.
        assert_eq!(read(LINE, 6, 1, None).unwrap().partitions, 6);
    }

    #[test]
    fn a_partition_that_two_pods_claim_is_the_one_s_that_works_or_nobody_s() {
        let two = |ready: &str, others: &str| {
            let second =
                format!(r#""name":"p2","createdAt":-1.0,"readyAt":{ready},"partitions":{others}"#);
            let from = r#""name":"p2","createdAt":-1.0,"readyAt":null,"partitions":[]"#;
            assert!(LINE.contains(from));
            sample(&LINE.replace(from, &second), 1)
        };
        let starting = two("null", "[0,2]");
        assert_eq!(
            (owner(&starting, 0), owner(&starting, 2)),
            (Some("p1"), Some("p2"))
        );
        let both = two("0.0", "[0,2]");
        assert_eq!((owner(&both, 0), owner(&both, 2)), (None, Some("p2")));
        assert_eq!(both.ready, 2);
        // To say it twice is to say it.
        let twice = sample(&LINE.replace("[0,1]", "[0,0,1]"), 1);
        assert_eq!(owner(&twice, 0), Some("p1"));
    }

    #[test]
    fn lines_that_cannot_be_are_refused_by_name() {
        let changed = |from: &str, to: &str| read(&LINE.replace(from, to), 4, 1, None);
        for (from, to, part) in [
            (r#""partition":2"#, r#""partition":100000"#, "0 to 99999"),
            ("[0,1]", "[0,4000000]", "0 to 99999"),
            (r#""partition":2"#, r#""partition":-2"#, "no whole number"),
            (r#""partition":2"#, r#""partition":0"#, "0 is there twice"),
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
            ("-40.0", "1e300", "createdAt"),
            ("-10.0", "1e300", "readyAt"),
        ] {
            let error = changed(from, to).unwrap_err().to_string();
            assert!(error.contains(part), "{from} -> {to}: {error}");
        }
        let error = read(LINE, 4, 1, Some(0.75)).unwrap_err().to_string();
        assert!(error.contains("before 0.75"), "{error}");
    }
}
