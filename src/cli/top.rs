//! `drover top`: the fleets, live in the terminal, those in trouble first.
//!
//! `model` and `view` are pure; what the API server says, keys, signals and the terminal itself come to them from here.

mod keys;
mod model;
mod screen;
mod signals;
mod trouble;
mod view;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::cluster::{Cluster, ClusterArgs};
use super::fleets::FleetsArgs;
use super::leadership::{self, Consequence};
use super::{output, pause};
use crate::api::{KafkaConsumer, Span};
use crate::clock::{self, Monotonic};
use keys::Input;
use model::{Model, Name, Wish};
use screen::Screen;
use signals::{Signals, Told};
use view::Paint;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is said in seconds is drawn anew this often, and a terminal that has gone is noticed.
const TICK: Duration = Duration::from_secs(1);
/// It is looked this often whether a controller leads.
const LEADERS: Duration = Duration::from_secs(5);
/// Nobody sees more, and the API server has other work.
const SHORTEST: Duration = Duration::from_millis(100);

/// Arguments of `drover top`.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Which.
    #[command(flatten)]
    fleets: FleetsArgs,
    /// Where they are.
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "2s")]
    interval: Span,
}

/// Shows until `q`.
///
/// # Errors
/// In one line with its remedy: not a terminal, or the API server does not answer the first question.
/// What goes wrong later is shown, and asked again.
pub async fn run(args: TopArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.interval.0 >= SHORTEST,
        "--interval is shorter than {}ms; name a longer time, such as 2s",
        SHORTEST.as_millis()
    );
    ensure!(
        screen::is_drawable(),
        "top draws on a terminal, and this is none; use drover status, with -o json for programs"
    );
    let cluster = Arc::new(Cluster::connect(&args.cluster).await?);
    let place = match args.fleets.all_namespaces {
        true => "all namespaces".to_owned(),
        false => format!("namespace {}", cluster.namespace),
    };
    let place = format!("{place}{}", args.fleets.with_labels());
    let first = args.fleets.list(&cluster).await?;
    let vacancy = timeout(PATIENCE, vacancy(&cluster, &first)).await;
    let mut model = Model::new(place, args.fleets.all_namespaces, first, clock::now());
    model.vacancy = vacancy.unwrap_or_default();
    live(args, cluster, model).await
}

/// Until somebody wants to go, or the terminal has gone.
async fn live(args: TopArgs, cluster: Arc<Cluster>, mut model: Model) -> anyhow::Result<ExitCode> {
    let paint = match std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        true => Paint::Plain,
        false => Paint::Colours,
    };
    let hurry = Arc::new(Notify::new());
    let (tell, mut answers) = mpsc::unbounded_channel();
    let asking = ask(args, Arc::clone(&cluster), Arc::clone(&hurry), tell);
    let mut asking = AbortOnDropHandle::new(tokio::spawn(asking));
    let mut changes = JoinSet::new();
    let mut signals = Signals::listen().context("listen for signals")?;
    let mut screen = Screen::enter().context("draw on the terminal")?;
    let mut inputs = keys::listen();
    let code = loop {
        let mut last = 0;
        let drawn = screen.draw(|buffer| last = view::draw(&model, clock::now(), paint, buffer));
        if !screen::is_there() {
            break signals::HUNG_UP;
        }
        drawn.context("draw on the terminal")?;
        model.scroll = model.scroll.min(last);
        let told = tokio::select! {
            Some(answer) = answers.recv() => {
                match answer {
                    Answer::Fleets(consumers) => model.heard(consumers, clock::now()),
                    Answer::Vacancy(vacancy) => model.vacancy = vacancy,
                    Answer::None(why) => model.unheard(why),
                }
                continue;
            }
            Some(notice) = changes.join_next() => {
                model.notice = Some(notice.context("change a fleet")?);
                hurry.notify_one();
                continue;
            }
            ended = &mut asking => {
                ended.context("ask the API server")?;
                continue;
            }
            input = inputs.recv() => match input {
                Some(Input::Key(key)) => match model.press(key) {
                    Some(Wish::Quit) => break 0,
                    Some(Wish::Interrupt) => break signals::INTERRUPTED,
                    Some(Wish::Suspend) => Told::Suspend,
                    Some(Wish::Set { name, paused }) => {
                        changes.spawn(change(Arc::clone(&cluster), name, paused));
                        continue;
                    }
                    None => continue,
                },
                Some(Input::Resized) => continue,
                None => break signals::HUNG_UP,
            },
            told = signals.next() => told,
            () = sleep(TICK) => continue,
        };
        match told {
            Told::End(code) => break code,
            Told::Suspend => {
                drop(screen);
                signals::stop().context("stop as asked")?;
                // Somebody lets it go on; the terminal may have had others meanwhile.
                screen = Screen::enter().context("draw on the terminal")?;
            }
        }
    };
    drop(screen);
    if code == 0 {
        finish(changes, &mut signals).await
    } else {
        Ok(ExitCode::from(code))
    }
}

/// What is under way is waited for, and told where it can be read.
async fn finish(mut changes: JoinSet<String>, signals: &mut Signals) -> anyhow::Result<ExitCode> {
    loop {
        tokio::select! {
            notice = changes.join_next() => match notice {
                Some(notice) => output::print(&format!("{}\n", notice.context("change a fleet")?))?,
                None => return Ok(ExitCode::SUCCESS),
            },
            told = signals.next() => if let Told::End(code) = told {
                return Ok(ExitCode::from(code));
            },
        }
    }
}

/// Of the API server.
enum Answer {
    Fleets(Vec<KafkaConsumer>),
    /// Whether anybody leads.
    Vacancy(Option<String>),
    /// Why there is none.
    None(String),
}

async fn vacancy(cluster: &Cluster, fleets: &[KafkaConsumer]) -> Option<String> {
    leadership::vacancy(cluster, Consequence::MayBeOld, fleets, clock::now()).await
}

/// Asks the API server again and again; whatever it answers, or does not, is an answer.
async fn ask(
    args: TopArgs,
    cluster: Arc<Cluster>,
    hurry: Arc<Notify>,
    tell: mpsc::UnboundedSender<Answer>,
) {
    let mut rest = args.interval.0;
    let mut looked = Monotonic::start();
    loop {
        // The first one was asked before.
        let _ = timeout(rest, hurry.notified()).await;
        let asked = Monotonic::start();
        let answer = match timeout(PATIENCE, args.fleets.list(&cluster)).await {
            Ok(Ok(found)) => Answer::Fleets(found),
            Ok(Err(error)) => Answer::None(format!("{error:#}")),
            Err(_) => Answer::None(no_answer(&cluster)),
        };
        // Where there is no answer it is not known either.
        if let Answer::Fleets(fleets) = &answer
            && looked.elapsed() >= LEADERS
        {
            looked = Monotonic::start();
            if let Ok(vacancy) = timeout(PATIENCE, vacancy(&cluster, fleets)).await
                && tell.send(Answer::Vacancy(vacancy)).is_err()
            {
                return;
            }
        }
        // Thousands of fleets are work for the API server: at least half of the time it has none with us.
        rest = args.interval.0.max(asked.elapsed());
        if tell.send(answer).is_err() {
            return;
        }
    }
}

fn no_answer(cluster: &Cluster) -> String {
    let (server, seconds) = (&cluster.server, PATIENCE.as_secs());
    format!("{server} does not answer within {seconds}s")
}

/// Pauses or resumes, and says how it went.
async fn change(cluster: Arc<Cluster>, (namespace, name): Name, paused: bool) -> String {
    let changed = timeout(PATIENCE, pause::set(&cluster, &namespace, &name, paused)).await;
    let word = if paused { "paused" } else { "resumed" };
    match changed {
        Ok(Ok(())) => format!("{name} {word}"),
        Ok(Err(error)) => format!("{name} is not {word}: {error:#}"),
        // It may have been done, or not.
        Err(_) => format!("{name}: {}; look whether it is {word}", no_answer(&cluster)),
    }
}
