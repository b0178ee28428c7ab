//! How connections to Kafka are encrypted and authenticated. Secrets are files, of which paths are told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Encryption and authentication, by password or token. The default is neither.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Security {
    /// None: connections are in the clear.
    pub tls: Option<Tls>,
    /// None: nobody is asked who we are, or a certificate or a token says it.
    pub sasl: Option<Sasl>,
    /// Who we are, by a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<Oauth>,
}

impl Security {
    /// Neither.
    pub fn is_none(&self) -> bool {
        self.tls.is_none() && self.sasl.is_none() && self.oauth.is_none()
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

/// Who we are, by a token that another server gives.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oauth {
    /// Where it gives them.
    pub token_endpoint: String,
    /// Who we are, to it.
    pub client_id: String,
    /// The file with the client's secret.
    pub client_secret_file: PathBuf,
    /// What tokens are to be for.
    pub scope: Option<String>,
    /// Whom they are to be shown to.
    pub audience: Option<String>,
    /// Whether the secret may be sent in the clear to somebody else than oneself.
    pub allow_http: bool,
    /// What brokers are told beside the token.
    pub extensions: BTreeMap<String, String>,
    /// The file with the certificates of those that may sign the server's; None: the public authorities.
    pub ca_file: Option<PathBuf>,
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
