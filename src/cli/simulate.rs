//! `drover simulate`: a load replayed, by Drover and by KEDA.
//!
//! Reads a file, asks nobody, writes a table, JSON or a picture. What happens in between is
//! `simulation`'s.

mod picture;
mod report;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, thread};

use anyhow::{Context, anyhow, bail, ensure};
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use picture::Picture;
use settings::Settings;

use super::output;
use crate::api::Span;
use crate::fleet::read_schedule;
use crate::scaling::Schedule;
use crate::simulation::keda::Keda;
use crate::simulation::{
    self, Contender, Controller, Drover, Faults, Fixed, Outcome, Setup, Trace,
};
use crate::yaml;

/// The window of a trace's busiest part, seconds,
const BUSIEST: f64 = 300.0;
/// which needs so many pods if nobody says what a pod can do.
const PODS: f64 = 10.0;

/// Arguments of `drover simulate`.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// The load: lines of seconds,records-per-second, as `drover record` writes them
    #[arg(long, value_name = "FILE")]
    pub trace: PathBuf,
    /// Begin here, from the beginning of the trace
    #[arg(long, value_name = "TIME")]
    pub from: Option<Span>,
    /// Replay no more than this
    #[arg(long = "for", value_name = "TIME")]
    pub length: Option<Span>,
    /// So many times the records
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = positive)]
    pub load: f64,
    /// Try only these; can be given several times or with commas
    #[arg(long = "policy", value_name = "NAME", value_delimiter = ',')]
    pub policies: Vec<Name>,
    /// Try a fleet of so many pods too; can be given several times
    #[arg(long, value_name = "PODS")]
    pub fixed: Vec<u32>,
    /// Try KEDA with these settings, which know what a pod can do: lag=SECONDS of a pod's work for
    /// each pod, rate=SHARE of what a pod can do (over window=SECONDS), down=SECONDS and up=SECONDS of
    /// stabilisation, even; can be given several times
    #[arg(long, value_name = "SETTINGS")]
    pub keda: Vec<Settings>,
    /// No record shall wait longer: spec.scaling.maxDelay
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub max_delay: Span,
    /// Partitions of the topic
    #[arg(long, value_name = "N", default_value_t = 48,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub partitions: u32,
    /// Records per second that one pod can do; without it, such that the busiest five minutes
    /// need ten pods
    #[arg(long, value_name = "R", value_parser = positive)]
    pub per_pod: Option<f64>,
    /// Records that a pod has in flight: spec.delivery.concurrency
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: u32,
    /// Pods at least: spec.scaling.minReplicas
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min: u32,
    /// Pods at most: spec.scaling.maxReplicas; without it, as many as partitions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max: Option<u32>,
    /// Drover's known peaks: a file with the list of spec.scaling.schedule in YAML or JSON
    #[arg(long, value_name = "FILE", requires = "begins")]
    pub schedule: Option<PathBuf>,
    /// When the load begins, for --schedule, such as 2026-11-26T08:00:00Z
    #[arg(long, value_name = "WHEN", requires = "schedule")]
    pub begins: Option<Timestamp>,
    /// From a pod's creation to its joining the group: the median
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub start_up: Span,
    /// For how long a partition rests that changes its pod
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub pause: Span,
    /// Every change of the group's members stops all partitions, not only those that move
    #[arg(long)]
    pub eager: bool,
    /// How often a partition's progress is committed
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub commit_every: Span,
    /// Pods run a consumer of their own, spec.handler.consumer: only its commits tell Drover what they can do
    #[arg(long)]
    pub own_consumer: bool,
    /// They reach Kafka through one address, so that it cannot say which pod has which partitions
    #[arg(long, requires = "own_consumer")]
    pub one_address: bool,
    /// How unequal partitions are: sigma of their log-normal shares
    #[arg(long, value_name = "SIGMA", default_value_t = 0.25, value_parser = not_negative)]
    pub skew: f64,
    /// How unequal pods are: sigma of their log-normal speed
    #[arg(long, value_name = "SIGMA", default_value_t = 0.08, value_parser = not_negative)]
    pub pod_spread: f64,
    /// In the middle every pod slows down to this share of its speed, such as 0.6
    #[arg(long, value_name = "SHARE", value_parser = positive)]
    pub slow_down: Option<f64>,
    /// What lies behind the handler serves no more than so many pods
    #[arg(long, value_name = "PODS", value_parser = positive)]
    pub downstream_pods: Option<f64>,
    /// In the middle one partition stands still for so long
    #[arg(long, value_name = "TIME")]
    pub stuck: Option<Span>,
    /// In the middle no offsets can be read for so long
    #[arg(long, value_name = "TIME")]
    pub lost_metrics: Option<Span>,
    /// Which of the possible runs: partitions, pods and moments are drawn from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How to say what became of it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Draw it into this file, .svg or .png: load, and pods, delay and lag of each policy over time
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

/// How the outcome is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: settings, figures, and every change of the size with its reason.
    Json,
}

/// A policy's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(pub Contender);

impl ValueEnum for Name {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Name; Contender::ALL.len()] = {
            let mut all = [Name(Contender::Drover); Contender::ALL.len()];
            let mut index = 0;
            while index < all.len() {
                all[index] = Name(Contender::ALL[index]);
                index += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()).help(self.0.about()))
    }
}

/// What was tried, and what became of it.
struct Run {
    name: String,
    about: String,
    outcome: Outcome,
}

/// Replays what the arguments say.
///
/// # Errors
/// In one line with its remedy: the file cannot be read or is no trace, the plot cannot be
/// written, settings that contradict each other.
pub fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let picture = args.plot.as_deref().map(Picture::of).transpose()?;
    let trace = trace(args)?;
    let setup = setup(args, &trace)?;
    let peaks = peaks(args)?;
    let runs = try_all(args, &setup, &trace, peaks.as_ref());
    let title = args.trace.file_name().unwrap_or(args.trace.as_os_str());
    let title = title.to_string_lossy();
    if let Some(picture) = picture {
        picture.draw(|lettering| report::svg(&title, &setup, &trace, &runs, lettering))?;
    }
    output::print(&match args.format {
        Format::Table => report::table(&title, &setup, &trace, &runs),
        Format::Json => report::json(&title, &setup, &trace, &runs),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn trace(args: &SimulateArgs) -> anyhow::Result<Trace> {
    let file = args.trace.display();
    let text = fs::read_to_string(&args.trace).with_context(|| format!("read {file}"))?;
    let trace = Trace::read(&text).with_context(|| format!("{file} is no trace"))?;
    let from = args.from.map_or(0.0, |from| from.0.as_secs_f64());
    let length = args.length.map(|length| length.0.as_secs_f64());
    let part = trace.cut(from, length).with_context(|| {
        format!(
            "{file} has {} of load, and fewer than two lines of it from --from on for --for; choose a part within it",
            Span::secs(trace.length() as u64)
        )
    })?;
    Ok(if args.load == 1.0 {
        part
    } else {
        part.times(args.load)
    })
}

fn setup(args: &SimulateArgs, trace: &Trace) -> anyhow::Result<Setup> {
    let busiest = trace.busiest(BUSIEST);
    ensure!(
        busiest > 0.0,
        "{} has no records; there is nothing to replay",
        args.trace.display()
    );
    let max = args.max.unwrap_or(args.partitions);
    ensure!(
        args.min <= max,
        "--min {} is more than --max {max}; lower it, or raise --max",
        args.min
    );
    let promise = args.max_delay.0.as_secs_f64();
    ensure!(
        promise > 0.0,
        "--max-delay must be more than 0s, such as 60s"
    );
    let seconds = |span: Option<Span>| span.map(|span| span.0.as_secs_f64());
    Ok(Setup {
        partitions: args.partitions,
        skew: args.skew,
        per_pod: args.per_pod.unwrap_or(busiest / PODS),
        concurrency: args.concurrency,
        pod_spread: args.pod_spread,
        start_up: args.start_up.0.as_secs_f64(),
        pause: args.pause.0.as_secs_f64(),
        eager: args.eager,
        commit_every: args.commit_every.0.as_secs_f64(),
        own_consumer: args.own_consumer,
        one_address: args.one_address,
        min: args.min,
        max,
        promise,
        seed: args.seed,
        faults: Faults {
            speed: args.slow_down,
            downstream_pods: args.downstream_pods,
            stuck: seconds(args.stuck),
            blind: seconds(args.lost_metrics),
        },
        ..Setup::default()
    })
}

/// The peaks that Drover is told, and when what is replayed begins.
fn peaks(args: &SimulateArgs) -> anyhow::Result<Option<(Schedule, Timestamp)>> {
    let (Some(file), Some(begins)) = (&args.schedule, args.begins) else {
        return Ok(None);
    };
    let name = file.display();
    let text = super::validate::read(file)?;
    let mut documents = yaml::documents(&text).into_iter();
    let (Some(document), None) = (documents.next(), documents.next()) else {
        bail!("{name} must have one document: the list of spec.scaling.schedule");
    };
    let value = document
        .value
        .map_err(|error| anyhow!("{name} cannot be read: {error}; correct its YAML"))?;
    let schedule =
        read_schedule(&value).map_err(|wrong| anyhow!("{name}: {}", wrong.join("; ")))?;
    let from = args.from.map_or(0.0, |from| from.0.as_secs_f64());
    let from = SignedDuration::try_from_secs_f64(from).unwrap_or_default();
    let begins = begins.checked_add(from);
    Ok(Some((schedule, begins.context("--begins is too late")?)))
}

/// Every policy in a world of its own, as many at once as there are processors.
fn try_all(
    args: &SimulateArgs,
    setup: &Setup,
    trace: &Trace,
    peaks: Option<&(Schedule, Timestamp)>,
) -> Vec<Run> {
    let policies = match args.policies.as_slice() {
        [] if args.keda.is_empty() => Contender::ALL.to_vec(),
        named => named.iter().map(|name| name.0).collect(),
    };
    let mut tried: Vec<(String, String, Box<dyn Controller + Send>)> = Vec::new();
    for policy in policies {
        let (name, mut about) = (policy.name().to_owned(), policy.about().to_owned());
        let mut controller = policy.controller(setup);
        if let (Contender::Drover, Some((schedule, begins))) = (policy, peaks) {
            about.push_str(", and the known peaks");
            controller = Box::new(Drover::new(setup).with_peaks(schedule.clone(), *begins));
        }
        tried.push((name, about, controller));
    }
    for settings in &args.keda {
        let name = format!("keda:{}", settings.text);
        let keda = Keda::new(setup, &settings.tuning);
        tried.push((
            name,
            "KEDA with settings of your own".to_owned(),
            Box::new(keda),
        ));
    }
    for &pods in &args.fixed {
        let about = "as many pods all the time".to_owned();
        tried.push((format!("fixed-{pods}"), about, Box::new(Fixed(pods))));
    }
    thread::scope(|scope| {
        let running: Vec<_> = tried
            .into_iter()
            .map(|(name, about, mut controller)| {
                scope.spawn(move || Run {
                    name,
                    about,
                    outcome: simulation::run(setup, trace, controller.as_mut()),
                })
            })
            .collect();
        let joined = running.into_iter().map(thread::ScopedJoinHandle::join);
        // A panic in there is one here.
        joined
            .map(|run| run.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("write a number greater than 0".to_owned()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err("write 0 or a number greater than that".to_owned()),
    }
}
