//! `drover`, also `kubectl drover`: one file per subcommand.

mod args;
mod bootstrap;
mod brokers;
mod cluster;
mod columns;
mod completion;
mod connection;
mod convert;
pub mod crd;
mod credentials;
mod decide;
mod dev;
mod dlq;
mod docs;
mod doctor;
mod encryption;
mod event;
mod explain;
mod fit;
mod fleets;
mod format;
mod grouped;
mod interference;
mod lag;
mod leadership;
mod logs;
mod man;
mod output;
mod pause;
mod produce;
mod progress;
mod readable;
mod record;
mod render;
mod reset;
mod simulate;
mod skip;
mod status;
mod top;
mod validate;
mod version;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

pub use args::Cli;
use args::Command;

/// Runs the command that `argv` says and gives the process's exit code: 0 for success, 1 where
/// what was checked is wrong, 2 for wrong usage and for what could not be read, written or reached.
pub fn main(argv: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    crate::kafka::begin();
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with code 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")
        .and_then(|runtime| runtime.block_on(run(cli.command)));
    result.unwrap_or_else(|error| {
        eprintln!("{}", output::error_line(&error));
        ExitCode::from(2)
    })
}

/// One line per subcommand.
async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Completion(args) => completion::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Crd(args) => crd::run(&args),
        Command::Decide => decide::run(),
        Command::Decrypt(args) => encryption::decrypt(&args),
        Command::Dev(args) => dev::run(args).await,
        Command::Dlq(args) => dlq::run(args).await,
        Command::Docs(args) => docs::run(&args),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Encrypt(args) => encryption::encrypt(&args),
        Command::Encryption(args) => encryption::run(&args),
        Command::Explain(args) => explain::run(args).await,
        Command::Lag(args) => lag::run(args).await,
        Command::Logs(args) => logs::run(args).await,
        Command::Man(args) => man::run(&args),
        Command::Pause(args) => pause::run(args, true).await,
        Command::Produce(args) => produce::run(args).await,
        Command::Record(args) => record::run(args).await,
        Command::Render(args) => render::run(&args),
        Command::Reset(args) => reset::run(args).await,
        Command::Resume(args) => pause::run(args, false).await,
        Command::Simulate(args) => simulate::run(&args),
        Command::Skip(args) => skip::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Top(args) => top::run(args).await,
        Command::Validate(args) => validate::run(&args),
        Command::Version(args) => version::run(args).await,
    }
}
