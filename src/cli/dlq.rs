//! `drover dlq`: looks at dead letters, replays them and deletes them.
//!
//! Works with any Kafka and with the headers of Drover, Spring and Kafka Connect; a KafkaConsumer
//! only says where the topic is. The reference is `docs/dlq.md`.

mod filter;
mod list;
mod place;
mod purge;
mod replay;
mod show;
mod table;
mod told;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of what was interrupted.
const INTERRUPTED: i32 = 130;

/// Arguments of `drover dlq`.
#[derive(Args, Clone, Debug)]
pub struct DlqArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Count dead letters by reason, time, origin and handler status
    List(list::ListArgs),
    /// Show dead letters, with why and from where; their payload only if asked for
    Show(show::ShowArgs),
    /// Send dead letters back to their topic, or to another one, each once
    Replay(replay::ReplayArgs),
    /// Delete dead letters up to an offset, after asking
    Purge(purge::PurgeArgs),
}

/// Runs the subcommand.
///
/// # Errors
/// In one line with its remedy.
pub async fn run(args: DlqArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(args) => list::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Purge(args) => purge::run(args).await,
    }
}

/// Runs what blocks in a thread of its own, and tells it of the first Ctrl-C or SIGTERM; the second
/// ends the process.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let work = tokio::task::spawn_blocking(move || work(&told));
    tokio::select! {
        done = work => done?,
        () = interrupted_twice(&stop) => {
            eprintln!("drover: stopped at once; what was not committed is taken back by the brokers");
            std::process::exit(INTERRUPTED);
        }
    }
}

/// Does what only reads: the first Ctrl-C or SIGTERM ends the process, whoever is being waited for.
async fn reading<T>(work: impl Future<Output = T>) -> T {
    tokio::select! {
        // Listens before the work begins.
        biased;
        () = interrupted() => {
            if io::stderr().is_terminal() {
                // Behind the line that tells how far it was.
                eprintln!();
            }
            std::process::exit(INTERRUPTED)
        }
        done = work => done,
    }
}

async fn interrupted_twice(stop: &AtomicBool) {
    interrupted().await;
    stop.store(true, Ordering::Relaxed);
    interrupted().await;
}

/// The next Ctrl-C or SIGTERM; never where the system does not tell of them.
async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        heard = tokio::signal::ctrl_c() => {
            if heard.is_err() {
                std::future::pending::<()>().await;
            }
        }
        _ = terminate.recv() => {}
    }
}
