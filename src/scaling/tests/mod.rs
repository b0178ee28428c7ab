//! Claims about single decisions, a file for each subject; the closed loop is in `closed_loop`, the laws are in `laws`.

mod bursts;
mod delay;
mod guards;
mod idle;
mod in_hand;
mod learned;
mod limits;
mod notes;
mod peaks;
mod raises;
mod starts;
mod stuck;
mod unknown;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Decision, PartitionSample, Policy, Sample, Schedule, State, Why, step};
use crate::topic::{Offset, TopicPartition};

pub(super) fn policy() -> Policy {
    Policy {
        min: 0,
        max: None,
        schedule: Schedule::default(),
        max_delay: Duration::from_secs(30),
        idle_to_zero: None,
        rate: None,
        concurrency: 1,
    }
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + (seconds * 1000.0) as i64).unwrap()
}

fn partition(number: usize) -> TopicPartition {
    TopicPartition::new("orders", number as i32)
}

/// A sample of 12 partitions at `seconds` with `ends` and `committed` in each, `pods` ready.
pub(super) fn sample(seconds: f64, ends: i64, committed: i64, pods: u32) -> Sample {
    let one = PartitionSample {
        end: Offset(ends),
        start: Offset(0),
        committed: Some(Offset(committed)),
        beyond: None,
        stuck: None,
        pod: None,
    };
    Sample {
        at: at(seconds),
        partitions: (0..12)
            .map(|number| (partition(number), Some(one.clone())))
            .collect(),
        pods: BTreeMap::new(),
        starts: Vec::new(),
        current: pods,
        ready: pods,
        rolling: false,
        held_up: false,
    }
}

pub(super) fn one(sample: &mut Sample, number: usize) -> &mut PartitionSample {
    let slot = sample.partitions.get_mut(&partition(number)).unwrap();
    slot.as_mut().unwrap()
}

/// `seconds` of rest with `pods`, a sample each second, with all records done.
fn rest(seconds: usize, pods: u32) -> Vec<Sample> {
    (0..seconds)
        .map(|second| sample(second as f64, 1000, 1000, pods))
        .collect()
}

/// The decisions on samples, one after the other.
pub(super) fn decide(policy: &Policy, state: State, samples: &[Sample]) -> Vec<Decision> {
    let mut state = state;
    let mut decisions = Vec::new();
    for sample in samples {
        let (next, decision) = step(policy, state, sample, sample.at);
        state = next;
        decisions.push(decision);
    }
    decisions
}

fn last(policy: &Policy, state: State, samples: &[Sample]) -> Decision {
    decide(policy, state, samples).pop().unwrap()
}

pub(super) fn labels(decision: &Decision) -> Vec<&'static str> {
    decision.reasons.iter().map(Why::label).collect()
}

/// A fleet whose pods do 195 records per second and start in two seconds.
pub(super) fn known() -> State {
    State::resume(Some(195.0), Some(Duration::from_secs(2)))
}
