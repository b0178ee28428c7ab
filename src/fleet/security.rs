//! `spec.kafka.tls` and `spec.kafka.sasl`: what whoever connects is told.

use super::problem::Problems;
use super::secrets;
use crate::api::{Kafka, SaslMechanism};
use crate::worker_config::Security;
use crate::worker_config::security::{Certificate, Mechanism, Oauth, Sasl, Tls};

pub(super) fn complete(kafka: &Kafka) -> Security {
    let files = secrets::of_kafka(kafka);
    let path = |name: &str| secrets::path(&files, name);
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
                SaslMechanism::OAuthBearer => return None,
            },
            username: sasl.username.clone()?,
            password_file: path(secrets::KAFKA_PASSWORD)?,
        })
    });
    let oauth = kafka.sasl.as_ref().and_then(|sasl| {
        let oauth = sasl.oauth.as_ref()?;
        Some(Oauth {
            token_endpoint: oauth.token_endpoint.clone(),
            client_id: oauth.client_id.clone(),
            client_secret_file: path(secrets::OAUTH_SECRET)?,
            scope: oauth.scope.clone(),
            audience: oauth.audience.clone(),
            allow_http: oauth.allow_http,
            extensions: oauth.extensions.clone(),
            ca_file: path(secrets::OAUTH_CA),
        })
    });
    Security { tls, sasl, oauth }
}

/// What goes with a mechanism, and what does not.
pub(super) fn check(kafka: &Kafka, problems: &mut Problems) {
    let Some(sasl) = &kafka.sasl else {
        return;
    };
    let (user, password) = (sasl.username.is_some(), sasl.password_secret.is_some());
    if sasl.mechanism == SaslMechanism::OAuthBearer {
        if sasl.oauth.is_none() {
            problems.contradiction("spec.kafka.sasl", "spec.kafka.sasl.oauth is missing: OAuthBearer gets its tokens with it; add tokenEndpoint, clientId and clientSecret");
        }
        if user || password {
            problems.contradiction("spec.kafka.sasl", "spec.kafka.sasl.username and passwordSecret are not for OAuthBearer, which has oauth.clientId and oauth.clientSecret; remove them");
        }
    } else {
        if !user || !password {
            problems.contradiction("spec.kafka.sasl", "spec.kafka.sasl needs username and passwordSecret with this mechanism; add what is missing");
        }
        if sasl.oauth.is_some() {
            problems.contradiction(
                "spec.kafka.sasl",
                "spec.kafka.sasl.oauth goes with mechanism OAuthBearer; remove it, or choose that",
            );
        }
    }
    if let Some(oauth) = &sasl.oauth
        && !oauth.allow_http
        && is_in_the_clear(&oauth.token_endpoint)
    {
        problems.contradiction("spec.kafka.sasl.oauth", "spec.kafka.sasl.oauth.tokenEndpoint is http://, which sends the client's secret in the clear; use https://, or set allowHttp: true where the network is trusted");
    }
    let extensions = sasl.oauth.iter().flat_map(|oauth| oauth.extensions.keys());
    let is_name = |name: &str| {
        !name.is_empty() && name != "auth" && name.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    if extensions.into_iter().any(|name| !is_name(name)) {
        problems.invalid("spec.kafka.sasl.oauth.extensions", "spec.kafka.sasl.oauth.extensions has a name that is not only letters, or auth, which is the token's; correct it");
    }
}

/// Without TLS, and to somebody else than the pod itself.
fn is_in_the_clear(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else {
        return false;
    };
    let end = match rest.find(']') {
        Some(bracket) if rest.starts_with('[') => Some(bracket + 1),
        _ => rest.find([':', '/']),
    };
    let host = &rest[..end.unwrap_or(rest.len())];
    let numbers: Vec<Option<u8>> = host.split('.').map(|part| part.parse().ok()).collect();
    let loopback = matches!(numbers[..], [Some(127), Some(_), Some(_), Some(_)]);
    !(loopback || host == "localhost" || host == "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_the_clear_without_tls_but_for_what_the_pod_tells_itself() {
        for (address, clear) in [
            ("https://login.example.com/token", false),
            ("http://localhost/token", false),
            ("http://localhost:8080/token", false),
            ("http://127.0.0.1", false),
            ("http://[::1]:8080/token", false),
            ("http://login.example.com/token", true),
            ("http://localhost.example.com/token", true),
            ("http://127.0.0.1.example.com/token", true),
            ("http://[::2]:8080/token", true),
        ] {
            assert_eq!(is_in_the_clear(address), clear, "{address}");
        }
    }
}
