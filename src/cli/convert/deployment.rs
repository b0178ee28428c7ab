//! From a Deployment whose program consumes to `handler.consumer` and the pod template.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Wishes;
use super::draft::Draft;
use super::environment::{Environment, Given};
use super::input::{Input, Object};
use super::notes::{Notes, Spot};
use super::template;

/// Under which names programs find where Kafka is, best known first; likewise below.
const BOOTSTRAP_NAMES: [&str; 2] = ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS"];
const TOPIC_NAMES: [&str; 2] = ["KAFKA_TOPICS", "KAFKA_TOPIC"];
const GROUP_NAMES: [&str; 2] = ["KAFKA_GROUP_ID", "KAFKA_CONSUMER_GROUP"];

/// `handler.timeout` at most, in seconds, and what of the pod's grace period comes on top of it.
const LONGEST_TIMEOUT_S: u64 = 1_800;
const BEYOND_TIMEOUT_S: u64 = 10;

#[derive(Deserialize)]
struct Written {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    replicas: Option<u32>,
    template: Value,
    #[serde(default)]
    min_ready_seconds: u32,
    strategy: Option<Value>,
    #[serde(default)]
    paused: bool,
    progress_deadline_seconds: Option<u32>,
}

/// What stands there where nobody wrote it.
const PROGRESS_DEADLINE_S: u32 = 600;

/// Annotations of a Deployment that say who made or changed it, which is not so of the new one.
const OF_THE_MAKER: [&str; 4] = [
    "deployment.kubernetes.io/",
    "kubectl.kubernetes.io/",
    "kubernetes.io/change-cause",
    "meta.helm.sh/",
];

/// A Deployment of the input, read.
pub(super) struct Workload<'a> {
    input: &'a Input,
    pub object: &'a Object,
    spot: Spot,
    spec: Spec,
    /// Which of the containers consumes.
    container: usize,
    /// Somebody said that it is this one.
    chosen: bool,
}

impl<'a> Workload<'a> {
    /// Why not, in words, where it cannot be read. `container` is the one that consumes, if that is said.
    pub fn read(input: &'a Input, index: usize, container: Option<&str>) -> Result<Self, String> {
        let object = &input.0[index];
        let called = object.called();
        let written: Written = serde_json::from_value(object.value.clone())
            .map_err(|error| format!("{called} cannot be read: {error}; correct it"))?;
        let containers = written.spec.template["spec"]["containers"].as_array();
        let containers = containers.filter(|containers| !containers.is_empty());
        let containers = containers.ok_or_else(|| {
            format!("{called} has no containers in spec.template; one of them must be the consumer")
        })?;
        let at = match container {
            None => 0,
            Some(name) => containers
                .iter()
                .position(|container| container["name"] == name)
                .ok_or_else(|| {
                    format!("{called} has no container named {name}; correct the name")
                })?,
        };
        let chosen = container.is_some() || containers.len() == 1;
        Ok(Self {
            input,
            object,
            spot: Spot::object(index),
            spec: written.spec,
            container: at,
            chosen,
        })
    }

    /// Pods that it has, if it says so.
    pub fn replicas(&self) -> Option<u32> {
        self.spec.replicas
    }

    pub fn environment(&self) -> Environment<'_> {
        Environment {
            input: self.input,
            namespace: &self.object.namespace,
            container: &self.spec.template["spec"]["containers"][self.container],
        }
    }

    fn container_spot(&self) -> Spot {
        self.spot.then(&format!(
            "spec.template.spec.containers[{}]",
            self.container
        ))
    }

    fn known(&self, names: &[&str]) -> Option<(String, Spot)> {
        let environment = self.environment();
        let word = names.iter().find_map(|name| match environment.get(name)? {
            Given::Word(word) if !word.is_empty() => Some(word),
            _ => None,
        })?;
        Some((word, self.container_spot().then("env")))
    }

    pub fn bootstrap(&self) -> Option<(String, Spot)> {
        self.known(&BOOTSTRAP_NAMES)
    }

    pub fn group(&self) -> Option<(String, Spot)> {
        self.known(&GROUP_NAMES)
    }

    pub fn topics(&self) -> Option<(Vec<String>, Spot)> {
        let (written, spot) = self.known(&TOPIC_NAMES)?;
        Some((list(&written), spot))
    }

    /// Writes handler and template; what Drover says to the program must be in the draft already.
    pub fn write(&self, draft: &mut Draft, notes: &mut Notes) {
        let spec = self.spot.then("spec");
        let mut template = template::tidy(&self.spec.template);
        self.set_what_drover_sets(draft, notes, &mut template);
        let containers = &self.spec.template["spec"]["containers"];
        let name = containers[self.container]["name"].clone();
        draft.set(
            "handler.consumer",
            json!({}),
            Some(self.container_spot().then("name")),
        );
        if self.container > 0 {
            draft.set(
                "handler.consumer.container",
                name,
                Some(self.container_spot().then("name")),
            );
        } else if !self.chosen {
            notes.assumed(self.container_spot(), format!("the first container, {name}, is taken for the one that consumes; if it is another, name it in spec.handler.consumer.container"));
        }
        self.set_timeout(draft, &mut template);
        draft.set("template", template, Some(spec.then("template")));
        self.leftovers(notes);
    }

    /// What the Deployment says and a fleet's does not.
    fn leftovers(&self, notes: &mut Notes) {
        let spec = self.spot.then("spec");
        let pod = &self.spec.template["spec"];
        if pod["serviceAccountName"].is_null() && pod["serviceAccount"].is_null() {
            notes.not_carried(
                spec.then("template.spec.serviceAccountName"),
                "none is named, so these pods have the account default, and a fleet's have one of their own, without a token and without what may hang on default (imagePullSecrets, a cloud's identity, roles); where they need that, write serviceAccountName: default there",
            );
        }
        let annotations = self.object.value["metadata"]["annotations"].as_object();
        for name in annotations.into_iter().flat_map(|all| all.keys()) {
            if !OF_THE_MAKER.iter().any(|maker| name.starts_with(maker)) {
                let spot = self.spot.then(&format!("metadata.annotations[{name}]"));
                notes.not_carried(
                    spot,
                    "the Deployment that Drover makes has no annotations of yours; see who reads it, and whether it does its work on spec.template or on the KafkaConsumer",
                );
            }
        }
        if self.spec.paused {
            notes.not_carried(
                spec.then("paused"),
                "it holds roll-outs back, and a fleet's begin when its spec changes; have what is written applied when they may",
            );
        }
        let deadline = self.spec.progress_deadline_seconds;
        if deadline.is_some_and(|deadline| deadline != PROGRESS_DEADLINE_S) {
            notes.not_carried(
                spec.then("progressDeadlineSeconds"),
                "a fleet's is 600, and its condition Progressing says when a roll-out takes longer; nothing to do",
            );
        }
        if self.spec.min_ready_seconds > 0 {
            notes.not_carried(
                spec.then("minReadySeconds"),
                "a roll-out replaces all pods at once, so that partitions move once; nothing to do",
            );
        }
        let strategy = self.spec.strategy.as_ref();
        if strategy.is_some_and(|strategy| strategy["type"] == "Recreate") {
            notes.not_carried(
                spec.then("strategy"),
                "the old pods of a roll-out go when the new ones are ready; where two versions must never work at once, run `drover pause` before a new one and `drover resume` when the old pods are gone",
            );
        } else if rolls_its_own_way(strategy) {
            notes.not_carried(
                spec.then("strategy"),
                "a roll-out replaces all pods at once, so that partitions move once; nothing to do",
            );
        }
    }

    /// What the program may find in its environment must be what the spec says, since lag is read by that.
    fn set_what_drover_sets(&self, draft: &Draft, notes: &mut Notes, template: &mut Value) {
        let topics = draft.get("topics").as_array().into_iter().flatten();
        let topics: Vec<&str> = topics.filter_map(Value::as_str).collect();
        let set: BTreeMap<&str, String> = [
            (
                "KAFKA_BOOTSTRAP_SERVERS",
                text(draft.get("kafka.bootstrapServers")),
            ),
            ("KAFKA_GROUP_ID", text(draft.get("groupId"))),
            ("KAFKA_TOPICS", topics.join(",")),
        ]
        .into();
        let entries = template.pointer_mut(&format!("/spec/containers/{}/env", self.container));
        let entries = entries.and_then(Value::as_array_mut).into_iter().flatten();
        for (index, entry) in entries.enumerate() {
            let name = text(&entry["name"]);
            let Some(value) = set.get(name.as_str()) else {
                continue;
            };
            // Brokers have many names. A group or topics that differ are told as what they are: wrong.
            let may_differ = name == "KAFKA_BOOTSTRAP_SERVERS";
            let came_from_elsewhere = entry.get("valueFrom").is_some();
            if came_from_elsewhere || (may_differ && entry["value"] != **value) {
                *entry = json!({ "name": name, "value": value });
                let spot = self.container_spot().then(&format!("env[{index}]"));
                notes.assumed(spot, format!("Drover sets {name}, to what the spec says; \"{value}\" was written in place of what stood here"));
            }
        }
    }

    /// The program has as long to stop as it had; the sums are Drover's.
    fn set_timeout(&self, draft: &mut Draft, template: &mut Value) {
        const FIELD: &str = "terminationGracePeriodSeconds";
        let spot = self.spot.then("spec.template.spec").then(FIELD);
        let pod = template["spec"].as_object_mut();
        let Some((pod, grace)) = pod.and_then(|pod| {
            let grace = pod.get(FIELD)?.as_u64()?;
            Some((pod, grace))
        }) else {
            return;
        };
        // A longer one than follows from the longest time-out is kept as it is.
        if grace < LONGEST_TIMEOUT_S + BEYOND_TIMEOUT_S {
            pod.remove(FIELD);
        }
        let timeout = grace.clamp(1, LONGEST_TIMEOUT_S);
        draft.set("handler.timeout", format!("{timeout}s"), Some(spot));
    }
}

/// The default says nothing.
fn rolls_its_own_way(strategy: Option<&Value>) -> bool {
    let Some(strategy) = strategy else {
        return false;
    };
    let parts = ["maxSurge", "maxUnavailable"];
    parts.iter().any(|part| {
        let part = &strategy["rollingUpdate"][part];
        !part.is_null() && part != "25%"
    })
}

/// `a, b` is `a` and `b`.
pub(super) fn list(written: &str) -> Vec<String> {
    let parts = written.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A Deployment that no ScaledObject of the input names. `alone` means that it must be what somebody wants to have
/// converted, since there is nothing else.
pub(super) fn convert(
    input: &Input,
    index: usize,
    wishes: &Wishes,
    alone: bool,
    notes: &mut Notes,
) -> Option<Draft> {
    let spot = Spot::object(index);
    let workload = match Workload::read(input, index, None) {
        Ok(workload) => workload,
        Err(why) => {
            notes.not_converted(spot, why);
            return None;
        }
    };
    let wished = |text: &Option<String>| text.clone().map(|text| (text, None));
    let found = |(text, spot)| (text, Some(spot));
    let bootstrap = wished(&wishes.bootstrap).or_else(|| workload.bootstrap().map(found));
    let group = wished(&wishes.group).or_else(|| workload.group().map(found));
    let topics = match wishes.topics.as_slice() {
        [] => workload.topics().map(|(topics, spot)| (topics, Some(spot))),
        topics => Some((topics.to_vec(), None)),
    };
    let (Some(bootstrap), Some(group), Some(topics)) = (&bootstrap, &group, &topics) else {
        let missing = [
            ("--bootstrap", &BOOTSTRAP_NAMES, bootstrap.is_none()),
            ("--group", &GROUP_NAMES, group.is_none()),
            ("--topic", &TOPIC_NAMES, topics.is_none()),
        ];
        let missing = missing.iter().filter(|(.., missing)| *missing);
        let missing = missing.map(|(flag, names, _)| {
            format!("{flag} (or {} in its environment)", names.join(" or "))
        });
        let missing = missing.collect::<Vec<_>>().join(", ");
        if alone || wishes.name_a_source() {
            notes.not_converted(
                spot,
                format!("what it consumes is not known; give {missing}"),
            );
        } else if missing.matches("--").count() < 3 {
            notes.assumed(spot, format!("it is taken for no consumer, and left as it is; if it is one, convert it by itself with {missing}"));
        }
        return None;
    };
    let mut draft = Draft::replacing(workload.object);
    draft.remark(format!("From {}.", workload.object.called()));
    draft.set(
        "kafka.bootstrapServers",
        bootstrap.0.clone(),
        bootstrap.1.clone(),
    );
    draft.set("topics", topics.0.clone(), topics.1.clone());
    draft.set("groupId", group.0.clone(), group.1.clone());
    // Without a size that somebody wants, what there is is the least: nothing gets slower.
    let had = workload.replicas().unwrap_or(1);
    let from = spot.then("spec.replicas");
    draft.set("scaling.minReplicas", had.max(1), Some(from.clone()));
    match had {
        0 => draft.set("paused", true, Some(from)),
        1 => {}
        _ => notes.assumed(from, format!("the least is as many as there are, {had}; where less can be enough, lower spec.scaling.minReplicas, and maxReplicas bounds what it may become")),
    }
    notes.assumed(spot, "partitions without a committed offset begin at the oldest record: if your program's auto.offset.reset is latest, set spec.startAt to Latest");
    wishes.write(&mut draft);
    workload.write(&mut draft, notes);
    draft.remark("Delete the Deployment before this is applied: a group has one master.");
    Some(draft)
}
