//! `drover skip`: gives one record up, so that what waits for it goes on. Nobody is given it any more,
//! so it asks.
//!
//! Writes an annotation, of which the controller tells the workers; and an event. See `docs/skip.md`.

mod list;
mod look;

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{anyhow, bail, ensure};
use clap::Args;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::cluster::Cluster;
use super::connection::ConnectionArgs;
use super::event::{self, whoami};
use super::leadership::{self, Consequence};
use super::output;
use crate::api::names::ANNOTATION_SKIP;
use crate::api::{KafkaConsumer, Skip, reason_flaw};
use crate::clock;
use crate::k8s::events::Announcement;
use crate::topic::TopicPartition;

/// Who wrote it, in the resource's managed fields.
const FIELD_MANAGER: &str = "drover-cli";
/// Whoever writes to the KafkaConsumer in between makes it begin anew; status does, now and then.
const ATTEMPTS: usize = 20;

/// Arguments of `drover skip`.
#[derive(Args, Clone, Debug)]
pub struct SkipArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The record's topic; default is the KafkaConsumer's only one
    #[arg(long)]
    topic: Option<String>,
    /// Its partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: i32,
    /// Its offset
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    offset: i64,
    /// Why it may be given up, for whoever asks later
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// For clap.
fn reason(text: &str) -> Result<String, String> {
    match reason_flaw(text) {
        Some(flaw) => Err(flaw),
        None => Ok(text.trim().to_owned()),
    }
}

/// Gives a record up.
///
/// # Errors
/// In one line with its remedy; nothing is changed then.
pub async fn run(args: SkipArgs) -> anyhow::Result<ExitCode> {
    let Some(name) = args.connection.name.as_deref() else {
        bail!("no KafkaConsumer is named; its workers are told to skip the record: name it");
    };
    ensure!(
        args.connection.file.is_none(),
        "-f names a file, which no worker reads; name a KafkaConsumer of the cluster"
    );
    let cluster = Cluster::connect(&args.connection.cluster).await?;
    let consumer = cluster.consumer(name).await?;
    ensure!(
        consumer.spec.handler.consumer.is_none(),
        "KafkaConsumer {name} runs a program that consumes and commits by itself (spec.handler.consumer): Drover cannot pass a record over for it; let that program do it, or pause the fleet and set the group's offset (drover reset)"
    );
    let partition = TopicPartition::new(topic(&args, &consumer)?, args.partition);
    let entries = list::written(&consumer)?;
    let security = args.connection.secrets(&cluster, &consumer).await?;
    let connection = args.connection.of(Some(consumer.clone()), security)?;
    let connection = connection.said_where();
    let here = args.connection.cluster.here();
    let lag = format!("drover lag {name}{here}");
    let found = look::look(
        &connection,
        &consumer,
        &partition,
        args.offset,
        &entries,
        &lag,
    )
    .await?;
    let skip = Skip {
        topic: partition.topic.to_string(),
        partition: args.partition,
        offset: args.offset,
        timestamp: found.timestamp,
        reason: args.reason.clone(),
        at: Some(clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        by: whoami(&cluster).await,
    };
    if let Some(before) = list::find(&entries, &skip) {
        output::print(&format!("{}\n", list::already(before)))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes {
        confirm(name, &skip)?;
    }
    write(&cluster, name, &skip, &found.done).await?;
    let waits = if consumer.spec.paused {
        "once it is resumed"
    } else {
        "new pods come up for it, the old ones finish what they hold and go, and then the record is passed over"
    };
    output::print(&format!(
        "{name} skips {partition} offset {}: {waits}; see drover status {name}{here}\n",
        args.offset
    ))?;
    let fleets = std::slice::from_ref(&consumer);
    let vacancy = leadership::vacancy(&cluster, Consequence::NothingActs, fleets, clock::now());
    if let Some(vacancy) = vacancy.await {
        leadership::say(&vacancy);
    }
    if let Err(error) = tell(&cluster, &consumer, &skip).await {
        // The annotation has it all; whoever may not write events may still skip.
        eprintln!(
            "drover: the record is skipped, and no event could be written of it: {error:#}; let your role create events in events.k8s.io"
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn topic(args: &SkipArgs, consumer: &KafkaConsumer) -> anyhow::Result<String> {
    let name = consumer.name_any();
    let topics = consumer.spec.consumed_topics();
    let list = || topics.join(", ");
    match (&args.topic, topics.as_slice()) {
        (Some(topic), _) if topics.contains(topic) => Ok(topic.clone()),
        (Some(topic), _) => {
            bail!(
                "KafkaConsumer {name} does not consume topic {topic}; its topics are: {}",
                list()
            )
        }
        (None, [only]) => Ok(only.clone()),
        (None, _) => bail!(
            "KafkaConsumer {name} has several topics: {}; say which with --topic",
            list()
        ),
    }
}

fn confirm(name: &str, skip: &Skip) -> anyhow::Result<()> {
    ensure!(
        io::stdin().is_terminal(),
        "there is no terminal to ask on; add --yes to skip the record"
    );
    let mut err = io::stderr().lock();
    let written = jiff::Timestamp::from_millisecond(skip.timestamp)
        .map_or_else(|_| skip.timestamp.to_string(), |time| time.to_string());
    writeln!(
        err,
        "{}[{}] offset {}, written {written}: no handler of {name} is given it any more, and no dead letter is made of it.",
        skip.topic, skip.partition, skip.offset
    )?;
    write!(err, "Write the offset to go on: ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() != skip.offset.to_string() {
        bail!("nothing was skipped");
    }
    Ok(())
}

/// Adds the record to the annotation, whatever others write at the same time.
async fn write(
    cluster: &Cluster,
    name: &str,
    skip: &Skip,
    done: &[(TopicPartition, i64)],
) -> anyhow::Result<()> {
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let api = cluster.consumers_of(&cluster.namespace);
    for _ in 0..ATTEMPTS {
        let consumer = cluster.consumer(name).await?;
        let entries = list::with(list::written(&consumer)?, skip.clone(), done)?;
        let patch = Patch::Merge(json!({ "metadata": {
            "resourceVersion": consumer.resource_version(),
            "annotations": { ANNOTATION_SKIP: Skip::write(&entries) },
        }}));
        match api.patch(name, &params, &patch).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(answer)) if answer.code == 409 => {}
            Err(kube::Error::Api(answer)) if answer.code == 404 => {
                return Err(cluster.not_found(name));
            }
            Err(error) => return Err(cluster.unanswered(error)),
        }
    }
    Err(anyhow!(
        "somebody else changes KafkaConsumer {name} all the time; nothing was skipped, try again"
    ))
}

async fn tell(cluster: &Cluster, consumer: &KafkaConsumer, skip: &Skip) -> anyhow::Result<()> {
    let Skip {
        topic,
        partition,
        offset,
        reason,
        ..
    } = skip;
    let by = skip.by.as_deref().unwrap_or("somebody");
    let announcement = Announcement {
        warning: false,
        reason: "RecordSkipped".to_owned(),
        // The API allows 128 characters, and a topic's name may have 249.
        action: format!("Skip{offset}Of{partition}"),
        note: format!("{by} skips {topic}[{partition}] offset {offset}: {reason}"),
    };
    event::tell(cluster, consumer, announcement).await
}
