//! `drover encrypt`: texts in, messages out.

use std::process::ExitCode;

use clap::Args;

use super::keys::KeyArgs;
use super::seal::{Sealer, WriteArgs};
use super::texts::TextArgs;

/// Arguments of `drover encrypt`.
#[derive(Args, Clone, Debug)]
pub struct EncryptArgs {
    #[command(flatten)]
    texts: TextArgs,
    #[command(flatten)]
    written: WriteArgs,
    #[command(flatten)]
    keys: KeyArgs,
}

pub(crate) fn run(args: &EncryptArgs) -> anyhow::Result<ExitCode> {
    let sealer = Sealer::new(&args.keys, &args.written)?;
    args.texts
        .each(true, |text| sealer.seal(text).map(String::into_bytes))
}
