//! The triggers of a ScaledObject: which of them say what is consumed, and what.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::cli::convert::Wishes;
use crate::cli::convert::attempt::Refusal;
use crate::cli::convert::deployment::{Workload, list};
use crate::cli::convert::environment::Given;
use crate::cli::convert::notes::{NOT_KNOWN, Notes, Spot};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trigger {
    #[serde(rename = "type")]
    pub kind: String,
    /// Texts by the CRD; numbers and truth values by many who write them.
    #[serde(default)]
    pub metadata: BTreeMap<String, Value>,
    pub authentication_ref: Option<Authentication>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct Authentication {
    pub name: String,
    #[serde(default = "Authentication::default_kind")]
    pub kind: String,
}

impl Authentication {
    fn default_kind() -> String {
        "TriggerAuthentication".to_owned()
    }
}

/// What KEDA calls its triggers of Kafka.
pub(super) const KINDS: [&str; 2] = ["kafka", "apache-kafka"];

impl Trigger {
    /// What its metadata say under a name; nothing is as if it were not there.
    pub fn said(&self, name: &str) -> Option<String> {
        let text = match self.metadata.get(name)? {
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        (!text.is_empty()).then_some(text)
    }

    fn is_kafka(&self) -> bool {
        KINDS.contains(&self.kind.as_str())
    }
}

/// What is consumed, and who says so; nobody where a flag does.
pub(super) struct Kafka<'a> {
    pub bootstrap: (String, Option<Spot>),
    pub group: (String, Option<Spot>),
    pub topics: (Vec<String>, Option<Spot>),
    pub start_at: Option<(&'static str, Spot)>,
    /// The first trigger, which says how brokers are spoken to.
    pub trigger: &'a Trigger,
    pub spot: Spot,
}

/// Metadata that the consumer takes up.
const CARRIED: &[&str] = &[
    "bootstrapServers",
    "bootstrapServersFromEnv",
    "brokerList",
    "consumerGroup",
    "consumerGroupFromEnv",
    "topic",
    "topicFromEnv",
    "offsetResetPolicy",
    "sasl",
    "saslTokenProvider",
    "awsRegion",
    "tls",
    "unsafeSsl",
];

/// Metadata without a counterpart, what they say by default, and what to do about them.
const NOT_CARRIED: &[(&str, &str, &str)] = &[
    (
        "activationLagThreshold",
        "0",
        "a record wakes the fleet; nothing to do",
    ),
    (
        "allowIdleConsumers",
        "false",
        "sizes beyond the partitions are never ordered; nothing to do",
    ),
    (
        "limitToPartitionsWithLag",
        "false",
        "sizes that do not help are never ordered; nothing to do",
    ),
    (
        "ensureEvenDistributionOfPartitions",
        "false",
        "the partitions of the fullest pod are what counts; nothing to do",
    ),
    (
        "scaleToZeroOnInvalidOffset",
        "false",
        "the first offsets are written before the first pod is; nothing to do",
    ),
    (
        "excludePersistentLag",
        "false",
        "a partition that stands still is told as such, and pods that would not help it are not ordered; nothing to do",
    ),
    (
        "version",
        "",
        "the brokers' version is found out; nothing to do",
    ),
    (
        "partitionLimitation",
        "",
        "all partitions of a topic are counted; where some are another's, that needs a topic of its own",
    ),
];

pub(super) fn kafka<'a>(
    triggers: &'a [Trigger],
    spec: &Spot,
    workload: &Workload<'_>,
    wishes: &Wishes,
    notes: &mut Notes,
) -> Result<Kafka<'a>, Refusal> {
    let field = |index: usize| spec.then(&format!("triggers[{index}]"));
    let all = triggers.iter().enumerate();
    let of_kafka = all.filter(|(_, trigger)| trigger.is_kafka());
    let mut sources = Vec::new();
    for (index, trigger) in of_kafka {
        sources.push(one(trigger, field(index), workload, wishes)?);
    }
    let mut sources = sources.into_iter();
    let Some(mut first) = sources.next() else {
        let why = "it has no trigger of type kafka or apache-kafka; only what consumes from Kafka is converted";
        return Err((Some(spec.then("triggers")), why.to_owned()));
    };
    for other in sources {
        let spot = Some(other.spot.clone());
        if other.group.0 != first.group.0 {
            return Err((
                spot,
                format!(
                    "its group is {}, and that of the trigger before is {}: a KafkaConsumer has one group, and two cannot share a Deployment; make a Deployment of each group's consumer",
                    other.group.0, first.group.0
                ),
            ));
        }
        if other.bootstrap.0 != first.bootstrap.0 {
            return Err((
                spot,
                format!(
                    "its brokers are {}, and those of the trigger before are {}: a KafkaConsumer has one Kafka; make a Deployment of each one's consumer",
                    other.bootstrap.0, first.bootstrap.0
                ),
            ));
        }
        for topic in other.topics.0 {
            if !first.topics.0.contains(&topic) {
                first.topics.0.push(topic);
            }
        }
        first.start_at = first.start_at.or(other.start_at);
        let name = |trigger: &Trigger| {
            trigger
                .authentication_ref
                .as_ref()
                .map(|auth| auth.name.clone())
        };
        if name(other.trigger) != name(first.trigger) {
            notes.assumed(
                other.spot.then("authenticationRef"),
                "a KafkaConsumer speaks to Kafka in one way; that of the first trigger was taken",
            );
        }
    }
    if first.start_at.is_none() {
        notes.assumed(first.spot.then("metadata"), "offsetResetPolicy is not said; partitions without a committed offset begin at the oldest record: if your program's auto.offset.reset is latest, set spec.startAt to Latest");
    }
    Ok(first)
}

/// What one trigger says: itself, or where it is silent a flag, or the program's environment.
fn one<'a>(
    trigger: &'a Trigger,
    spot: Spot,
    workload: &Workload<'_>,
    wishes: &Wishes,
) -> Result<Kafka<'a>, Refusal> {
    let metadata = spot.then("metadata");
    let or = |name: &str, missing: &str, flag: &str, wish: Option<String>, env: Word| match (
        said(trigger, name, &metadata, workload),
        wish,
    ) {
        (Ok(Some((word, spot))), _) => Ok((word, Some(spot))),
        (_, Some(wish)) => Ok((wish, None)),
        (Ok(None), None) => env.map(|(word, spot)| (word, Some(spot))).ok_or_else(|| {
            (
                Some(metadata.clone()),
                format!("{name} is missing{missing}: {flag}"),
            )
        }),
        (Err((spot, place)), None) => {
            let why = format!("what it names stands in {place}, and is not known here: {flag}");
            Err((Some(spot), why))
        }
    };
    let topics = match wishes.topics.as_slice() {
        [] => None,
        topics => Some(topics.join(",")),
    };
    let of_the_program = workload.topics();
    let of_the_program = of_the_program.map(|(topics, spot)| (topics.join(","), spot));
    let bootstrap = or(
        "bootstrapServers",
        "",
        "write it, or give --bootstrap",
        wishes.bootstrap.clone(),
        workload.bootstrap(),
    )?;
    let group = or(
        "consumerGroup",
        "",
        "write it, or give --group",
        wishes.group.clone(),
        workload.group(),
    )?;
    let (topic, from) = or(
        "topic",
        ", so that KEDA counts all topics of the group, and a KafkaConsumer names its own",
        "give --topic, once for each",
        topics,
        of_the_program,
    )?;
    let start_at = match trigger.said("offsetResetPolicy").as_deref() {
        Some("earliest") => Some("Earliest"),
        Some("latest") => Some("Latest"),
        _ => None,
    };
    Ok(Kafka {
        bootstrap,
        group,
        topics: (list(&topic), from),
        start_at: start_at.map(|start_at| (start_at, metadata.then("offsetResetPolicy"))),
        trigger,
        spot,
    })
}

type Word = Option<(String, Spot)>;

/// What a trigger says by itself or by a variable of the program, which comes first, as with KEDA. What stands
/// elsewhere is told by its place.
fn said(
    trigger: &Trigger,
    name: &str,
    metadata: &Spot,
    workload: &Workload<'_>,
) -> Result<Word, (Spot, String)> {
    let by_variable = format!("{name}FromEnv");
    if let Some(variable) = trigger.said(&by_variable) {
        let spot = metadata.then(&by_variable);
        return match workload.environment().get(&variable) {
            Some(Given::Word(word)) => Ok(Some((word, spot))),
            Some(given) => Err((spot, given.place())),
            None => Err((
                spot,
                format!("{variable}, which the container's environment does not have"),
            )),
        };
    }
    // As it was called in KEDA 1.
    let names: &[&str] = match name {
        "bootstrapServers" => &["bootstrapServers", "brokerList"],
        name => &[name],
    };
    let found = names
        .iter()
        .find_map(|name| Some((trigger.said(name)?, metadata.then(name))));
    Ok(found)
}

/// What of the triggers was not taken up.
pub(super) fn leftovers(triggers: &[Trigger], spec: &Spot, wishes: &Wishes, notes: &mut Notes) {
    for (index, trigger) in triggers.iter().enumerate() {
        let spot = spec.then(&format!("triggers[{index}]"));
        if trigger.kind == "cron" {
            continue;
        }
        if !trigger.is_kafka() {
            notes.not_carried(spot, format!("a trigger of type {} has no counterpart: sizes follow from how long records wait; nothing to do, unless the program waits for something else", trigger.kind));
            continue;
        }
        for name in trigger.rest.keys().filter(|name| *name != "name") {
            notes.not_carried(
                spot.then(name),
                "it says how KEDA's metric is made; nothing to do",
            );
        }
        for name in trigger
            .metadata
            .keys()
            .filter(|name| !CARRIED.contains(&name.as_str()))
        {
            metadata(
                trigger,
                name,
                &spot.then("metadata").then(name),
                wishes,
                notes,
            );
        }
    }
}

fn metadata(trigger: &Trigger, name: &str, spot: &Spot, wishes: &Wishes, notes: &mut Notes) {
    let said = trigger.said(name).unwrap_or_default();
    if name == "lagThreshold" {
        let text = match wishes.max_delay {
            Some(delay) => format!("it counts records; spec.scaling.maxDelay, {delay}, says instead how long one may wait"),
            None => "it counts records, and spec.scaling.maxDelay says instead how long one may wait; 60s was written: choose yours, with --max-delay".to_owned(),
        };
        notes.not_carried(spot.clone(), text);
        return;
    }
    match NOT_CARRIED.iter().find(|(known, ..)| *known == name) {
        Some((_, default, _)) if *default == said => {}
        Some((.., what_to_do)) => notes.not_carried(spot.clone(), *what_to_do),
        None => notes.not_carried(spot.clone(), NOT_KNOWN),
    }
}
