//! `drover completion`: a script for a shell that completes subcommands and flags.

use std::io;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::output;

/// Arguments of `drover completion`.
#[derive(Args, Clone, Debug)]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Writes the script.
pub(super) fn run(args: &CompletionArgs) -> anyhow::Result<ExitCode> {
    let mut script = io::Cursor::new(Vec::new());
    let mut command = Cli::command();
    clap_complete::generate(args.shell, &mut command, "drover", &mut script);
    output::print(&String::from_utf8_lossy(script.get_ref()))?;
    Ok(ExitCode::SUCCESS)
}
