//! `drover record`: the load of live topics, as a trace for `drover simulate`.
//!
//! Reads end offsets, and nothing else: no record, no group, no Kubernetes.

mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tokio::time::{MissedTickBehavior, interval};

use super::connection::pair;
use super::progress::Progress;
use crate::api::Span;
use crate::clock;
use crate::kafka::admin::{Admin, Error, Spec};
use crate::topic::{Offset, TopicPartition};
use lines::Recorder;

/// Topics are asked for new partitions after so many readings.
const LOOK_FOR_PARTITIONS: u64 = 60;

/// Arguments of `drover record`.
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// Brokers to begin with: host:port, several with commas
    #[arg(long, env = "DROVER_BOOTSTRAP", value_name = "HOST:PORT", value_parser = NonEmptyStringValueParser::new())]
    pub bootstrap: String,
    /// A topic; can be given several times, and then their records are added up
    #[arg(long = "topic", required = true, value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// For how long; without it, until Ctrl-C
    #[arg(long = "for", value_name = "TIME")]
    pub length: Option<Span>,
    /// From reading to reading, 1s or more
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub every: Span,
    /// Write the trace here; without it, to standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// A property for librdkafka, such as security.protocol=SSL; can be given several times
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = pair)]
    pub properties: Vec<(String, String)>,
    /// How long to wait for the brokers
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub timeout: Span,
}

/// Writes a line for each reading, and ends at its time or with Ctrl-C; the trace is whole either
/// way.
///
/// # Errors
/// In one line with its remedy: no broker, no such topic, a file that cannot be written. A reading
/// that fails later is left out, and the line before it holds for longer.
pub async fn run(args: RecordArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.every.0.as_secs() >= 1,
        "--every {} is too short; write 1s or more",
        args.every
    );
    let properties: BTreeMap<_, _> = args.properties.iter().cloned().collect();
    let admin = Admin::open(&args.bootstrap, &properties)
        .map(Admin::ending_when_refused)
        .map_err(|error| anyhow!("{error}; check --bootstrap and --property"))?;
    let partitions = partitions(&admin, &args).await;
    let mut partitions = partitions.map_err(|failed| explain(&failed, &args))?;
    let ends = ends(&admin, &partitions, &args).await;
    let ends = ends.map_err(|error| explain(&Failed::all(&args, error), &args))?;
    let mut out = open(args.out.as_deref())?;
    let head = lines::head(&args.topics, &args.bootstrap, clock::now());
    put(&mut *out, &head)?;

    let mut recorder = Recorder::new(args.every.0, ends);
    let readings = args
        .length
        .map(|length| length.0.as_millis() / args.every.0.as_millis().max(1));
    let mut ticks = interval(args.every.0);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let began = ticks.tick().await;
    // One for all readings, so that it is heard during one of them too.
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    let mut failing = false;
    // Without a file the lines themselves show it.
    let mut progress = Progress::new(args.out.is_some() && io::stderr().is_terminal(), None);
    loop {
        let tick = tokio::select! {
            tick = ticks.tick() => tick,
            _ = &mut stop => break,
        };
        let since = tick.duration_since(began).as_millis();
        let number = u64::try_from(since / args.every.0.as_millis()).unwrap_or(u64::MAX);
        if number.is_multiple_of(LOOK_FOR_PARTITIONS)
            && let Ok(found) = self::partitions(&admin, &args).await
        {
            partitions = found;
        }
        match self::ends(&admin, &partitions, &args).await {
            Ok(ends) => {
                failing = false;
                put(&mut *out, &recorder.reading(number, ends))?;
                let of = readings.map(|readings| format!(" of {readings}"));
                let line = format!("reading {number}{}", of.unwrap_or_default());
                progress.say(&line, tick.duration_since(began));
            }
            Err(error) if !failing => {
                failing = true;
                progress.clear();
                eprintln!("a reading failed, and is left out: {error}");
            }
            Err(_) => {}
        }
        if readings.is_some_and(|readings| u128::from(number) >= readings) {
            break;
        }
    }
    progress.clear();
    eprintln!("{}", recorder.summary(args.out.as_deref()));
    Ok(ExitCode::SUCCESS)
}

/// What could not be read, and why.
struct Failed {
    topics: Vec<String>,
    error: Error,
}

impl Failed {
    fn all(args: &RecordArgs, error: Error) -> Self {
        let topics = args.topics.clone();
        Self { topics, error }
    }
}

async fn partitions(admin: &Admin, args: &RecordArgs) -> Result<Vec<TopicPartition>, Failed> {
    let topics: BTreeSet<String> = args.topics.iter().cloned().collect();
    let found = admin.partitions(&topics, args.timeout.0).await;
    let found = found.map_err(|error| Failed::all(args, error))?;
    let mut all = Vec::new();
    let mut missing = Vec::new();
    for (topic, numbers) in found {
        match numbers {
            Ok(numbers) => {
                let topic: std::sync::Arc<str> = topic.into();
                let partition = |number| TopicPartition::new(topic.clone(), number);
                all.extend(numbers.into_iter().map(partition));
            }
            Err(Error::Missing) => missing.push(topic),
            Err(error) => {
                let topics = vec![topic];
                return Err(Failed { topics, error });
            }
        }
    }
    if missing.is_empty() {
        return Ok(all);
    }
    Err(Failed {
        topics: missing,
        error: Error::Missing,
    })
}

/// The end of every partition, or none of them: a part would look like a load that goes down.
async fn ends(
    admin: &Admin,
    partitions: &[TopicPartition],
    args: &RecordArgs,
) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
    let answers = admin
        .offsets(partitions, Spec::Latest, args.timeout.0)
        .await?;
    let mut ends = BTreeMap::new();
    for (partition, end) in answers {
        let end = end?.ok_or_else(|| Error::Later(format!("{partition} has no end")))?;
        ends.insert(partition, end);
    }
    Ok(ends)
}

fn explain(failed: &Failed, args: &RecordArgs) -> anyhow::Error {
    let (topics, bootstrap) = (failed.topics.join(", "), &args.bootstrap);
    match &failed.error {
        Error::Missing if failed.topics.len() > 1 => {
            anyhow!("topics {topics} do not exist at {bootstrap}; check --topic")
        }
        Error::Missing => anyhow!("topic {topics} does not exist at {bootstrap}; check --topic"),
        error @ Error::Unreachable(_) => anyhow!(
            "{error}; check --bootstrap {bootstrap} and that the brokers run and can be reached from here"
        ),
        error @ Error::NotAuthorized(denial) => anyhow!(
            "{error}; {}, or other credentials with --property",
            denial.remedy()
        ),
        error => anyhow!("read the ends of topic {topics} at {bootstrap}: {error}"),
    }
}

fn open(file: Option<&Path>) -> anyhow::Result<Box<dyn Write + Send>> {
    Ok(match file {
        Some(file) => {
            Box::new(File::create(file).with_context(|| format!("write {}", file.display()))?)
        }
        None => Box::new(io::stdout()),
    })
}

/// Each line at once: whoever looks, or stops it, has all there is.
fn put(out: &mut (dyn Write + Send), text: &str) -> anyhow::Result<()> {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("write the trace")
}
