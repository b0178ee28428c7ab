//! Writes messages with the keys of the command line and the system's randomness.

use anyhow::anyhow;
use clap::Args;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::keys::KeyArgs;
use crate::encryption::{Key, Options, Randomness, encrypt};

/// How messages are written.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Form of the message")]
pub struct WriteArgs {
    /// The same text becomes the same message, with the deterministic key
    #[arg(long)]
    deterministic: bool,
    /// The message names its key
    #[arg(long)]
    store_key_references: bool,
    /// The message carries a key of its own, sealed with the primary key
    #[arg(long, conflicts_with = "deterministic")]
    envelope: bool,
    /// Texts of more than 140 bytes are not compressed
    #[arg(long)]
    no_compress: bool,
}

impl WriteArgs {
    /// True if one of them was given.
    pub fn any(&self) -> bool {
        self.deterministic || self.store_key_references || self.envelope || self.no_compress
    }
}

/// Writes messages.
pub struct Sealer {
    key: Key,
    options: Options,
    random: SystemRandom,
}

impl Sealer {
    /// Reads and derives the keys.
    ///
    /// # Errors
    /// If there is none that writes messages of this form.
    pub fn new(keys: &KeyArgs, written: &WriteArgs) -> anyhow::Result<Self> {
        let keyring = keys.keyring(false)?;
        let key = if written.deterministic {
            keyring.deterministic_key().ok_or_else(|| {
                anyhow!("--deterministic needs the deterministic key; add --deterministic-key-file, or have deterministic_key in --keys-file")
            })?
        } else {
            keyring.primary_key().ok_or_else(|| {
                anyhow!(
                    "no primary key is given; add --primary-key-file, or have primary_key in --keys-file"
                )
            })?
        };
        Ok(Self {
            key: key.clone(),
            options: Options {
                compress: !written.no_compress,
                deterministic: written.deterministic,
                store_key_references: written.store_key_references,
                envelope: written.envelope,
            },
            random: SystemRandom::new(),
        })
    }

    /// A message of this text.
    ///
    /// # Errors
    /// In words.
    pub fn seal(&self, text: &[u8]) -> Result<String, String> {
        let mut bytes = Zeroizing::new([0; Randomness::BYTES]);
        self.random
            .fill(bytes.as_mut())
            .map_err(|_| "the system gives no random bytes".to_owned())?;
        encrypt(
            &self.key,
            text,
            &self.options,
            &Randomness::from_bytes(&bytes),
        )
        .map_err(|error| error.to_string())
    }
}
