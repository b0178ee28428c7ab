//! `drover reset`: sets the offsets at which a group goes on, while nobody is in it. Records are passed over by it, or
//! handled again, so it asks.
//!
//! Writes offsets to Kafka, and an event to the KafkaConsumer; it stops no fleet and starts none. See `docs/outcomes.md`.

mod fleet;
mod plan;
mod step;
mod to;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{anyhow, bail, ensure};
use clap::Args;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::connection::{Connection, ConnectionArgs};
use super::event::{self, whoami};
use super::format::Format;
use super::output;
use crate::clock;
use crate::k8s::events::Announcement;
use crate::kafka::admin::{Admin, Answers, Error};
use crate::plural::part_are;
use fleet::Fleet;
use plan::Wanted;
use step::Step;
use to::To;

/// Arguments of `drover reset`.
#[derive(Args, Clone, Debug)]
pub struct ResetArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Where to go on: earliest, latest, at a time (2h ago, or 2026-11-01T06:00:00Z), or at an offset of a partition
    #[arg(long, value_name = "WHERE")]
    to: To,
    /// A consumer group that is no KafkaConsumer's, of any program, with --bootstrap and --topic; with -f one that reads
    /// the same topics, such as that of drover dev
    #[arg(long)]
    group: Option<String>,
    /// Of this topic only; default are all that the KafkaConsumer consumes
    #[arg(long)]
    topic: Option<String>,
    /// Of this partition only; can be given several times
    #[arg(long = "partition", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partitions: Vec<i32>,
    /// Show what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// How to write what was done
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Sets the offsets of a group, a KafkaConsumer's or another one.
///
/// # Errors
/// In one line with its remedy; nothing is written then.
pub async fn run(args: ResetArgs) -> anyhow::Result<ExitCode> {
    let (fleet, connection) = Fleet::find(&args.connection, args.group.as_deref()).await?;
    let connection = match args.dry_run {
        true => connection.said_where(),
        false => {
            connection.is_meant()?;
            connection
        }
    };
    let wanted = wanted(&args, &fleet)?;
    let admin = connection.admin()?;
    let obstacle = fleet.obstacle(&connection, &admin).await?;
    if let Some(obstacle) = &obstacle
        && !args.dry_run
    {
        bail!("{obstacle}");
    }
    let mut steps = plan::plan(&connection, &admin, &wanted, clock::now()).await?;
    if args.dry_run {
        let before = obstacle.map(|obstacle| format!("Before it can be done: {obstacle}.\n"));
        let text = || {
            let table = step::table(&steps, output::width());
            format!(
                "{table}Nothing was written.\n{}",
                before.unwrap_or_default()
            )
        };
        args.output.print(|| value(&wanted, &steps, false), text)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes {
        confirm(&fleet, &connection, &steps)?;
    }
    // Somebody may have resumed it meanwhile; of pods that have come since Kafka itself knows.
    if let Some(obstacle) = fleet.not_paused().await? {
        bail!("{obstacle}");
    }
    let answers = write(&connection, &admin, &wanted.group, &steps).await;
    let mut answers = answers.map_err(|error| match error {
        Error::GroupBusy => anyhow!("nothing was written: {}", fleet.busy(&[])),
        error => {
            let what = format!("set the offsets of group {}", wanted.group);
            connection.explain(&what, &error)
        }
    })?;
    for step in &mut steps {
        let answer = answers.remove(&step.partition);
        step.error = answer.unwrap_or(Err(Error::Missing)).err();
    }
    tell(&args, &fleet, &wanted, &steps).await?;
    let mut code = ExitCode::SUCCESS;
    for Step {
        partition, error, ..
    } in &steps
    {
        if let Some(error) = error {
            let failed = connection.explain(&format!("set the offset of {partition}"), error);
            eprintln!("{}", output::error_line(&failed));
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// What the arguments mean for this KafkaConsumer.
fn wanted(args: &ResetArgs, fleet: &Fleet) -> anyhow::Result<Wanted> {
    let (name, mut topics) = match &fleet.consumer {
        Some(consumer) => (consumer.name_any(), consumer.spec.consumed_topics()),
        None => (fleet.name.clone(), args.topic.iter().cloned().collect()),
    };
    ensure!(
        !topics.is_empty(),
        "a group alone does not say of which topic; add --topic"
    );
    let list = topics.join(", ");
    if let Some(topic) = &args.topic {
        ensure!(
            topics.contains(topic),
            "KafkaConsumer {name} does not consume topic {topic}; its topics are: {list}"
        );
        topics = vec![topic.clone()];
    }
    if let To::Offset(offset) = args.to {
        ensure!(
            !args.partitions.is_empty(),
            "--to {offset} is an offset of one partition; say which with --partition, or go to a time, such as --to 2h"
        );
    }
    ensure!(
        args.partitions.is_empty() || topics.len() == 1,
        "KafkaConsumer {name} has several topics: {list}; say with --topic of which the partition is"
    );
    Ok(Wanted {
        group: fleet.group.clone(),
        topics,
        partitions: args.partitions.iter().copied().collect::<BTreeSet<_>>(),
        to: args.to,
    })
}

fn confirm(fleet: &Fleet, connection: &Connection, steps: &[Step]) -> anyhow::Result<()> {
    ensure!(
        io::stdin().is_terminal(),
        "there is no terminal to ask on; add --yes to set the offsets, or --dry-run to see what that would do"
    );
    let mut err = io::stderr().lock();
    write!(err, "{}", step::table(steps, output::width()))?;
    write!(
        err,
        "Set the offsets of group {} at {}? Write {} to go on: ",
        fleet.group,
        connection.bootstrap,
        fleet.to_confirm()
    )?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() != fleet.name {
        bail!("nothing was written");
    }
    Ok(())
}

/// Writes the offsets, without what workers said of the old ones.
///
/// # Errors
/// If for the same reason none was written.
async fn write(
    connection: &Connection,
    admin: &Admin,
    group: &str,
    steps: &[Step],
) -> Result<Answers<()>, Error> {
    let offsets = steps
        .iter()
        .map(|step| (step.partition.clone(), (step.to, Vec::new())));
    let offsets: BTreeMap<_, _> = offsets.collect();
    let written = connection.ask(async |timeout| {
        let answers = admin.alter_committed(group, &offsets, timeout).await?;
        all_failed(&answers).map_or(Ok(answers), Err)
    });
    written.await
}

/// Why none of them was done, where that has one reason.
fn all_failed(answers: &Answers<()>) -> Option<Error> {
    let mut errors = answers.values().map(|answer| answer.as_ref().err());
    let first = errors.next()??;
    errors
        .all(|error| error == Some(first))
        .then(|| first.clone())
}

fn value(wanted: &Wanted, steps: &[Step], written: bool) -> Value {
    json!({
        "group": wanted.group,
        "to": wanted.to.to_string(),
        "written": written,
        "partitions": steps.iter().map(Step::value).collect::<Vec<_>>(),
    })
}

/// Says what was done, and leaves an event of it.
async fn tell(
    args: &ResetArgs,
    fleet: &Fleet,
    wanted: &Wanted,
    steps: &[Step],
) -> anyhow::Result<()> {
    let done: Vec<_> = steps.iter().filter(|step| step.error.is_none()).collect();
    let text = || {
        // Whoever was asked has seen it.
        let table = match args.yes {
            true => step::table(steps, output::width()),
            false => String::new(),
        };
        let count = |steps: usize| u64::try_from(steps).unwrap_or(u64::MAX);
        let set = part_are(count(done.len()), count(steps.len()), "partition");
        let (group, go_on) = (&fleet.group, fleet.go_on());
        let rest = match done.len() < steps.len() {
            true => {
                ", and the rest stay where they were: mend what is said of them and do it again, or"
            }
            false => ";",
        };
        format!("{table}{set} set in group {group}{rest} {go_on}\n")
    };
    args.output.print(|| value(wanted, steps, true), text)?;
    let there = fleet.cluster.as_ref().zip(fleet.consumer.as_ref());
    let Some((cluster, consumer)) = there.filter(|_| !done.is_empty()) else {
        return Ok(());
    };
    let by = whoami(cluster).await;
    let by = by.as_deref().unwrap_or("somebody");
    let from = |step: &Step| step.from.map_or("-".to_owned(), |from| from.to_string());
    let moved = done
        .iter()
        .map(|step| format!("{} {} → {}", step.partition, from(step), step.to));
    let announcement = Announcement {
        warning: false,
        reason: "OffsetsReset".to_owned(),
        action: "ResetOffsets".to_owned(),
        note: format!(
            "{by} sets the offsets of group {} to {}: {}",
            wanted.group,
            wanted.to,
            moved.collect::<Vec<_>>().join(", ")
        ),
    };
    if let Err(error) = event::tell(cluster, consumer, announcement).await {
        eprintln!(
            "drover: the offsets are set, and no event could be written of it: {error:#}; let your role create events in events.k8s.io"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TopicPartition;

    #[test]
    fn one_reason_for_all_is_told_once() {
        let of = |answers: &[Result<(), Error>]| {
            let answers = answers.iter().cloned().enumerate();
            let answers = answers
                .map(|(number, answer)| (TopicPartition::new("orders", number as i32), answer));
            all_failed(&answers.collect())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[Ok(()), Err(Error::GroupBusy)]), None);
        assert_eq!(of(&[Err(Error::Moved), Err(Error::GroupBusy)]), None);
        let busy = || Err(Error::GroupBusy);
        assert_eq!(of(&[busy(), busy()]), Some(Error::GroupBusy));
    }
}
