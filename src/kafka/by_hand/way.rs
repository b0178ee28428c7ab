//! How brokers are reached without librdkafka, where that is known.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::kafka::client_config;
use crate::kafka::security::{Password, Security, Tls};

/// A user's property that begins so may change how brokers are reached.
const NOT_OURS: [&str; 8] = [
    "security.",
    "ssl.",
    "sasl.",
    "enable.s",
    "https.",
    "broker.",
    "socket.",
    "client.dns",
];

/// Brokers, and what to say to them. Not printed: it holds secrets.
#[derive(Clone)]
pub struct Way {
    /// Hosts and ports to begin with.
    pub bootstrap: Vec<(String, u16)>,
    /// For the broker's logs and quotas.
    pub client_id: String,
    /// TLS, where it is spoken.
    pub tls: Option<Arc<ClientConfig>>,
    /// Name and password, where they are asked for.
    pub login: Option<Login>,
}

/// Name and password.
#[derive(Clone)]
pub struct Login {
    /// How they are shown.
    pub mechanism: Mechanism,
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// SASL mechanisms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// As SASL has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Way {
    /// The way that librdkafka would take with these settings; none where it may take another: tokens, names that
    /// are not verified, and properties of librdkafka's for the connection are left to it.
    pub fn of(connection: &client_config::Connection<'_>) -> Option<Self> {
        let mut names = connection.properties.keys();
        if names.any(|name| NOT_OURS.iter().any(|begins| name.starts_with(begins))) {
            return None;
        }
        let Security { tls, sasl, oauth } = connection.security;
        if oauth.is_some() {
            return None;
        }
        let bootstrap = connection.bootstrap_servers.split(',');
        Some(Self {
            bootstrap: bootstrap.map(address).collect::<Option<_>>()?,
            client_id: connection.client_id.to_owned(),
            tls: match tls {
                None => None,
                Some(tls) => Some(Arc::new(encryption(tls)?)),
            },
            login: match sasl {
                None => None,
                Some(password) => Some(login(password)?),
            },
        })
    }
}

/// `HOST`, `HOST:PORT` or `[IPV6]:PORT`, without a protocol before it.
pub(super) fn address(text: &str) -> Option<(String, u16)> {
    let text = text.trim();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, 9092),
    };
    let host = host
        .strip_prefix('[')
        .map_or(Some(host), |host| host.strip_suffix(']'))?;
    (!host.is_empty() && !host.contains('/')).then(|| (host.to_owned(), port))
}

fn encryption(tls: &Tls) -> Option<ClientConfig> {
    if !tls.verify_hostname {
        return None;
    }
    let mut roots = RootCertStore::empty();
    match &tls.ca {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate.ok()?).ok()?;
            }
        }
        None => {
            roots.add_parsable_certificates(
                webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned(),
            );
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots);
    match &tls.certificate {
        None => Some(config.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
            let chain = chain.collect::<Result<Vec<_>, _>>().ok()?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?;
            config.with_client_auth_cert(chain, key).ok()
        }
    }
}

fn login(password: &Password) -> Option<Login> {
    let known = [
        Mechanism::Plain,
        Mechanism::ScramSha256,
        Mechanism::ScramSha512,
    ];
    Some(Login {
        mechanism: known
            .into_iter()
            .find(|known| known.name() == password.mechanism)?,
        username: password.username.clone(),
        password: password.password.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn way(bootstrap_servers: &str, properties: &[(&str, &str)]) -> Option<Way> {
        let properties = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Way::of(&client_config::Connection {
            bootstrap_servers,
            client_id: "drover",
            properties: &properties.collect::<BTreeMap<_, _>>(),
            security: &Security::default(),
        })
    }

    #[test]
    fn addresses_are_read_as_librdkafka_reads_them() {
        let places = |text| way(text, &[]).map(|way| way.bootstrap);
        let of = |places: &[(&str, u16)]| {
            let places = places
                .iter()
                .map(|(host, port)| ((*host).to_owned(), *port));
            Some(places.collect::<Vec<_>>())
        };
        assert_eq!(places("a:1, b"), of(&[("a", 1), ("b", 9092)]));
        assert_eq!(places("[::1]:9093"), of(&[("::1", 9093)]));
        for odd in ["SSL://a:9092", "a:port", "", "a:1,,b:2", "[::1"] {
            assert_eq!(places(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_changes_how_brokers_are_reached_is_left_to_librdkafka() {
        assert!(way("a:1", &[("fetch.wait.max.ms", "5"), ("client.id", "x")]).is_some());
        for name in [
            "security.protocol",
            "ssl.ca.location",
            "sasl.username",
            "socket.timeout.ms",
            "broker.address.family",
        ] {
            assert!(way("a:1", &[(name, "x")]).is_none(), "{name}");
        }
    }
}
