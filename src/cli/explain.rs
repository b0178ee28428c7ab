//! `drover explain`: why a fleet has the size that it has, and when that may change.
//!
//! Reads the status and the events that the controller wrote; decides nothing by itself.

mod words;

use std::process::ExitCode;

use clap::Args;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::cluster::{Cluster, ClusterArgs};
use super::format::Format;
use crate::clock;
use words::Change;

/// Changes of size that are shown at most.
const CHANGES: usize = 10;

/// Arguments of `drover explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// The KafkaConsumer
    pub name: String,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Prints the last decisions about a fleet's size.
///
/// # Errors
/// In one line with its remedy.
pub async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.cluster).await?;
    let consumer = cluster.consumer(&args.name).await?;
    let namespace = consumer.namespace().unwrap_or_default();
    let events: Api<Event> = Api::namespaced(cluster.client.clone(), &namespace);
    let fields = format!(
        "involvedObject.kind=KafkaConsumer,involvedObject.name={}",
        consumer.name_any()
    );
    let listed = events.list(&ListParams::default().fields(&fields)).await;
    // Whoever may not read events still gets what the status says.
    let changes = listed
        .ok()
        .map(|listed| changes(listed.items, consumer.uid().as_deref()));
    let now = clock::now();
    args.output.print(
        || {
            let status = consumer.status.clone().unwrap_or_default();
            json!({
                "name": consumer.name_any(),
                "namespace": namespace,
                "scaling": status.scaling,
                "lag": status.lag,
                "delay": status.delay,
                "partitions": status.partitions,
                "spec": consumer.spec.scaling,
                "paused": consumer.spec.paused,
                "next": words::next(&consumer),
                "conditions": status.conditions,
                "changes": changes.as_ref().map(|changes| changes.iter().map(Change::value).collect::<Vec<_>>()),
            })
        },
        || words::text(&consumer, changes.as_deref(), now),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The newest changes of size first. Events of one that had the same name before are none.
fn changes(events: Vec<Event>, uid: Option<&str>) -> Vec<Change> {
    let scaled = events.into_iter().filter(|event| {
        event.reason.as_deref() == Some("Scaled") && event.involved_object.uid.as_deref() == uid
    });
    let mut changes: Vec<Change> = scaled
        .filter_map(|event| {
            let series = event
                .series
                .as_ref()
                .and_then(|series| series.last_observed_time.as_ref());
            let at = series.or(event.event_time.as_ref()).map(|time| time.0);
            let at = at.or(event.last_timestamp.as_ref().map(|time| time.0))?;
            Some(Change {
                at,
                note: event.message.unwrap_or_default(),
            })
        })
        .collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.at));
    changes.truncate(CHANGES);
    changes
}
