//! Why a message cannot be read, each kind told apart.

use super::key::KeyId;

/// Why a message cannot be read. No text of it carries a key, a ciphertext or a plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not JSON, or something beside it.
    #[error("the value is not JSON, so it is no encrypted message")]
    NotJson,
    /// JSON, but no object with `p`; or a header that is such an object.
    #[error("the value is JSON but no encrypted message: an object with the member p is expected")]
    NotAMessage,
    /// A text that is not strict base64.
    #[error("{0} is not base64 (standard alphabet, with padding, nothing else in it)")]
    BadBase64(&'static str),
    /// A member of a type that it cannot have.
    #[error("{0} is of the wrong JSON type")]
    BadType(&'static str),
    /// A message in a message in a message.
    #[error("messages are nested more than two levels deep")]
    TooDeep,
    /// A tag that is not there, or not 16 bytes.
    #[error("the authentication tag (h.at) is missing or not 16 bytes long")]
    BadTagLength,
    /// A nonce that is not there, or not 12 bytes.
    #[error("the nonce (h.iv) is missing or not 12 bytes long")]
    BadIv,
    /// The message names a key, and none of the keys is that one.
    #[error("none of the keys, derived with this salt and hash digest, has the id {} that the message names; add its key, or wait for the roll-out that does, or, where it is every message, compare salt and digest with the writer's", named(.0))]
    UnknownKeyId(Option<KeyId>),
    /// No key opens it.
    #[error(
        "no key opens the message: key, salt or hash digest is another one than the writer's, or the message was changed; compare digest and salt first where it is every message, else add the key that is missing"
    )]
    AuthFailed,
    /// Envelopes are expected, and the message is none.
    #[error("the message has no data key (h.k), and only envelopes are read")]
    MissingDataKey,
    /// The envelope holds something that is no key.
    #[error("the data key in the envelope (h.k) is not 32 bytes long")]
    BadDataKey,
    /// Marked as compressed, but no whole zlib stream.
    #[error("the message is marked as compressed, but holds no whole zlib stream")]
    BadCompression,
    /// It inflates to more than is allowed.
    #[error(
        "the message becomes more than {limit} bytes; raise the limit, and the worker's memory with it, if it is to be read"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The label is no encoding that Ruby knows.
    #[error("the encoding that the message names (h.e) is none that Ruby knows")]
    UnknownEncoding,
    /// The plaintext is to become part of a JSON text, and is no UTF-8.
    #[error("the decrypted text is not UTF-8, so it cannot stand in a JSON document")]
    NotUtf8,
}

fn named(id: &Option<KeyId>) -> String {
    // What is not an id is the writer's invention, and may be anything.
    id.map_or_else(|| "(of another form)".to_owned(), |id| id.to_string())
}

impl Error {
    /// The kind in the words of the vectors, such as `auth_failed`.
    pub fn kind(self) -> &'static str {
        self.words().0
    }

    /// The kind in the words of headers and metrics, such as `AuthFailed`.
    pub fn class(self) -> &'static str {
        self.words().1
    }

    /// True if the keys at hand are not the message's, which adding or waiting for a key can mend.
    pub fn wants_another_key(self) -> bool {
        matches!(self, Self::UnknownKeyId(_) | Self::AuthFailed)
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotJson => ("not_json", "NotJson"),
            Self::NotAMessage => ("not_a_message", "NotAMessage"),
            Self::BadBase64(_) => ("bad_base64", "BadBase64"),
            Self::BadType(_) => ("bad_type", "BadType"),
            Self::TooDeep => ("too_deep", "TooDeep"),
            Self::BadTagLength => ("bad_tag_length", "BadTagLength"),
            Self::BadIv => ("bad_iv", "BadIv"),
            Self::UnknownKeyId(_) => ("unknown_key_id", "UnknownKeyId"),
            Self::AuthFailed => ("auth_failed", "AuthFailed"),
            Self::MissingDataKey => ("missing_data_key", "MissingDataKey"),
            Self::BadDataKey => ("bad_data_key", "BadDataKey"),
            Self::BadCompression => ("bad_compression", "BadCompression"),
            Self::TooLarge { .. } => ("too_large", "TooLarge"),
            Self::UnknownEncoding => ("unknown_encoding", "UnknownEncoding"),
            Self::NotUtf8 => ("not_utf8", "NotUtf8"),
        }
    }
}
