//! `drover dlq replay`: dead letters go back to where they came from, each once.
//!
//! What was moved, and that it was moved, are one transaction: interrupted at any point, nothing is
//! lost, and the same command goes on where it was. See `marks` for how that is noted.

mod headers;
mod mover;
mod report;

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use clap::Args;
use kube::ResourceExt;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::runtime::Handle;

use super::filter::FilterArgs;
use super::letter::Letter;
use super::marks::{Kind, Marks};
use super::place::{Log, Noted, Place, PlaceArgs};
use crate::api::Span;
use crate::cli::format::Format;
use crate::cli::produce::positive;
use crate::clock;
use crate::kafka::admin::Admin;
use crate::kafka::redrive::{self, Redrive};
use crate::kafka::scan::{Scan, Step};
use mover::{Mover, Taken, Wishes};
use report::{Outcome, Report};

/// One wait for a record before looking around.
const LOOK: Duration = Duration::from_millis(20);

/// Arguments of `drover dlq replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    filter: FilterArgs,
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
}

pub(super) async fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let place = args.place.resolve().await?;
    let kind = Kind {
        filter: args.filter.filter(clock::now())?,
        max_replays: args.max_replays,
        to: args.to.clone(),
    };
    ensure!(
        kind.to.as_ref() != Some(&place.topic),
        "--to {} is the dead-letter topic itself; name another one",
        place.topic
    );
    let bypass = bypass(&args, &place)?;
    let admin = place.connection.admin()?;
    let log = place.log(&admin).await?;
    let (output, dry_run) = (args.output, args.dry_run);
    let runtime = Handle::current();
    let report = super::blocking(move |stop| {
        let replay = Replay {
            args,
            place,
            kind,
            log,
            admin,
            runtime,
        };
        if dry_run {
            replay.rehearse(stop)
        } else {
            replay.perform(bypass, stop)
        }
    })
    .await?;
    output.print(|| report.value(), || report.text())?;
    Ok(report.exit_code())
}

/// The header that makes a record a new one to the idempotency store, if that is asked for.
fn bypass(args: &ReplayArgs, place: &Place) -> anyhow::Result<Option<String>> {
    if !args.bypass_idempotency {
        return Ok(None);
    }
    if let Some(name) = &args.bypass_header {
        return Ok(Some(name.clone()));
    }
    let Some(consumer) = &place.connection.consumer else {
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

/// A replay, before it begins.
struct Replay {
    args: ReplayArgs,
    place: Place,
    kind: Kind,
    log: Log,
    admin: Admin,
    runtime: Handle,
}

/// What becomes of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Move,
    /// It was moved before.
    Already,
    /// It was replayed too often.
    Guarded,
    /// Nothing says where it came from.
    Orphan,
    /// It is not meant.
    Other,
}

fn verdict(kind: &Kind, marks: &Marks, letter: &Letter<'_>) -> Verdict {
    if !kind.filter.matches(letter) {
        Verdict::Other
    } else if !kind.moves(letter) {
        if letter.replays() >= kind.max_replays {
            Verdict::Guarded
        } else {
            Verdict::Orphan
        }
    } else if marks.has(kind, letter) {
        Verdict::Already
    } else {
        Verdict::Move
    }
}

impl Replay {
    /// Counts what would be moved.
    fn rehearse(&self, stop: &AtomicBool) -> anyhow::Result<Report> {
        let noted = self.marks()?;
        let mut report = self.report(None);
        let mut scan = self.place.scan(&self.ranges(&noted))?;
        loop {
            if stop.load(Ordering::Relaxed) {
                report.outcome = Outcome::Interrupted;
                return Ok(report);
            }
            let step = scan.step(LOOK, |message| {
                let letter = Letter::of(message);
                match verdict(&self.kind, of(&noted, &letter), &letter) {
                    Verdict::Move => report.would_move(&letter),
                    other => report.left_out(other),
                }
            });
            if step.map_err(|error| self.place.cannot_read(&error))? == Step::End {
                return Ok(report);
            }
        }
    }

    fn perform(mut self, bypass: Option<String>, stop: &AtomicBool) -> anyhow::Result<Report> {
        if let Some(to) = self.for_all() {
            self.target(to)?;
        }
        // First, since it ends whoever is at it: what they have noted is complete then, and is of
        // nothing behind the ends that are read after it.
        let redrive = self.open()?;
        self.log = self.runtime.block_on(self.place.log(&self.admin))?;
        let noted = self.marks()?;
        let id = id()?;
        let wishes = Wishes {
            rate: self.args.rate,
            stop_at: self.args.stop_at,
            bypass,
            show: io::stderr().is_terminal(),
        };
        let follow = self.place.follow(&self.log)?;
        let mut scan = self.place.scan(&self.ranges(&noted))?;
        let report = self.report(Some(id));
        let mut mover = Mover::new(&self, redrive, follow, noted, wishes, report)?;
        let moved = match self.args.again {
            true => mover.note_again(),
            false => Ok(()),
        };
        let moved = moved.and_then(|()| self.moved(&mut mover, &mut scan, stop));
        mover.end(moved, self.args.settle.0, stop)
    }

    /// Moves one after the other, until all are, it was stopped, or too many come back.
    fn moved(
        &self,
        mover: &mut Mover<'_>,
        scan: &mut Scan,
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let mut taken = Ok(Taken::Yes);
            let step = scan.step(LOOK, |message| {
                taken = mover.take(&Letter::of(message), stop);
            });
            let step = step.map_err(|error| self.place.cannot_read(&error))?;
            // Behind one that was not taken nothing may be: its partition would be noted beyond it.
            if taken? == Taken::No {
                break;
            }
            if step == Step::End {
                mover.reached_the_end();
                break;
            }
            mover.tick()?;
            if mover.fails() {
                break;
            }
        }
        Ok(())
    }

    fn open(&self) -> anyhow::Result<Redrive> {
        let connection = &self.place.connection;
        let group = self.place.group();
        let opened = Redrive::open(&connection.kafka(), &group, connection.timeout);
        opened.map_err(|error| self.refused("begin the replay", &error))
    }

    fn refused(&self, what: &str, error: &redrive::Error) -> anyhow::Error {
        let bootstrap = &self.place.connection.bootstrap;
        let group = self.place.group();
        match error {
            redrive::Error::NotAuthorized(_) => anyhow!(
                "{what}: {error}; this user needs Write to the target topics, Write and Describe to the transactional id {group}, and Read to the group {group}"
            ),
            redrive::Error::Unreachable(_) => anyhow!(
                "{what}: {error}; check --bootstrap {bootstrap} and that the brokers run; the same command goes on where this one was"
            ),
            redrive::Error::Config(_) => anyhow!("{error}; check --property"),
            redrive::Error::Fenced => {
                anyhow!("{what}: {error}; what it has not done, the other one does")
            }
            redrive::Error::Refused(_) => {
                anyhow!(
                    "{what}: {error}; nothing of it counts, and the same command tries it again"
                )
            }
        }
    }

    /// What was replayed before, all of it readable.
    fn marks(&self) -> anyhow::Result<Noted> {
        let marks = self
            .runtime
            .block_on(self.place.marks(&self.admin, &self.log));
        let group = self.place.group();
        let what = format!("read the offsets of group {group}");
        let mut noted = marks.map_err(|error| self.place.connection.explain(&what, &error))?;
        for (partition, marks) in &mut noted {
            if self.args.again {
                let marks = marks.get_or_insert_default();
                let all = self.log.get(partition).cloned().unwrap_or(0..0);
                if !self.kind.filter.within(*partition, all.clone()).is_empty() {
                    marks.again(&self.kind, all.end);
                }
            }
            ensure!(
                marks.is_some(),
                "group {group} has something for partition {partition} that no replay wrote, or that speaks of another topic of that name; delete the group if nothing was replayed, or add --again"
            );
        }
        Ok(noted)
    }

    fn ranges(&self, noted: &Noted) -> Log {
        let range = |(&number, all): (&i32, &std::ops::Range<i64>)| {
            let marks = noted.get(&number).and_then(Option::as_ref);
            let done = marks.and_then(|marks| marks.start(&self.kind)).unwrap_or(0);
            let within = self.kind.filter.within(number, all.clone());
            (number, within.start.max(done)..within.end)
        };
        self.log.iter().map(range).collect()
    }

    /// The topic of the KafkaConsumer's own for what is replayed.
    fn retry_topic(&self) -> Option<&str> {
        let consumer = self.place.connection.consumer.as_ref()?;
        consumer.spec.retry_topic()
    }

    /// The topic that all letters go to, if it is one.
    fn for_all(&self) -> Option<&str> {
        let retry = self.retry_topic().filter(|_| !self.args.to_source);
        self.kind.to.as_deref().or(retry)
    }

    /// Where a letter goes.
    fn destination<'l>(&'l self, letter: &'l Letter<'_>) -> Option<Cow<'l, str>> {
        if let Some(to) = self.for_all() {
            return Some(Cow::Borrowed(to));
        }
        let last = letter.origin_topic()?;
        if Some(last.as_ref()) != self.retry_topic() {
            return Some(last);
        }
        // It failed when it was replayed; the source is where it was first.
        let first = letter.first_origin().and_then(|first| first.topic);
        Some(first.map_or(last, Cow::Owned))
    }

    /// A topic that letters may go to.
    fn target(&self, topic: &str) -> anyhow::Result<()> {
        let connection = &self.place.connection;
        ensure!(
            topic != self.place.topic,
            "a dead letter says that it came from {topic}, the dead-letter topic itself; leave such ones out with --origin-topic, or give --to"
        );
        if let (None, Some(consumer)) = (self.for_all(), &connection.consumer) {
            ensure!(
                consumer.spec.topics.iter().any(|known| known == topic),
                "a dead letter says that it came from {topic}, which KafkaConsumer {} does not read; leave such ones out with --origin-topic, or give --to",
                consumer.name_any()
            );
        }
        let topics = [topic.to_owned()].into();
        let found = self
            .runtime
            .block_on(self.admin.partitions(&topics, connection.timeout));
        let what = format!("look for topic {topic}");
        let found = found.map_err(|error| connection.explain(&what, &error))?;
        match found.into_values().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => bail!("{what}: {error}; create it, or name another one with --to"),
            None => bail!("{what}: no answer; try again"),
        }
    }

    fn report(&self, id: Option<String>) -> Report {
        Report::new(&self.place.topic, self.for_all(), id)
    }
}

fn of<'a>(noted: &'a Noted, letter: &Letter<'_>) -> &'a Marks {
    static NOTHING: Marks = Marks::nothing();
    noted
        .get(&letter.partition)
        .and_then(Option::as_ref)
        .unwrap_or(&NOTHING)
}

/// A name for this replay that no other has.
fn id() -> anyhow::Result<String> {
    let mut random = [0; 4];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| anyhow!("the system gives no random bytes"))?;
    let time = clock::now().strftime("%Y%m%dT%H%M%SZ");
    Ok(format!("{time}-{:08x}", u32::from_be_bytes(random)))
}
