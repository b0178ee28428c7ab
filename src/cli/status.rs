//! `drover status`: what the resources' statuses say, for people or as JSON.
//!
//! Reads only; all it shows was written by the controller.

mod fleet;
mod list;
mod unseen;
mod watch;

use std::process::ExitCode;

use clap::Args;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::cluster::{Cluster, ClusterArgs};
use super::fit::wrapped_lines;
use super::fleets::FleetsArgs;
use super::format::Listing;
use super::leadership::{Consequence, vacant};
use super::{leadership, output};
use crate::api::names::{NOT_IN_PODS, condition};
use crate::api::{KafkaConsumer, ScalingMode, Span, reasons};
use crate::clock;
use list::Columns;

/// Arguments of `drover status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// One KafkaConsumer, with everything that is known of it; without it, all in a table
    #[arg(conflicts_with_all = ["selector", "all_namespaces"])]
    pub name: Option<String>,
    /// Which, where none is named.
    #[command(flatten)]
    pub fleets: FleetsArgs,
    /// Go on, with a line for whatever changes, until Ctrl-C
    #[arg(long, short = 'w')]
    pub watch: bool,
    /// Where they are.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Listing,
}

impl StatusArgs {
    fn columns(&self) -> Columns {
        Columns {
            namespaces: self.fleets.all_namespaces,
            wide: self.output == Listing::Wide,
        }
    }
}

/// Prints the status of one KafkaConsumer or of many.
///
/// # Errors
/// If no kubeconfig is found, the API server does not answer, the resource is not installed, or
/// NAME does not exist; in one line with the remedy.
pub async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.cluster).await?;
    let find = async {
        match &args.name {
            Some(name) => Ok(vec![cluster.readable(name).await?.consumer]),
            None => args.fleets.list(&cluster).await,
        }
    };
    let (found, leases) = tokio::join!(find, leases(&args, &cluster));
    let found = found?;
    if let Some(leases) = leases.filter(|_| !found.is_empty())
        && let Some(vacancy) = vacant(&leases, Consequence::MayBeOld, &found, clock::now())
    {
        leadership::say(&vacancy);
    }
    if args.watch {
        watch::watch(&args, &cluster, found).await?;
        return Ok(ExitCode::SUCCESS);
    }
    match (args.output.document(), found.as_slice()) {
        (Some(format), found) => format.print(|| document(&args, found), String::new)?,
        (None, []) => output::print(&format!("{}\n", args.fleets.none_found(&cluster.namespace)))?,
        (None, found) => output::print(&format!("{}\n", text(&args, found).trim_end()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// By which it is known, for people, whether anybody writes any more what is shown here.
async fn leases(args: &StatusArgs, cluster: &Cluster) -> Option<Vec<Lease>> {
    match args.output {
        Listing::Table | Listing::Wide => leadership::leases(cluster, None).await.ok(),
        Listing::Name | Listing::Json | Listing::Yaml => None,
    }
}

/// For people.
fn text(args: &StatusArgs, found: &[KafkaConsumer]) -> String {
    let now = clock::now();
    match (args.output, found) {
        (Listing::Name, found) => {
            let names: Vec<_> = found.iter().map(kubectl_name).collect();
            names.join("\n")
        }
        // Who asks for more columns has room for them, or a file.
        (Listing::Wide, found) => list::text(found, args.columns(), None, now),
        (_, [one]) if args.name.is_some() => wrapped_lines(&fleet::text(one, now), output::width()),
        (_, found) => list::text(found, args.columns(), output::width(), now),
    }
}

/// For programs.
fn document(args: &StatusArgs, found: &[KafkaConsumer]) -> Value {
    match found {
        [one] if args.name.is_some() => object(one),
        found => json!({ "items": found.iter().map(object).collect::<Vec<_>>() }),
    }
}

fn kubectl_name(consumer: &KafkaConsumer) -> String {
    format!("kafkaconsumer.drover.dev/{}", consumer.name_any())
}

/// One KafkaConsumer, with everything that its status knows, in several lines.
pub(super) fn one(consumer: &KafkaConsumer, now: jiff::Timestamp) -> String {
    fleet::text(consumer, now)
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
    let said = ready.message.split(NOT_IN_PODS).next().unwrap_or_default();
    let same =
        |other: &&Condition| other.type_ != condition::READY && other.message.starts_with(said);
    ready.type_ == condition::READY && bad.iter().any(same)
}

/// A condition that is not well, with what is not well because of it.
pub(super) struct Told<'a> {
    pub condition: &'a Condition,
    because_of_it: Vec<&'a str>,
}

impl Told<'_> {
    /// What it is, with its status and its reason.
    pub fn head(&self) -> String {
        let Condition {
            type_,
            status,
            reason,
            ..
        } = self.condition;
        format!("{type_} {status} ({reason})")
    }

    /// What it says, and what else is not well for the same cause, by name.
    pub fn says(&self) -> String {
        let message = &self.condition.message;
        match self.because_of_it.join(", ") {
            others if others.is_empty() => message.clone(),
            others => format!("{message}; also not well because of it: {others}"),
        }
    }
}

/// Of all that is not well, each cause once: without Kafka most conditions say nothing else.
pub(super) fn causes<'a>(bad: &[&'a Condition]) -> Vec<Told<'a>> {
    let told = bad.iter().copied();
    let told = told.filter(|condition| !says_again(condition, bad));
    let (follow, told): (Vec<_>, Vec<_>) = told.partition(|condition| follows(condition, bad));
    let told = told.into_iter().map(|condition| Told {
        condition,
        because_of_it: match condition.type_ == condition::KAFKA_REACHABLE {
            true => follow.iter().map(|other| other.type_.as_str()).collect(),
            false => Vec::new(),
        },
    });
    told.collect()
}

/// Whether a condition is what it is since Kafka does not answer, or has not been asked yet, which another of `bad` says.
fn follows(condition: &Condition, bad: &[&Condition]) -> bool {
    let of_kafka = |condition: &&&Condition| condition.type_ == condition::KAFKA_REACHABLE;
    let Some(kafka) = bad.iter().find(of_kafka) else {
        return false;
    };
    // It answers then, and what cannot be read has a cause of its own.
    let answers = ["PartitionsUnread", "TopicMissing"].contains(&kafka.reason.as_str());
    condition.type_ != condition::KAFKA_REACHABLE
        && !answers
        && ["KafkaUnreachable", "NotAskedYet", "NotRead"].contains(&condition.reason.as_str())
}

/// How long a record may wait: where somebody else sets the size, Drover promises nothing.
pub(super) fn promised(consumer: &KafkaConsumer) -> Option<Span> {
    let scaling = &consumer.spec.scaling;
    match scaling.mode {
        ScalingMode::Manual | ScalingMode::External => None,
        ScalingMode::Auto | ScalingMode::Recommend => Some(scaling.max_delay),
    }
}

/// How long the oldest record waits and how long one may, where that is more than was promised.
pub(super) fn late(consumer: &KafkaConsumer) -> Option<(Span, Span)> {
    let promise = promised(consumer)?;
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
