//! `drover`, also `kubectl drover`: one file per subcommand.

mod args;
mod cluster;
mod columns;
mod connection;
pub mod crd;
mod decide;
mod dlq;
mod encryption;
mod format;
mod grouped;
mod output;
mod produce;
mod progress;
mod record;
mod simulate;
mod status;
mod validate;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

pub use args::Cli;
use args::Command;

/// Runs the command that `argv` says and gives the process's exit code: 0 for success, 1 where
/// what was checked is wrong, 2 for wrong usage and for what could not be read, written or reached.
pub fn main(argv: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
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
        Command::Crd => crd::run(),
        Command::Decide => decide::run(),
        Command::Decrypt(args) => encryption::decrypt(&args),
        Command::Dlq(args) => dlq::run(args).await,
        Command::Encrypt(args) => encryption::encrypt(&args),
        Command::Encryption(args) => encryption::run(&args),
        Command::Produce(args) => produce::run(args).await,
        Command::Record(args) => record::run(args).await,
        Command::Simulate(args) => simulate::run(&args),
        Command::Status(args) => status::run(args).await,
        Command::Validate(args) => validate::run(&args),
    }
}
