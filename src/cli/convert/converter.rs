//! From the objects of the input to KafkaConsumers and to what there is to say. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::draft::Draft;
use super::input::Input;
use super::notes::{Note, Notes, Spot, Verdict};
use super::{Wishes, beside, deployment, keda, knative};
use crate::fleet::check_document;

/// What became of the input.
#[derive(Debug)]
pub(super) struct Outcome {
    pub consumers: Vec<Consumer>,
    pub notes: Vec<Note>,
    /// Kinds that are none of ours, and how many of each.
    pub passed_over: BTreeMap<String, usize>,
}

/// A KafkaConsumer, and lines of comment for it.
#[derive(Debug)]
pub(super) struct Consumer {
    pub head: Vec<String>,
    pub document: Value,
}

pub(super) fn convert(input: &Input, wishes: &Wishes) -> Outcome {
    let mut notes = Notes::default();
    let mut drafts = Vec::new();
    let mut left = Vec::new();
    let scaled: Vec<usize> = input
        .of_kind(keda::GROUP, "ScaledObject")
        .filter_map(|(_, object)| keda::target(input, object))
        .collect();
    let sources = input.0.iter().filter(|object| {
        object.is(keda::GROUP, "ScaledObject") || object.is(knative::GROUP, "KafkaSource")
    });
    let deployments = input.of_kind("apps", "Deployment").count();
    let others = sources.count() > 0;
    let alone = !others && deployments == 1;
    let of_deployments = match others {
        true => wishes.beside_others(),
        false => wishes.clone(),
    };
    for (index, object) in input.0.iter().enumerate() {
        let draft = match (object.group.as_str(), object.kind.as_str()) {
            (keda::GROUP, "ScaledObject") => keda::convert(input, index, wishes, &mut notes),
            (knative::GROUP, "KafkaSource") => knative::convert(input, index, wishes, &mut notes),
            ("apps", "Deployment") if scaled.contains(&index) => None,
            ("apps", "Deployment") => {
                deployment::convert(input, index, &of_deployments, alone, &mut notes)
            }
            (keda::GROUP, "ScaledJob") if keda::consumes(object) => {
                notes.not_converted(Spot::object(index), keda::NO_JOBS);
                None
            }
            (knative::EVENTING, "Trigger") => {
                notes.not_converted(Spot::object(index), knative::no_trigger(object));
                None
            }
            (knative::EVENTING, "Broker") => {
                notes.not_carried(Spot::object(index), knative::NO_BROKER);
                None
            }
            // They are looked into where another object names them.
            (keda::GROUP, "TriggerAuthentication" | "ClusterTriggerAuthentication")
            | ("", "Secret" | "ConfigMap") => None,
            _ => {
                left.push(index);
                None
            }
        };
        drafts.extend(draft.map(|draft| (index, draft)));
    }
    let mut passed_over = BTreeMap::new();
    for index in left {
        let object = &input.0[index];
        let told =
            beside::is_looked_at(object) && beside::tell(input, index, &mut drafts, &mut notes);
        if !told {
            *passed_over.entry(object.kind.clone()).or_default() += 1;
        }
    }
    tell_masters_of_one_group(&drafts, &mut notes);
    let consumers = drafts.iter().map(|(_, draft)| checked(draft, &mut notes));
    let consumers = consumers.collect();
    Outcome {
        consumers,
        notes: notes.0,
        passed_over,
    }
}

/// What is written is what `drover validate` takes, or it is told as that tells it.
fn checked(draft: &Draft, notes: &mut Notes) -> Consumer {
    let document = draft.document();
    for problem in check_document(&document) {
        notes.0.push(Note {
            spot: draft.origin(&problem.field),
            verdict: Verdict::Invalid(problem.reason),
            text: problem.message,
        });
    }
    Consumer {
        head: draft.head.clone(),
        document,
    }
}

/// Two fleets of one group would take partitions from each other.
fn tell_masters_of_one_group(drafts: &[(usize, Draft)], notes: &mut Notes) {
    for (place, (index, draft)) in drafts.iter().enumerate() {
        let same = |field: &str, other: &Draft| other.get(field) == draft.get(field);
        let before = drafts[..place]
            .iter()
            .find(|(_, other)| same("groupId", other) && same("kafka.bootstrapServers", other));
        if let Some((_, other)) = before {
            let group = draft.get("groupId").as_str().unwrap_or_default();
            let other = other.document()["metadata"]["name"].clone();
            let spot = Spot::object(*index);
            notes.incomplete(spot, format!("its group {group} is that of KafkaConsumer {other}, too, and a group has one master; convert one of them, or give each its own group"));
        }
    }
}
