//! `drover logs`: what all workers of a fleet log, line by line, each with its pod's name.

mod pod;

use std::collections::BTreeMap;
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
use pod::{Found, Run, Wish};

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
    /// Of this container, also one that runs before the others; default is the worker, or the consumer of your own, or where that
    /// has not begun, what keeps it from beginning
    #[arg(long, short)]
    container: Option<String>,
    /// Of the containers that ran before the last restart
    #[arg(long, short, conflicts_with = "follow")]
    previous: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Prints the logs. A pod whose log cannot be read, or that has none, is named, and does not hide the others. Ends with 1
/// where a log could not be read, or there was none at all.
///
/// # Errors
/// In one line with its remedy.
pub async fn run(args: LogsArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.cluster).await?;
    let consumer = cluster.consumer(&args.name).await?;
    let fleet = consumer.name_any();
    let wish = Wish {
        named: args.container.clone(),
        usual: match consumer.spec.handler.consumer.as_ref() {
            None => Some(WORKER_CONTAINER.to_owned()),
            Some(own) => own.container.clone(),
        },
        previous: args.previous,
    };
    let params = LogParams {
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
    let mut known = Known::default();
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
            let found = pod::look(&pod, &wish);
            known.say(&name, &found, &format!("drover status {fleet}{here}"));
            if let Found::Log(run) | Found::Instead(run, _) = found
                && known.begin(&name, &run)
            {
                let params = LogParams {
                    container: run.container,
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
                known.end(&name);
                sleep(LOOK_FOR_PODS).await;
            }
        }
    }
    let none = reading.is_empty();
    while let Some(ended) = reading.join_next().await {
        if said(ended?, &mut failed)?.is_none() {
            break;
        }
    }
    Ok(ExitCode::from(u8::from(failed || none)))
}

/// What is known of pods, by their names.
#[derive(Default)]
struct Known {
    /// What is being read.
    begun: BTreeMap<String, Run>,
    /// What was read to its end.
    ended: BTreeMap<String, Run>,
    /// What was said of one without the log that is wished.
    said: BTreeMap<String, String>,
}

impl Known {
    /// Says, once, that there is no such log.
    fn say(&mut self, pod: &str, found: &Found, status: &str) {
        let (why, rest) = match found {
            Found::Log(_) => return,
            Found::Instead(run, why) => {
                let of = run.container.as_deref().unwrap_or_default();
                (why, format!("this is of container {of}"))
            }
            Found::Nothing(why) => (why, format!("see {status}")),
        };
        if self.said.insert(pod.to_owned(), why.clone()).as_ref() != Some(why) {
            eprintln!("drover: pod {pod} has {why}; {rest}");
        }
    }

    /// Whether this run is to be read now: not twice at a time, nor again when nothing is added to it any more.
    fn begin(&mut self, pod: &str, run: &Run) -> bool {
        let again = |ended: &Run| run.over && run.id.is_some() && ended.id == run.id;
        if self.begun.contains_key(pod) || self.ended.get(pod).is_some_and(again) {
            return false;
        }
        self.begun.insert(pod.to_owned(), run.clone());
        true
    }

    fn end(&mut self, pod: &str) {
        if let Some(run) = self.begun.remove(pod) {
            self.ended.insert(pod.to_owned(), run);
        }
    }
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
    use super::*;

    #[test]
    fn a_run_that_is_over_is_followed_once_and_the_next_one_again() {
        let run = |id: Option<&str>, over| Run {
            container: None,
            id: id.map(str::to_owned),
            over,
        };
        let mut known = Known::default();
        let mut reads = |run: &Run| {
            let begun = known.begin("orders-1", run);
            let twice = known.begin("orders-1", run);
            known.end("orders-1");
            assert!(!twice);
            begun
        };
        assert!(reads(&run(Some("a"), false)));
        assert!(!reads(&run(Some("a"), true)));
        assert!(reads(&run(Some("b"), true)));
        assert!(!reads(&run(Some("b"), true)));
        // Its connection may have been lost.
        assert!(reads(&run(Some("c"), false)));
        assert!(reads(&run(Some("c"), false)));
        // Of what nothing is known.
        assert!(reads(&run(None, false)));
        assert!(reads(&run(None, false)));
    }
}
