//! Secrets that the worker itself needs. It finds them as files: never in its configuration, its
//! environment or its arguments, where more people can read them.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::api::{CertSecret, Encryption, Kafka, KafkaConsumerSpec, SecretKey};
use crate::worker_config::SECRETS_PATH;

/// A key of a Secret, as a file in the worker's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// The Secret's name.
    pub secret: String,
    /// The key in it.
    pub key: String,
    /// The file's name below [`SECRETS_PATH`].
    pub file: Cow<'static, str>,
    /// The field that names it.
    pub(super) field: Cow<'static, str>,
}

/// A value in a Secret of the resource's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretValue {
    /// The Secret's name.
    pub secret: String,
    /// The key in it.
    pub key: String,
}

impl SecretFile {
    /// What is in it.
    pub fn value(&self) -> SecretValue {
        SecretValue {
            secret: self.secret.clone(),
            key: self.key.clone(),
        }
    }

    /// The field that names it.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Where the worker finds it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(SECRETS_PATH).join(&*self.file)
    }
}

/// The file with the store's password.
pub(super) const STORE_PASSWORD: &str = "idempotency-password";
/// The file with the certificates that the store's is checked with.
pub(super) const STORE_CA: &str = "idempotency-ca.crt";

/// The file with the certificates that an HTTP handler's is checked with.
pub(super) const HANDLER_CA: &str = "handler-ca.crt";
/// The file with the certificate that an HTTP handler is shown.
pub(super) const HANDLER_CERT: &str = "handler-tls.crt";
/// The file with its private key.
pub(super) const HANDLER_KEY: &str = "handler-tls.key";
/// The file with what the header `authorization` says.
pub(super) const HANDLER_AUTHORIZATION: &str = "handler-authorization";

/// The file with the salt of key derivation.
pub(super) const SALT: &str = "encryption-key-derivation-salt";
/// The file with the deterministic key.
pub(super) const DETERMINISTIC_KEY: &str = "encryption-deterministic-key";

/// The file with a primary key, by its place among them.
pub(super) fn primary_key(index: usize) -> String {
    format!("encryption-primary-key-{index}")
}

/// The file with the certificates that brokers' are checked with.
pub(super) const KAFKA_CA: &str = "kafka-ca.crt";
/// The file with the certificate that brokers are shown.
pub(super) const KAFKA_CERT: &str = "kafka-tls.crt";
/// The file with its private key.
pub(super) const KAFKA_KEY: &str = "kafka-tls.key";
/// The file with the password for brokers.
pub(super) const KAFKA_PASSWORD: &str = "kafka-password";
/// The file with the client's secret for OAuth tokens.
pub(super) const OAUTH_SECRET: &str = "kafka-oauth-client-secret";
/// The file with the certificates that the token endpoint's is checked with.
pub(super) const OAUTH_CA: &str = "kafka-oauth-ca.crt";

/// Where the worker finds the file of this name, if it is one of `files`.
pub(super) fn path(files: &[SecretFile], name: &str) -> Option<PathBuf> {
    let file = files.iter().find(|file| file.file == name);
    file.map(SecretFile::path)
}

/// What connections to Kafka need, whoever opens them.
pub(super) fn of_kafka(kafka: &Kafka) -> Vec<SecretFile> {
    let mut files = Vec::new();
    let mut add = |secret: &str, key: &str, file: &'static str, field: &str| {
        files.push(SecretFile {
            secret: secret.to_owned(),
            key: key.to_owned(),
            file: file.into(),
            field: format!("spec.kafka.{field}").into(),
        });
    };
    if let Some(tls) = &kafka.tls {
        if let Some(ca) = &tls.ca_secret {
            add(&ca.name, &ca.key, KAFKA_CA, "tls.caSecret");
        }
        if let Some(pair) = &tls.cert_secret {
            add(&pair.name, &pair.cert, KAFKA_CERT, "tls.certSecret");
            add(&pair.name, &pair.key, KAFKA_KEY, "tls.certSecret");
        }
    }
    if let Some(sasl) = &kafka.sasl {
        if let Some(password) = &sasl.password_secret {
            let field = "sasl.passwordSecret";
            add(&password.name, &password.key, KAFKA_PASSWORD, field);
        }
        if let Some(oauth) = &sasl.oauth {
            let secret = &oauth.client_secret;
            let field = "sasl.oauth.clientSecret";
            add(&secret.name, &secret.key, OAUTH_SECRET, field);
            if let Some(ca) = &oauth.ca_secret {
                add(&ca.name, &ca.key, OAUTH_CA, "sasl.oauth.caSecret");
            }
        }
    }
    files
}

/// All that the worker needs, in the order of the spec. A consumer of the user's own brings what
/// it needs by its template.
pub(super) fn secret_files(spec: &KafkaConsumerSpec) -> Vec<SecretFile> {
    let mut files = match spec.handler.consumer {
        None => of_kafka(&spec.kafka),
        Some(_) => Vec::new(),
    };
    let mut add = |named: Option<&SecretKey>, file: &'static str, field: &'static str| {
        files.extend(named.map(|named| SecretFile {
            secret: named.name.clone(),
            key: named.key.clone(),
            file: file.into(),
            field: field.into(),
        }));
    };
    if let Some(http) = &spec.handler.http {
        if let Some(tls) = &http.tls {
            let field = "spec.handler.http.tls.caSecret";
            add(tls.ca_secret.as_ref(), HANDLER_CA, field);
            let field = "spec.handler.http.tls.certSecret";
            for (key, file) in tls.cert_secret.iter().flat_map(halves) {
                add(Some(&key), file, field);
            }
        }
        let authorization = http.authorization_secret.as_ref();
        let field = "spec.handler.http.authorizationSecret";
        add(authorization, HANDLER_AUTHORIZATION, field);
    }
    if let Some(idempotency) = &spec.idempotency {
        if let Some(redis) = &idempotency.store.redis {
            let ca = redis.tls.as_ref().map(|tls| &tls.ca_secret);
            add(
                redis.password_secret.as_ref(),
                STORE_PASSWORD,
                "spec.idempotency.store.redis.passwordSecret",
            );
            add(ca, STORE_CA, "spec.idempotency.store.redis.tls.caSecret");
        }
        if let Some(postgres) = &idempotency.store.postgres {
            let ca = postgres.tls.as_ref().map(|tls| &tls.ca_secret);
            add(
                postgres.password_secret.as_ref(),
                STORE_PASSWORD,
                "spec.idempotency.store.postgres.passwordSecret",
            );
            add(ca, STORE_CA, "spec.idempotency.store.postgres.tls.caSecret");
        }
    }
    if let Some(encryption) = &spec.encryption {
        of_encryption(encryption, &mut files);
    }
    files
}

/// The certificate that a handler is shown, and its private key, each with its file.
fn halves(pair: &CertSecret) -> [(SecretKey, &'static str); 2] {
    [(&pair.cert, HANDLER_CERT), (&pair.key, HANDLER_KEY)].map(|(key, file)| {
        let (name, key) = (pair.name.clone(), key.clone());
        (SecretKey { name, key }, file)
    })
}

fn of_encryption(encryption: &Encryption, files: &mut Vec<SecretFile>) {
    let written = &encryption.active_record;
    let mut add = |named: &SecretKey, file: Cow<'static, str>, field: &str| {
        files.push(SecretFile {
            secret: named.name.clone(),
            key: named.key.clone(),
            file,
            field: format!("spec.encryption.activeRecord.{field}").into(),
        });
    };
    for (index, named) in written.primary_keys().enumerate() {
        let field = match written.primary_key_secret {
            Some(_) if index == 0 => "primaryKeySecret".to_owned(),
            _ => format!("primaryKeySecrets[{index}]"),
        };
        add(named, primary_key(index).into(), &field);
    }
    let salt = &written.key_derivation_salt_secret;
    add(salt, SALT.into(), "keyDerivationSaltSecret");
    if let Some(named) = &written.deterministic_key_secret {
        add(named, DETERMINISTIC_KEY.into(), "deterministicKeySecret");
    }
}
