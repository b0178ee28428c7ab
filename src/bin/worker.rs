//! `drover-worker`.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use drover::telemetry::log;
use drover::worker::args::{Args, copy_program, host_name, read_config, read_replay};
use drover::worker::{HANDLER_PATIENCE, Options, replay, run, signals};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// A record is a dozen allocations, some beyond a thousand bytes, where glibc's allocator becomes
/// slow. librdkafka keeps glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As for a command line that cannot be read.
const CANNOT_BE_READ: u8 = 2;

fn main() -> ExitCode {
    // Before anything else: to the first process of a container a signal that it does not listen for is none.
    let shutdown = CancellationToken::new();
    if let Err(error) = signals::cancel_on_signal(shutdown.clone()) {
        eprintln!("drover-worker: listen for signals: {error}");
        return ExitCode::FAILURE;
    }
    drover::worker::begin();
    let args = Args::parse();
    if let Some(path) = &args.copy_to {
        return match copy_program(path) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("drover-worker: {error}");
                ExitCode::FAILURE
            }
        };
    }
    if args.wait_for_signals {
        signals::wait_until_heard();
        return ExitCode::SUCCESS;
    }
    let filter = args.log.or_else(|| std::env::var("RUST_LOG").ok());
    if let Err(error) = log::init(args.log_format, filter.as_deref().unwrap_or("info")) {
        eprintln!("drover-worker: {error}");
    }
    if args.replay {
        return replay_letters(&args.replay_result, shutdown);
    }
    let config = match read_config(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            error!("{error}");
            return ExitCode::from(CANNOT_BE_READ);
        }
    };
    let options = Options {
        // A host may run several; a pod does not.
        is_static: args.pod.is_some(),
        pod: args.pod.unwrap_or_else(host_name),
        admin: Some(args.admin_address),
        handler_patience: HANDLER_PATIENCE,
        journal: args.journal,
        mock_kafka: false,
    };
    info!(
        version = env!("CARGO_PKG_VERSION"),
        consumer = config.consumer,
        pod = options.pod,
        group = config.group_id,
        topics = config.topics.join(","),
        handler = %config.handler,
        "drover-worker begins"
    );
    match run(&config, &options, shutdown) {
        Ok(()) => {
            info!("drover-worker is done");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            error!(source, "{error}");
            ExitCode::FAILURE
        }
    }
}

fn replay_letters(result: &Path, stop: CancellationToken) -> ExitCode {
    let config = match read_replay() {
        Ok(config) => config,
        Err(error) => return replay::give_up(&error, result),
    };
    replay::run(&config, result, stop)
}
