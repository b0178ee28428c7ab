//! The way to the collector: HTTP with a body of protobuf, over TCP or TLS.

use std::fmt::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};

use super::settings::Settings;
use crate::foreign;

/// Why the last request did not get through, which the exporter does not tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// Takes it.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: &HttpError) {
        let mut words = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let _ = write!(words, ": {cause}");
            source = cause.source();
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }
}

/// What gives spans to the collector. To be used in a runtime of tokio's.
pub(super) fn exporter(
    settings: &Settings,
    resource: &Resource,
) -> Result<(SpanExporter, Trouble), String> {
    let trouble = Trouble::default();
    let client = Client {
        inner: HyperClient::new(connector(settings)?, settings.timeout, None),
        trouble: trouble.clone(),
    };
    let built = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .build();
    let mut exporter = built.map_err(|error| error.to_string())?;
    exporter.set_resource(resource);
    Ok((exporter, trouble))
}

fn connector(settings: &Settings) -> Result<HttpsConnector<HttpConnector>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = HttpsConnectorBuilder::new();
    let builder = match &settings.certificate {
        None if settings.tls => builder
            .with_provider_and_native_roots(provider)
            .map_err(|error| {
                format!(
                    "the system has no certificates by which {} could be known ({error}); name a file with them in OTEL_EXPORTER_OTLP_CERTIFICATE",
                    settings.collector
                )
            })?,
        file => {
            let roots = file.as_deref().map_or(Ok(RootCertStore::empty()), roots)?;
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?;
            builder.with_tls_config(config.with_root_certificates(roots).with_no_client_auth())
        }
    };
    Ok(builder.https_or_http().enable_http1().build())
}

fn roots(file: &Path) -> Result<RootCertStore, String> {
    let failed = |why: &dyn std::fmt::Display| {
        format!(
            "OTEL_EXPORTER_OTLP_CERTIFICATE: {}: {why}; name a file with certificates in PEM",
            file.display()
        )
    };
    let text = std::fs::read(file).map_err(|error| failed(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| failed(&foreign::pem_error(&error)))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"it holds none"));
    }
    Ok(roots)
}

/// hyper's client, whose errors are kept.
#[derive(Debug)]
struct Client {
    inner: HyperClient<HttpsConnector<HttpConnector>>,
    trouble: Trouble,
}

impl HttpClient for Client {
    // As the trait is written, whose macro is not worth a dependency.
    fn send_bytes<'client, 'sending>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sending>>
    where
        'client: 'sending,
        Self: 'sending,
    {
        let sending = self.inner.send_bytes(request);
        Box::pin(async move {
            let sent = sending.await;
            if let Err(error) = &sent {
                self.trouble.set(error);
            }
            sent
        })
    }
}
