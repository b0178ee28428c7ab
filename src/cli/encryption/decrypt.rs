//! `drover decrypt`: messages in, texts out.

use std::process::ExitCode;

use clap::Args;

use super::keys::KeyArgs;
use super::texts::TextArgs;

/// Arguments of `drover decrypt`.
#[derive(Args, Clone, Debug)]
pub struct DecryptArgs {
    #[command(flatten)]
    texts: TextArgs,
    /// Primary keys are tried as SHA-1 derives them, too
    #[arg(long)]
    support_sha1: bool,
    #[command(flatten)]
    keys: KeyArgs,
}

pub(crate) fn run(args: &DecryptArgs) -> anyhow::Result<ExitCode> {
    let keyring = args.keys.keyring(args.support_sha1)?;
    args.texts.each(false, |message| {
        let decrypted = keyring.decrypt(message);
        decrypted
            .map(|decrypted| decrypted.bytes)
            .map_err(|error| format!("{}: {error}", error.class()))
    })
}
