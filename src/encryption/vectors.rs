//! Messages with their keys and what real Rails made of them: what `drover encryption verify` runs.
//!
//! The form is that of `tests/vectors/active-record-encryption.json`.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::Value;

use super::{
    DEFAULT_MAX_INFLATED_BYTES, Decrypted, Digest, Envelope, Key, Keyring, Options, Randomness,
    Scheme, Secret, encrypt, is_readable,
};

/// One message with its keys and what is to come of it.
#[derive(Deserialize, Debug, Clone)]
struct Vector {
    serializer: String,
    key_provider: String,
    #[serde(default)]
    primary_keys: Vec<String>,
    deterministic_key: Option<String>,
    key_derivation_salt: Option<String>,
    hash_digest_class: Option<String>,
    #[serde(default)]
    store_key_references: bool,
    #[serde(default)]
    raw_keys_hex: Vec<String>,
    /// None where the message was made by hand.
    compress: Option<bool>,
    #[serde(default)]
    deterministic: bool,
    #[serde(default)]
    derived_keys_hex: Vec<String>,
    #[serde(default)]
    derived_key_ids: Vec<String>,
    derived_deterministic_key_hex: Option<String>,
    ciphertext: Option<String>,
    ciphertext_base64: Option<String>,
    plaintext: Option<String>,
    plaintext_encoding: Option<String>,
    plaintext_length: Option<usize>,
    plaintext_sha256: Option<String>,
    expected: Expected,
    #[serde(default)]
    rails_encrypted_predicate: Value,
    #[serde(default)]
    may_reject: bool,
}

#[derive(Deserialize, Debug, Clone)]
struct Expected {
    outcome: Outcome,
    error_kind: Option<String>,
}

#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Decrypts,
    Fails,
}

/// What became of one vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// Why it failed; the text of the message is not in it.
    pub failure: Option<String>,
}

/// Runs every vector of a document, in its order.
///
/// # Errors
///
/// If the document has another form, in words.
pub fn run(document: &[u8]) -> Result<Vec<Checked>, String> {
    let document: Value =
        serde_json::from_slice(document).map_err(|error| format!("it is not JSON: {error}"))?;
    let vectors = document["vectors"]
        .as_array()
        .filter(|vectors| !vectors.is_empty())
        .ok_or("it has no list `vectors` with something in it")?;
    let mut keys = Keys::default();
    let checked = vectors.iter().enumerate().map(|(index, written)| {
        let name = written["name"].as_str();
        let failure = Vector::deserialize(written)
            .map_err(|error| format!("it is not a vector: {error}"))
            .and_then(|vector| check(&vector, &mut keys));
        Checked {
            name: name.map_or_else(|| format!("vector {}", index + 1), str::to_owned),
            failure: failure.err(),
        }
    });
    Ok(checked.collect())
}

fn check(vector: &Vector, keys: &mut Keys) -> Result<(), String> {
    derives_the_same_keys(vector, keys)?;
    let scheme = scheme(vector, keys)?;
    let message = match (&vector.ciphertext, &vector.ciphertext_base64) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(base64)) => bytes(base64)?,
        (None, None) => return Err("it has neither ciphertext nor ciphertext_base64".to_owned()),
    };
    if let Value::Bool(says) = vector.rails_encrypted_predicate
        && vector.serializer == "json"
        && is_readable(&message) != says
    {
        return Err(format!("Rails' encrypted? says {says}, and this does not"));
    }
    let key = scheme.writing_key().cloned().ok_or("it has no keys")?;
    let options = Options {
        compress: vector.compress.unwrap_or(true),
        deterministic: vector.deterministic,
        store_key_references: vector.store_key_references,
        envelope: scheme.envelope == Envelope::Always,
    };
    let keyring = Keyring::of(vec![scheme], DEFAULT_MAX_INFLATED_BYTES);
    match (keyring.decrypt(&message), vector.expected.outcome) {
        (Err(error), Outcome::Fails) => match &vector.expected.error_kind {
            Some(kind) if kind != error.kind() => Err(format!(
                "it is refused as {}, expected was {kind}",
                error.kind()
            )),
            _ => Ok(()),
        },
        (Ok(_), Outcome::Fails) => Err("it decrypts, and Rails refuses it".to_owned()),
        (Err(_), Outcome::Decrypts) if vector.may_reject => Ok(()),
        (Err(error), Outcome::Decrypts) => Err(format!("it is refused as {}", error.kind())),
        (Ok(decrypted), Outcome::Decrypts) => {
            is_the_plaintext(vector, &decrypted)?;
            let written = written(&keyring, &key, &options, &decrypted)?;
            // A message made by hand or by a key that does not write is nobody's to repeat.
            let repeats =
                vector.deterministic && vector.compress.is_some() && key.id() == decrypted.key;
            if repeats && written.as_bytes() != message {
                return Err("what is written from its plaintext is not what Rails wrote".to_owned());
            }
            Ok(())
        }
    }
}

fn is_the_plaintext(vector: &Vector, decrypted: &Decrypted) -> Result<(), String> {
    let Decrypted {
        bytes: found,
        encoding,
        ..
    } = decrypted;
    if let Some(plaintext) = &vector.plaintext
        && bytes(plaintext)? != *found
    {
        return Err("the plaintext is another one".to_owned());
    }
    if let Some(length) = vector.plaintext_length
        && length != found.len()
    {
        let found = found.len();
        return Err(format!(
            "the plaintext has {found} bytes, expected were {length}"
        ));
    }
    if let Some(sha256) = &vector.plaintext_sha256
        && *sha256 != hex(digest(&SHA256, found).as_ref())
    {
        return Err("the plaintext has another SHA-256".to_owned());
    }
    match &vector.plaintext_encoding {
        Some(expected) if expected != encoding.name() => Err(format!(
            "the plaintext is labelled {encoding}, expected was {expected}"
        )),
        _ => Ok(()),
    }
}

/// Writes the plaintext anew: what comes of it must be read again.
fn written(
    keyring: &Keyring,
    key: &Key,
    options: &Options,
    decrypted: &Decrypted,
) -> Result<String, String> {
    // Never the same twice for one key, if it were for more than this check.
    let random = Randomness::from_bytes(&[0x5a; Randomness::BYTES]);
    let written = encrypt(key, &decrypted.bytes, options, &random)
        .map_err(|error| format!("it cannot be written: {error}"))?;
    match keyring.decrypt(written.as_bytes()) {
        Ok(again) if again.bytes == decrypted.bytes => Ok(written),
        Ok(_) => Err("what is written from its plaintext reads differently".to_owned()),
        Err(error) => Err(format!(
            "what is written from its plaintext is refused as {}",
            error.kind()
        )),
    }
}

fn scheme(vector: &Vector, keys: &mut Keys) -> Result<Scheme, String> {
    let primary = |keys: &mut Keys| -> Result<Vec<Key>, String> {
        let texts = vector.primary_keys.iter();
        texts.map(|text| keys.derive(vector, text)).collect()
    };
    let (keys, envelope) = match vector.key_provider.as_str() {
        "primary" => (primary(keys)?, Envelope::Never),
        "envelope" => (primary(keys)?, Envelope::Always),
        "deterministic" => {
            let text = vector.deterministic_key.as_deref();
            let text = text.ok_or("it has no deterministic_key")?;
            (vec![keys.derive(vector, text)?], Envelope::Never)
        }
        "raw" => {
            let texts = vector.raw_keys_hex.iter();
            let keys = texts.map(|text| raw(text)).collect::<Result<_, _>>()?;
            (keys, Envelope::Never)
        }
        other => return Err(format!("the key provider {other} is not known")),
    };
    Ok(Scheme { keys, envelope })
}

fn derives_the_same_keys(vector: &Vector, keys: &mut Keys) -> Result<(), String> {
    let primary = vector.primary_keys.iter().zip(&vector.derived_keys_hex);
    let deterministic = vector.deterministic_key.iter();
    let deterministic = deterministic.zip(&vector.derived_deterministic_key_hex);
    for (text, derived) in primary.chain(deterministic) {
        if keys.derive(vector, text)? != raw(derived)? {
            return Err("a key is derived differently".to_owned());
        }
    }
    for (derived, id) in vector.derived_keys_hex.iter().zip(&vector.derived_key_ids) {
        if raw(derived)?.id().to_string() != *id {
            return Err(format!("a key has another id than {id}"));
        }
    }
    Ok(())
}

/// Keys that were derived already: there are few, and each takes its time.
#[derive(Default)]
struct Keys(HashMap<(String, String, bool), Key>);

impl Keys {
    fn derive(&mut self, vector: &Vector, text: &str) -> Result<Key, String> {
        let digest = match vector.hash_digest_class.as_deref() {
            Some("SHA256") => Digest::Sha256,
            Some("SHA1") => Digest::Sha1,
            other => return Err(format!("the hash digest {other:?} is not known")),
        };
        let secret = |text: &str| Secret::of(text.into()).ok_or("a key or salt is empty");
        let salt = vector.key_derivation_salt.clone();
        let salt = salt.ok_or("it has no key_derivation_salt")?;
        let triple = (text.to_owned(), salt.clone(), digest == Digest::Sha1);
        if let Some(key) = self.0.get(&triple) {
            return Ok(key.clone());
        }
        let key = Key::derive(&secret(text)?, &secret(&salt)?, digest);
        Ok(self.0.entry(triple).or_insert(key).clone())
    }
}

fn raw(hex: &str) -> Result<Key, String> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
    Ok(Key::from_bytes(
        &bytes.ok_or("a key is not 64 hex characters")?,
    ))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(base64: &str) -> Result<Vec<u8>, String> {
    BASE64
        .decode(base64)
        .map_err(|error| format!("its base64 cannot be read: {error}"))
}
