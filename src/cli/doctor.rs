//! `drover doctor`: walks from the API server to the handler and says what is wrong first.
//!
//! Reads only. What is further down the chain is looked at even if something before it is wrong, so
//! that one run tells all; what cannot be found out is said to be unknown, not to be well.

mod beside;
mod chain;
mod handler;
mod installed;
mod kafka;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::bootstrap::{self, Bootstrap, BootstrapParser};
use super::cluster::{Cluster, ClusterArgs};
use super::connection::ConnectionArgs;
use super::fleets::FleetsArgs;
use super::format::Format;
use super::progress::{self, Progress};
use super::{leadership, output};
use crate::api::Span;
use crate::clock;
use chain::{Chain, Finding};

/// Arguments of `drover doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// One KafkaConsumer, and its Kafka as it is seen from here; without it, all of the namespace
    #[arg(conflicts_with_all = ["selector", "all_namespaces"])]
    name: Option<String>,
    #[command(flatten)]
    fleets: FleetsArgs,
    /// The namespace that the controller runs in; default is to look everywhere
    #[arg(long, value_name = "NAMESPACE")]
    controller_namespace: Option<String>,
    /// Brokers to ask instead of the KafkaConsumer's, where those cannot be reached from here
    #[arg(
        long,
        alias = "bootstrap-servers",
        env = bootstrap::VARIABLE,
        value_name = "HOST:PORT",
        value_parser = BootstrapParser
    )]
    bootstrap: Option<Bootstrap>,
    /// A property for librdkafka, such as security.protocol=SSL; can be given several times
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = super::connection::pair)]
    properties: Vec<(String, String)>,
    /// How long to wait for the brokers
    #[arg(long, value_name = "TIME", default_value = "10s")]
    timeout: Span,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Looks at everything; ends with 1 if something is wrong.
///
/// # Errors
/// If the kubeconfig cannot be used.
pub async fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.cluster).await?;
    let everywhere = args.fleets.all_namespaces;
    let mut chain = Chain::new(everywhere);
    let rights_in = (!everywhere).then_some(cluster.namespace.as_str());
    let controller_in = args.controller_namespace.as_deref();
    let shown = io::stderr().is_terminal();
    let mut line = Progress::new(shown, None);
    let mut looks_at = |what: &str| line.say(&format!("looking at {what}"), Duration::ZERO);
    looks_at("the cluster");
    let goes_on = installed::look(&cluster, rights_in, controller_in, &mut chain).await;
    if goes_on {
        looks_at("KafkaConsumers");
        let consumers = match &args.name {
            Some(name) => cluster.consumer(name).await.map(|found| vec![found]),
            None => args.fleets.list(&cluster).await,
        };
        match consumers {
            Err(error) => chain.wrong("KafkaConsumers", &format!("{error:#}")),
            Ok(consumers) => {
                if consumers.is_empty() {
                    let none = args.fleets.none_found(&cluster.namespace);
                    chain.well("KafkaConsumers", &none);
                }
                let neglect =
                    leadership::neglect(&cluster, controller_in, &consumers, clock::now());
                if let Some(neglect) = neglect.await {
                    chain.wrong("controller", &neglect);
                }
                let beside = match consumers.is_empty() {
                    true => None,
                    false => Some(beside::look(&cluster, everywhere, &mut chain).await),
                };
                for consumer in &consumers {
                    // Of two who size one Deployment comes what its conditions say.
                    if let Some(beside) = &beside {
                        beside.sizers(consumer, &mut chain);
                    }
                    chain.conditions(consumer);
                    if let Some(beside) = &beside {
                        beside.budgets(consumer, &mut chain);
                    }
                }
                if let (Some(_), Some(consumer)) = (&args.name, consumers.first()) {
                    let connection = ConnectionArgs {
                        name: None,
                        file: None,
                        bootstrap: args.bootstrap.clone(),
                        properties: args.properties.clone(),
                        timeout: args.timeout,
                        cluster: args.cluster.clone(),
                    };
                    match connection.secrets(&cluster, consumer).await {
                        Ok(security) => {
                            let connection = connection.of(Some(consumer.clone()), security)?;
                            drop(progress::aside());
                            let connection = connection.said_where();
                            looks_at("Kafka");
                            kafka::look(&connection, consumer, &mut chain).await;
                        }
                        Err(error) => chain.wrong("credentials for Kafka", &format!("{error:#}")),
                    }
                    looks_at("the handler");
                    handler::look(&cluster, consumer, &mut chain).await;
                }
            }
        }
    }
    let first = chain.first_wrong();
    args.output.print(
        || {
            json!({
                "well": first.is_none(),
                "first": first.map(Finding::value),
                "findings": chain.findings.iter().map(Finding::value).collect::<Vec<_>>(),
            })
        },
        || chain.text(output::width()),
    )?;
    Ok(ExitCode::from(u8::from(first.is_some())))
}
