//! What status says, a file for each subject; here is the good day that tests spoil.

mod dead_letters;
mod news;
mod ready;
mod scaling;
mod shared;
mod stalled;
mod turns;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Facts, Kafka, Sharing, Spec, Trouble, status};
use crate::api::{KafkaConsumer, KafkaConsumerStatus};
use crate::controller::size::{By, Order};
use crate::controller::workload::Workload;
use crate::fleet::{Fleet, Problem, References, validate};
use crate::lag::dead_letter_topic;
use crate::report;
use crate::scaling::{Decision, Outlook, PartitionSample, Sample, Watch, Why};
use crate::topic::{Offset, TopicPartition};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn fleet(change: Value) -> Fleet {
    let mut document = json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "fleet", "namespace": "shop", "uid": "u" },
        "spec": {
            "kafka": { "bootstrapServers": "kafka:9092" },
            "topics": ["orders"],
            "handler": { "http": { "url": "http://users/kafka" } },
        },
    });
    for (key, value) in change.as_object().into_iter().flatten() {
        document["spec"][key] = value.clone();
    }
    let consumer: KafkaConsumer = serde_json::from_value(document).unwrap();
    validate(&consumer, &References::default()).unwrap()
}

fn running(pods: u32) -> Workload {
    Workload {
        size: pods,
        replicas: pods,
        ready: pods,
        ..Default::default()
    }
}

fn sample(stuck: Option<report::Stuck>) -> Sample {
    let seen = PartitionSample {
        end: Offset(10),
        start: Offset(0),
        committed: Some(Offset(4)),
        beyond: None,
        stuck,
        pod: None,
    };
    Sample {
        at: NOW,
        partitions: crate::topic::ByPartition::from([(
            TopicPartition::new("orders", 0),
            Some(seen),
        )]),
        pods: BTreeMap::new(),
        starts: Vec::new(),
        current: 1,
        ready: 1,
        rolling: false,
        held_up: false,
    }
}

fn decision(why: Why, lag: u64) -> Decision {
    Decision {
        replicas: 1,
        reasons: vec![why],
        look_again_at: NOW,
        next_at: None,
        watch: Watch::Usual,
        outlook: Outlook {
            partitions: 1,
            lag: Some(lag),
            delay: Some(Duration::from_millis(2_900)),
            arrival_per_second: Some(1.04),
            ..Default::default()
        },
    }
}

fn order(wanted: u32, reason: &str) -> Order {
    Order {
        wanted,
        set: Some(wanted),
        by: By::Policy,
        limit: None,
        reasons: vec![reason.to_owned()],
    }
}

/// A good day; tests spoil it.
struct Day {
    fleet: Fleet,
    previous: KafkaConsumerStatus,
    problems: Vec<Problem>,
    trouble: Option<Trouble>,
    workload: Option<Workload>,
    sample: Option<Sample>,
    dead_letter: Option<dead_letter_topic::Facts>,
    dead_letter_told: Option<&'static str>,
    handler_told: Option<&'static str>,
    sharing: Sharing<'static>,
    unknown_fields: Vec<String>,
    away: Option<&'static str>,
    decision: Option<Decision>,
    order: Option<Order>,
    now: Timestamp,
    resumes: bool,
    same_reasons: bool,
}

impl Day {
    fn good() -> Self {
        Self {
            fleet: fleet(json!({})),
            previous: KafkaConsumerStatus::default(),
            problems: Vec::new(),
            trouble: None,
            workload: Some(running(1)),
            sample: Some(sample(None)),
            dead_letter: None,
            dead_letter_told: None,
            handler_told: None,
            sharing: Sharing {
                is_known: true,
                ..Sharing::default()
            },
            unknown_fields: Vec::new(),
            away: None,
            decision: Some(decision(Why::Settling, 6)),
            order: Some(order(1, "enough")),
            now: NOW,
            resumes: false,
            same_reasons: false,
        }
    }

    fn status(&self) -> KafkaConsumerStatus {
        status(&Facts {
            now: self.now,
            generation: Some(3),
            previous: &self.previous,
            spec: if self.problems.is_empty() {
                Spec::Good(&self.fleet)
            } else {
                Spec::Bad(&self.problems)
            },
            selector: "drover.dev/consumer=fleet".to_owned(),
            trouble: self.trouble.as_ref(),
            workload: self.workload.as_ref(),
            kafka: match (&self.sample, self.away) {
                (_, Some(error)) => Kafka::Unreachable {
                    reason: "Unreachable",
                    error: error.to_owned(),
                },
                (Some(sample), None) => Kafka::Read(sample),
                (None, None) => Kafka::Unasked,
            },
            dead_letter: self.dead_letter.as_ref(),
            dead_letter_told: self.dead_letter_told,
            handler_told: self.handler_told,
            sharing: self.sharing.clone(),
            unknown_fields: &self.unknown_fields,
            decision: self.decision.as_ref(),
            order: self.order.as_ref(),
            resumes: self.resumes,
            same_reasons: self.same_reasons,
        })
    }
}

/// Status, reason and message of a condition.
fn condition(status: &KafkaConsumerStatus, type_: &str) -> (String, String, String) {
    let mut conditions = status.conditions.iter();
    let found = conditions
        .find(|condition| condition.type_ == type_)
        .unwrap();
    assert_eq!(found.observed_generation, Some(3));
    (
        found.status.clone(),
        found.reason.clone(),
        found.message.clone(),
    )
}

fn reason(status: &KafkaConsumerStatus, type_: &str) -> String {
    let (status, reason, _) = condition(status, type_);
    format!("{status} {reason}")
}
