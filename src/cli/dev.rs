//! `drover dev`: a worker on this machine, from the same YAML, without a cluster.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use clap::{ArgGroup, Args, ValueEnum};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::connection::pair;
use super::output;
use crate::clock;
use crate::dev::{self, Handler, Kafka, News, Plan};

/// Arguments of `drover dev`.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("kafka").required(true).args(["brokers", "embedded"])))]
pub struct DevArgs {
    /// A file of YAML with the KafkaConsumer; when it changes, the worker begins anew
    file: PathBuf,
    /// Which KafkaConsumer, where the file has several
    name: Option<String>,
    /// Brokers to begin with: host:port, several with commas
    #[arg(
        long,
        visible_alias = "bootstrap",
        alias = "bootstrap-servers",
        value_name = "HOST:PORT"
    )]
    brokers: Option<String>,
    /// A Kafka in this process, with the topics of the KafkaConsumer; gone when it ends
    #[arg(long)]
    embedded: bool,
    /// Partitions of the embedded Kafka's topics
    #[arg(long, value_name = "N", default_value_t = 3, requires = "embedded",
          value_parser = clap::value_parser!(i32).range(1..=1000))]
    partitions: i32,
    /// Where records are POSTed, such as http://localhost:3000/kafka; default is what the YAML says
    #[arg(long, value_name = "URL", conflicts_with = "exec")]
    handler: Option<String>,
    /// A command for the shell, which gets records as lines of JSON; default is what the YAML says
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// The consumer group; default is the KafkaConsumer's with .dev. and your name, so that nothing
    /// is taken from those who run it elsewhere
    #[arg(long)]
    group: Option<String>,
    /// A file with Secrets that the KafkaConsumer names; those in FILE itself are found, too, and the
    /// variables DROVER_SECRET_<SECRET>_<KEY> win. Can be given several times
    #[arg(long, value_name = "FILE")]
    secrets: Vec<PathBuf>,
    /// Keep idempotency's marks in memory, whatever store the KafkaConsumer names
    #[arg(long)]
    memory_store: bool,
    /// A property for librdkafka, such as security.protocol=SSL; can be given several times
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = pair)]
    properties: Vec<(String, String)>,
    /// Do not show values of records
    #[arg(long)]
    no_values: bool,
    /// What the worker logs to standard error, such as info or drover=debug
    #[arg(
        long,
        env = "DROVER_LOG",
        value_name = "FILTER",
        default_value = "warn,handler=info,drover::worker::reachability=info"
    )]
    log: String,
    /// How to write what happens
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// How what happens is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Lines for people
    #[default]
    Text,
    /// Lines of JSON
    Json,
}

/// Runs until Ctrl-C; a second one does not wait for what is in flight.
///
/// # Errors
/// In one line with its remedy.
pub(super) async fn run(args: DevArgs) -> anyhow::Result<ExitCode> {
    // What a mock cannot do is no news to whoever asked for one.
    let quiet = ["", ",drover::worker::dead_letter_check=error"][usize::from(args.embedded)];
    dev::begin_log(&format!("{}{quiet}", args.log));
    let output = args.output;
    let stop = CancellationToken::new();
    let unread = stop.clone();
    let tell: dev::Teller = Arc::new(move |news: &News| {
        // Nobody is there any more who could see what it does, or end it. A full disk is no reason.
        if let Ok(false) = output::print_if_read(&line(news, output)) {
            unread.cancel();
        }
    });
    let plan = plan(args);
    let ended = tokio::select! {
        ended = dev::run(&plan, Arc::clone(&tell), &stop) => ended,
        () = signalled_twice(&stop) => {
            // Not `eprintln!`, which panics where the terminal is gone.
            let _ = writeln!(io::stderr(), "stopped; what was in flight is delivered again");
            // The worker's thread may be waiting for what never ends. What was laid out for it is
            // gone with the future.
            std::process::exit(130);
        }
    };
    let summary = ended.map_err(|why| anyhow!(why))?;
    tell(&News::Summary(summary));
    Ok(ExitCode::SUCCESS)
}

/// The first lets what is in flight finish, and so does a terminal that is closed, which may be told
/// more than once.
async fn signalled_twice(stop: &CancellationToken) {
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return std::future::pending().await;
    };
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::select! {
        () = next() => {}
        () = hung_up() => {}
    }
    stop.cancel();
    next().await;
}

/// The terminal is closed. Never where whoever has started it (`nohup`) wants it to go on then.
async fn hung_up() {
    if ignores_hangups() {
        return std::future::pending().await;
    }
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            hangup.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// As Linux tells it: a mask of the signals that are ignored, in which this one is the first.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

fn plan(args: DevArgs) -> Plan {
    let kafka = match args.brokers {
        Some(brokers) => Kafka::Brokers(brokers),
        None => Kafka::Embedded(args.partitions),
    };
    let command = args.exec.map(Handler::Command);
    Plan {
        file: args.file,
        name: args.name,
        kafka,
        handler: args.handler.map(Handler::Url).or(command),
        group: args.group,
        user: user(std::env::var("USER").ok()),
        secrets: args.secrets,
        properties: args.properties,
        memory_store: args.memory_store,
        values: !args.no_values,
    }
}

/// As part of a group's name.
fn user(name: Option<String>) -> String {
    let name = name.unwrap_or_default();
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
    let name: String = name.chars().filter(allowed).collect();
    if name.is_empty() {
        "local".to_owned()
    } else {
        name
    }
}

fn line(news: &News, output: Output) -> String {
    let now = clock::now();
    match output {
        Output::Text => format!("{}  {}\n", now.strftime("%H:%M:%S%.3f"), news.text()),
        Output::Json => {
            let mut value = json!({ "at": now.to_string() });
            if let (Some(line), Ok(serde_json::Value::Object(told))) =
                (value.as_object_mut(), serde_json::to_value(news))
            {
                line.extend(told);
            }
            format!("{value}\n")
        }
    }
}
