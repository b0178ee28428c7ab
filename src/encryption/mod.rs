//! Messages of Rails' ActiveRecord::Encryption, read and written.
//!
//! Pure: randomness is an argument. A message is a JSON text such as
//! `{"p":"…","h":{"iv":"…","at":"…"}}`: AES-256-GCM without associated data, under a key derived
//! by PBKDF2 from a configured text. What Rails reads is read, what Rails refuses is refused, each
//! refusal with a kind of its own ([`Error`]); beyond that, inflating has a limit.
//!
//! Fetching secrets is for [`crate::worker`] and [`crate::cli`]; so is what follows from a refusal.

mod compression;
mod encoding;
mod error;
mod field;
mod key;
mod keyring;
mod message;
mod read;
mod secret;
#[cfg(test)]
mod tests;
pub mod vectors;
mod write;

pub use encoding::Encoding;
pub use error::Error;
pub use field::{Field, Pointer};
pub use key::{Digest, Key, KeyId};
pub use keyring::{Envelope, Keyring, Scheme, Secrets, Settings};
pub use message::{is_readable, looks_encrypted};
pub use read::Decrypted;
pub use secret::Secret;
pub use write::{CannotWrite, Options, Randomness, encrypt};

/// What a compressed text may become when it is inflated, in bytes, where nobody says otherwise.
pub const DEFAULT_MAX_INFLATED_BYTES: u64 = 8 << 20;
