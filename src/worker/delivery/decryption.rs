//! Decrypts records before the handler gets them; the reference is `docs/encryption.md`.
//!
//! The record as it was read is left as it is: a dead letter is still encrypted. No log line and no
//! failure carries a value or a key; ids of keys are not secret.

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tracing::info;

use super::answer::failure;
use super::room::{Room, Taken};
use crate::encryption::{
    Digest, Encoding, Error, Field, Keyring, Pointer, Secret, Secrets, Settings, looks_encrypted,
};
use crate::engine::{DeadLetterReason, Verdict};
use crate::telemetry::worker_metrics::OpenedBy;
use crate::worker_config::{self, HashDigest, OnPlaintext, OnUnknownKey};

/// All that is needed to decrypt.
pub struct Decryption {
    keyring: Keyring,
    pointer: Option<Pointer>,
    on_unknown_key: OnUnknownKey,
    on_plaintext: OnPlaintext,
    decrypted: Family<OpenedBy, Counter>,
    /// Bytes that a value may have.
    most: usize,
    room: Room,
}

/// Of the memory for records that were read, what decrypted values may take: room for two of the
/// largest, if that is not more than half.
pub fn share_of(budget: usize, config: &worker_config::Encryption) -> usize {
    let largest = usize::try_from(config.max_inflated_bytes).unwrap_or(usize::MAX);
    largest.saturating_mul(2).max(budget / 4).min(budget / 2)
}

/// A value for the handler.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// The value.
    pub value: Bytes,
    /// How the plaintext was labelled; None where nothing was encrypted.
    pub encoding: Option<Encoding>,
}

impl Decryption {
    /// Reads and derives the keys, tens of milliseconds each. Values take up to `room` bytes together,
    /// and so does one alone at most.
    ///
    /// # Errors
    ///
    /// In one line, without what a secret holds.
    pub fn load(
        config: &worker_config::Encryption,
        room: usize,
        decrypted: Family<OpenedBy, Counter>,
    ) -> Result<Self, String> {
        let most = config.max_inflated_bytes.min(room as u64);
        let primary_keys = config.primary_key_files.iter();
        let secrets = Secrets {
            primary_keys: primary_keys
                .map(|path| secret(path, "primary key"))
                .collect::<Result<_, _>>()?,
            deterministic_key: config
                .deterministic_key_file
                .as_ref()
                .map(|path| secret(path, "deterministic key"))
                .transpose()?,
            salt: secret(&config.salt_file, "key derivation salt")?,
        };
        let settings = Settings {
            digest: match config.hash_digest {
                HashDigest::Sha256 => Digest::Sha256,
                HashDigest::Sha1 => Digest::Sha1,
            },
            support_sha1: config.support_sha1,
            max_inflated_bytes: most,
        };
        let pointer = match &config.pointer {
            Some(text) => Some(
                Pointer::parse(text)
                    .ok_or_else(|| format!("encryption: {text:?} is no JSON pointer"))?,
            ),
            None => None,
        };
        let keyring = Keyring::derive(&secrets, &settings);
        let ids: Vec<String> = keyring.key_ids().map(|id| id.to_string()).collect();
        info!(key_ids = ids.join(","), "decrypts records");
        Ok(Self {
            keyring,
            pointer,
            on_unknown_key: config.on_unknown_key,
            on_plaintext: config.on_plaintext,
            decrypted,
            most: usize::try_from(most).unwrap_or(usize::MAX),
            room: Room::new(room),
        })
    }

    /// Room for whatever `value` may become.
    pub async fn room(&self, value: &[u8]) -> Taken {
        self.room.take(self.worst(value)).await
    }

    /// The same without waiting.
    pub fn room_at_once(&self, value: &[u8]) -> Option<Taken> {
        self.room.try_take(self.worst(value))
    }

    /// Bytes that decrypted values take.
    pub fn taken_bytes(&self) -> usize {
        self.room.taken_bytes()
    }

    /// One that is not compressed becomes no larger, a field is replaced in its document.
    fn worst(&self, value: &[u8]) -> usize {
        value.len().saturating_add(self.most)
    }

    /// The plaintext of a value, or the verdict on its record.
    pub fn open(&self, value: &Bytes) -> Result<Opened, Verdict> {
        let opened = match &self.pointer {
            None => self.decrypt(value),
            Some(pointer) => self.open_field(value, pointer),
        };
        match opened {
            Ok(opened) => Ok(opened),
            Err(NotOpened {
                plaintext: true, ..
            }) if self.on_plaintext == OnPlaintext::Deliver => Ok(Opened {
                value: value.clone(),
                encoding: None,
            }),
            Err(NotOpened { error, .. }) => Err(self.verdict(error)),
        }
    }

    fn open_field(&self, document: &Bytes, pointer: &Pointer) -> Result<Opened, NotOpened> {
        let nothing_there = |error| NotOpened {
            error,
            plaintext: true,
        };
        let field = Field::find(document, pointer)
            .map_err(nothing_there)?
            .ok_or(nothing_there(Error::NotAMessage))?;
        let opened = self.decrypt(field.message.as_bytes())?;
        let value = field.replaced(document, &opened.value, self.most);
        Ok(Opened {
            value: value
                .map_err(|error| NotOpened {
                    error,
                    plaintext: false,
                })?
                .into(),
            ..opened
        })
    }

    fn decrypt(&self, message: &[u8]) -> Result<Opened, NotOpened> {
        let decrypted = self.keyring.decrypt(message).map_err(|error| NotOpened {
            error,
            plaintext: !looks_encrypted(message),
        })?;
        let opened_by = OpenedBy {
            key: decrypted.key.to_string(),
        };
        self.decrypted.get_or_create(&opened_by).inc();
        Ok(Opened {
            value: decrypted.bytes.into(),
            encoding: Some(decrypted.encoding),
        })
    }

    fn verdict(&self, error: Error) -> Verdict {
        let failure = failure(error.class(), None, &error.to_string());
        match (error, self.on_unknown_key) {
            // Usually a roll-out race: the key is on its way, and with it a new pod.
            (Error::UnknownKeyId(_), OnUnknownKey::Stall) => Verdict::NotYet(failure),
            _ => Verdict::Undeliverable {
                reason: DeadLetterReason::DecryptionFailed,
                failure,
            },
        }
    }
}

impl fmt::Debug for Decryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decryption({:?})", self.keyring)
    }
}

/// Why a value was not opened, and whether it was meant to be.
struct NotOpened {
    error: Error,
    /// It does not look encrypted, well or badly.
    plaintext: bool,
}

fn secret(path: &Path, what: &str) -> Result<Secret, String> {
    let place = path.display();
    let bytes =
        std::fs::read(path).map_err(|error| format!("read the {what} from {place}: {error}"))?;
    Secret::of(bytes)
        .ok_or_else(|| format!("the {what} in {place} is empty; write it into its Secret"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::{Envelope, Key, Options, Randomness, Scheme, encrypt};

    const PLAIN: &str = r#"{"id":7}"#;

    fn decryption(pointer: Option<&str>, on_plaintext: OnPlaintext) -> Decryption {
        let scheme = Scheme {
            keys: vec![Key::from_bytes(&[1; 32])],
            envelope: Envelope::WhenPresent,
        };
        Decryption {
            keyring: Keyring::of(vec![scheme], 1000),
            pointer: pointer.map(|text| Pointer::parse(text).unwrap()),
            on_unknown_key: OnUnknownKey::Stall,
            on_plaintext,
            decrypted: Family::default(),
            most: 1000,
            room: Room::new(1 << 20),
        }
    }

    fn message(key: u8, text: &[u8]) -> String {
        let random = Randomness::from_bytes(&[3; Randomness::BYTES]);
        let options = Options {
            store_key_references: true,
            ..Options::default()
        };
        encrypt(&Key::from_bytes(&[key; 32]), text, &options, &random).unwrap()
    }

    fn opened(decryption: &Decryption, value: &str) -> Result<(String, Option<Encoding>), Verdict> {
        let opened = decryption.open(&Bytes::copy_from_slice(value.as_bytes()))?;
        let text = String::from_utf8(opened.value.to_vec()).unwrap();
        Ok((text, opened.encoding))
    }

    fn class(verdict: Verdict) -> (&'static str, &'static str) {
        match verdict {
            Verdict::Undeliverable {
                reason: DeadLetterReason::DecryptionFailed,
                failure,
            } => ("undeliverable", failure.class),
            Verdict::NotYet(failure) => ("not yet", failure.class),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_or_a_field_of_it_is_decrypted() {
        let whole = decryption(None, OnPlaintext::Reject);
        let plain = Ok((PLAIN.to_owned(), Some(Encoding::UTF_8)));
        assert_eq!(opened(&whole, &message(1, PLAIN.as_bytes())), plain);
        let field = decryption(Some("/payload"), OnPlaintext::Reject);
        let message = message(1, PLAIN.as_bytes());
        let document = r#"{"a":1.0,"payload":"{\"id\":7}"}"#.to_owned();
        let as_text = format!(r#"{{"a":1.0,"payload":{}}}"#, serde_json::json!(message));
        let as_object = format!(r#"{{"a":1.0,"payload":{message}}}"#);
        for value in [as_text, as_object] {
            let expected = Ok((document.clone(), Some(Encoding::UTF_8)));
            assert_eq!(opened(&field, &value), expected);
        }
        let counted = |decryption: &Decryption| {
            let key = Key::from_bytes(&[1; 32]).id().to_string();
            decryption.decrypted.get_or_create(&OpenedBy { key }).get()
        };
        assert_eq!((counted(&whole), counted(&field)), (1, 2));
    }

    #[test]
    fn each_kind_has_its_class_and_an_unknown_key_waits() {
        let tampered = message(1, PLAIN.as_bytes()).replacen(r#"{"p":""#, r#"{"p":"AAAA"#, 1);
        let bomb = message(1, &[b'0'; 1001]);
        for (value, expected) in [
            (message(2, b"x"), ("not yet", "UnknownKeyId")),
            (tampered, ("undeliverable", "AuthFailed")),
            (bomb, ("undeliverable", "TooLarge")),
            (PLAIN.to_owned(), ("undeliverable", "NotAMessage")),
            ("hello".to_owned(), ("undeliverable", "NotJson")),
        ] {
            let whole = decryption(None, OnPlaintext::Reject);
            assert_eq!(class(opened(&whole, &value).unwrap_err()), expected);
        }
        let mut strict = decryption(None, OnPlaintext::Reject);
        strict.on_unknown_key = OnUnknownKey::DeadLetter;
        let verdict = opened(&strict, &message(2, b"x")).unwrap_err();
        assert_eq!(class(verdict), ("undeliverable", "UnknownKeyId"));
    }

    #[test]
    fn only_what_was_never_encrypted_is_delivered_as_it_is() {
        let whole = decryption(None, OnPlaintext::Deliver);
        for value in [PLAIN, "hello", "", r#"{"p":1}"#] {
            assert_eq!(opened(&whole, value), Ok((value.to_owned(), None)));
        }
        let damaged = message(1, b"x").replace(r#""at":""#, r#""at":"?"#);
        let verdict = opened(&whole, &damaged).unwrap_err();
        assert_eq!(class(verdict), ("undeliverable", "BadBase64"));
        assert_eq!(
            class(opened(&whole, &message(2, b"x")).unwrap_err()).0,
            "not yet"
        );

        let field = decryption(Some("/payload"), OnPlaintext::Deliver);
        for value in [r#"{"payload":"hello"}"#, r#"{"payload":5}"#, "{}", "hello"] {
            assert_eq!(opened(&field, value), Ok((value.to_owned(), None)));
        }
        let damaged = format!(r#"{{"payload":{damaged}}}"#);
        assert_eq!(class(opened(&field, &damaged).unwrap_err()).1, "BadBase64");
    }

    #[test]
    fn a_field_that_is_no_text_any_more_is_refused() {
        let field = decryption(Some("/payload"), OnPlaintext::Deliver);
        let value = format!(r#"{{"payload":{}}}"#, message(1, b"\xff"));
        let verdict = opened(&field, &value).unwrap_err();
        assert_eq!(class(verdict), ("undeliverable", "NotUtf8"));
    }

    #[test]
    fn a_file_that_is_missing_or_empty_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let error = secret(&path, "primary key").unwrap_err();
        assert!(error.contains("primary key") && error.contains(path.to_str().unwrap()));
        std::fs::write(&path, "\n").unwrap();
        let error = secret(&path, "primary key").unwrap_err();
        assert!(error.contains("is empty"), "{error}");
    }
}
