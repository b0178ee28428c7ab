//! From a KEDA `ScaledObject` and the Deployment that it scales.
//!
//! What the fields mean is in KEDA's `pkg/scalers/kafka_scaler.go` and `apis/keda/v1alpha1/scaledobject_types.go`.

mod auth;
mod cron;
mod oauth;
mod trigger;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use self::trigger::{Kafka, Trigger};
use super::Wishes;
use super::attempt::{Refusal, attempt};
use super::deployment::Workload;
use super::draft::Draft;
use super::input::{Input, Object};
use super::notes::{NOT_KNOWN, Notes, Spot};

pub(super) const GROUP: &str = "keda.sh";

/// Why a ScaledJob is not converted, and what to do.
pub(super) const NO_JOBS: &str = "it starts a Job for each so many records, which takes some and ends; pods of a KafkaConsumer stay, and share the partitions. Have the program go on consuming, as a Deployment with a ScaledObject, and convert that; or, where it handles one record after another, have it answer HTTP or lines of JSON, and write a KafkaConsumer with handler.http or handler.exec by hand, with the trigger's bootstrapServers, topic and consumerGroup as kafka.bootstrapServers, topics and groupId";

/// Whether a trigger of it is of Kafka.
pub(super) fn consumes(object: &Object) -> bool {
    let triggers = object.value["spec"]["triggers"].as_array();
    let mut kinds = triggers.into_iter().flatten().map(|it| &it["type"]);
    kinds.any(|kind| trigger::KINDS.iter().any(|kafka| kind == kafka))
}

/// Seconds of `idleTimeToZero` at least and at most.
const IDLE_S: (u64, u64) = (1, 86_400);

#[derive(Deserialize)]
struct Written {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    scale_target_ref: Target,
    #[serde(default)]
    triggers: Vec<Trigger>,
    min_replica_count: Option<u32>,
    max_replica_count: Option<u32>,
    cooldown_period: Option<u64>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(default = "Target::default_kind")]
    kind: String,
    name: String,
    env_source_container_name: Option<String>,
}

impl Target {
    fn default_kind() -> String {
        "Deployment".to_owned()
    }
}

/// Fields of the spec that have no counterpart, and what to do about them.
const NOT_CARRIED: &[(&str, &str)] = &[
    (
        "pollingInterval",
        "lag is watched all the time; nothing to do",
    ),
    (
        "initialCooldownPeriod",
        "a new fleet is not let go before it was idle; nothing to do",
    ),
    (
        "idleReplicaCount",
        "there is one least number; where the fleet may go to zero, set spec.scaling.minReplicas to 0",
    ),
    (
        "fallback",
        "where lag is not known a fleet keeps its size; nothing to do",
    ),
    (
        "advanced.horizontalPodAutoscalerConfig",
        "there is no HorizontalPodAutoscaler; sizes follow from maxDelay without further settings",
    ),
    (
        "advanced.restoreToOriginalReplicaCount",
        "who deletes the KafkaConsumer deletes its pods; nothing to do",
    ),
    (
        "advanced.scalingModifiers",
        "sizes follow from maxDelay; drover decide and mode External take those of a formula of your own",
    ),
];

/// Annotations of a ScaledObject that change what it does.
const ANNOTATIONS: &[(&str, &str)] = &[
    (
        "autoscaling.keda.sh/paused",
        "where the size is to stay as it is, set spec.scaling.mode to Manual and spec.replicas to it",
    ),
    (
        "autoscaling.keda.sh/paused-replicas",
        "where the size is to stay as it is, set spec.scaling.mode to Manual and spec.replicas to it",
    ),
];

/// Which objects of the input are scaled by a ScaledObject of it, whatever becomes of that.
pub(super) fn target(input: &Input, object: &Object) -> Option<usize> {
    let written: Written = serde_json::from_value(object.value.clone()).ok()?;
    let name = &written.spec.scale_target_ref.name;
    let found = input.find("apps", "Deployment", &object.namespace, name);
    found.map(|(index, _)| index)
}

pub(super) fn convert(
    input: &Input,
    index: usize,
    wishes: &Wishes,
    notes: &mut Notes,
) -> Option<Draft> {
    attempt(
        input,
        index,
        notes,
        |object, Written { spec }, spot, notes| read(input, object, spec, spot, wishes, notes),
    )
}

fn read(
    input: &Input,
    object: &Object,
    spec: Spec,
    spot: &Spot,
    wishes: &Wishes,
    notes: &mut Notes,
) -> Result<Draft, Refusal> {
    let workload = workload(input, object, &spec.scale_target_ref)
        .map_err(|why| (Some(spot.then("scaleTargetRef")), why))?;
    let kafka = trigger::kafka(&spec.triggers, spot, &workload, wishes, notes)?;

    let mut draft = Draft::replacing(workload.object);
    draft.remark(format!(
        "From {} and {}.",
        object.called(),
        workload.object.called()
    ));
    source(&mut draft, &kafka);
    let params = auth::parameters(input, object, &kafka, &workload, notes)?;
    auth::write(&mut draft, notes, wishes, input, object, &kafka, &params);
    bounds(&mut draft, notes, &spec, &workload, wishes, spot);
    schedule(&mut draft, notes, &spec, spot);
    wishes.write(&mut draft);
    workload.write(&mut draft, notes);
    draft.remark("Delete the ScaledObject, then the Deployment, before this is applied: a group has one master.");
    leftovers(notes, object, &spec, spot);
    trigger::leftovers(&spec.triggers, spot, wishes, notes);
    Ok(draft)
}

fn workload<'a>(
    input: &'a Input,
    object: &Object,
    target: &Target,
) -> Result<Workload<'a>, String> {
    let Target { kind, name, .. } = target;
    if kind != "Deployment" {
        return Err(format!(
            "it scales a {kind}, whose pods have what a fleet's have not; only a Deployment is converted: make {name} one first"
        ));
    }
    let found = input.find("apps", "Deployment", &object.namespace, name);
    let (index, _) = found.ok_or_else(|| {
        let flag = object.namespace_flag();
        format!("Deployment {name}, which it scales, is not in the input; give its file, too, or what kubectl get deployment {name}{flag} -o yaml writes")
    })?;
    Workload::read(input, index, target.env_source_container_name.as_deref())
}

fn source(draft: &mut Draft, kafka: &Kafka<'_>) {
    let (bootstrap, from) = &kafka.bootstrap;
    draft.set("kafka.bootstrapServers", bootstrap.clone(), from.clone());
    let (topics, from) = &kafka.topics;
    draft.set("topics", topics.clone(), from.clone());
    let (group, from) = &kafka.group;
    draft.set("groupId", group.clone(), from.clone());
    if let Some((start_at, from)) = &kafka.start_at {
        draft.set("startAt", *start_at, Some(from.clone()));
    }
}

fn bounds(
    draft: &mut Draft,
    notes: &mut Notes,
    spec: &Spec,
    workload: &Workload<'_>,
    wishes: &Wishes,
    spot: &Spot,
) {
    let asked = spec.min_replica_count.unwrap_or(0);
    let from = spot.then("minReplicaCount");
    let most = spec.max_replica_count.unwrap_or(u32::MAX);
    // Recommending changes no size: what it begins with must be what there is.
    let least = match wishes.recommend {
        true => workload.replicas().unwrap_or(1).max(asked).max(1).min(most),
        false => asked,
    };
    if least != asked {
        notes.assumed(from.clone(), format!("it is {asked}, but in mode Recommend a fleet keeps the size that it begins with; spec.scaling.minReplicas is {least} for that time: set it to {asked} when you take mode away"));
    }
    draft.set("scaling.minReplicas", least, Some(from));
    if let Some(most) = spec.max_replica_count {
        draft.set(
            "scaling.maxReplicas",
            most,
            Some(spot.then("maxReplicaCount")),
        );
    }
    let Some(cooldown) = spec.cooldown_period else {
        return;
    };
    let from = spot.then("cooldownPeriod");
    if least > 0 {
        notes.not_carried(from, format!("it says when the last pod goes, and with minReplicas {least} that stays; nothing to do"));
        return;
    }
    let idle = cooldown.clamp(IDLE_S.0, IDLE_S.1);
    if idle != cooldown {
        notes.assumed(
            from.clone(),
            format!("spec.scaling.idleTimeToZero is between 1s and 24h; {idle}s was written"),
        );
    }
    draft.set("scaling.idleTimeToZero", format!("{idle}s"), Some(from));
}

fn schedule(draft: &mut Draft, notes: &mut Notes, spec: &Spec, spot: &Spot) {
    let mut peaks = Vec::new();
    let triggers = spec.triggers.iter().enumerate();
    for (index, trigger) in triggers.filter(|(_, trigger)| trigger.kind == "cron") {
        let spot = spot.then(&format!("triggers[{index}]")).then("metadata");
        let said = |name: &str| trigger.said(name).unwrap_or_default();
        let mut entry = match cron::schedule(&said("start"), &said("end")) {
            Ok(entry) => entry,
            Err(why) => {
                notes.not_carried(spot, format!("no entry of spec.scaling.schedule says this: {why}; write one or more by hand"));
                continue;
            }
        };
        let mut pods = said("desiredReplicas").parse::<u32>().unwrap_or(0);
        if pods == 0 {
            notes.not_carried(
                spot.then("desiredReplicas"),
                "none, or no number of pods, is asked for in that time; nothing to do",
            );
            continue;
        }
        if let Some(most) = spec.max_replica_count.filter(|most| *most < pods) {
            notes.assumed(spot.then("desiredReplicas"), format!("there are never more than maxReplicaCount, {most}, which was written; raise both if more are needed"));
            pods = most;
        }
        entry["timeZone"] = json!(said("timezone"));
        entry["minReplicas"] = json!(pods);
        peaks.push(entry);
    }
    if !peaks.is_empty() {
        draft.set("scaling.schedule", peaks, Some(spot.then("triggers")));
    }
}

fn leftovers(notes: &mut Notes, object: &Object, spec: &Spec, spot: &Spot) {
    for (name, what_to_do) in ANNOTATIONS {
        if object.annotation(name).is_some() {
            let spot = Spot::object(spot.object).then(&format!("metadata.annotations[{name}]"));
            notes.not_carried(spot, *what_to_do);
        }
    }
    let mut names: Vec<String> = Vec::new();
    for (name, value) in &spec.rest {
        match (name.as_str(), value.as_object()) {
            ("advanced", Some(inner)) => {
                names.extend(inner.keys().map(|key| format!("advanced.{key}")))
            }
            _ => names.push(name.clone()),
        }
    }
    for name in names {
        let known = NOT_CARRIED.iter().find(|(known, _)| *known == name);
        let what_to_do = known.map_or(NOT_KNOWN, |(_, what)| what);
        notes.not_carried(spot.then(&name), what_to_do);
    }
}
