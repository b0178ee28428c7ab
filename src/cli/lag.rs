//! `drover lag`: partition by partition, what waits, for how long, at whom, and what holds it up.
//!
//! Asks Kafka itself, not the controller: it is good when the controller is not.

mod ends;
mod pods;
mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::brokers::Brokers;
use super::cluster::Cluster;
use super::columns::counted;
use super::connection::{Connection, ConnectionArgs, group_id};
use super::fit::wrapped_lines;
use super::fleets::{self, Answer, FleetsArgs};
use super::format::Format;
use super::output;
use crate::clock::{self, Monotonic};
use crate::kafka::admin::{Admin, Answers, Error, Group};
use crate::kafka::scan::{Scan, Step};
use crate::plural::noun;
use crate::report::Report;
use crate::topic::TopicPartition;
use ends::Ends;
use pods::Pods;
use row::Row;

/// One wait for a record before looking at the clock.
const LOOK: Duration = Duration::from_millis(50);

/// Arguments of `drover lag`.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("one group").multiple(true).args(["name", "file", "group", "topics"]).conflicts_with_all(["selector", "all_namespaces"]))]
pub struct LagArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    fleets: FleetsArgs,
    /// The consumer group, where no KafkaConsumer is named
    #[arg(long, requires = "topics", conflicts_with = "name")]
    group: Option<String>,
    /// A topic of the group; can be given several times
    #[arg(long = "topic", value_name = "TOPIC", requires = "group")]
    topics: Vec<String>,
    /// Do not read records: no delays, but no right to read the topics is needed
    #[arg(long)]
    offsets_only: bool,
    /// How to write it
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Prints the lag of a group, or of the groups of many KafkaConsumers.
///
/// # Errors
/// In one line with its remedy.
pub async fn run(args: LagArgs) -> anyhow::Result<ExitCode> {
    let nothing_named = args.connection.names_nothing() && args.group.is_none();
    if args.fleets.are_asked_for() || nothing_named {
        return of_many(&args).await;
    }
    let connection = args.connection.resolve().await?.said_where();
    let (group, topics) = match (&connection.consumer, args.group.clone()) {
        (Some(consumer), None) => (group_id(consumer), consumer.spec.consumed_topics()),
        (None, Some(group)) => (group, args.topics.clone()),
        (Some(_), Some(_)) => bail!("a KafkaConsumer says its group; leave --group away"),
        (None, None) => {
            bail!(
                "no group is named; name a KafkaConsumer, or many with -l or -A, or add --group and --topic"
            )
        }
    };
    let admin = connection.admin()?;
    let mut lag = look(&connection, &admin, group, topics, args.offsets_only).await?;
    if let (Some(consumer), None) = (&connection.consumer, &args.connection.file) {
        let cluster = Cluster::connect(&args.connection.cluster).await?;
        // After the group was asked: whoever was in it then is among them, if it is there.
        if let Some(pods) = Pods::of(&cluster, consumer).await {
            pods.look_for_owners(consumer, &mut lag.rows);
        }
    }
    args.output.print(
        || lag.value(),
        || wrapped_lines(&lag.text(), output::width()),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Of all that are asked for, each in its place.
async fn of_many(args: &LagArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.connection.cluster).await?;
    let brokers = Brokers::default();
    let connection = args.connection.of_many();
    let found = args.fleets.readables(&cluster).await?;
    let none_found = args.fleets.none_found(&cluster.namespace);
    let everywhere = args.fleets.all_namespaces;
    let pods = OnceCell::new();
    fleets::tell(args.output, &none_found, found, async |consumer| {
        let (group, topics) = (group_id(&consumer), consumer.spec.consumed_topics());
        let connection = connection.to(&cluster, consumer).await?;
        let admin = brokers.admin(&connection).await?;
        let mut lag = look(&connection, &admin, group, topics, args.offsets_only).await?;
        let pods = pods.get_or_init(|| Pods::of_all(&cluster, everywhere));
        if let (Some(pods), Some(consumer)) = (pods.await, &connection.consumer)
            && pods.look_for_owners(consumer, &mut lag.rows)
            // It may have come since all were listed.
            && let Some(pods) = Pods::of(&cluster, consumer).await
        {
            pods.look_for_owners(consumer, &mut lag.rows);
        }
        Ok(Answer {
            value: lag.value(),
            text: format!("group {}", lag.text()),
        })
    })
    .await
}

/// What is known of a group.
struct Lag {
    group: String,
    state: Result<Group, Error>,
    rows: Vec<Row>,
}

impl Lag {
    fn value(&self) -> Value {
        let members = self.state.as_ref().ok();
        json!({
            "group": self.group,
            "state": members.map(|group| &group.state),
            "members": members.map(|group| group.members.len()),
            "lag": row::total(&self.rows),
            "partitions": self.rows.iter().map(Row::value).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let head = head(&self.group, &self.state, &self.rows);
        format!("{head}\n{}", row::table(&self.rows, output::width()))
    }
}

/// Asks Kafka for all of it.
async fn look(
    connection: &Connection,
    admin: &Admin,
    group: String,
    topics: Vec<String>,
    offsets_only: bool,
) -> anyhow::Result<Lag> {
    // Side by side: without Kafka both take all of the time-out.
    let state = connection.ask(async |timeout| admin.group(&group, timeout).await);
    let (state, rows) = tokio::join!(state, rows(connection, admin, &group, &topics));
    let mut rows = rows?;
    if !offsets_only {
        for topic in topics {
            rows = delays(connection, topic, rows).await?;
        }
    }
    let members = state.as_ref().ok();
    for row in &mut rows {
        row.owner = row::Owner::of(members, &row.partition);
    }
    Ok(Lag { group, state, rows })
}

/// What waits for a group, as Kafka itself has it.
pub(super) struct Waiting {
    /// Records; none where a partition's lag is not known.
    pub lag: Option<i64>,
    /// For how long the oldest of them has been there, by its own time; none where nothing is known to wait.
    pub delay: Option<Duration>,
}

/// Asks Kafka what waits for a group, and reads the first of it in each partition for its time.
///
/// # Errors
/// In one line with its remedy.
pub(super) async fn waiting(
    connection: &Connection,
    admin: &Admin,
    group: &str,
    topics: Vec<String>,
) -> anyhow::Result<Waiting> {
    let mut found = rows(connection, admin, group, &topics).await?;
    for topic in topics {
        found = delays(connection, topic, found).await?;
    }
    Ok(Waiting {
        lag: row::total(&found),
        delay: found.iter().filter_map(|row| row.waits).max(),
    })
}

fn head(group: &str, state: &Result<Group, Error>, rows: &[Row]) -> String {
    let state = match state {
        Ok(found) => members(found),
        Err(Error::NoSuchGroup) => "it does not exist yet".to_owned(),
        Err(error) => format!("its members are not known: {error}"),
    };
    let total = row::total(rows);
    let lag = counted(total, "record");
    let wait = if total == Some(1) { "waits" } else { "wait" };
    format!("{group}: {lag} {wait} ({state})\n")
}

/// A group's state, and how many share its partitions.
pub(super) fn members(group: &Group) -> String {
    let count = group.members.len();
    format!("{}, {count} {}", group.state, noun("member", count))
}

async fn rows(
    connection: &Connection,
    admin: &Admin,
    group: &str,
    topics: &[String],
) -> anyhow::Result<Vec<Row>> {
    let timeout = connection.timeout;
    let asked: BTreeSet<String> = topics.iter().cloned().collect();
    let found = admin.partitions(&asked, timeout).await;
    let found = found.map_err(|error| connection.explain("look for the topics", &error))?;
    let mut partitions = Vec::new();
    for (topic, numbers) in found {
        let numbers = numbers.map_err(|error| match error {
            Error::Missing => anyhow!(
                "topic {topic} does not exist at {}; create it or correct the name",
                connection.bootstrap
            ),
            error => connection.explain(&format!("look for topic {topic}"), &error),
        })?;
        let topic: std::sync::Arc<str> = topic.into();
        let partition = |number| TopicPartition::new(topic.clone(), number);
        partitions.extend(numbers.into_iter().map(partition));
    }
    ensure!(!partitions.is_empty(), "the topics have no partitions");
    let what = format!("read the offsets of group {group}");
    let committed =
        connection.ask(async |timeout| admin.committed(group, &partitions, timeout).await);
    let committed = match committed.await {
        Err(Error::NoSuchGroup) => Answers::default(),
        committed => committed.map_err(|error| connection.explain(&what, &error))?,
    };
    let ends = Ends::ask(connection, admin, &partitions, &committed).await?;
    let rows = partitions.into_iter().map(|partition| {
        let committed = committed
            .get(&partition)
            .and_then(|answer| answer.as_ref().ok());
        let offset = committed.and_then(|committed| committed.offset);
        let report = committed.zip(offset).and_then(|(committed, offset)| {
            let text = std::str::from_utf8(&committed.metadata).ok()?;
            Report::decode(text, offset).ok()
        });
        let place = ends.of(&partition, offset);
        Row {
            start: place.start,
            end: place.end,
            is_open: place.is_open,
            committed: offset,
            report,
            owner: row::Owner::default(),
            owner_is_gone: None,
            waits: None,
            partition,
        }
    });
    Ok(rows.collect())
}

/// Reads of each partition of the topic in which something waits its first record, for its time.
async fn delays(
    connection: &Connection,
    topic: String,
    mut rows: Vec<Row>,
) -> anyhow::Result<Vec<Row>> {
    let ours = |row: &&Row| *row.partition.topic == *topic;
    let ranges: BTreeMap<i32, Range<i64>> = rows
        .iter()
        .filter(ours)
        .filter_map(Row::unfinished)
        .collect();
    if ranges.is_empty() {
        return Ok(rows);
    }
    let timeout = connection.timeout;
    let scan = Scan::open(&connection.kafka(), &topic, &ranges, Some(timeout));
    let read = move || first_times(scan?, ranges.len(), timeout);
    let times = tokio::task::spawn_blocking(read).await?;
    let times = match times {
        Ok(times) => times,
        // Whoever may not read records still gets the rest.
        Err(Error::NotAuthorized(denial)) => {
            eprintln!(
                "delays are not known: {denial}; {}, or do without with --offsets-only",
                denial.remedy()
            );
            return Ok(rows);
        }
        Err(error) => {
            let what = format!(
                "read the first records that wait in topic {topic}; --offsets-only does without"
            );
            return Err(connection.explain(&what, &error));
        }
    };
    let now = clock::now();
    for row in rows.iter_mut().filter(|row| *row.partition.topic == *topic) {
        row.waits = times.get(&row.partition.partition).map(|millis| {
            let waited = now.as_millisecond().saturating_sub(*millis);
            Duration::from_millis(u64::try_from(waited).unwrap_or(0))
        });
    }
    Ok(rows)
}

fn first_times(
    mut scan: Scan,
    partitions: usize,
    timeout: Duration,
) -> Result<BTreeMap<i32, i64>, Error> {
    let mut times = BTreeMap::new();
    let clock = Monotonic::start();
    // A topic with few partitions that have much to give is not read to its end for the others.
    while times.len() < partitions && clock.elapsed() < timeout {
        let step = scan.step(LOOK, |message| {
            if let Some(time) = message.timestamp() {
                times.entry(message.partition()).or_insert(time);
            }
        })?;
        if step == Step::End {
            break;
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::admin::Member;
    use crate::topic::Offset;

    #[test]
    fn of_one_record_and_one_member_the_head_is_singular() {
        let row = |end| Row {
            partition: TopicPartition::new("orders", 0),
            start: Some(Offset(0)),
            end: Some(Offset(end)),
            is_open: false,
            committed: Some(Offset(3)),
            report: None,
            owner: row::Owner::Unsaid,
            owner_is_gone: None,
            waits: None,
        };
        let member = Member {
            id: "orders-1-abc".to_owned(),
            client_id: "orders-1".to_owned(),
            host: "10.0.0.1".into(),
            partitions: Vec::new(),
        };
        let group = |members: usize| Group {
            members: vec![member.clone(); members],
            state: "Stable".to_owned(),
        };
        assert_eq!(
            head("g", &Ok(group(1)), &[row(4)]),
            "g: 1 record waits (Stable, 1 member)\n"
        );
        assert_eq!(
            head("g", &Ok(group(2)), &[row(3)]),
            "g: 0 records wait (Stable, 2 members)\n"
        );
    }
}
