//! The program of the Job of a `DeadLetterReplay`: a replay from beginning to end, and what became
//! of it as the container's last words.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::kafka::security::Security;
use crate::redrive::marks::Kind;
use crate::redrive::place::{Fleet, Place};
use crate::redrive::reach::{Reach, leave_out_members_only};
use crate::redrive::replay::{Fenced, Onlooker, Replay, Wishes};
use crate::redrive::report::{Outcome, Report};
use crate::redrive::{printable, words};
use crate::worker_config::replay::{
    Ending, FENCED, GIVEN_UP, INCOMPLETE, LeftOut, ReplayConfig, ReplayResult, TOO_MANY_FAIL,
    Whose, WouldReplay,
};

/// How long brokers are waited for.
const TIMEOUT: Duration = Duration::from_secs(60);
/// From line to line about how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Carries the replay out, until `stop` at the latest, and leaves a [`ReplayResult`] in `result`.
pub fn run(config: &ReplayConfig, result: &Path, stop: CancellationToken) -> ExitCode {
    let moved = Arc::new(AtomicU64::new(0));
    let ended = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(replay(config, stop, Arc::clone(&moved))),
        Err(error) => Err(error.into()),
    };
    let left = match ended {
        Ok(report) => told(&report),
        Err(error) => ReplayResult {
            ending: match error.is::<Fenced>() {
                true => Ending::Fenced,
                false => Ending::Error,
            },
            ..failed(format!("{error:#}"), moved.load(Ordering::Relaxed))
        },
    };
    match &left.error {
        Some(error) => error!(replayed = left.replayed, "{error}"),
        None => info!(
            ending = ?left.ending,
            replayed = left.replayed,
            failed_again = left.failed_again,
            of_other_consumers = left.left_out.map(|out| out.of_other_consumers),
            "the replay has ended"
        ),
    }
    if let Err(error) = fs::write(result, left.text()) {
        error!(%error, "write {}", result.display());
    }
    ExitCode::from(match left.ending {
        Ending::Complete => 0,
        Ending::Error => 1,
        Ending::Failing => TOO_MANY_FAIL,
        Ending::Incomplete => INCOMPLETE,
        Ending::Fenced => FENCED,
        Ending::Interrupted => 130,
    })
}

/// Leaves behind that nothing can be done.
pub fn give_up(error: &str, result: &Path) -> ExitCode {
    error!("{error}");
    if let Err(error) = fs::write(result, failed(error.to_owned(), 0).text()) {
        error!(%error, "write {}", result.display());
    }
    ExitCode::from(GIVEN_UP)
}

async fn replay(
    config: &ReplayConfig,
    stop: CancellationToken,
    moved: Arc<AtomicU64>,
) -> anyhow::Result<Report> {
    let place = place(config)?;
    let kind = Kind {
        filter: config.filter.clone(),
        max_replays: config.max_replays,
        to: config.to.clone(),
        retry_topic: place.retry_topic(),
    };
    let wishes = Wishes {
        id: config.id.clone(),
        to_source: config.to_source,
        rate: config.rate,
        stop_at: config.stop_at,
        settle: Duration::from_millis(config.settle_millis),
        bypass: config.bypass.clone(),
        again: false,
    };
    info!(
        replay = config.replay,
        topic = config.dead_letter_topic,
        dry_run = config.dry_run,
        "the replay begins"
    );
    let replay = Replay::prepare(place, kind, wishes).await?;
    let dry_run = config.dry_run;
    let told = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&told);
    let work = tokio::task::spawn_blocking(move || {
        let mut logged = Logged {
            moved,
            next: TOLD_EVERY,
        };
        match dry_run {
            true => replay.rehearse(&mut |_| {}, &stopping),
            false => replay.perform(&mut logged, &stopping),
        }
    });
    let stops = async {
        stop.cancelled().await;
        info!("told to stop; what was moved is noted");
        told.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        done = work => done?,
        () = stops => unreachable!("it waits for ever"),
    }
}

fn place(config: &ReplayConfig) -> anyhow::Result<Place> {
    let security = Security::load(&config.security, |path| fs::read(path));
    let mut properties = config.properties.clone();
    leave_out_members_only(&mut properties);
    Ok(Place {
        reach: Reach {
            bootstrap: config.bootstrap_servers.clone(),
            properties,
            security: security.map_err(|error| anyhow::anyhow!(error))?,
            client_id: "drover-replay",
            timeout: TIMEOUT,
            words: words::FIELDS,
        },
        topic: config.dead_letter_topic.clone(),
        fleet: Some(Fleet {
            name: config.consumer.clone(),
            topics: config.topics.clone(),
            retry_topic: config.retry_topic.clone(),
            whose: config.filter.whose.clone().unwrap_or_else(|| Whose {
                consumer: config.consumer.clone(),
                group: None,
            }),
        }),
    })
}

/// Progress in the log, and for whoever wants to know when it went wrong.
struct Logged {
    moved: Arc<AtomicU64>,
    next: Duration,
}

impl Onlooker for Logged {
    fn moved(&mut self, count: u64, elapsed: Duration) {
        self.moved.store(count, Ordering::Relaxed);
        if elapsed >= self.next {
            self.next = elapsed + TOLD_EVERY;
            info!(replayed = count, "replaying");
        }
    }

    fn done(&mut self) {}
}

fn failed(error: String, replayed: u64) -> ReplayResult {
    ReplayResult {
        ending: Ending::Error,
        error: Some(error),
        to: None,
        replayed,
        failed_again: None,
        left_out: None,
        would_replay: None,
    }
}

fn told(report: &Report) -> ReplayResult {
    let dry_run = report.id.is_none();
    ReplayResult {
        ending: match report.outcome {
            Outcome::Complete => Ending::Complete,
            Outcome::Interrupted => Ending::Interrupted,
            Outcome::Failing => Ending::Failing,
            Outcome::Incomplete => Ending::Incomplete,
        },
        error: said(report).map(|said| printable(&said)),
        to: report.to.clone(),
        replayed: report.moved,
        failed_again: (!dry_run).then_some(report.failed_again),
        left_out: Some(LeftOut {
            replayed_before: report.left_out.already,
            replayed_too_often: report.left_out.guarded,
            without_origin: report.left_out.orphans,
            not_meant: report.left_out.others,
            of_other_consumers: report.left_out.foreign,
            refused: report.refused.len() as u64,
            deleted: report.deleted,
        }),
        would_replay: dry_run.then(|| counted(report)),
    }
}

/// What was not replayed, or would end the replay.
fn said(report: &Report) -> Option<String> {
    let foreseen = report.would_fail.join("; ");
    report
        .missing()
        .or_else(|| (!foreseen.is_empty()).then_some(foreseen))
}

fn counted(report: &Report) -> WouldReplay {
    let [reasons, origins, statuses, times] = report
        .histogram
        .parts()
        .map(|(_, counts)| counts.into_iter().collect());
    WouldReplay {
        total: report.histogram.total,
        reasons,
        origins,
        statuses,
        times,
    }
}
