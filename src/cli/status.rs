//! `drover status`: what the resources' statuses say, for people or as JSON.
//!
//! Reads only; all it shows was written by the controller.

mod columns;
mod fleet;
mod list;

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};

use super::output;
use crate::api::{KafkaConsumer, names::condition};
use crate::clock;

/// Arguments of `drover status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// One KafkaConsumer, with everything that is known of it; without it, all in a table
    pub name: Option<String>,
    /// The namespace; default is the context's
    #[arg(long, short)]
    pub namespace: Option<String>,
    /// All namespaces
    #[arg(long, short = 'A', conflicts_with_all = ["name", "namespace"])]
    pub all_namespaces: bool,
    /// The context of the kubeconfig; default is its current one
    #[arg(long)]
    pub context: Option<String>,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// How the status is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Prints the status of one KafkaConsumer or of many.
///
/// # Errors
/// If no kubeconfig is found, the API server does not answer, the resource is not installed, or
/// NAME does not exist; in one line with the remedy.
pub async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let config = config(args.context.clone()).await?;
    let server = config.cluster_url.to_string();
    let namespace = args
        .namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).context("the kubeconfig's credentials cannot be used")?;
    let api: Api<KafkaConsumer> = if args.all_namespaces {
        Api::all(client)
    } else {
        Api::namespaced(client, &namespace)
    };
    let text = match &args.name {
        Some(name) => {
            let found = api
                .get_opt(name)
                .await
                .map_err(|error| unanswered(error, &server))?
                .ok_or_else(|| not_found(name, &namespace))?;
            match args.output {
                Output::Json => pretty(&object(&found)),
                Output::Table => fleet::text(&found, clock::now()),
            }
        }
        None => {
            let found = api
                .list(&ListParams::default())
                .await
                .map_err(|error| unanswered(error, &server))?
                .items;
            match args.output {
                Output::Json => pretty(&json!({
                    "items": found.iter().map(object).collect::<Vec<_>>()
                })),
                Output::Table if found.is_empty() => none_found(&args, &namespace),
                Output::Table => list::text(&found, args.all_namespaces),
            }
        }
    };
    output::print(&format!("{}\n", text.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}

async fn config(context: Option<String>) -> anyhow::Result<Config> {
    let missing = "no cluster to ask; set KUBECONFIG, or write ~/.kube/config";
    if context.is_none() {
        return Config::infer().await.context(missing);
    }
    let kubeconfig = Kubeconfig::read().context(missing)?;
    let names: Vec<&str> = kubeconfig
        .contexts
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    let known = names.join(", ");
    let options = KubeConfigOptions {
        context: context.clone(),
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .with_context(|| {
            format!(
                "context {} of the kubeconfig; it has: {known}",
                context.unwrap_or_default()
            )
        })
}

fn unanswered(error: kube::Error, server: &str) -> anyhow::Error {
    match &error {
        kube::Error::Api(answer) if answer.code == 404 => anyhow!(
            "{server} does not know KafkaConsumers; install them: drover crd | kubectl apply --server-side -f -"
        ),
        kube::Error::Api(answer) if answer.code == 401 || answer.code == 403 => {
            anyhow!(
                "{server} refuses: {}; use credentials that may read kafkaconsumers.drover.dev",
                answer.message
            )
        }
        kube::Error::Api(answer) => anyhow!("{server} answered: {}", answer.message),
        _ => anyhow::Error::new(error).context(format!(
            "{server} does not answer; check the kubeconfig and --context"
        )),
    }
}

fn not_found(name: &str, namespace: &str) -> anyhow::Error {
    anyhow!(
        "no KafkaConsumer {name} in namespace {namespace}; see `drover status -A`, or name the namespace with -n"
    )
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

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a JSON value can be written")
}

/// Whether `status` is good news in a condition of type `kind`.
fn is_well(kind: &str, status: &str) -> bool {
    let wanted = match kind {
        condition::SCALING_LIMITED | condition::STALLED | condition::PAUSED => "False",
        _ => "True",
    };
    status == wanted
}
