//! `drover dlq purge`: deletes dead letters up to an offset. What is deleted is gone, so it asks.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{anyhow, bail, ensure};
use clap::{ArgGroup, Args};
use serde_json::json;

use super::place::PlaceArgs;
use crate::cli::columns::counted;
use crate::cli::format::Format;
use crate::kafka::admin::Error;
use crate::kafka::delete_records::delete_records;
use crate::plural::noun;
use crate::redrive::filter::Filter;
use crate::redrive::marks::Kind;
use crate::redrive::place::{Log, Noted, Place};
use crate::topic::{Offset, TopicPartition};

/// Arguments of `drover dlq purge`.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("how much").required(true).args(["before", "replayed", "all"]))]
pub struct PurgeArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Of this partition only
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// Delete what lies below this offset of the partition
    #[arg(long, value_name = "OFFSET", requires = "partition", value_parser = clap::value_parser!(i64).range(1..))]
    before: Option<i64>,
    /// Delete what replays without a filter have passed
    #[arg(long)]
    replayed: bool,
    /// Delete all that is there when the command begins
    #[arg(long)]
    all: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// How to write what was done
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(args: PurgeArgs) -> anyhow::Result<ExitCode> {
    let (place, _) = args.place.resolve_to_change().await?;
    let admin = place.reach.admin()?;
    let (log, life) = place.log(&admin).await?;
    let noted = match args.replayed {
        true => Some(place.marks(&admin, &log, &life).await.map_err(|error| {
            let what = format!("read the offsets of group {}", place.group());
            place.reach.explain(&what, &error)
        })?),
        false => None,
    };
    let below = below(&args, &log, noted.as_ref())?;
    let count: i64 = below
        .iter()
        .map(|(number, end)| end - log[number].start)
        .sum();
    if count == 0 {
        let why = why_nothing(&args, &log, noted.as_ref());
        args.output.print(
            || json!({ "topic": place.topic, "deleted": 0, "why": why }),
            || format!("Nothing to delete in {}: {why}.", place.topic),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes {
        confirm(&place, &below, &log)?;
    }
    // Who was asked may have taken his time.
    place.is_still(&admin, &life).await?;
    delete(&place, &below).await?;
    args.output.print(
        || json!({ "topic": place.topic, "deleted": count, "oldest": below }),
        || {
            format!(
                "{} deleted from {}",
                counted(Some(count), "offset"),
                place.topic
            )
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The oldest offset that is to be left, of the partitions in which something goes.
fn below(args: &PurgeArgs, log: &Log, noted: Option<&Noted>) -> anyhow::Result<BTreeMap<i32, i64>> {
    if let Some(only) = args.partition {
        ensure!(
            log.contains_key(&only),
            "--partition {only}: the topic has {} {}, from 0",
            log.len(),
            noun("partition", log.len())
        );
    }
    let mut below = BTreeMap::new();
    for (&number, range) in log {
        if args.partition.is_some_and(|only| only != number) {
            continue;
        }
        let end = match (args.before, noted) {
            (Some(before), _) => before,
            (None, Some(noted)) => passed(noted, number).unwrap_or(range.start),
            (None, None) => range.end,
        };
        ensure!(
            end <= range.end,
            "--before {end} lies behind the end of partition {number}, {}; give that or less",
            range.end
        );
        if end > range.start {
            below.insert(number, end);
        }
    }
    Ok(below)
}

/// Up to where replays without a filter, to where the letters came from, have come. What they left
/// out lies below it too.
fn passed(noted: &Noted, number: i32) -> Option<i64> {
    let whole = Kind {
        filter: Filter::default(),
        max_replays: 1,
        to: None,
        retry_topic: None,
    };
    noted.get(&number)?.as_ref()?.start(&whole)
}

/// Why nothing goes, though it was asked for.
fn why_nothing(args: &PurgeArgs, log: &Log, noted: Option<&Noted>) -> &'static str {
    let meant = |number: &i32| args.partition.is_none_or(|only| only == *number);
    let held = log
        .iter()
        .filter(|(number, range)| meant(number) && !range.is_empty());
    let held: Vec<i32> = held.map(|(&number, _)| number).collect();
    let Some(noted) = noted.filter(|_| !held.is_empty()) else {
        return match args.before.filter(|_| !held.is_empty()) {
            Some(_) => "what lay below the offset is gone already",
            None => "it holds no dead letter",
        };
    };
    let marks = |number: &i32| noted.get(number).and_then(Option::as_ref);
    let some = |is: &dyn Fn(&i32) -> bool| held.iter().any(is);
    let is_partial = |number: &i32| {
        marks(number).is_some_and(|marks| !marks.is_nothing()) && passed(noted, *number).is_none()
    };
    if some(&is_partial) {
        "only replays with a filter, of one of several consumers that have this topic, or to another topic with --to, are noted, and what they left out lies among what they moved; replay the rest without a filter, or name an offset with --partition and --before"
    } else if some(&|number| passed(noted, *number).is_some()) {
        "what replays have passed is gone already"
    } else if some(&|number| marks(number).is_none()) {
        "of what its partitions hold it cannot be read how far replays came; name an offset with --partition and --before"
    } else {
        "no replay has passed anything yet"
    }
}

fn confirm(place: &Place, below: &BTreeMap<i32, i64>, log: &Log) -> anyhow::Result<()> {
    let topic = &place.topic;
    ensure!(
        io::stdin().is_terminal(),
        "there is no terminal to ask on; add --yes to delete"
    );
    let mut err = io::stderr().lock();
    for (number, end) in below {
        let count = counted(Some(end - log[number].start), "offset");
        writeln!(err, "{topic}[{number}]: {count} below {end}")?;
    }
    if let Some(fleet) = &place.fleet {
        writeln!(
            err,
            "These are all that lie there, also those of other consumers than {} that have this topic: drover dlq list counts them.",
            fleet.name
        )?;
    }
    write!(
        err,
        "Delete them at {} for ever? Write the topic's name to go on: ",
        place.reach.bootstrap
    )?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() != topic {
        bail!("nothing was deleted");
    }
    Ok(())
}

async fn delete(place: &Place, below: &BTreeMap<i32, i64>) -> anyhow::Result<()> {
    let reach = &place.reach;
    let offsets = below.iter().map(|(&number, &end)| {
        (
            TopicPartition::new(place.topic.as_str(), number),
            Offset(end),
        )
    });
    let offsets = offsets.collect();
    let what = format!("delete records of topic {}", place.topic);
    let kafka = reach.kafka();
    let answers = delete_records(&kafka, &offsets, reach.timeout);
    let answers = answers
        .await
        .map_err(|error| reach.explain(&what, &error))?;
    let mut errors = answers.values().filter_map(|answer| answer.as_ref().err());
    let remedy = errors.find_map(|error| match error {
        Error::NotAuthorized(denial) => Some(format!(
            "; {}, or other credentials with {}",
            denial.remedy(),
            reach.words.property
        )),
        _ => None,
    });
    let answers = answers.iter();
    let answers = answers.map(|(partition, answer)| (partition.clone(), answer.as_ref().err()));
    match failure(answers) {
        Some(failed) => Err(anyhow!("{what}: {failed}{}", remedy.unwrap_or_default())),
        None => Ok(()),
    }
}

/// Which partitions kept what they had, and why; none where none did. All of them had something to delete.
fn failure(
    answers: impl Iterator<Item = (TopicPartition, Option<impl Display>)>,
) -> Option<String> {
    let (mut failed, mut others) = (Vec::new(), 0_u64);
    for (partition, error) in answers {
        match error {
            Some(error) => failed.push(format!("{partition}: {error}")),
            None => others += 1,
        }
    }
    let others = match others {
        _ if failed.is_empty() => return None,
        0 => "nothing was deleted",
        1 => "what the other one had is deleted",
        _ => "what the others had is deleted",
    };
    Some(format!("{}; {others}", failed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_had_is_said_to_be_deleted_only_where_there_are_others() {
        let said = |answers: &[Option<&'static str>]| {
            let answers = answers.iter().enumerate().map(|(number, error)| {
                let partition = TopicPartition::new("orders.dlq", number as i32);
                (partition, *error)
            });
            failure(answers)
        };
        let refused = Some("Kafka refuses it");
        let first = "orders.dlq[0]: Kafka refuses it";
        assert_eq!(said(&[None, None]), None);
        for (answers, words) in [
            (&[refused][..], format!("{first}; nothing was deleted")),
            (
                &[refused, None],
                format!("{first}; what the other one had is deleted"),
            ),
            (
                &[refused, None, None],
                format!("{first}; what the others had is deleted"),
            ),
            (
                &[refused, refused],
                format!("{first}, orders.dlq[1]: Kafka refuses it; nothing was deleted"),
            ),
        ] {
            assert_eq!(said(answers), Some(words));
        }
    }
}
