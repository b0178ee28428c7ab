//! The token endpoint, by HTTP, over TCP or TLS.
//!
//! It is named by who edits a KafkaConsumer, so little is believed of it: no redirect is followed, an answer has a
//! time and a size, and nothing of it is passed on but the token, to brokers, and an error's words.

mod lookup;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};

use super::{Grant, Token, place};
use crate::clock;
use crate::foreign;
use lookup::Lookup;

/// No answer with a token is larger, in bytes.
const LARGEST: usize = 256 << 10;
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// A place that gives tokens.
pub struct Endpoint {
    client: Client<HttpsConnector<HttpConnector<Lookup>>, Full<Bytes>>,
    address: Uri,
    grant: Grant,
    patience: Duration,
}

impl Endpoint {
    /// The grant's.
    ///
    /// # Errors
    /// In words, if it is no place to send a secret to, or the authorities' certificates make no sense.
    pub fn new(grant: Grant) -> Result<Self, String> {
        Self::checked(&grant).map_err(|why| of(&grant, &why))
    }

    fn checked(grant: &Grant) -> Result<Self, String> {
        let address: Uri = grant
            .token_endpoint
            .parse()
            .map_err(|error| format!("it is no address: {error}"))?;
        place::check(&address, grant.allow_http)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(authorities(grant.ca.as_deref())?)
            .with_no_client_auth();
        let mut connector = HttpConnector::new_with_resolver(Lookup::new());
        // TLS is the outer connector's.
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        // Some minutes lie between two questions.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Self {
            client,
            address,
            grant: grant.clone(),
            patience: PATIENCE,
        })
    }

    /// A new token. Redirects are not followed: they would carry the secret to somewhere else.
    ///
    /// # Errors
    /// In words, without anything secret.
    pub async fn token(&self) -> Result<Token, String> {
        let patience = self.patience;
        let answer = tokio::time::timeout(patience, self.ask()).await;
        let answer =
            answer.unwrap_or_else(|_| Err(format!("it does not answer within {patience:?}")));
        answer.map_err(|why| of(&self.grant, &self.without_secrets(why)))
    }

    async fn ask(&self) -> Result<Token, String> {
        let answer = self.client.request(self.request()?).await;
        let answer = answer.map_err(|error| match std::error::Error::source(&error) {
            Some(cause) if error.is_connect() => {
                format!("it cannot be reached: {}", with_remedy(chain(cause)))
            }
            _ => format!("no answer of HTTP comes from it: {}", chain(&error)),
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                format!("its answer has more than {} KiB", LARGEST >> 10)
            } else {
                "its answer ends before it is complete".to_owned()
            }
        })?;
        Token::read(status, &body.to_bytes(), clock::now())
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, String> {
        let grant = &self.grant;
        let mut form = "grant_type=client_credentials".to_owned();
        for (name, value) in [("scope", &grant.scope), ("audience", &grant.audience)] {
            if let Some(value) = value {
                let _ = write!(form, "&{name}={}", form_encoded(value));
            }
        }
        let mut login = HeaderValue::from_str(&format!("Basic {}", self.login()))
            .map_err(|_| "client id and secret cannot be sent".to_owned())?;
        login.set_sensitive(true);
        Request::post(self.address.clone())
            .header(AUTHORIZATION, login)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(Full::new(Bytes::from(form)))
            .map_err(|error| format!("it is no address: {error}"))
    }

    /// RFC 6749, section 2.3.1: both are encoded as in a form first.
    fn login(&self) -> String {
        let id = form_encoded(&self.grant.client_id);
        let secret = form_encoded(&self.grant.client_secret);
        STANDARD.encode(format!("{id}:{secret}"))
    }

    /// An endpoint may repeat what it was sent.
    fn without_secrets(&self, words: String) -> String {
        let secret = &self.grant.client_secret;
        [secret.clone(), form_encoded(secret), self.login()]
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(words, |words, secret| words.replace(secret.as_str(), "…"))
    }
}

fn of(grant: &Grant, why: &str) -> String {
    format!("token endpoint {}: {why}", grant.token_endpoint)
}

fn with_remedy(words: String) -> String {
    if words.contains("invalid peer certificate") {
        return words + "; name its authority in caSecret, or have its certificate mended";
    }
    words
}

fn authorities(ca: Option<&str>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = ca else {
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        return Ok(roots);
    };
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        certificate
            .map_err(|error| foreign::pem_error(&error))
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()))
            .map_err(|error| format!("its authorities' certificates: {error}; correct caSecret"))?;
    }
    if roots.is_empty() {
        return Err(
            "its authorities' certificates: there is none in PEM; correct caSecret".to_owned(),
        );
    }
    Ok(roots)
}

fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            // Writing to a String does not fail.
            other => _ = write!(encoded, "%{other:02X}"),
        }
    }
    encoded
}

/// An error with its causes: the outermost alone says only that it did not work.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(words, ": {cause}");
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests;
