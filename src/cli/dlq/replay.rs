//! `drover dlq replay`: dead letters go back to where they came from, each once.
//!
//! Arguments, progress and words; what it does is `redrive`.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use kube::ResourceExt;

use super::filter::FilterArgs;
use super::place::PlaceArgs;
use super::told;
use crate::api::{KafkaConsumer, Span};
use crate::cli::format::Format;
use crate::cli::produce::positive;
use crate::cli::progress::{Progress, Reading};
use crate::clock;
use crate::kafka::scan::Scan;
use crate::redrive::marks::Kind;
use crate::redrive::replay::{Onlooker, Replay, Wishes, id};

/// Arguments of `drover dlq replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The topic that all of them go to; default is the KafkaConsumer's retry topic, or without one
    /// the topic that each came from
    #[arg(long, value_name = "TOPIC")]
    to: Option<String>,
    /// Back to the topic that each came from, also where the KafkaConsumer has a retry topic
    #[arg(long, conflicts_with = "to")]
    to_source: bool,
    /// Records a second at most
    #[arg(long, value_name = "R", value_parser = positive)]
    rate: Option<f64>,
    /// Only say what would be replayed
    #[arg(long)]
    dry_run: bool,
    /// Leave out what was replayed so often already
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    max_replays: u32,
    /// Stop when so many in a hundred of those that were replayed are dead letters again
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
    stop_at: u32,
    /// After the last one, look for so long what becomes a dead letter again
    #[arg(long, value_name = "TIME", default_value = "0s")]
    settle: Span,
    /// Have records handled again that were handled: sets the header that the KafkaConsumer names in
    /// spec.idempotency.redriveHeader
    #[arg(long)]
    bypass_idempotency: bool,
    /// The header that does that, where no KafkaConsumer names it
    #[arg(long, value_name = "NAME", requires = "bypass_idempotency")]
    bypass_header: Option<String>,
    /// Replay also what was replayed to the same place before
    #[arg(long)]
    again: bool,
    /// How to write the report
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
    // Last, as what follows a group in `--help` stands below its heading.
    #[command(flatten)]
    filter: FilterArgs,
}

pub(super) async fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let (place, consumer) = match args.dry_run {
        true => args.place.resolve().await?,
        false => args.place.resolve_to_change().await?,
    };
    let now = clock::now();
    let mut filter = args.filter.filter(now)?;
    let same = match args.filter.as_of(now) {
        Some(times) => format!("{} with {times}", told::SAME_COMMAND),
        None => told::SAME_COMMAND.to_owned(),
    };
    let all = filter.is_all();
    filter.whose = place.fleet.as_ref().map(|fleet| fleet.whose.clone());
    let kind = Kind {
        filter,
        max_replays: args.max_replays,
        to: args.to.clone(),
        retry_topic: place.retry_topic(),
    };
    let wishes = Wishes {
        id: id()?,
        to_source: args.to_source,
        rate: args.rate,
        stop_at: args.stop_at,
        settle: args.settle.0,
        bypass: bypass(&args, consumer.as_ref())?,
        again: args.again,
    };
    let dry_run = args.dry_run;
    let replay = Replay::prepare(place, kind, wishes).await?;
    let report = super::blocking(move |stop| {
        if dry_run {
            let mut reading = None;
            let mut look =
                |scan: &Scan| reading.get_or_insert_with(|| Reading::of(scan)).look(scan);
            replay.rehearse(&mut look, stop)
        } else {
            let mut shown = Shown {
                progress: Progress::new(io::stderr().is_terminal(), None),
                all,
            };
            replay.perform(&mut shown, stop)
        }
    })
    .await
    .map_err(|error| anyhow!(format!("{error:#}").replace(told::SAME_COMMAND, &same)))?;
    args.output
        .print(|| report.value(), || told::text(&report, &same))?;
    Ok(told::exit_code(&report))
}

/// Progress on a terminal.
struct Shown {
    progress: Progress,
    /// Without a filter all that is left is moved; with one nobody knows before how much.
    all: bool,
}

impl Onlooker for Shown {
    fn expects(&mut self, count: u64) {
        if self.all {
            self.progress.expect(count);
        }
    }

    fn moved(&mut self, count: u64, elapsed: Duration) {
        if self.progress.is_due(elapsed) {
            self.progress.show(count, elapsed);
        }
    }

    fn done(&mut self) {
        self.progress.clear();
    }
}

/// The header that makes a record a new one to the idempotency store, if that is asked for.
fn bypass(args: &ReplayArgs, consumer: Option<&KafkaConsumer>) -> anyhow::Result<Option<String>> {
    if !args.bypass_idempotency {
        return Ok(None);
    }
    if let Some(name) = &args.bypass_header {
        return Ok(Some(name.clone()));
    }
    let Some(consumer) = consumer else {
        bail!(
            "--bypass-idempotency needs the header's name; add --bypass-header, or name the KafkaConsumer"
        );
    };
    let named = consumer
        .spec
        .idempotency
        .as_ref()
        .and_then(|it| it.redrive_header.clone());
    named.map(Some).ok_or_else(|| {
        anyhow!(
            "KafkaConsumer {} has no spec.idempotency.redriveHeader, so no header makes it handle a record again; set it first",
            consumer.name_any()
        )
    })
}
