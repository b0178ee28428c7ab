//! `drover explain`: why a fleet has the size that it has, and when that may change.
//!
//! Reads the status and the events that the controller wrote; decides nothing by itself.

mod words;

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::cluster::{Cluster, ClusterArgs};
use super::fit::wrapped_lines;
use super::fleets::{self, Answer, FleetsArgs};
use super::format::Format;
use super::leadership::{self, Consequence};
use super::output;
use crate::api::KafkaConsumer;
use crate::clock;
use words::Change;

/// Changes of size that are shown at most.
const CHANGES: usize = 10;
/// The reason of their events.
const SCALED: &str = "Scaled";

/// Arguments of `drover explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// The KafkaConsumer; without it, all of the namespace
    #[arg(conflicts_with_all = ["selector", "all_namespaces"])]
    name: Option<String>,
    #[command(flatten)]
    fleets: FleetsArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Prints the last decisions about a fleet's size, or about those of many.
///
/// # Errors
/// In one line with its remedy.
pub async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.cluster).await?;
    let Some(name) = &args.name else {
        return of_many(&args, &cluster).await;
    };
    let consumer = cluster.consumer(name).await?;
    let scaled = events(&cluster, false, Some(&consumer.name_any())).await;
    let scaled = scaled.as_deref();
    let changes = scaled.map(|scaled| changes(scaled, consumer.uid().as_deref()));
    let changes = changes.as_deref();
    let now = clock::now();
    if args.output == Format::Table {
        say_vacancy(&cluster, std::slice::from_ref(&consumer), now).await;
    }
    args.output.print(
        || value(&consumer, changes, now),
        || wrapped_lines(&words::text(&consumer, changes, now), output::width()),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Of all that are asked for, each in its place.
async fn of_many(args: &ExplainArgs, cluster: &Cluster) -> anyhow::Result<ExitCode> {
    let found = args.fleets.readables(cluster).await?;
    // Once for all of them.
    let scaled = match found.as_slice() {
        [] => None,
        _ => events(cluster, args.fleets.all_namespaces, None).await,
    };
    let now = clock::now();
    if args.output == Format::Table && !found.is_empty() {
        let consumers = found.iter().map(|readable| readable.consumer.clone());
        say_vacancy(cluster, &consumers.collect::<Vec<_>>(), now).await;
    }
    let none_found = args.fleets.none_found(&cluster.namespace);
    fleets::tell(args.output, &none_found, found, async |consumer| {
        let scaled = scaled.as_deref();
        let changes = scaled.map(|scaled| changes(scaled, consumer.uid().as_deref()));
        Ok(Answer {
            value: value(&consumer, changes.as_deref(), now),
            text: words::told(&consumer, changes.as_deref(), now),
        })
    })
    .await
}

/// Where nobody writes any more what is shown here.
async fn say_vacancy(cluster: &Cluster, fleets: &[KafkaConsumer], now: Timestamp) {
    let vacancy = leadership::vacancy(cluster, Consequence::MayBeOld, fleets, now);
    if let Some(vacancy) = vacancy.await {
        leadership::say(&vacancy);
    }
}

fn value(consumer: &KafkaConsumer, changes: Option<&[Change]>, now: Timestamp) -> Value {
    let status = consumer.status.clone().unwrap_or_default();
    json!({
        "name": consumer.name_any(),
        "namespace": consumer.namespace().unwrap_or_default(),
        "scaling": status.scaling,
        "lag": status.lag,
        "delay": status.delay,
        "partitions": status.partitions,
        "spec": consumer.spec.scaling,
        "paused": consumer.spec.paused,
        "next": words::next(consumer, now),
        "conditions": status.conditions,
        "changes": changes.map(|changes| changes.iter().map(Change::value).collect::<Vec<_>>()),
    })
}

/// The events of changes of size, of one or of all; none where they may not be read: whoever may not still gets what
/// the status says.
async fn events(cluster: &Cluster, everywhere: bool, name: Option<&str>) -> Option<Vec<Event>> {
    let api: Api<Event> = match everywhere {
        true => Api::all(cluster.client.clone()),
        false => Api::namespaced(cluster.client.clone(), &cluster.namespace),
    };
    let mut fields = format!("involvedObject.kind=KafkaConsumer,reason={SCALED}");
    if let Some(name) = name {
        fields.push_str(&format!(",involvedObject.name={name}"));
    }
    let listed = api.list(&ListParams::default().fields(&fields)).await;
    Some(listed.ok()?.items)
}

/// The newest changes of size first. Events of one that had the same name before are none.
fn changes(scaled: &[Event], uid: Option<&str>) -> Vec<Change> {
    let ours = scaled
        .iter()
        .filter(|event| event.involved_object.uid.as_deref() == uid);
    let mut changes: Vec<Change> = ours
        .filter_map(|event| {
            let series = event
                .series
                .as_ref()
                .and_then(|series| series.last_observed_time.as_ref());
            let at = series.or(event.event_time.as_ref()).map(|time| time.0);
            let at = at.or(event.last_timestamp.as_ref().map(|time| time.0))?;
            Some(Change {
                at,
                note: event.message.clone().unwrap_or_default(),
            })
        })
        .collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.at));
    changes.truncate(CHANGES);
    changes
}
