//! `drover decrypt`: messages in, texts out.

use std::process::ExitCode;

use clap::Args;

use super::keys::KeyArgs;
use super::texts::TextArgs;
use crate::encryption::{DEFAULT_MAX_INFLATED_BYTES, Error};

/// Arguments of `drover decrypt`.
#[derive(Args, Clone, Debug)]
pub struct DecryptArgs {
    #[command(flatten)]
    texts: TextArgs,
    /// Primary keys are tried as SHA-1 derives them, too
    #[arg(long)]
    support_sha1: bool,
    /// Bytes that a compressed text may become, as maxInflatedBytes of a KafkaConsumer
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_INFLATED_BYTES)]
    max_inflated_bytes: u64,
    #[command(flatten)]
    keys: KeyArgs,
}

pub(crate) fn run(args: &DecryptArgs) -> anyhow::Result<ExitCode> {
    let keyring = args
        .keys
        .reading(args.support_sha1, args.max_inflated_bytes)?;
    args.texts.each(false, |message| {
        let decrypted = keyring.decrypt(message);
        decrypted
            .map(|decrypted| decrypted.bytes)
            .map_err(|error| match error {
                Error::TooLarge { limit } => format!(
                    "{}: the message becomes more than {limit} bytes; raise --max-inflated-bytes if it is to be read",
                    error.class()
                ),
                error if error.wants_another_key() && !args.keys.derives_by_sha1() => format!(
                    "{}: {error}; the digest of an application older than load_defaults 7.1 is --hash-digest sha1",
                    error.class()
                ),
                error => format!("{}: {error}", error.class()),
            })
    })
}
