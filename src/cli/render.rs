//! `drover render`: the children that the controller would apply for a KafkaConsumer in a file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{anyhow, bail, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::output;
use super::validate::{listed, read};
use crate::api::KafkaConsumer;
use crate::fleet::{References, check_document, validate};
use crate::resources::{self, Desired, Settings};
use crate::yaml;

/// Arguments of `drover render`.
#[derive(Args, Clone, Debug)]
pub struct RenderArgs {
    /// A file of YAML or JSON with one or more KafkaConsumers; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The image with drover-worker, as the controller is told it
    #[arg(
        long,
        env = "DROVER_WORKER_IMAGE",
        default_value = concat!("drover.local/drover-worker:", env!("CARGO_PKG_VERSION"))
    )]
    worker_image: String,
}

/// Writes the children as YAML documents.
pub(super) fn run(args: &RenderArgs) -> anyhow::Result<ExitCode> {
    let file = args.file.display();
    let settings = Settings {
        worker_image: args.worker_image.clone(),
        image_pull_policy: None,
        user_by_platform: false,
    };
    let mut text = String::new();
    for document in yaml::documents(&read(&args.file)?) {
        let line = document.line;
        let value = document.value.map_err(|error| {
            anyhow!("{file}:{line}: the document cannot be read: {error}; correct its YAML")
        })?;
        let one = std::slice::from_ref(&value);
        for value in listed(&value).map_or(one, Vec::as_slice) {
            if value["kind"] != "KafkaConsumer" {
                continue;
            }
            let desired = desired(value, &settings).map_err(|why| {
                anyhow!("{file}:{line}: {why}; see all with drover validate {file}")
            })?;
            text.push_str(&children(&desired)?);
        }
    }
    ensure!(
        !text.is_empty(),
        "there is no KafkaConsumer in {file}; write one, or name another file"
    );
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn desired(document: &Value, settings: &Settings) -> anyhow::Result<Desired> {
    if let Some(problem) = check_document(document).into_iter().next() {
        bail!("{}", problem.message);
    }
    let consumer: KafkaConsumer = serde_json::from_value(document.clone())?;
    // What only a cluster knows is not known here: the hashes in the pod template differ for it.
    let fleet = validate(&consumer, &References::default());
    let fleet = fleet.map_err(|problems| {
        let first = problems.into_iter().next();
        anyhow!(first.map_or_else(String::new, |problem| problem.message))
    })?;
    Ok(resources::build(&fleet, settings))
}

fn children(desired: &Desired) -> anyhow::Result<String> {
    let account = desired.service_account.as_ref().map(document).transpose()?;
    let mut text = account.unwrap_or_default();
    text += &document(&desired.pod_disruption_budget)?;
    text += &document(&desired.deployment)?;
    Ok(text)
}

fn document<T: Serialize>(object: &T) -> anyhow::Result<String> {
    let body = yaml::to_string(object).map_err(|error| anyhow!(error))?;
    Ok(format!("---\n{}\n", body.trim_end()))
}
