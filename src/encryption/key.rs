//! A key: derived from a configured text, or given.

use std::fmt;
use std::num::NonZeroU32;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::{hmac, pbkdf2};
use zeroize::Zeroizing;

use super::secret::Secret;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a nonce. GCM would take others; Ruby's OpenSSL does not.
pub(super) const NONCE_BYTES: usize = NONCE_LEN;
/// Bytes of a tag. GCM would take less, which makes forging a matter of tries.
pub(super) const TAG_BYTES: usize = 16;

/// Rails' own, and not configurable there.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(1 << 16).expect("it is not 0");

/// The hash of the key derivation: `config.active_record.encryption.hash_digest_class`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digest {
    /// Rails' default before 7.1, and of applications that kept older defaults.
    Sha1,
    /// The default with `load_defaults 7.1` and later.
    #[default]
    Sha256,
}

/// A key ready for use. Debug shows its id only.
///
/// The 32 bytes that it is made of are overwritten; what `ring` expands them to stays in memory as
/// long as the key does.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    cipher: LessSafeKey,
    /// Makes the nonces of deterministic mode, always with SHA-256.
    nonces: hmac::Key,
}

/// What a message may name its key by: the first 4 hex characters of SHA-1 over the derived bytes.
/// Not secret. 16 bits only: two keys may share an id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

impl Key {
    /// Derives a key as Rails does. Takes tens of milliseconds: once at the start, never per
    /// message.
    pub fn derive(password: &Secret, salt: &Secret, hash: Digest) -> Self {
        let algorithm = match hash {
            Digest::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Digest::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        pbkdf2::derive(
            algorithm,
            ITERATIONS,
            salt.expose(),
            password.expose(),
            bytes.as_mut(),
        );
        Self::from_bytes(&bytes)
    }

    /// A key that is not derived: a data key, or one of a provider that has them ready.
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes are an AES-256 key");
        Self {
            id: KeyId::of(bytes),
            cipher: LessSafeKey::new(unbound),
            nonces: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        }
    }

    /// What messages name it by.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The plaintext, if the tag verifies.
    pub(super) fn open(
        &self,
        nonce: [u8; NONCE_BYTES],
        tag: [u8; TAG_BYTES],
        ciphertext: &[u8],
    ) -> Option<Vec<u8>> {
        let mut bytes = ciphertext.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        // Without a right tag the bytes are not a plaintext: they are dropped here.
        self.cipher
            .open_in_place_separate_tag(nonce, Aad::empty(), Tag::from(tag), &mut bytes, 0..)
            .ok()?;
        Some(bytes)
    }

    /// Turns `bytes` into their ciphertext, and gives the tag.
    pub(super) fn seal(&self, nonce: [u8; NONCE_BYTES], bytes: &mut [u8]) -> Tag {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.cipher
            .seal_in_place_separate_tag(nonce, Aad::empty(), bytes)
            .expect("a text in memory is shorter than GCM's limit of 64 GiB")
    }

    /// The nonce of deterministic mode for these bytes.
    pub(super) fn nonce_for(&self, bytes: &[u8]) -> [u8; NONCE_BYTES] {
        let mac = hmac::sign(&self.nonces, bytes);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&mac.as_ref()[..NONCE_BYTES]);
        nonce
    }
}

/// Without looking at the bytes: what they make of one text.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let of = |key: &Self| hmac::sign(&key.nonces, b"the same key");
        of(self).as_ref() == of(other).as_ref()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

impl KeyId {
    fn of(key: &[u8]) -> Self {
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, key);
        let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        let [first, second] = [hash.as_ref()[0], hash.as_ref()[1]];
        Self([first >> 4, first & 15, second >> 4, second & 15].map(hex))
    }

    /// The id that a message names, if it has the form of one.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let bytes: [u8; 4] = text.try_into().ok()?;
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        bytes.iter().all(is_hex).then_some(Self(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
