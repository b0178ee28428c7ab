//! `drover pause` and `drover resume`: stops fleets and lets them go on, by `spec.paused`.

use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::cluster::{Cluster, ClusterArgs, not_found_in, some_labels};
use super::leadership::{self, Consequence};
use super::output;
use crate::clock;

/// Who wrote it, in the resource's managed fields.
const FIELD_MANAGER: &str = "drover-cli";

/// Arguments of `drover pause` and `drover resume`.
#[derive(Args, Clone, Debug)]
pub struct PauseArgs {
    /// KafkaConsumers
    #[arg(
        value_name = "NAME",
        required_unless_present = "selector",
        conflicts_with = "selector"
    )]
    names: Vec<String>,
    /// All with these labels, such as team=shop
    #[arg(long, short = 'l', value_name = "LABELS", value_parser = some_labels)]
    selector: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Stops fleets, or lets them go on.
///
/// # Errors
/// In one line with its remedy; the fleets before it are changed then, and were told.
pub async fn run(args: PauseArgs, paused: bool) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.cluster).await?;
    let mut readables = Vec::new();
    match &args.selector {
        Some(selector) => {
            readables = cluster.readables(false, Some(selector)).await?;
            ensure!(
                !readables.is_empty(),
                "no KafkaConsumer in namespace {} has the labels {selector}; see kubectl get kc --show-labels",
                cluster.namespace
            );
        }
        // All of them must be there before one is changed.
        None => {
            for name in &args.names {
                readables.push(cluster.readable(name).await?);
            }
        }
    }
    let mut changed = Vec::new();
    for readable in readables {
        let consumer = readable.consumer;
        let name = consumer.name_any();
        let done = match (paused, consumer.spec.paused == paused) {
            (true, true) => "is paused already",
            (false, true) => "is not paused",
            (true, false) => {
                "paused: its pods finish what they hold, commit and go; nothing is lost"
            }
            // What size it should have nobody knows.
            (false, false) if readable.malformed => {
                "is not paused any more, but it cannot be read, and no pod of it starts before that is mended; drover status says what is wrong"
            }
            (false, false) => "resumed: it goes on where it was",
        };
        if consumer.spec.paused != paused {
            set(&cluster, &cluster.namespace, &name, paused).await?;
            changed.push(consumer);
        }
        output::print(&format!("{name} {done}\n"))?;
    }
    if !changed.is_empty() {
        let consequence = Consequence::NothingActs;
        let vacancy = leadership::vacancy(&cluster, consequence, &changed, clock::now());
        if let Some(vacancy) = vacancy.await {
            leadership::say(&vacancy);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets `spec.paused` of one that was there a moment ago.
///
/// # Errors
/// In one line with its remedy.
pub(super) async fn set(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    paused: bool,
) -> anyhow::Result<()> {
    // The answer is not read as a KafkaConsumer: one that is malformed can be paused as well.
    let api = cluster.consumers_of(namespace);
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({ "spec": { "paused": paused } }));
    let patched = api.patch(name, &params, &patch).await;
    patched.map_err(|error| match error {
        kube::Error::Api(answer) if answer.code == 404 => not_found_in(namespace, name),
        error => cluster.unanswered(error),
    })?;
    Ok(())
}
