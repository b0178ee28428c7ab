//! `drover status`: what the resources' statuses say, for people or as JSON.
//!
//! Reads only; all it shows was written by the controller.

mod fleet;
mod list;

use std::process::ExitCode;

use clap::Args;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::cluster::{Cluster, ClusterArgs};
use super::format::Format;
use crate::api::{KafkaConsumer, ScalingMode, Span, names::condition, reasons};
use crate::clock;

/// Arguments of `drover status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// One KafkaConsumer, with everything that is known of it; without it, all in a table
    pub name: Option<String>,
    /// Only those with these labels, such as team=shop
    #[arg(long, short = 'l', value_name = "LABELS", conflicts_with = "name")]
    pub selector: Option<String>,
    /// All namespaces
    #[arg(long, short = 'A', conflicts_with_all = ["name", "namespace"])]
    pub all_namespaces: bool,
    /// Where they are.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

/// Prints the status of one KafkaConsumer or of many.
///
/// # Errors
/// If no kubeconfig is found, the API server does not answer, the resource is not installed, or
/// NAME does not exist; in one line with the remedy.
pub async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.cluster).await?;
    match &args.name {
        Some(name) => {
            let found = cluster.readable(name).await?.consumer;
            let text = || fleet::text(&found, clock::now());
            args.output.print(|| object(&found), text)?;
        }
        None => {
            let selector = args.selector.as_deref();
            let found = cluster.list(args.all_namespaces, selector).await?;
            let objects = || json!({ "items": found.iter().map(object).collect::<Vec<_>>() });
            args.output.print(objects, || match found.as_slice() {
                [] => none_found(&args, &cluster.namespace),
                found => list::text(found, args.all_namespaces),
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One KafkaConsumer, with everything that its status knows, in several lines.
pub(super) fn one(consumer: &KafkaConsumer, now: jiff::Timestamp) -> String {
    fleet::text(consumer, now)
}

fn none_found(args: &StatusArgs, namespace: &str) -> String {
    if args.all_namespaces {
        "No KafkaConsumers.".to_owned()
    } else {
        format!("No KafkaConsumers in namespace {namespace}; -A shows all namespaces.")
    }
}

fn object(consumer: &KafkaConsumer) -> Value {
    json!({
        "namespace": consumer.namespace(),
        "name": consumer.name_any(),
        "generation": consumer.metadata.generation,
        "status": consumer.status,
    })
}

/// Whether a condition is good news, or what somebody chose: who sets the size by hand knows that
/// Drover does not.
pub(super) fn is_well(condition: &Condition) -> bool {
    let known = reasons::conditions::ALL
        .iter()
        .find(|it| it.type_ == condition.type_);
    let good = known.map_or(Some("True"), |known| known.good);
    let chosen = condition.type_ == condition::SCALING_ACTIVE
        && condition::CHOSEN.contains(&condition.reason.as_str());
    good.is_none_or(|good| condition.status == good) || chosen
}

/// Whether `ready` is the condition Ready and only says again what another of `bad` says.
pub(super) fn says_again(ready: &Condition, bad: &[&Condition]) -> bool {
    let same = |other: &&Condition| {
        other.type_ != condition::READY && other.message.starts_with(&ready.message)
    };
    ready.type_ == condition::READY && bad.iter().any(same)
}

/// How long the oldest record waits and how long one may, where that is more than was promised: where
/// somebody else sets the size, Drover promises nothing.
pub(super) fn late(consumer: &KafkaConsumer) -> Option<(Span, Span)> {
    let scaling = &consumer.spec.scaling;
    if matches!(scaling.mode, ScalingMode::Manual | ScalingMode::External) {
        return None;
    }
    let promise = scaling.max_delay;
    let delay: Span = consumer.status.as_ref()?.delay.as_deref()?.parse().ok()?;
    (delay.0 > promise.0).then_some((delay, promise))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_well_with_the_status_that_its_documentation_calls_good() {
        for known in reasons::conditions::ALL {
            for status in ["True", "False", "Unknown"] {
                let condition: Condition = serde_json::from_value(json!({
                    "type": known.type_, "status": status, "reason": "Any", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }))
                .unwrap();
                let good = known.good.is_none_or(|good| good == status);
                assert_eq!(is_well(&condition), good, "{} {status}", known.type_);
            }
        }
        let alone = reasons::conditions::ALL
            .iter()
            .find(|known| known.type_ == condition::GROUP_SHARED);
        assert_eq!(alone.unwrap().good, Some("False"));
    }
}
