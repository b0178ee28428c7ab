//! `spec.kafka.tls` and `spec.kafka.sasl`: what whoever connects is told.

use super::secrets;
use crate::api::{Kafka, SaslMechanism};
use crate::worker_config::Security;
use crate::worker_config::security::{Certificate, Mechanism, Sasl, Tls};

pub(super) fn complete(kafka: &Kafka) -> Security {
    let files = secrets::of_kafka(kafka);
    let path = |name: &str| {
        let file = files.iter().find(|file| file.file == name);
        file.map(secrets::SecretFile::path)
    };
    let tls = kafka.tls.as_ref().map(|tls| Tls {
        ca_file: path(secrets::KAFKA_CA),
        certificate: path(secrets::KAFKA_CERT).zip(path(secrets::KAFKA_KEY)).map(
            |(certificate_file, key_file)| Certificate {
                certificate_file,
                key_file,
            },
        ),
        verify_hostname: tls.verify_hostname,
    });
    let sasl = kafka.sasl.as_ref().and_then(|sasl| {
        Some(Sasl {
            mechanism: match sasl.mechanism {
                SaslMechanism::Plain => Mechanism::Plain,
                SaslMechanism::ScramSha256 => Mechanism::ScramSha256,
                SaslMechanism::ScramSha512 => Mechanism::ScramSha512,
            },
            username: sasl.username.clone(),
            password_file: path(secrets::KAFKA_PASSWORD)?,
        })
    });
    Security { tls, sasl }
}
