//! `drover dlq list`: how many dead letters, by what.

mod together;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::filter::FilterArgs;
use super::place::{PlaceArgs, dead_letter_topic};
use super::table::{number, tables};
use crate::api::KafkaConsumer;
use crate::cli::brokers::Brokers;
use crate::cli::cluster::Cluster;
use crate::cli::connection::ConnectionArgs;
use crate::cli::fleets::{self, Answer, FleetsArgs};
use crate::cli::format::Format;
use crate::cli::progress::Reading;
use crate::clock;
use crate::kafka::admin::Admin;
use crate::kafka::scan::Step;
use crate::plural::noun;
use crate::redrive::filter::Filter;
use crate::redrive::histogram::Histogram;
use crate::redrive::letter::Letter;
use crate::redrive::marks::Kind;
use crate::redrive::place::{Log, Noted, Place};

/// One wait for a record before looking around.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `drover dlq list`.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("one topic").multiple(true).args(["name", "file", "topic"]).conflicts_with_all(["selector", "all_namespaces"]))]
pub struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    fleets: FleetsArgs,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
    // Last, as what follows a group in `--help` stands below its heading.
    #[command(flatten)]
    filter: FilterArgs,
}

/// What was found.
struct Found {
    topic: String,
    /// Only such as a filter meant.
    filtered: bool,
    histogram: Histogram,
    /// Those of them that were replayed to their topic; none where that cannot be known.
    replayed: Option<u64>,
    /// Those of them that are not of the KafkaConsumer that was named.
    foreign: u64,
}

pub(super) async fn run(args: ListArgs) -> anyhow::Result<ExitCode> {
    let filter = args.filter.filter(clock::now())?;
    if args.fleets.are_asked_for() || args.place.names_nothing() {
        return super::reading(of_many(&args, &filter)).await;
    }
    let found = super::reading(async {
        let (place, _) = args.place.resolve().await?;
        let admin = place.reach.admin()?;
        look(place, &admin, &filter, true).await
    });
    let found = found.await?;
    args.output.print(|| found.value(), || found.text())?;
    Ok(ExitCode::SUCCESS)
}

/// Of all that are asked for, each in its place.
async fn of_many(args: &ListArgs, filter: &Filter) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.place.connection.cluster).await?;
    let connection = args.place.connection.of_many();
    let found = args.fleets.readables(&cluster).await?;
    let none_found = args.fleets.none_found(&cluster.namespace);
    let means = Means {
        cluster: &cluster,
        brokers: Brokers::default(),
        connection,
        place: &args.place,
        filter,
    };
    let (together, batches) = together::batches(&found);
    let told = fleets::tell(args.output, &none_found, found, async |consumer| {
        if dead_letter_topic(&consumer).is_none() {
            return Ok(Answer {
                value: json!({ "topic": null }),
                text: "it has no dead-letter topic (spec.delivery.deadLetter.topic)".to_owned(),
            });
        }
        let found = match together.take(&consumer).await {
            Some(found) => found.map_err(|why| anyhow!(why))?,
            None => means.alone(consumer).await?,
        };
        Ok(Answer {
            value: found.value(),
            text: found.text(),
        })
    });
    tokio::select! {
        told = told => told,
        // Whoever is told waits for it.
        never = together::ask(&means, batches) => match never {},
    }
}

/// How the dead letters of many are found.
struct Means<'a> {
    cluster: &'a Cluster,
    brokers: Brokers,
    connection: ConnectionArgs,
    place: &'a PlaceArgs,
    filter: &'a Filter,
}

impl Means<'_> {
    /// Those of one KafkaConsumer, asked for by themselves.
    async fn alone(&self, consumer: KafkaConsumer) -> anyhow::Result<Found> {
        let connection = self.connection.to(self.cluster, consumer).await?;
        let admin = self.brokers.admin(&connection).await?;
        let (place, _) = self.place.of(connection)?;
        look(place, &admin, self.filter, false).await
    }
}

/// With `alone`, nobody else writes to the terminal.
async fn look(place: Place, admin: &Admin, filter: &Filter, alone: bool) -> anyhow::Result<Found> {
    let (log, life) = place.log(admin).await?;
    // Whoever may not read the group may still look at the letters.
    let noted = place.marks(admin, &log, &life).await;
    let noted = noted.inspect_err(|error| {
        let what = format!("what was replayed of {} is not known", place.topic);
        eprintln!("{:#}", place.reach.explain(&what, error));
    });
    let noted = noted.ok();
    let filter = filter.clone();
    let work = move || count(place, &log, noted, &filter, alone);
    tokio::task::spawn_blocking(work).await?
}

fn count(
    place: Place,
    log: &Log,
    noted: Option<Noted>,
    filter: &Filter,
    alone: bool,
) -> anyhow::Result<Found> {
    let mut scan = place.scan(&within(filter, log))?;
    let mut counts = Counts::of(&place, noted, filter);
    let mut reading = alone.then(|| Reading::of(&scan));
    loop {
        let step = scan.step(LOOK, |message| counts.take(&Letter::of(message)));
        if step.map_err(|error| place.cannot_read(&error))? == Step::End {
            break;
        }
        if let Some(reading) = &mut reading {
            reading.look(&scan);
        }
    }
    Ok(counts.found(place.topic))
}

/// What of a topic is to be read.
fn within(filter: &Filter, log: &Log) -> Log {
    let ranges = log.iter();
    ranges
        .map(|(&number, range)| (number, filter.within(number, range.clone())))
        .collect()
}

/// Dead letters while they are counted.
struct Counts {
    filter: Filter,
    /// Those of the KafkaConsumer, if one is known.
    ours: Filter,
    /// However often it was replayed.
    kind: Kind,
    noted: Option<Noted>,
    histogram: Histogram,
    replayed: u64,
    foreign: u64,
}

impl Counts {
    fn of(place: &Place, noted: Option<Noted>, filter: &Filter) -> Self {
        Self {
            filter: filter.clone(),
            ours: Filter {
                whose: place.fleet.as_ref().map(|fleet| fleet.whose.clone()),
                ..Filter::default()
            },
            kind: Kind {
                filter: filter.clone(),
                max_replays: u32::MAX,
                to: None,
                retry_topic: place.retry_topic(),
            },
            noted,
            histogram: Histogram::default(),
            replayed: 0,
            foreign: 0,
        }
    }

    fn take(&mut self, letter: &Letter<'_>) {
        if !self.filter.matches(letter) {
            return;
        }
        self.histogram.add(letter);
        self.foreign += u64::from(self.ours.is_of_another(letter));
        let noted = self.noted.as_ref();
        let marks = noted.and_then(|noted| noted.get(&letter.partition)?.as_ref());
        self.replayed += u64::from(marks.is_some_and(|marks| marks.has(&self.kind, letter)));
    }

    fn found(self, topic: String) -> Found {
        let noted = self.noted.as_ref();
        let known = noted.is_some_and(|noted| noted.values().all(Option::is_some));
        Found {
            filtered: !self.filter.is_all(),
            topic,
            histogram: self.histogram,
            replayed: known.then_some(self.replayed),
            foreign: self.foreign,
        }
    }
}

impl Found {
    fn value(&self) -> Value {
        let mut value = json!({
            "topic": self.topic,
            "replayed": self.replayed,
            "ofOtherConsumers": self.foreign,
        });
        if let (Value::Object(value), Value::Object(counts)) = (&mut value, self.histogram.value())
        {
            value.extend(counts);
        }
        value
    }

    fn text(&self) -> String {
        let topic = &self.topic;
        let total = self.histogram.total;
        if total == 0 {
            let such = if self.filtered { "such " } else { "" };
            return format!("No {such}dead letters in {topic}.");
        }
        let letters = noun("dead letter", total);
        let replayed = match self.replayed {
            Some(replayed) => format!("{} of them replayed before", number(replayed)),
            None => "how many were replayed is not known".to_owned(),
        };
        let mut head = format!("{} {letters} in {topic}, {replayed}", number(total));
        if self.foreign > 0 {
            let foreign = number(self.foreign);
            head.push_str(&format!(
                "; {foreign} of other consumers, which are not replayed as this one's"
            ));
        }
        format!("{head}\n\n{}", tables(&self.histogram))
    }
}
