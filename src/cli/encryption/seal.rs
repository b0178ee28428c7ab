//! Writes messages with the keys of the command line and the system's randomness.

use anyhow::anyhow;
use clap::Args;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::keys::KeyArgs;
use crate::encryption::{Field, Key, Keyring, Options, Pointer, Randomness, encrypt};

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
    pointer: Option<Pointer>,
    options: Options,
    random: SystemRandom,
}

impl Sealer {
    /// Reads and derives the keys.
    ///
    /// # Errors
    /// If there is none that writes messages of this form.
    pub fn new(keys: &KeyArgs, written: &WriteArgs) -> anyhow::Result<Self> {
        Self::of(&keys.keyring(false)?, None, written)
    }

    /// With the keys of this keyring; what is written is where `pointer` leads, or all.
    ///
    /// # Errors
    /// If there is no key that writes messages of this form.
    pub fn of(
        keyring: &Keyring,
        pointer: Option<Pointer>,
        written: &WriteArgs,
    ) -> anyhow::Result<Self> {
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
            pointer,
            options: Options {
                compress: !written.no_compress,
                deterministic: written.deterministic,
                store_key_references: written.store_key_references,
                envelope: written.envelope,
            },
            random: SystemRandom::new(),
        })
    }

    /// The value with a message where the pointer leads, or the message of all of it.
    ///
    /// # Errors
    /// In words.
    pub fn seal_within(&self, value: &[u8]) -> Result<Vec<u8>, String> {
        let Some(pointer) = &self.pointer else {
            return self.seal(value).map(String::into_bytes);
        };
        let words = |error: crate::encryption::Error| error.to_string();
        let field = Field::find(value, pointer).map_err(words)?.ok_or(
            "there is neither a text nor an object where spec.encryption.activeRecord.pointer leads; write a value that has one",
        )?;
        let message = self.seal(field.message.as_bytes())?;
        let sealed = field.replaced(value, message.as_bytes(), usize::MAX);
        sealed.map_err(words)
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
