//! All keys that a reader has, and in which order they are tried.

use super::key::{Digest, Key, KeyId};
use super::message::{Header, Message};
use super::read::{self, Decrypted};
use super::secret::Secret;
use super::{DEFAULT_MAX_INFLATED_BYTES, Error};

/// Keys that belong together: a list for rotation, of which the last one writes. A scheme without
/// keys opens nothing.
#[derive(Debug, Clone)]
pub struct Scheme {
    /// All of them read, from first to last.
    pub keys: Vec<Key>,
    /// Whether a message carries its own key, sealed with one of these.
    pub envelope: Envelope,
}

/// Whether messages carry their own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// What Rails' default key provider does: an envelope is not looked into.
    Never,
    /// What Rails' envelope provider does: anything else is refused.
    Always,
    /// A message that carries a key is opened with it, any other without: reads both.
    WhenPresent,
}

/// Everything that a reader needs.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// Tried in this order.
    schemes: Vec<Scheme>,
    max_inflated_bytes: u64,
    deterministic: Option<Key>,
}

/// The configured texts, as in `config.active_record.encryption`.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// `primary_key`: the last one writes, all of them read.
    pub primary_keys: Vec<Secret>,
    /// `deterministic_key`.
    pub deterministic_key: Option<Secret>,
    /// `key_derivation_salt`.
    pub salt: Secret,
}

/// How the texts become keys, and what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// `hash_digest_class`.
    pub digest: Digest,
    /// `support_sha1_for_non_deterministic_encryption`: primary keys are tried as SHA-1 derives
    /// them, too.
    pub support_sha1: bool,
    /// Bytes that a compressed text may become.
    pub max_inflated_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            digest: Digest::default(),
            support_sha1: false,
            max_inflated_bytes: DEFAULT_MAX_INFLATED_BYTES,
        }
    }
}

impl Keyring {
    /// A keyring that tries these schemes in their order.
    pub fn of(schemes: Vec<Scheme>, max_inflated_bytes: u64) -> Self {
        Self {
            schemes,
            max_inflated_bytes,
            deterministic: None,
        }
    }

    /// Derives all keys: tens of milliseconds each.
    pub fn derive(secrets: &Secrets, settings: &Settings) -> Self {
        let scheme = |keys: &[Secret], digest| Scheme {
            keys: keys
                .iter()
                .map(|key| Key::derive(key, &secrets.salt, digest))
                .collect(),
            envelope: Envelope::WhenPresent,
        };
        let mut schemes = vec![scheme(&secrets.primary_keys, settings.digest)];
        let deterministic = secrets.deterministic_key.as_slice();
        schemes.push(scheme(deterministic, settings.digest));
        let deterministic = schemes[1].writing_key().cloned();
        if settings.support_sha1 && settings.digest != Digest::Sha1 {
            schemes.push(scheme(&secrets.primary_keys, Digest::Sha1));
        }
        Self {
            schemes,
            max_inflated_bytes: settings.max_inflated_bytes,
            deterministic,
        }
    }

    /// The primary key that writes.
    pub fn primary_key(&self) -> Option<&Key> {
        self.schemes.first()?.writing_key()
    }

    /// The deterministic key.
    pub fn deterministic_key(&self) -> Option<&Key> {
        self.deterministic.as_ref()
    }

    /// Opens a message.
    ///
    /// # Errors
    ///
    /// What is wrong with it. [`Error::UnknownKeyId`] only if no scheme has such a key.
    pub fn decrypt(&self, text: &[u8]) -> Result<Decrypted, Error> {
        let message = Message::parse(text)?;
        let mut refusal = None;
        for scheme in &self.schemes {
            match read::open(scheme, &message, self.max_inflated_bytes) {
                // Another scheme may have the key; of all other faults the message is to blame.
                Err(error) if error.wants_another_key() => {
                    if refusal != Some(Error::AuthFailed) {
                        refusal = Some(error);
                    }
                }
                over => return over,
            }
        }
        Err(refusal.unwrap_or(Error::AuthFailed))
    }

    /// The ids of all keys, in the order in which they are tried; some may be equal.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        let schemes = self.schemes.iter();
        schemes.flat_map(|scheme| scheme.keys.iter().map(Key::id))
    }
}

impl Scheme {
    /// The key that writes.
    pub fn writing_key(&self) -> Option<&Key> {
        self.keys.last()
    }

    /// The keys to try: those that the message names, or all of them.
    pub(super) fn keys_for(&self, message: &Message) -> Result<Vec<&Key>, Error> {
        let named = match message.header("i") {
            None => return Ok(self.keys.iter().collect()),
            Some(Header::Bytes(id)) => KeyId::parse(id),
            Some(_) => None,
        };
        let keys: Vec<&Key> = self
            .keys
            .iter()
            .filter(|key| Some(key.id()) == named)
            .collect();
        if keys.is_empty() {
            return Err(Error::UnknownKeyId(named));
        }
        Ok(keys)
    }
}
