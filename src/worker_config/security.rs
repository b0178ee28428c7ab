//! How connections to Kafka are encrypted and authenticated. Secrets are files, of which paths are told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Encryption and authentication. The default is neither.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Security {
    /// None: connections are in the clear.
    pub tls: Option<Tls>,
    /// None: nobody is asked who we are, or a certificate says it.
    pub sasl: Option<Sasl>,
}

impl Security {
    /// Neither.
    pub fn is_none(&self) -> bool {
        self.tls.is_none() && self.sasl.is_none()
    }
}

/// TLS.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The file with the certificates of those that may sign the brokers'; None: the public authorities.
    pub ca_file: Option<PathBuf>,
    /// What brokers are shown.
    pub certificate: Option<Certificate>,
    /// A broker's name must be in its certificate.
    pub verify_hostname: bool,
}

/// A certificate and its private key, each a file.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// The certificate, with those that lead to its authority.
    pub certificate_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// Who we are, by a password.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sasl {
    /// How the password is proved.
    pub mechanism: Mechanism,
    /// Whose it is.
    pub username: String,
    /// The file with it.
    pub password_file: PathBuf,
}

/// How a password is proved.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// By sending it.
    Plain,
    /// Without sending it, with SHA-256.
    ScramSha256,
    /// Without sending it, with SHA-512.
    ScramSha512,
}
