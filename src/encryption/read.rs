//! From a message to its plaintext.

use zeroize::Zeroizing;

use super::Error;
use super::compression::inflate;
use super::encoding::{self, Encoding};
use super::key::{KEY_BYTES, Key, KeyId, NONCE_BYTES, TAG_BYTES};
use super::keyring::{Envelope, Scheme};
use super::message::{Header, Message};

/// A plaintext. Its bytes are taken through as the writer had them: not even UTF-8 is sure.
#[derive(Clone, PartialEq, Eq)]
pub struct Decrypted {
    /// The plaintext.
    pub bytes: Vec<u8>,
    /// How the writer's string was labelled.
    pub encoding: Encoding,
    /// The key that opened it; with envelopes the one that opened the data key.
    pub key: KeyId,
}

impl std::fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (length, encoding, key) = (self.bytes.len(), self.encoding, self.key);
        write!(f, "Decrypted({length} bytes, {encoding}, key {key})")
    }
}

/// Opens a message with the keys of one scheme.
pub(super) fn open(scheme: &Scheme, message: &Message, limit: u64) -> Result<Decrypted, Error> {
    let keys = scheme.keys_for(message)?;
    let (bytes, key) = match data_key(scheme, message)? {
        Some(sealed) => {
            let (opened, key) = decrypt(sealed, &keys)?;
            let opened = Zeroizing::new(opened);
            encoding::of(sealed)?;
            let data_key: &[u8; KEY_BYTES] = opened
                .as_slice()
                .try_into()
                .map_err(|_| Error::BadDataKey)?;
            let (bytes, _) = decrypt(message, &[&Key::from_bytes(data_key)])?;
            (bytes, key)
        }
        None => decrypt(message, &keys)?,
    };
    let bytes = match message.header("c") {
        Some(_) => inflate(&bytes, limit)?,
        None => bytes,
    };
    Ok(Decrypted {
        bytes,
        encoding: encoding::of(message)?,
        key,
    })
}

/// The message that holds the data key, if there is to be one.
fn data_key<'a>(scheme: &Scheme, message: &'a Message) -> Result<Option<&'a Message>, Error> {
    if scheme.envelope == Envelope::Never {
        return Ok(None);
    }
    match message.header("k") {
        Some(Header::Message(sealed)) => Ok(Some(sealed)),
        Some(_) => Err(Error::BadType("h.k")),
        None if scheme.envelope == Envelope::Always => Err(Error::MissingDataKey),
        None => Ok(None),
    }
}

/// The bytes that the first fitting key gives, still compressed if they were.
fn decrypt(message: &Message, keys: &[&Key]) -> Result<(Vec<u8>, KeyId), Error> {
    // Lengths before anything else. Joined to the ciphertext first, a tag that is too short or too
    // long would pass.
    let tag: [u8; TAG_BYTES] = match message.header("at") {
        None => return Err(Error::BadTagLength),
        Some(Header::Bytes(tag)) => tag.as_slice().try_into().map_err(|_| Error::BadTagLength)?,
        Some(_) => return Err(Error::BadType("h.at")),
    };
    let nonce: [u8; NONCE_BYTES] = match message.header("iv") {
        Some(Header::Bytes(nonce)) => nonce.as_slice().try_into().map_err(|_| Error::BadIv)?,
        _ => return Err(Error::BadIv),
    };
    let payload = message.payload.as_ref().ok_or(Error::BadType("p"))?;
    keys.iter()
        .find_map(|key| Some((key.open(nonce, tag, payload)?, key.id())))
        .ok_or(Error::AuthFailed)
}
