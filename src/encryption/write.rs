//! From a plaintext to a message.

use super::compression::{THRESHOLD, deflate};
use super::encoding::Encoding;
use super::key::{KEY_BYTES, Key, NONCE_BYTES};
use super::message::Written;
use zeroize::Zeroizing;

/// How a message is written; the defaults are Rails'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Texts of more than 140 bytes are compressed.
    pub compress: bool,
    /// The same text becomes the same message. Shows which messages are equal.
    pub deterministic: bool,
    /// The message names its key.
    pub store_key_references: bool,
    /// The message carries a key of its own, sealed with the given one.
    pub envelope: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compress: true,
            deterministic: false,
            store_key_references: false,
            envelope: false,
        }
    }
}

/// The random bytes of one message: fresh ones for each, or the key is given away.
pub struct Randomness {
    /// The message's own nonce; unused in deterministic mode.
    pub nonce: [u8; NONCE_BYTES],
    /// An envelope's key.
    pub data_key: Zeroizing<[u8; KEY_BYTES]>,
    /// The nonce with which an envelope's key is sealed.
    pub data_key_nonce: [u8; NONCE_BYTES],
}

impl Randomness {
    /// How many bytes [`Randomness::from_bytes`] takes.
    pub const BYTES: usize = NONCE_BYTES + KEY_BYTES + NONCE_BYTES;

    /// Deals out random bytes.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut random = Self {
            nonce: [0; NONCE_BYTES],
            data_key: Zeroizing::default(),
            data_key_nonce: [0; NONCE_BYTES],
        };
        let (nonce, rest) = bytes.split_at(NONCE_BYTES);
        let (data_key, data_key_nonce) = rest.split_at(KEY_BYTES);
        random.nonce.copy_from_slice(nonce);
        random.data_key.copy_from_slice(data_key);
        random.data_key_nonce.copy_from_slice(data_key_nonce);
        random
    }
}

/// Why a text cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotWrite {
    /// Rails would replace what is no UTF-8, and the text would be lost.
    #[error("deterministic mode takes UTF-8 only, and the text is not")]
    NotUtf8,
}

/// Writes a message. Bytes that are not UTF-8 are labelled `ASCII-8BIT`, as Ruby does with binary.
///
/// # Errors
///
/// In deterministic mode, if the text is not UTF-8.
pub fn encrypt(
    key: &Key,
    plaintext: &[u8],
    options: &Options,
    random: &Randomness,
) -> Result<String, CannotWrite> {
    let is_utf8 = std::str::from_utf8(plaintext).is_ok();
    if options.deterministic && !is_utf8 {
        return Err(CannotWrite::NotUtf8);
    }
    let encoding = if is_utf8 {
        Encoding::UTF_8
    } else {
        Encoding::BINARY
    };
    let data_key = options.envelope.then(|| {
        let sealed = seal(
            key,
            random.data_key.to_vec(),
            random.data_key_nonce,
            &Head {
                encoding: Encoding::BINARY,
                ..Head::default()
            },
        );
        (Key::from_bytes(&random.data_key), sealed)
    });
    let (sealing_key, sealed_key) = match &data_key {
        Some((own, sealed)) => (own, Some(sealed.as_str())),
        None => (key, None),
    };
    let compressed = options.compress && plaintext.len() > THRESHOLD;
    let bytes = if compressed {
        deflate(plaintext)
    } else {
        plaintext.to_vec()
    };
    let nonce = if options.deterministic {
        sealing_key.nonce_for(&bytes)
    } else {
        random.nonce
    };
    let id = key.id();
    let head = Head {
        encoding,
        data_key: sealed_key,
        // With envelopes, too, it is the id of the key that lasts.
        key_id: options.store_key_references.then_some(id.as_bytes()),
        compressed,
    };
    Ok(seal(sealing_key, bytes, nonce, &head))
}

/// What stands in a message's headers beside nonce and tag.
#[derive(Default)]
struct Head<'a> {
    encoding: Encoding,
    data_key: Option<&'a str>,
    key_id: Option<&'a [u8]>,
    compressed: bool,
}

fn seal(key: &Key, mut bytes: Vec<u8>, nonce: [u8; NONCE_BYTES], head: &Head<'_>) -> String {
    let tag = key.seal(nonce, &mut bytes);
    let written = Written {
        payload: &bytes,
        nonce: &nonce,
        tag: tag.as_ref(),
        encoding: (head.encoding != Encoding::UTF_8).then(|| head.encoding.name()),
        data_key: head.data_key,
        key_id: head.key_id,
        compressed: head.compressed,
    };
    written.to_json()
}
