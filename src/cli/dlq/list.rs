//! `drover dlq list`: how many dead letters, by what.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::filter::FilterArgs;
use super::place::PlaceArgs;
use super::table::{number, tables};
use crate::cli::format::Format;
use crate::clock;
use crate::kafka::scan::Step;
use crate::redrive::filter::Filter;
use crate::redrive::histogram::Histogram;
use crate::redrive::letter::Letter;
use crate::redrive::marks::Kind;
use crate::redrive::place::{Log, Noted, Place};

/// One wait for a record before looking around.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `drover dlq list`.
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
    // Last, as what follows a group in `--help` stands below its heading.
    #[command(flatten)]
    filter: FilterArgs,
}

/// What was found.
struct Found {
    histogram: Histogram,
    /// Those of them that were replayed to their topic; none where that cannot be known.
    replayed: Option<u64>,
    interrupted: bool,
}

pub(super) async fn run(args: ListArgs) -> anyhow::Result<ExitCode> {
    let (place, _) = args.place.resolve().await?;
    let filter = args.filter.filter(clock::now())?;
    let admin = place.reach.admin()?;
    let log = place.log(&admin).await?;
    // Whoever may not read the group may still look at the letters.
    let noted = place.marks(&admin, &log).await.ok();
    let topic = place.topic.clone();
    let such = if filter.is_all() { "" } else { "such " };
    let found =
        super::blocking(move |stop| count(&place, &log, noted.as_ref(), &filter, stop)).await?;
    args.output
        .print(|| value(&topic, &found), || text(&topic, &found, such))?;
    Ok(if found.interrupted {
        ExitCode::from(130)
    } else {
        ExitCode::SUCCESS
    })
}

fn count(
    place: &Place,
    log: &Log,
    noted: Option<&Noted>,
    filter: &Filter,
    stop: &AtomicBool,
) -> anyhow::Result<Found> {
    let ranges = log
        .iter()
        .map(|(&number, range)| (number, filter.within(number, range.clone())));
    let mut scan = place.scan(&ranges.collect())?;
    // However often it was replayed.
    let kind = Kind {
        filter: filter.clone(),
        max_replays: u32::MAX,
        to: None,
    };
    let mut histogram = Histogram::default();
    let mut replayed = 0;
    let mut interrupted = false;
    let known = noted.is_some_and(|noted| noted.values().all(Option::is_some));
    loop {
        let step = scan.step(LOOK, |message| {
            let letter = Letter::of(message);
            if filter.matches(&letter) {
                histogram.add(&letter);
                let marks = noted.and_then(|noted| noted.get(&letter.partition)?.as_ref());
                replayed += u64::from(marks.is_some_and(|marks| marks.has(&kind, &letter)));
            }
        });
        match step.map_err(|error| place.cannot_read(&error))? {
            Step::End => break,
            _ if stop.load(Ordering::Relaxed) => {
                interrupted = true;
                break;
            }
            _ => {}
        }
    }
    Ok(Found {
        histogram,
        replayed: known.then_some(replayed),
        interrupted,
    })
}

fn value(topic: &str, found: &Found) -> Value {
    let mut value = json!({
        "topic": topic,
        "replayed": found.replayed,
        "complete": !found.interrupted,
    });
    if let (Value::Object(value), Value::Object(counts)) = (&mut value, found.histogram.value()) {
        value.extend(counts);
    }
    value
}

fn text(topic: &str, found: &Found, such: &str) -> String {
    let total = found.histogram.total;
    if total == 0 {
        return format!("No {such}dead letters in {topic}.");
    }
    let letters = if total == 1 {
        "dead letter"
    } else {
        "dead letters"
    };
    let replayed = match found.replayed {
        Some(replayed) => format!("{} of them replayed before", number(replayed)),
        None => "how many were replayed is not known".to_owned(),
    };
    let partly = if found.interrupted {
        " (interrupted, so not all)"
    } else {
        ""
    };
    let head = format!("{} {letters} in {topic}{partly}, {replayed}", number(total));
    format!("{head}\n\n{}", tables(&found.histogram))
}
