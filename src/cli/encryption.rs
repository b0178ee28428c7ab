//! `drover encrypt`, `drover decrypt` and `drover encryption`: ActiveRecord::Encryption by hand.
//!
//! Keys come from files and from variables of the environment, never from arguments, which every
//! process of the machine can read.

mod decrypt;
mod encrypt;
pub(super) mod keys;
pub(super) mod seal;
mod texts;
pub(super) mod theirs;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub(super) use decrypt::{DecryptArgs, run as decrypt};
pub(super) use encrypt::{EncryptArgs, run as encrypt};

/// Arguments of `drover encryption`.
#[derive(Args, Clone, Debug)]
pub struct EncryptionArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Run a file of messages with their keys, as tests/vectors has one, and say how many pass
    Verify(verify::VerifyArgs),
}

pub(super) fn run(args: &EncryptionArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Verify(args) => verify::run(args),
    }
}
