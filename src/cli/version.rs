//! `drover version`: of this program, of the controllers, and of the workers of all fleets.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PodSpec;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::cluster::{Cluster, ClusterArgs};
use super::columns::aligned;
use super::format::Format;
use crate::api::names::{APP_NAME, MANAGED_BY, PROGRAM_CONTAINER, WORKER_CONTAINER};
use crate::plural::noun;

/// Arguments of `drover version`.
#[derive(Args, Clone, Debug)]
pub struct VersionArgs {
    /// Of this program only; no cluster is asked
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Images, and in how many Deployments; or why that is not known.
type Images = Result<BTreeMap<String, usize>, String>;

/// Prints versions. What the cluster does not tell is said, and no error.
///
/// # Errors
/// If the kubeconfig cannot be used.
pub async fn run(args: VersionArgs) -> anyhow::Result<ExitCode> {
    let client = env!("CARGO_PKG_VERSION");
    if args.client {
        args.output.print(
            || json!({ "client": client }),
            || format!("client  {client}"),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let cluster = Cluster::connect(&args.cluster).await?;
    let controllers = images(
        &cluster,
        "app.kubernetes.io/name=drover-controller",
        first_image,
    )
    .await;
    let ours =
        format!("app.kubernetes.io/name={APP_NAME},app.kubernetes.io/managed-by={MANAGED_BY}");
    let workers = images(&cluster, &ours, worker_image).await;
    args.output.print(
        || json!({ "client": client, "controllers": value(&controllers), "workers": value(&workers) }),
        || {
            let mut rows = vec![vec!["client".to_owned(), client.to_owned(), String::new()]];
            rows.extend(lines("controller", &controllers));
            rows.extend(lines("workers", &workers));
            aligned(&rows, "")
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

async fn images(
    cluster: &Cluster,
    labels: &str,
    image: impl Fn(PodSpec) -> Option<String>,
) -> Images {
    let params = ListParams::default().labels(labels);
    let everywhere: Api<Deployment> = Api::all(cluster.client.clone());
    let listed = match everywhere.list(&params).await {
        // Who may not look everywhere may still look here.
        Err(kube::Error::Api(answer)) if answer.code == 403 => {
            let here: Api<Deployment> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
            here.list(&params).await
        }
        listed => listed,
    };
    let listed = listed
        .map_err(|error| format!("{:#}", cluster.unanswered_of("deployments.apps", error)))?;
    let mut images = BTreeMap::new();
    for deployment in listed.items {
        let pod = deployment.spec.template.spec.unwrap_or_default();
        if let Some(image) = image(pod) {
            *images.entry(image).or_default() += 1;
        }
    }
    Ok(images)
}

fn first_image(pod: PodSpec) -> Option<String> {
    pod.containers.into_iter().next()?.image
}

/// The worker's own. With `handler.exec` its container has the user's image, and another one brings the worker into it.
fn worker_image(pod: PodSpec) -> Option<String> {
    let before = pod.init_containers.into_iter().flatten();
    let mut program = before.filter(|it| it.name == PROGRAM_CONTAINER);
    let mut worker = pod.containers.into_iter();
    let worker = || worker.find(|it| it.name == WORKER_CONTAINER);
    program.next().or_else(worker)?.image
}

fn value(images: &Images) -> Value {
    match images {
        Ok(images) => json!(images),
        Err(why) => json!({ "error": why }),
    }
}

fn lines(name: &str, images: &Images) -> Vec<Vec<String>> {
    let line = |image: String, count: String| vec![name.to_owned(), image, count];
    match images {
        Ok(images) if images.is_empty() => vec![line("none".to_owned(), String::new())],
        Ok(images) => {
            let each = images.iter();
            each.map(|(image, count)| line(image.clone(), in_deployments(*count)))
                .collect()
        }
        Err(why) => vec![line(format!("not known: {why}"), String::new())],
    }
}

fn in_deployments(count: usize) -> String {
    format!("in {count} {}", noun("Deployment", count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_of_what_an_image_is_in_so_many() {
        let images = [("worker:1".to_owned(), 24), ("worker:2".to_owned(), 1)];
        let lines = lines("workers", &Ok(images.into()));
        let counts: Vec<&str> = lines.iter().map(|line| line[2].as_str()).collect();
        assert_eq!(counts, ["in 24 Deployments", "in 1 Deployment"]);
    }
}
