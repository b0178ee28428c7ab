//! TLS to a handler behind `https://`: its certificate and its name are checked, always.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::foreign;
use crate::worker_config::HandlerTls;
use crate::worker_config::security::Certificate;

/// How connections to one handler are encrypted.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    server: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.server).finish()
    }
}

impl Tls {
    /// To `host`, a name or an IP address without brackets.
    ///
    /// # Errors
    /// In words with the field, if a file cannot be read or makes no sense.
    pub fn to(host: &str, with: &HandlerTls) -> Result<Self, String> {
        let server = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("{host} is no name that a certificate could have"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(authorities(with.ca_file.as_deref())?);
        let mut config = match &with.certificate {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let (certificates, key) = shown(pair)?;
                let shown = builder.with_client_auth_cert(certificates, key);
                shown.map_err(|error| in_field("certSecret", pair, &error))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { connector, server })
    }

    /// Agrees with the handler on a key.
    ///
    /// # Errors
    /// In words, with the remedy where there is one.
    pub(super) async fn greet(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let greeted = self.connector.connect(self.server.clone(), stream).await;
        greeted.map_err(|error| format!("{error}{}", remedy(&error)))
    }
}

/// What to do about a greeting that failed, where that is known.
fn remedy(error: &io::Error) -> &'static str {
    use rustls::Error::{InvalidCertificate, InvalidMessage};
    match cause(error) {
        Some(InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; name its authority in spec.handler.http.tls.caSecret"
        }
        Some(InvalidCertificate(_)) => {
            "; have its certificate mended, or write the name in spec.handler.http.url that it has"
        }
        Some(InvalidMessage(_)) => {
            "; if the handler speaks HTTP without TLS, write http:// in spec.handler.http.url"
        }
        _ => "",
    }
}

fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What a handler says that ends a connection before it has answered anything, if it is that.
pub(super) fn refusal(error: &io::Error) -> Option<String> {
    let Some(error @ rustls::Error::AlertReceived(alert)) = cause(error) else {
        return None;
    };
    let remedy = match alert {
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            "; name a certificate that it believes in spec.handler.http.tls.certSecret"
        }
        _ => "",
    };
    Some(format!("{error}{remedy}"))
}

fn in_field(field: &str, pair: &Certificate, error: &dyn std::fmt::Display) -> String {
    let files = [&pair.certificate_file, &pair.key_file].map(|file| file.display().to_string());
    let files = files.join(" and ");
    format!("spec.handler.http.tls.{field}: {error}, in {files}; correct the Secret")
}

type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn shown(pair: &Certificate) -> Result<Shown, String> {
    let wrong = |error: rustls::pki_types::pem::Error| {
        in_field("certSecret", pair, &foreign::pem_error(&error))
    };
    let certificates = CertificateDer::pem_file_iter(&pair.certificate_file).map_err(wrong)?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let key = PrivateKeyDer::from_pem_file(&pair.key_file).map_err(wrong)?;
    Ok((certificates, key))
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        roots.add_parsable_certificates(public.iter().cloned());
        return Ok(roots);
    };
    let wrong = |error: &dyn std::fmt::Display| {
        let file = file.display();
        format!("spec.handler.http.tls.caSecret: {error}, in {file}; correct the Secret")
    };
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|error| wrong(&foreign::pem_error(&error)))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(&foreign::pem_error(&error)))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"there is no certificate in PEM"));
    }
    Ok(roots)
}
