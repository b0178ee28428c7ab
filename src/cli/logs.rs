//! `drover logs`: what all workers of a fleet log, line by line, each with its pod's name.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use clap::Args;
use futures::{AsyncBufReadExt as _, Stream, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::cluster::{Cluster, ClusterArgs};
use super::output;
use crate::api::Span;
use crate::api::names::WORKER_CONTAINER;
use crate::resources::selector_text;

/// From look to look for pods that are new, with --follow.
const LOOK_FOR_PODS: Duration = Duration::from_secs(2);

/// Arguments of `drover logs`.
#[derive(Args, Clone, Debug)]
pub struct LogsArgs {
    /// The KafkaConsumer
    name: String,
    /// Go on with what is logged from now on, also by pods that come later
    #[arg(long, short)]
    follow: bool,
    /// Begin with so many lines of each pod
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    tail: Option<i64>,
    /// Begin with what is not older
    #[arg(long, value_name = "TIME")]
    since: Option<Span>,
    /// Of this container; default is the worker, or the consumer of your own
    #[arg(long, short)]
    container: Option<String>,
    /// Of the containers that ran before the last restart
    #[arg(long, short, conflicts_with = "follow")]
    previous: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Prints the logs. A pod whose log cannot be read is named, and does not hide the others.
///
/// # Errors
/// In one line with its remedy.
pub async fn run(args: LogsArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.cluster).await?;
    let consumer = cluster.consumer(&args.name).await?;
    let fleet = consumer.name_any();
    let own = consumer.spec.handler.consumer.as_ref();
    let container = match (args.container.clone(), own) {
        (Some(named), _) => Some(named),
        (None, None) => Some(WORKER_CONTAINER.to_owned()),
        (None, Some(own)) => own.container.clone(),
    };
    let params = LogParams {
        container,
        follow: args.follow,
        previous: args.previous,
        tail_lines: args.tail,
        since_seconds: args
            .since
            .map(|since| i64::try_from(since.0.as_secs()).unwrap_or(i64::MAX)),
        ..LogParams::default()
    };
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let ours = ListParams::default().labels(&selector_text(&fleet));
    let here = args.cluster.here();
    let mut known = BTreeSet::new();
    let mut reading = JoinSet::new();
    let mut failed = false;
    let mut unread = std::pin::pin!(output::unread());
    loop {
        let listed = pods.list(&ours).await.map_err(|error| match error {
            kube::Error::Api(answer) if answer.code == 403 => anyhow!(
                "{} refuses: {}; use credentials that may list pods and get pods/log",
                cluster.server,
                answer.message
            ),
            error => cluster.unanswered(error),
        })?;
        ensure!(
            args.follow || !listed.items.is_empty(),
            "{fleet} has no pods; see drover status {fleet}{here}"
        );
        for pod in listed.items {
            let name = pod.name_any();
            if !begun(&pod) {
                // With --follow it may come yet.
                if !args.follow {
                    eprintln!(
                        "drover: pod {name} has no log yet, since it waits: {}; see drover status {fleet}{here}",
                        waits(&pod)
                    );
                }
                continue;
            }
            if known.insert(name.clone()) {
                let params = LogParams {
                    container: params.container.clone().or_else(|| first_container(&pod)),
                    ..params.clone()
                };
                reading.spawn(read(pods.clone(), name, params));
            }
        }
        if !args.follow {
            break;
        }
        tokio::select! {
            () = sleep(LOOK_FOR_PODS) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
            () = &mut unread => return Ok(ExitCode::SUCCESS),
            Some(ended) = reading.join_next() => {
                let Some(name) = said(ended?, &mut failed)? else {
                    return Ok(ExitCode::SUCCESS);
                };
                // It ended with its container, which may come back.
                known.remove(&name);
                sleep(LOOK_FOR_PODS).await;
            }
        }
    }
    while let Some(ended) = reading.join_next().await {
        if said(ended?, &mut failed)?.is_none() {
            break;
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// A consumer of the user's own where none is named; the API server takes none for granted where there are several.
fn first_container(pod: &Pod) -> Option<String> {
    let containers = &pod.spec.as_ref()?.containers;
    containers.first().map(|container| container.name.clone())
}

/// Before, there is no log to ask for.
fn begun(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase.is_none_or(|phase| phase != "Pending")
}

/// What a pod that has not begun waits for, as its containers say, else its conditions.
fn waits(pod: &Pod) -> String {
    let Some(status) = &pod.status else {
        return "it has no status".to_owned();
    };
    let init = status.init_container_statuses.iter().flatten();
    let containers = init.chain(status.container_statuses.iter().flatten());
    let waiting: Vec<_> = containers
        .filter_map(|container| {
            let waiting = container.state.as_ref()?.waiting.as_ref()?;
            Some((&container.name, waiting))
        })
        .collect();
    // Others wait only for one that says why.
    let told = waiting
        .iter()
        .find(|(_, waiting)| waiting.message.is_some());
    if let Some((name, waiting)) = told.or(waiting.first()) {
        let said = [&waiting.reason, &waiting.message].into_iter().flatten();
        let said: Vec<&str> = said.map(String::as_str).collect();
        return format!("container {name}: {}", said.join(": "));
    }
    let mut conditions = status.conditions.iter().flatten();
    let bad = conditions.find(|found| found.status == "False" && found.message.is_some());
    let said = bad.and_then(|found| found.message.clone());
    said.unwrap_or_else(|| "it is not scheduled yet".to_owned())
}

/// How the reading of a pod's log ended.
struct Ended {
    pod: String,
    how: How,
}

enum How {
    /// There is no more of it.
    Read,
    Failed(String),
    /// Nobody reads what we write.
    Unread,
    /// It cannot be written.
    Unwritten(anyhow::Error),
}

async fn read(pods: Api<Pod>, pod: String, params: LogParams) -> Ended {
    let how = match pods.log_stream(&pod, &params).await {
        Ok(stream) => copy(&pod, stream.lines()).await,
        Err(error) => How::Failed(refused(&error)),
    };
    Ended { pod, how }
}

/// Why there is no log; of a refusal with the right that it takes, which is not that to see pods.
fn refused(error: &kube::Error) -> String {
    let remedy = match error {
        kube::Error::Api(answer) if [401, 403].contains(&answer.code) => {
            "; use credentials that may get pods/log"
        }
        _ => "",
    };
    format!("{}{remedy}", crate::k8s::chain(error))
}

async fn copy(pod: &str, lines: impl Stream<Item = std::io::Result<String>>) -> How {
    let mut lines = std::pin::pin!(lines);
    loop {
        match lines.try_next().await {
            Ok(Some(line)) => match output::print_if_read(&format!("{pod} {line}\n")) {
                Ok(true) => {}
                Ok(false) => return How::Unread,
                Err(error) => return How::Unwritten(error),
            },
            Ok(None) => return How::Read,
            Err(error) => return How::Failed(error.to_string()),
        }
    }
}

/// Says what went wrong; gives the pod's name, and none where nobody reads any more.
fn said(Ended { pod, how }: Ended, failed: &mut bool) -> anyhow::Result<Option<String>> {
    match how {
        How::Read => {}
        How::Failed(error) => {
            *failed = true;
            eprintln!("drover: the log of pod {pod} cannot be read: {error}");
        }
        How::Unread => return Ok(None),
        How::Unwritten(error) => return Err(error),
    }
    Ok(Some(pod))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "orders-1" }, "status": status }))
            .unwrap()
    }

    #[test]
    fn a_pod_that_never_began_says_what_it_waits_for() {
        let container = |name: &str, waiting: Value| {
            json!({
                "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "waiting": waiting },
            })
        };
        let image = json!({ "reason": "ErrImageNeverPull", "message": "image is not present" });
        let containers = [
            container("worker", json!({ "reason": "ContainerCreating" })),
            container("app", image),
        ];
        let unschedulable = json!([{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available",
        }]);
        for (status, says) in [
            (
                json!({ "phase": "Pending", "containerStatuses": containers }),
                "container app: ErrImageNeverPull: image is not present",
            ),
            (
                json!({ "phase": "Pending", "containerStatuses": [containers[0]] }),
                "container worker: ContainerCreating",
            ),
            (
                json!({ "phase": "Pending", "conditions": unschedulable }),
                "0/3 nodes are available",
            ),
            (json!({ "phase": "Pending" }), "it is not scheduled yet"),
        ] {
            let pod = pod(status);
            assert!(!begun(&pod));
            assert_eq!(waits(&pod), says);
        }
        assert!(begun(&pod(json!({ "phase": "Running" }))));
    }
}
