//! How KEDA speaks to Kafka: the trigger's metadata, and a `TriggerAuthentication`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::GROUP;
use super::oauth;
use super::trigger::Kafka;
use crate::cli::convert::Wishes;
use crate::cli::convert::deployment::Workload;
use crate::cli::convert::draft::Draft;
use crate::cli::convert::environment::Given;
use crate::cli::convert::input::{Input, Object};
use crate::cli::convert::notes::{Notes, Spot};
use crate::cli::convert::security::{self, Said, Sasl};

const CLUSTER_WIDE: &str = "ClusterTriggerAuthentication";

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    secret_target_ref: Vec<Target>,
    config_map_target_ref: Vec<Target>,
    env: Vec<Variable>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Target {
    parameter: String,
    name: String,
    key: String,
}

#[derive(Deserialize)]
struct Variable {
    parameter: String,
    name: String,
}

/// What it gives, by the parameter.
pub(super) type Parameters = BTreeMap<String, Said>;

/// Mechanisms as KEDA calls them, and as Drover does.
const MECHANISMS: [(&str, &str); 3] = [
    ("plaintext", "Plain"),
    ("scram_sha256", "ScramSha256"),
    ("scram_sha512", "ScramSha512"),
];

/// All that `sasl` may say, and all that `tls` may.
const SASL_WORDS: [&str; 7] = [
    "none",
    "plaintext",
    "scram_sha256",
    "scram_sha512",
    "gssapi",
    "oauthbearer",
    "aws_msk_iam",
];
const TLS_WORDS: [&str; 2] = ["enable", "disable"];

/// What the authentication of the trigger gives.
///
/// # Errors
///
/// Where, and why, if the input does not have it.
pub(super) fn parameters(
    input: &Input,
    object: &Object,
    kafka: &Kafka<'_>,
    workload: &Workload<'_>,
    notes: &mut Notes,
) -> Result<Parameters, (Option<Spot>, String)> {
    let Some(wanted) = &kafka.trigger.authentication_ref else {
        return Ok(Parameters::new());
    };
    let named = kafka.spot.then("authenticationRef");
    let cluster_wide = wanted.kind == CLUSTER_WIDE;
    let namespace = if cluster_wide { "" } else { &object.namespace };
    let found = input.find(GROUP, &wanted.kind, namespace, &wanted.name);
    let (index, authentication) = found.ok_or_else(|| {
        let flag = if cluster_wide { String::new() } else { object.namespace_flag() };
        let (kind, name) = (&wanted.kind, &wanted.name);
        let why = format!("{kind} {name} is not in the input; give its file, too, or what kubectl get {}{flag} {name} -o yaml writes", kind.to_lowercase());
        (Some(named), why)
    })?;
    let whole = Spot::object(index);
    let written: Written =
        serde_json::from_value(authentication.value.clone()).map_err(|error| {
            (
                Some(whole.clone()),
                format!("it cannot be read: {error}; correct it"),
            )
        })?;
    let spot = whole.then("spec");
    let mut parameters = Parameters::new();
    for (index, target) in written.spec.secret_target_ref.into_iter().enumerate() {
        let given = Given::Secret {
            name: target.name,
            key: target.key,
        };
        let spot = spot.then(&format!("secretTargetRef[{index}]"));
        parameters.insert(target.parameter, (given, spot));
    }
    if cluster_wide && !parameters.is_empty() {
        notes.assumed(spot.then("secretTargetRef"), format!("its Secrets lie in KEDA's namespace, and a KafkaConsumer's in its own; copy them to {}", workload.object.namespace));
    }
    for (
        index,
        Target {
            parameter,
            name,
            key,
        },
    ) in written.spec.config_map_target_ref.into_iter().enumerate()
    {
        let value = input.config(namespace, &name, &key);
        let given = value.map_or_else(
            || {
                Given::Elsewhere(format!(
                    "key {key} of ConfigMap {name}, which is not in the input"
                ))
            },
            Given::Word,
        );
        let spot = spot.then(&format!("configMapTargetRef[{index}]"));
        parameters.insert(parameter, (given, spot));
    }
    for (index, Variable { parameter, name }) in written.spec.env.into_iter().enumerate() {
        let given = workload.environment().get(&name);
        let given = given.unwrap_or_else(|| {
            Given::Elsewhere(format!(
                "{name}, which the container's environment does not have"
            ))
        });
        parameters.insert(parameter, (given, spot.then(&format!("env[{index}]"))));
    }
    for name in written.spec.rest.keys() {
        notes.incomplete(spot.then(name), "who the program is, to Kafka, is not found out this way; write spec.kafka.sasl or spec.kafka.tls by hand, if brokers ask");
    }
    Ok(parameters)
}

/// `kafka.sasl` and `kafka.tls`.
pub(super) fn write(
    draft: &mut Draft,
    notes: &mut Notes,
    wishes: &Wishes,
    input: &Input,
    object: &Object,
    kafka: &Kafka<'_>,
    parameters: &Parameters,
) {
    let metadata = kafka.spot.then("metadata");
    let word = |name: &str, words: &[&'static str]| -> Option<(Option<&'static str>, Spot)> {
        let same = |text: &str| words.iter().find(|word| **word == text.trim()).copied();
        if let Some(text) = kafka.trigger.said(name) {
            return Some((same(&text), metadata.then(name)));
        }
        let (given, spot) = parameters.get(name)?;
        let word = match given {
            Given::Word(text) => same(text),
            Given::Secret { name, key } => input.secret_word(&object.namespace, name, key, words),
            Given::Elsewhere(_) => None,
        };
        Some((word, spot.clone()))
    };
    // TLS that is asked for in a Secret which the input does not have was asked for all the same.
    if let Some((asked, spot)) = word("tls", &TLS_WORDS)
        && asked != Some("disable")
    {
        if asked.is_none() {
            notes.assumed(spot.clone(), "what it says is not in the input; TLS was taken to be asked for: if it is not, remove spec.kafka.tls");
        }
        let [authority, certificate, key] = ["ca", "cert", "key"].map(|name| parameters.get(name));
        security::tls(draft, notes, &spot, authority, certificate, key);
        if kafka.trigger.said("unsafeSsl").as_deref() == Some("true") {
            notes.not_carried(metadata.then("unsafeSsl"), "certificates are always looked at; name in spec.kafka.tls.caSecret those that may sign the brokers'");
        }
    }
    if let Some((mechanism, spot)) = word("sasl", &SASL_WORDS) {
        let mechanism = match mechanism {
            Some("none") => return,
            Some("oauthbearer") => return oauth::write(draft, notes, wishes, parameters, &spot),
            Some(other @ ("gssapi" | "aws_msk_iam")) => {
                notes.incomplete(spot, format!("{other} is not carried; Drover has Plain, ScramSha256, ScramSha512 and OAuthBearer; give the fleet a user with one of them, and write spec.kafka.sasl"));
                return;
            }
            mechanism => mechanism,
        };
        let known = MECHANISMS
            .iter()
            .find(|(theirs, _)| Some(*theirs) == mechanism);
        let sasl = Sasl {
            mechanism: known.map(|(_, ours)| *ours),
            username: parameters.get("username").cloned(),
            password: parameters.get("password").cloned(),
            spot,
        };
        security::sasl(draft, notes, wishes, &sasl);
    }
    if let Some((_, spot)) = parameters.get("keyPassword") {
        notes.incomplete(
            spot.clone(),
            "the certificate's key must be without a passphrase; put it so into a Secret",
        );
    }
}
