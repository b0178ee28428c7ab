//! From a Knative `KafkaSource` to `handler.http`.
//!
//! What the fields mean is in `control-plane/pkg/apis/sources/v1` of knative-extensions/eventing-kafka-broker.

mod delivery;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use self::delivery::Delivery;
use super::Wishes;
use super::attempt::{Refusal, attempt};
use super::draft::Draft;
use super::environment::{Given, reference};
use super::input::{Input, Object};
use super::notes::{NOT_KNOWN, Notes, Spot};
use super::security::{self, Said, Sasl};

pub(super) const GROUP: &str = "sources.knative.dev";
pub(super) const EVENTING: &str = "eventing.knative.dev";

/// What to say of a Broker.
pub(super) const NO_BROKER: &str =
    "nothing consumes by it; what its Triggers deliver is told of them";

/// Why a Trigger is not converted, and what to do.
pub(super) fn no_trigger(object: &Object) -> String {
    let broker = object.value["spec"]["broker"].as_str().unwrap_or("default");
    let namespace = match object.namespace.as_str() {
        "" => "NAMESPACE",
        namespace => namespace,
    };
    let name = &object.name;
    format!(
        "its Kafka is that of Broker {broker}, which a ConfigMap of the cluster names, and only a Broker of class Kafka has one; write a KafkaConsumer by hand, with topics [knative-broker-{namespace}-{broker}] and groupId knative-trigger-{namespace}-{name} (unless the cluster names them otherwise), the subscriber as handler.http.url and format CloudEvents; instead of its filter the service answers Drover-Result: skip"
    )
}

#[derive(Deserialize)]
struct Written {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    bootstrap_servers: Vec<String>,
    topics: Vec<String>,
    consumer_group: Option<String>,
    consumers: Option<u32>,
    initial_offset: Option<String>,
    ordering: Option<String>,
    #[serde(default)]
    net: Net,
    #[serde(default)]
    delivery: Delivery,
    sink: Sink,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Net {
    sasl: Authentication,
    tls: Authentication,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// Of `sasl` and of `tls`; each has its own of these.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Authentication {
    enable: bool,
    #[serde(flatten)]
    secrets: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Sink {
    #[serde(rename = "ref")]
    reference: Option<Reference>,
    uri: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Reference {
    kind: String,
    name: String,
    namespace: Option<String>,
}

/// Mechanisms as a source's Secret has them, and as Drover calls them.
const MECHANISMS: [(&str, &str); 3] = [
    ("PLAIN", "Plain"),
    ("SCRAM-SHA-256", "ScramSha256"),
    ("SCRAM-SHA-512", "ScramSha512"),
];

const OF_SCALING: &str = "autoscaling.eventing.knative.dev/";

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
    let url = url(object, &spec.sink).map_err(|why| (Some(spot.then("sink")), why))?;
    let (group, from) = match (&spec.consumer_group, &wishes.group) {
        (Some(group), _) if !group.is_empty() => (group.clone(), Some(spot.then("consumerGroup"))),
        (_, Some(group)) => (group.clone(), None),
        _ => {
            let (name, flag) = (&object.name, object.namespace_flag());
            return Err((
                None,
                format!(
                    "consumerGroup is not written, and Knative made a name for it; convert what kubectl get kafkasource {name}{flag} -o yaml writes, which has it, or give --group"
                ),
            ));
        }
    };
    let mut draft = Draft::replacing(object);
    draft.remark(format!("From {}.", object.called()));
    draft.set(
        "kafka.bootstrapServers",
        spec.bootstrap_servers.join(","),
        Some(spot.then("bootstrapServers")),
    );
    draft.set("topics", spec.topics.clone(), Some(spot.then("topics")));
    draft.set("groupId", group, from);
    let start_at = match spec.initial_offset.as_deref() {
        Some("earliest") => "Earliest",
        _ => "Latest",
    };
    draft.set("startAt", start_at, Some(spot.then("initialOffset")));
    network(
        &mut draft,
        notes,
        wishes,
        input,
        object,
        &spec.net,
        &spot.then("net"),
    );
    draft.set("handler.http.url", url, Some(spot.then("sink")));
    ordering(&mut draft, &spec, spot);
    delivery::write(&mut draft, notes, &spec.delivery, &spot.then("delivery"));
    sizes(&mut draft, notes, object, &spec, spot);
    wishes.write(&mut draft);
    draft.remark("Delete the KafkaSource before this is applied: a group has one master.");
    leftovers(notes, object, &spec, spot);
    Ok(draft)
}

fn url(object: &Object, sink: &Sink) -> Result<String, String> {
    let path = sink.uri.as_deref().unwrap_or_default();
    let Some(Reference {
        kind,
        name,
        namespace,
    }) = &sink.reference
    else {
        return match path.contains("://") {
            true => Ok(path.to_owned()),
            false => Err(
                "it names neither a service nor an address; write sink.ref or sink.uri".to_owned(),
            ),
        };
    };
    // Both a Service of Kubernetes and one of Knative have the name of their own in the cluster.
    if kind != "Service" {
        return Err(format!(
            "{kind} {name} has an address that only the cluster knows; write it as sink.uri, without sink.ref: kubectl get {} {name} -o jsonpath='{{.status.address.url}}'",
            kind.to_lowercase()
        ));
    }
    let namespace = namespace.as_deref().unwrap_or(&object.namespace);
    let host = match namespace {
        "" => name.clone(),
        namespace => format!("{name}.{namespace}.svc.cluster.local"),
    };
    Ok(format!("http://{host}/{}", path.trim_start_matches('/')))
}

fn network(
    draft: &mut Draft,
    notes: &mut Notes,
    wishes: &Wishes,
    input: &Input,
    object: &Object,
    net: &Net,
    spot: &Spot,
) {
    let said = |part: &str, authentication: &Authentication, name: &str| -> Option<Said> {
        let (secret, key) = reference(&authentication.secrets.get(name)?["secretKeyRef"])?;
        let spot = spot.then(part).then(name);
        Some((Given::Secret { name: secret, key }, spot))
    };
    if net.tls.enable {
        let [authority, certificate, key] =
            ["caCert", "cert", "key"].map(|name| said("tls", &net.tls, name));
        security::tls(
            draft,
            notes,
            &spot.then("tls"),
            authority.as_ref(),
            certificate.as_ref(),
            key.as_ref(),
        );
    }
    if !net.sasl.enable {
        return;
    }
    let mechanism = match said("sasl", &net.sasl, "type") {
        // As Knative takes it.
        None => Some("Plain"),
        Some((Given::Secret { name, key }, _)) => {
            let words = MECHANISMS.map(|(theirs, _)| theirs);
            let found = input.secret_word(&object.namespace, &name, &key, &words);
            let found = MECHANISMS.iter().find(|(theirs, _)| Some(*theirs) == found);
            found.map(|(_, ours)| *ours)
        }
        Some(_) => None,
    };
    let sasl = Sasl {
        mechanism,
        username: said("sasl", &net.sasl, "user"),
        password: said("sasl", &net.sasl, "password"),
        spot: spot.then("sasl"),
    };
    security::sasl(draft, notes, wishes, &sasl);
}

fn ordering(draft: &mut Draft, spec: &Spec, spot: &Spot) {
    let ordering = match spec.ordering.as_deref() {
        Some("unordered") => "None",
        _ => "Partition",
    };
    draft.set("delivery.ordering", ordering, Some(spot.then("ordering")));
}

fn sizes(draft: &mut Draft, notes: &mut Notes, object: &Object, spec: &Spec, spot: &Spot) {
    let metadata = Spot::object(spot.object).then("metadata");
    let annotation = |name: &str| {
        let name = format!("{OF_SCALING}{name}");
        let number: u32 = object.annotation(&name)?.parse().ok()?;
        Some((number, metadata.then(&format!("annotations[{name}]"))))
    };
    let least = annotation("min-scale");
    let (least, from) = least.map_or((0, None), |(least, from)| (least, Some(from)));
    draft.set("scaling.minReplicas", least, from);
    let consumers = spec.consumers.filter(|consumers| *consumers > 1);
    let consumers = consumers.map(|consumers| (consumers, spot.then("consumers")));
    if let Some((most, from)) = annotation("max-scale").or(consumers) {
        notes.assumed(from.clone(), format!("it counts consumers, of which a pod of Knative's has many, and Drover counts pods; spec.scaling.maxReplicas is {most}: lower it where fewer do"));
        draft.set("scaling.maxReplicas", most, Some(from));
    }
    if let (Some((idle, from)), 0) = (annotation("cooldown-period"), least) {
        draft.set(
            "scaling.idleTimeToZero",
            format!("{}s", idle.max(1)),
            Some(from),
        );
    }
    if spec.consumers == Some(0) {
        draft.set("paused", true, Some(spot.then("consumers")));
    }
}

fn leftovers(notes: &mut Notes, object: &Object, spec: &Spec, spot: &Spot) {
    const TAKEN: [&str; 3] = ["min-scale", "max-scale", "cooldown-period"];
    let annotations = object.value["metadata"]["annotations"].as_object();
    for name in annotations
        .into_iter()
        .flat_map(|annotations| annotations.keys())
    {
        let Some(short) = name.strip_prefix(OF_SCALING) else {
            continue;
        };
        if !TAKEN.contains(&short) {
            let spot = Spot::object(spot.object).then(&format!("metadata.annotations[{name}]"));
            notes.not_carried(
                spot,
                "sizes follow from how long records wait, spec.scaling.maxDelay; nothing to do",
            );
        }
    }
    if let Some(key_type) =
        object.value["metadata"]["labels"]["kafkasources.sources.knative.dev/key-type"].as_str()
    {
        let spot = Spot::object(spot.object)
            .then("metadata.labels[kafkasources.sources.knative.dev/key-type]");
        notes.not_carried(spot, format!("a key is given to the handler as its bytes, not as a {key_type}; the service must read it"));
    }
    for name in spec.sink.rest.keys() {
        let what_to_do = match name.as_str() {
            "CACerts" => "name the Secret with the certificates in spec.handler.http.tls.caSecret",
            "audience" => {
                "requests can have a header authorization: spec.handler.http.authorizationSecret"
            }
            _ => NOT_KNOWN,
        };
        notes.not_carried(spot.then("sink").then(name), what_to_do);
    }
    for name in spec.rest.keys() {
        let what_to_do = match name.as_str() {
            "ceOverrides" => {
                "events have the attributes of docs/http-handler.md and no others; the service must do without"
            }
            _ => NOT_KNOWN,
        };
        notes.not_carried(spot.then(name), what_to_do);
    }
    for name in spec.net.rest.keys() {
        notes.not_carried(spot.then("net").then(name), NOT_KNOWN);
    }
}
