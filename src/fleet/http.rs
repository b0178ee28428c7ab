//! `spec.handler.http`: how its handler is spoken to, wherever it is.

use std::path::PathBuf;

use super::secrets::{self, SecretFile};
use crate::api::{HttpFormat, HttpHandler, HttpProtocol};
use crate::worker_config::HandlerTls;
use crate::worker_config::security::Certificate;

/// How an HTTP handler is spoken to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http {
    /// What a record looks like.
    pub format: HttpFormat,
    /// What HTTP is spoken over.
    pub protocol: HttpProtocol,
    /// How one behind `https://` is checked, and what it is shown, where the spec says it.
    pub tls: Option<HandlerTls>,
    /// The file with what the header `authorization` says.
    pub authorization_file: Option<PathBuf>,
}

/// What the worker is told; `files` are all Secrets that it needs.
pub(super) fn complete(http: &HttpHandler, files: &[SecretFile]) -> Http {
    let path = |name: &str| secrets::path(files, name);
    Http {
        format: http.format,
        protocol: http.protocol,
        tls: http.tls.as_ref().map(|_| HandlerTls {
            ca_file: path(secrets::HANDLER_CA),
            certificate: path(secrets::HANDLER_CERT)
                .zip(path(secrets::HANDLER_KEY))
                .map(|(certificate_file, key_file)| Certificate {
                    certificate_file,
                    key_file,
                }),
        }),
        authorization_file: path(secrets::HANDLER_AUTHORIZATION),
    }
}
