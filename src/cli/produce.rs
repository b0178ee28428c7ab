//! `drover produce`: keyed records from arguments, a file, standard input or a count.
//!
//! Every record is acknowledged by all in-sync replicas before the command says so. Works with any
//! Kafka; needs no Kubernetes.

mod connect;
mod records;
mod send;
mod source;
mod summary;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use crate::api::Span;

use super::connection::pair;
use super::encryption::keys::KeyArgs;
use super::encryption::seal::{Sealer, WriteArgs};
use super::encryption::theirs;
use super::output;
use records::Record;
use send::Sender;
use source::{Next, Source};

/// The exit code after Ctrl-C, as shells give it: 128 and the signal's number.
const INTERRUPTED: u8 = 128 + 2;

/// Arguments of `drover produce`.
#[derive(Args, Clone, Debug)]
pub struct ProduceArgs {
    /// Brokers to begin with: host:port, several with commas
    #[arg(long, env = "DROVER_BOOTSTRAP", value_name = "HOST:PORT", value_parser = NonEmptyStringValueParser::new())]
    pub bootstrap: String,
    /// The topic to produce to
    #[arg(long)]
    pub topic: String,
    /// One record each; without any, and without --file or --count, each line of standard input is a record
    #[arg(value_name = "VALUE", conflicts_with_all = ["count", "json_lines"])]
    pub values: Vec<String>,
    /// Each line of this file is a record; - is standard input
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["count", "values"])]
    pub file: Option<PathBuf>,
    /// The key of every record; without it, records have no key
    #[arg(long, conflicts_with_all = ["count", "json_lines"])]
    pub key: Option<String>,
    /// Lines are JSON: {"key": "k", "value": "v", "headers": {"name": "value"}}.
    /// A value that is no string is sent as its JSON, byte for byte; null is a tombstone
    #[arg(long, conflicts_with = "count")]
    pub json_lines: bool,
    /// Make so many records: {"key":"key-7","seq":3}, with sequence numbers from 1 within each key
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Keys to spread them over, one after the other
    #[arg(long, value_name = "M", requires = "count", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub keys: u64,
    /// Bytes that each of them has at least; filled up with "pad"
    #[arg(
        long,
        value_name = "BYTES",
        requires = "count",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub size: usize,
    /// Records a second at most
    #[arg(long, value_name = "R", value_parser = positive)]
    pub rate: Option<f64>,
    /// A header for every record; can be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = pair)]
    pub headers: Vec<(String, String)>,
    /// Encrypt every value, as ActiveRecord::Encryption does; a tombstone stays null
    #[arg(long)]
    pub encrypt: bool,
    /// Encrypt every value as the KafkaConsumer of this file wants it: with the keys that it names, its hash and its
    /// pointer. The keys are looked for where drover dev finds them: in Secrets of the same file, of those that --secrets
    /// names, and in the variables DROVER_SECRET_<SECRET>_<KEY>
    #[arg(long, value_name = "FILE", conflicts_with = "encrypt")]
    pub encrypt_for: Option<PathBuf>,
    /// A file with Secrets that the KafkaConsumer names; can be given several times
    #[arg(long, value_name = "FILE", requires = "encrypt_for")]
    pub secrets: Vec<PathBuf>,
    /// Create the topic if it is missing
    #[arg(long)]
    pub create: bool,
    /// Its partitions; without it, the broker's default
    #[arg(long, value_name = "N", requires = "create",
          value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// A property for librdkafka, such as security.protocol=SSL; can be given several times
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = pair)]
    pub properties: Vec<(String, String)>,
    /// How long to wait for the brokers
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub timeout: Span,
    /// Only tell what goes wrong, on standard error, and exit with 0: for what must go on whatever becomes of its
    /// records. A line of input that is no record is passed over, and so is a record that Kafka refuses, such as one
    /// that is too large; what was refused with it is sent again and may come behind later records of its key
    #[arg(long)]
    pub best_effort: bool,
    /// How to say what was done
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    // Last, as what follows a group in `--help` stands below its heading.
    /// How to write messages.
    #[command(flatten)]
    pub written: WriteArgs,
    /// Where the keys are.
    #[command(flatten)]
    pub encryption_keys: KeyArgs,
}

impl ProduceArgs {
    /// True if records are lines of standard input or of a file.
    fn reads_lines(&self) -> bool {
        self.count.is_none() && self.values.is_empty()
    }
}

/// How the summary is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A sentence.
    Text,
    /// One JSON object.
    Json,
}

/// Produces what the arguments say; the summary goes to standard output.
///
/// # Errors
/// In one line with its remedy: no broker, no such topic, an input line that is not JSON, a record
/// that was not acknowledged in time.
pub async fn run(args: ProduceArgs) -> anyhow::Result<ExitCode> {
    let best_effort = args.best_effort;
    let stop = Arc::new(AtomicBool::new(false));
    let asked_to_stop = Arc::clone(&stop);
    // librdkafka's producer is polled by the thread that feeds it, so that thread is its own.
    let work = tokio::task::spawn_blocking(move || produce(&args, &asked_to_stop));
    tokio::select! {
        done = work => match done? {
            Err(error) if best_effort => {
                eprintln!("not produced: {error:#}");
                Ok(ExitCode::SUCCESS)
            }
            done => done,
        },
        _ = interrupted_twice(&stop) => {
            eprintln!("stopped; records that were not acknowledged yet may be missing");
            // The thread may be waiting for brokers, which nothing can end.
            std::process::exit(INTERRUPTED.into());
        }
    }
}

/// The first Ctrl-C lets what is on its way arrive and says how much that was; the second does not.
async fn interrupted_twice(stop: &AtomicBool) {
    while tokio::signal::ctrl_c().await.is_ok() && !stop.swap(true, Ordering::Relaxed) {}
}

fn produce(args: &ProduceArgs, stop: &AtomicBool) -> anyhow::Result<ExitCode> {
    let sealer = sealer(args)?;
    let mut source = Source::of(args)?;
    let (producer, tokens) = connect::producer(args)?;
    let partitions = connect::topic(&producer, args)?;
    let mut sender = Sender::new(producer, tokens, args, stop, io::stderr().is_terminal());
    let interrupted = loop {
        if stop.load(Ordering::Relaxed) {
            break true;
        }
        let (number, record) = match source.next() {
            Next::Record(number, record) => (number, record),
            Next::NotYet => {
                sender.look_around()?;
                continue;
            }
            Next::End => break false,
        };
        match record.and_then(|record| sealed(sealer.as_ref(), record)) {
            Ok(record) => sender.send(number, &record)?,
            Err(why) if args.best_effort => sender.pass_over(&format_args!("{why:#}")),
            Err(why) => {
                let sent = sender.finish()?;
                bail!("{why:#}; {}", summary::before(sent.records));
            }
        }
    };
    let sent = sender.finish()?;
    output::print(&summary::line(&sent, args, partitions))?;
    Ok(ExitCode::from(if interrupted { INTERRUPTED } else { 0 }))
}

fn sealer(args: &ProduceArgs) -> anyhow::Result<Option<Sealer>> {
    if args.encrypt {
        return Sealer::new(&args.encryption_keys, &args.written).map(Some);
    }
    if let Some(file) = &args.encrypt_for {
        anyhow::ensure!(
            !args.encryption_keys.any(),
            "--encrypt-for takes the keys that the KafkaConsumer names; leave the others away, or use --encrypt"
        );
        let theirs = theirs::in_file(file, &args.topic, &args.secrets)?;
        return Sealer::of(&theirs.keyring, theirs.pointer, &args.written).map(Some);
    }
    // Whoever names keys would take the records for encrypted.
    anyhow::ensure!(
        !args.encryption_keys.any() && !args.written.any(),
        "keys and the form of a message are for --encrypt; add it"
    );
    Ok(None)
}

fn sealed(sealer: Option<&Sealer>, mut record: Record) -> anyhow::Result<Record> {
    if let (Some(sealer), Some(value)) = (sealer, &mut record.value) {
        *value = sealer.seal_within(value).map_err(anyhow::Error::msg)?;
    }
    Ok(record)
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("write a number greater than 0".to_owned()),
    }
}
