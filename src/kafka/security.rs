//! How connections to Kafka are encrypted and authenticated, secrets included.

use std::fmt;
use std::path::Path;

use rdkafka::ClientConfig;

use super::authorities;
use super::oauth::Grant;
use crate::worker_config::security::{Mechanism, Security as Written};

/// What a client needs to connect. Never printed: it holds secrets.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Security {
    pub(super) tls: Option<Tls>,
    pub(super) sasl: Option<Password>,
    pub(super) oauth: Option<Grant>,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Tls {
    /// None: the public authorities.
    pub(super) ca: Option<String>,
    /// Certificate and private key.
    pub(super) certificate: Option<(String, String)>,
    pub(super) verify_hostname: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Password {
    pub(super) mechanism: &'static str,
    pub(super) username: String,
    pub(super) password: String,
}

impl Security {
    /// What `written` says, with its files read by `read`.
    ///
    /// # Errors
    /// If a file cannot be read, or is no text; says which, and nothing of what is in it.
    pub fn load<E: fmt::Display>(
        written: &Written,
        read: impl Fn(&Path) -> Result<Vec<u8>, E>,
    ) -> Result<Self, String> {
        let text = |path: &Path, what: &str| {
            let place = path.display();
            let bytes =
                read(path).map_err(|error| format!("read the {what} in {place}: {error}"))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| format!("the {what} in {place} is no text; correct the Secret"))?;
            if text.trim().is_empty() {
                return Err(format!(
                    "the {what} in {place} is empty; write it into its Secret"
                ));
            }
            Ok(text)
        };
        let tls = written.tls.as_ref().map(|tls| {
            let ca = tls.ca_file.as_deref();
            let pair = tls.certificate.as_ref().map(|pair| {
                Ok::<_, String>((
                    text(&pair.certificate_file, "certificate for Kafka")?,
                    text(&pair.key_file, "private key for Kafka")?,
                ))
            });
            Ok::<_, String>(Tls {
                ca: ca
                    .map(|file| text(file, "authorities' certificates for Kafka"))
                    .transpose()?,
                certificate: pair.transpose()?,
                verify_hostname: tls.verify_hostname,
            })
        });
        let sasl = written.sasl.as_ref().map(|sasl| {
            let password = text(&sasl.password_file, "password for Kafka")?;
            Ok::<_, String>(Password {
                mechanism: match sasl.mechanism {
                    Mechanism::Plain => "PLAIN",
                    Mechanism::ScramSha256 => "SCRAM-SHA-256",
                    Mechanism::ScramSha512 => "SCRAM-SHA-512",
                },
                username: sasl.username.clone(),
                // The line's end is the editor's.
                password: password.trim_end_matches(['\r', '\n']).to_owned(),
            })
        });
        let oauth = written.oauth.as_ref().map(|oauth| {
            let secret = text(&oauth.client_secret_file, "client secret for OAuth")?;
            let ca = oauth.ca_file.as_deref();
            let extensions = oauth.extensions.iter();
            Ok::<_, String>(Grant {
                token_endpoint: oauth.token_endpoint.clone(),
                client_id: oauth.client_id.clone(),
                client_secret: secret.trim_end_matches(['\r', '\n']).to_owned(),
                scope: oauth.scope.clone(),
                audience: oauth.audience.clone(),
                allow_http: oauth.allow_http,
                extensions: extensions
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
                ca: ca
                    .map(|file| text(file, "token endpoint's authorities"))
                    .transpose()?,
            })
        });
        Ok(Self {
            tls: tls.transpose()?,
            sasl: sasl.transpose()?,
            oauth: oauth.transpose()?,
        })
    }

    /// As whom a client comes, without secrets.
    pub fn identity(&self) -> String {
        let user = self.sasl.as_ref().map(|sasl| sasl.username.as_str());
        format!("{self:?} {user:?}")
    }

    /// What it takes to get tokens, where they are shown.
    pub fn grant(&self) -> Option<&Grant> {
        self.oauth.as_ref()
    }

    /// Sets librdkafka's properties. After the user's: what these say is not theirs to change.
    pub fn apply(&self, config: &mut ClientConfig) {
        let asked = self.sasl.is_some() || self.oauth.is_some();
        let protocol = match (&self.tls, asked) {
            (None, false) => return,
            (Some(_), false) => "ssl",
            (None, true) => "sasl_plaintext",
            (Some(_), true) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            let ca = tls.ca.as_deref().unwrap_or_else(|| authorities::public());
            config.set("ssl.ca.pem", ca);
            if let Some((certificate, key)) = &tls.certificate {
                config.set("ssl.certificate.pem", certificate);
                config.set("ssl.key.pem", key);
            }
            let names = if tls.verify_hostname { "https" } else { "none" };
            config.set("ssl.endpoint.identification.algorithm", names);
        }
        if let Some(sasl) = &self.sasl {
            config.set("sasl.mechanisms", sasl.mechanism);
            config.set("sasl.username", &sasl.username);
            config.set("sasl.password", &sasl.password);
        }
        if let Some(grant) = &self.oauth {
            grant.put(config);
        }
    }
}

/// What librdkafka says of TLS and tokens, with our fields instead of its properties.
pub fn in_our_words(reason: &str) -> String {
    reason
        .replace(
            "verify that ssl.ca.location is correctly configured or root CA certificates are installed (install ca-certificates package)",
            "its authority is not one of spec.kafka.tls.caSecret, its name is another, or its time is over",
        )
        .replace(
            "Failed to acquire SASL OAUTHBEARER token",
            "no OAuth token for Kafka, by spec.kafka.sasl.oauth",
        )
        .replace(
            "(see ssl.key.location and ssl.certificate.location and consult the broker logs for more information)",
            "(see spec.kafka.tls.certSecret, and the broker's log)",
        )
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mechanism = self.sasl.as_ref().map(|sasl| sasl.mechanism);
        f.debug_struct("Security")
            .field("tls", &self.tls.is_some())
            .field("sasl", &mechanism)
            .field("oauth", &self.oauth)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker_config::security::{Sasl, Tls as WrittenTls};

    fn written() -> Written {
        Written {
            tls: Some(WrittenTls {
                ca_file: None,
                certificate: None,
                verify_hostname: true,
            }),
            sasl: Some(Sasl {
                mechanism: Mechanism::ScramSha512,
                username: "user".to_owned(),
                password_file: "/secrets/password".into(),
            }),
            oauth: None,
        }
    }

    fn read(_: &Path) -> Result<Vec<u8>, String> {
        Ok(b"hunter2\n".to_vec())
    }

    #[test]
    fn librdkafka_takes_what_is_set_with_the_public_authorities() {
        let security = Security::load(&written(), read).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "kafka:9093");
        security.apply(&mut config);
        assert_eq!(config.get("security.protocol"), Some("sasl_ssl"));
        assert_eq!(config.get("sasl.password"), Some("hunter2"));
        let authorities = config.get("ssl.ca.pem").unwrap();
        assert!(authorities.matches("BEGIN CERTIFICATE").count() > 50);
        // Certificates are read when a client is made.
        config.create::<rdkafka::producer::BaseProducer>().unwrap();
    }

    #[test]
    fn nothing_is_set_where_nothing_is_written() {
        let security = Security::load(&Written::default(), read).unwrap();
        let mut config = ClientConfig::new();
        security.apply(&mut config);
        assert!(config.config_map().is_empty());
    }

    #[test]
    fn secrets_are_not_printed() {
        let security = Security::load(&written(), read).unwrap();
        let printed = format!("{security:?}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn an_empty_file_is_named() {
        let empty = |_: &Path| Ok::<_, String>(b"\n".to_vec());
        let error = Security::load(&written(), empty).unwrap_err();
        assert_eq!(
            error,
            "the password for Kafka in /secrets/password is empty; write it into its Secret"
        );
    }
}
