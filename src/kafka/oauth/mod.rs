//! OAuth: who we are is said by a token, which another server gives for a client's name and secret
//! (RFC 6749, section 4.4). librdkafka is built without libcurl, so tokens are fetched here.
//!
//! A [`Grant`] travels in a client's configuration, under the names that librdkafka has for it, and is taken out
//! before librdkafka sees it. `native::tokens` gives librdkafka the tokens.

mod answer;
mod endpoint;
pub(super) mod pace;
mod place;

use std::fmt;

use rdkafka::ClientConfig;

pub(super) use answer::Token;
pub(super) use endpoint::Endpoint;

const MECHANISM: &str = "sasl.mechanisms";
const METHOD: &str = "sasl.oauthbearer.method";
const TOKEN_ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";
const CLIENT_ID: &str = "sasl.oauthbearer.client.id";
const CLIENT_SECRET: &str = "sasl.oauthbearer.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const EXTENSIONS: &str = "sasl.oauthbearer.extensions";
const CA: &str = "https.ca.pem";
/// librdkafka has no names for these two.
const AUDIENCE: &str = "drover.oauthbearer.audience";
const ALLOW_HTTP: &str = "drover.oauthbearer.allow.http";

/// What it takes to get a token. Never printed: it holds a secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grant {
    /// `http://` or `https://`.
    pub token_endpoint: String,
    /// Who we are, to it.
    pub client_id: String,
    /// That we are.
    pub client_secret: String,
    /// What the token is to be for.
    pub scope: Option<String>,
    /// Whom it is to be shown to.
    pub audience: Option<String>,
    /// What brokers are told beside the token: names and values.
    pub extensions: Vec<(String, String)>,
    /// Who may sign the endpoint's certificate, in PEM; None: the public authorities.
    pub ca: Option<String>,
    /// Whether the secret may be sent in the clear to somebody else than oneself.
    pub allow_http: bool,
}

impl Grant {
    /// Writes it into a client's configuration.
    pub fn put(&self, config: &mut ClientConfig) {
        config.set(MECHANISM, "OAUTHBEARER");
        config.set(METHOD, "oidc");
        config.set(TOKEN_ENDPOINT, &self.token_endpoint);
        config.set(CLIENT_ID, &self.client_id);
        config.set(CLIENT_SECRET, &self.client_secret);
        if let Some(scope) = &self.scope {
            config.set(SCOPE, scope);
        }
        if let Some(audience) = &self.audience {
            config.set(AUDIENCE, audience);
        }
        if self.allow_http {
            config.set(ALLOW_HTTP, "true");
        }
        if !self.extensions.is_empty() {
            let pairs = self.extensions.iter();
            let pairs: Vec<String> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            config.set(EXTENSIONS, pairs.join(","));
        }
        if let Some(ca) = &self.ca {
            config.set(CA, ca);
        }
    }

    /// Takes it out of a client's configuration: what is left is for librdkafka.
    pub fn take(config: &ClientConfig) -> (ClientConfig, Option<Self>) {
        let mut rest = config.clone();
        if config.get(METHOD) != Some("oidc") {
            return (rest, None);
        }
        let text = |name: &str| config.get(name).map(str::to_owned);
        let pairs = config.get(EXTENSIONS).into_iter();
        let pairs = pairs.flat_map(|pairs| pairs.split(','));
        let grant = Self {
            token_endpoint: text(TOKEN_ENDPOINT).unwrap_or_default(),
            client_id: text(CLIENT_ID).unwrap_or_default(),
            client_secret: text(CLIENT_SECRET).unwrap_or_default(),
            scope: text(SCOPE),
            audience: text(AUDIENCE),
            allow_http: config.get(ALLOW_HTTP) == Some("true"),
            extensions: pairs
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ca: text(CA),
        };
        for name in [
            METHOD,
            TOKEN_ENDPOINT,
            CLIENT_ID,
            CLIENT_SECRET,
            SCOPE,
            AUDIENCE,
            ALLOW_HTTP,
            EXTENSIONS,
            CA,
        ] {
            rest.remove(name);
        }
        (rest, Some(grant))
    }

    /// Whom the client's secret is sent to: a name or an address. Nothing where it cannot be read.
    pub fn host(&self) -> Option<String> {
        let address: http::Uri = self.token_endpoint.parse().ok()?;
        Some(place::host(&address).to_owned())
    }

    /// Whether it is this machine, or this pod, that gives tokens.
    pub fn is_to_ourselves(&self) -> bool {
        self.host().is_some_and(|host| place::is_loopback(&host))
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("token_endpoint", &self.token_endpoint)
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            token_endpoint: "https://idp/token".to_owned(),
            client_id: "orders".to_owned(),
            client_secret: "swordfish".to_owned(),
            scope: Some("kafka".to_owned()),
            audience: Some("brokers".to_owned()),
            extensions: vec![("logicalCluster".to_owned(), "lkc-1".to_owned())],
            ca: Some("pem".to_owned()),
            allow_http: true,
        }
    }

    #[test]
    fn librdkafka_sees_the_mechanism_and_nothing_of_the_grant() {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "kafka:9093");
        config.set("security.protocol", "sasl_plaintext");
        grant().put(&mut config);
        let (rest, taken) = Grant::take(&config);
        assert_eq!(taken, Some(grant()));
        assert_eq!(rest.get("sasl.mechanisms"), Some("OAUTHBEARER"));
        assert_eq!(rest.config_map().len(), 3, "{:?}", rest.config_map().keys());
        rest.create::<rdkafka::producer::BaseProducer>().unwrap();
    }

    #[test]
    fn without_a_grant_nothing_is_taken() {
        let mut config = ClientConfig::new();
        config.set("sasl.mechanisms", "PLAIN");
        let (rest, taken) = Grant::take(&config);
        assert_eq!((taken, rest.config_map()), (None, config.config_map()));
    }

    #[test]
    fn the_secret_is_not_printed() {
        let printed = format!("{:?}", grant());
        assert!(!printed.contains("swordfish"), "{printed}");
    }
}
