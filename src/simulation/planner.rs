//! Drover's own policy in the world: the only place here that speaks with `scaling`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::controller::{Controller, Order, Seen};
use super::setup::Setup;
use crate::report::Stuck;
use crate::scaling::{
    self, PartitionSample, PodSample, PodStart, Policy, Sample, Schedule, State, Watch,
};
use crate::topic::{Offset, TopicPartition};

/// The controller reads offsets so often, seconds,
const USUAL: f64 = 1.5;
/// and so often where it should look closely.
const CLOSE: f64 = 0.5;

/// Drover's policy, with what its controller does around it.
pub struct Drover {
    policy: Policy,
    state: State,
    sample: Sample,
    /// The world's number of the pod that each partition names.
    named: Vec<Option<usize>>,
    concurrency: u32,
    own_consumer: bool,
    one_address: bool,
    next: f64,
    look_again: f64,
    watch: Watch,
    /// What clocks show when the load begins.
    begins: Timestamp,
}

impl Drover {
    /// A controller that has just been installed: it knows nothing of the handler.
    pub fn new(setup: &Setup) -> Self {
        let topic: Arc<str> = "topic".into();
        let partition = |number: u32| {
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            let sample = PartitionSample {
                end: Offset(0),
                start: Offset(0),
                committed: Some(Offset(0)),
                beyond: None,
                stuck: None,
                pod: None,
            };
            (TopicPartition::new(topic.clone(), number), Some(sample))
        };
        Self {
            policy: Policy {
                min: setup.min,
                schedule: Schedule::default(),
                max: Some(setup.max),
                max_delay: Duration::try_from_secs_f64(setup.promise).unwrap_or(Duration::MAX),
                idle_to_zero: None,
                rate: None,
                concurrency: setup.concurrency,
            },
            state: State::default(),
            sample: Sample {
                at: Timestamp::UNIX_EPOCH,
                partitions: (0..setup.partitions.max(1)).map(partition).collect(),
                pods: BTreeMap::new(),
                starts: Vec::new(),
                current: 0,
                ready: 0,
                rolling: false,
                held_up: false,
            },
            named: vec![None; setup.partitions.max(1) as usize],
            concurrency: setup.concurrency,
            own_consumer: setup.own_consumer,
            one_address: setup.one_address,
            next: 0.0,
            look_again: 0.0,
            watch: Watch::Usual,
            begins: Timestamp::UNIX_EPOCH,
        }
    }

    /// The same with known peaks; the load begins at `begins`.
    #[must_use]
    pub fn with_peaks(mut self, schedule: Schedule, begins: Timestamp) -> Self {
        self.policy.schedule = schedule;
        self.begins = begins;
        self
    }

    fn at(&self, seconds: f64) -> Timestamp {
        let since = SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
        self.begins.checked_add(since).unwrap_or(Timestamp::MAX)
    }

    /// What the lag reader would make of Kafka's answers. The sample is kept from step to step and
    /// only what differs is written.
    fn observe(&mut self, seen: &Seen<'_>) {
        self.sample.at = self.at(seen.now);
        let sample = &mut self.sample;
        let mut renamed = false;
        let offsets = sample.partitions.values_mut().zip(&mut self.named);
        for ((offsets, named), partition) in offsets.zip(seen.partitions()) {
            let Some(offsets) = offsets else { continue };
            offsets.end = offset(partition.end);
            offsets.committed = Some(offset(partition.committed));
            if partition.pod != *named && !self.one_address {
                *named = partition.pod;
                offsets.pod = partition.pod.map(name);
                renamed = true;
            }
            if partition.stuck != offsets.stuck.is_some() {
                offsets.stuck = partition.stuck.then(|| Stuck {
                    offset: offset(partition.committed).0,
                    attempts: 5,
                    error: "HttpStatus 500".to_owned(),
                });
            }
        }
        if renamed && !self.own_consumer {
            let slots = self.concurrency;
            sample.pods.clear();
            for pod in self.named.iter().flatten() {
                sample.pods.entry(name(*pod)).or_insert(PodSample {
                    done: 0,
                    busy: Duration::ZERO,
                    slots,
                    failures: 0,
                    slow_downs: 0,
                });
            }
        }
        for (name, pod) in &mut sample.pods {
            let reported = seen.pod(number(name));
            pod.done = reported.done;
            pod.busy = Duration::try_from_secs_f64(reported.busy).unwrap_or(Duration::MAX);
        }
    }
}

impl Controller for Drover {
    fn due(&self, now: f64, arrived: bool) -> bool {
        let woken = arrived && self.watch == Watch::ForArrivals;
        woken || now >= self.next.min(self.look_again)
    }

    fn decide(&mut self, seen: &Seen<'_>) -> Option<Order> {
        // Without answers the last ones stay, and grow old.
        if seen.readable {
            self.observe(seen);
        }
        self.sample.current = seen.replicas();
        self.sample.ready = seen.ready();
        let mut starts = std::mem::take(&mut self.sample.starts);
        starts.clear();
        starts.extend(seen.starts().map(|(made, ready)| PodStart {
            made: self.at(made),
            ready: ready.map(|ready| self.at(ready)),
        }));
        self.sample.starts = starts;
        let state = std::mem::take(&mut self.state);
        let now = self.at(seen.now);
        let (state, decision) = scaling::step(&self.policy, state, &self.sample, now);
        self.state = state;
        self.watch = decision.watch;
        self.next = match decision.watch {
            Watch::Growing => seen.now,
            Watch::Closely => seen.now + CLOSE,
            // Woken by what arrives; looked at now and then all the same.
            Watch::ForArrivals => seen.now + 30.0,
            // In step with the clock, so that the mean is kept although the world has only seconds.
            Watch::Usual => (seen.now / USUAL).floor() * USUAL + USUAL,
        };
        self.look_again = decision
            .look_again_at
            .duration_since(self.begins)
            .as_secs_f64();
        (decision.replicas != seen.replicas()).then(|| Order {
            replicas: decision.replicas,
            why: decision
                .reasons
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
        })
    }
}

fn offset(records: u64) -> Offset {
    Offset(i64::try_from(records).unwrap_or(i64::MAX))
}

fn name(pod: usize) -> String {
    format!("pod-{pod}")
}

fn number(name: &str) -> usize {
    name.strip_prefix("pod-")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}
