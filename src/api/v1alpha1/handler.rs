//! `spec.handler`: the user's code, and how it is reached.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::idempotency::SecretKey;
use super::kafka::CertSecret;
use crate::api::{Span, text};

/// Your code. Exactly one of `http`, `exec` and `consumer`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("(has(self.http) ? 1 : 0) + (has(self.exec) ? 1 : 0) + (has(self.consumer) ? 1 : 0) == 1",
        "spec.handler needs exactly one of http, exec and consumer; keep the one that is your code, remove the other"),
    validation = ("duration(self.timeout) >= duration('10ms') && duration(self.timeout) <= duration('30m')",
        "spec.handler.timeout must be between 10ms and 30m; write a time such as 30s")
)]
pub struct Handler {
    /// An HTTP endpoint: each record is a POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpHandler>,

    /// A command in your own image: each record is a line of JSON on its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecHandler>,

    /// The template's container is itself a Kafka consumer; Drover only runs and scales it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<OwnConsumer>,

    /// How long the handler may take for one record, or one batch (for `consumer`: to stop after SIGTERM). The
    /// drain deadline, the pod's grace period and the poll interval follow from it. Default 30s.
    #[serde(default = "Handler::default_timeout")]
    pub timeout: Span,
}

impl Handler {
    fn default_timeout() -> Span {
        Span::secs(30)
    }
}

/// An HTTP endpoint. Exactly one of `url`, `port` and `socket`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("(has(self.url) ? 1 : 0) + (has(self.port) ? 1 : 0) + (has(self.socket) ? 1 : 0) == 1",
        "spec.handler.http needs exactly one of url (an existing service), port and socket (a container of spec.template); keep one, remove the others"),
    validation = ("has(self.port) || has(self.socket) || !has(self.path)", "spec.handler.http.path goes with port or socket; with url, write the path into the url"),
    validation = ("!has(self.port) || self.port != 9090",
        "spec.handler.http.port 9090 is the worker's own port in the pod; let the handler listen on another"),
    validation = ("!has(self.tls) || (has(self.url) && self.url.startsWith('https://'))",
        "spec.handler.http.tls goes with a url that begins with https://; write that, or remove tls"),
    validation = ("self.protocol != 'H2c' || !has(self.url) || !self.url.startsWith('https://')",
        "spec.handler.http.protocol H2c is HTTP/2 without TLS; with a url that begins with https://, remove protocol")
)]
pub struct HttpHandler {
    /// The address of an existing service, such as `http://users.shop/kafka`, or `https://users.example.com/kafka`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::url")]
    pub url: Option<String>,

    /// A port on which a container of the template listens on localhost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,

    /// A Unix socket on which a container of the template listens, such as `/run/handler/http.sock`.
    /// Its folder becomes a volume that the worker and all containers of the template share: an empty
    /// one, so it must be a folder of its own. It is faster than `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::socket")]
    pub socket: Option<String>,

    /// The path of requests, for `port` and `socket`. Default `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::path")]
    pub path: Option<String>,

    /// What a record looks like: `Plain` (its value is the body), `CloudEvents` (binary mode: the
    /// data are the body, attributes are headers) or `CloudEventsStructured` (one JSON document).
    /// What is a CloudEvent in Kafka is mapped, anything else becomes one. Default `Plain`.
    #[serde(default)]
    pub format: HttpFormat,

    /// How a handler is checked whose `url` begins with `https://`, and what it is shown. Default: its certificate
    /// must be of the public authorities, and it is shown none. Its name must be in its certificate always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<HandlerTls>,

    /// The Secret with the value of the header `authorization`, such as `Bearer` and a token, which every request
    /// has then. Without `https://` it is sent in the clear. Default: no such header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_secret: Option<SecretKey>,

    /// What requests are sent over: `Http1` (HTTP/1.1, a connection for each record in flight) or
    /// `H2c` (HTTP/2 without TLS and without asking first, a stream for each record in flight on few
    /// connections; a handler that does not speak it is said to be misconfigured). Default `Http1`.
    #[serde(default)]
    pub protocol: HttpProtocol,
}

/// TLS to an HTTP handler.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HandlerTls {
    /// The Secret with the certificates, in PEM, of those that may sign the handler's. Default: the public
    /// authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretKey>,

    /// The Secret with a certificate of ours and its private key, for handlers that ask for one (mutual TLS).
    /// Default: none is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret: Option<CertSecret>,
}

/// What requests to an HTTP handler are sent over.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpProtocol {
    /// HTTP/1.1: a connection for each record in flight.
    #[default]
    Http1,
    /// HTTP/2 without TLS, with prior knowledge: a stream for each record in flight.
    H2c,
}

/// What a record looks like to an HTTP handler.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpFormat {
    /// The value is the body.
    #[default]
    Plain,
    /// A CloudEvent in binary mode: the data are the body, the attributes are headers.
    CloudEvents,
    /// A CloudEvent in structured mode: one JSON document.
    CloudEventsStructured,
}

/// A command in your own image.
///
/// It reads lines of JSON, a record or a batch each, from its standard input, and writes a line of
/// JSON with the result for each to its standard output. The template's container named `worker` is
/// then yours: its image has the command; Drover puts its worker into it, which runs the command.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExecHandler {
    /// The program and its arguments, without a shell, such as `[bundle, exec, ruby, handle.rb]`.
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096)))]
    pub command: Vec<String>,

    /// How many processes of it run in one pod at most; each has one record, or one batch, at a time.
    /// They are started as they are needed. Default 1.
    #[serde(default = "ExecHandler::default_processes")]
    #[schemars(range(min = 1, max = 1000))]
    pub processes: u32,
}

impl ExecHandler {
    fn default_processes() -> u32 {
        1
    }
}

/// A consumer program of your own, run by the template's container.
///
/// It finds `KAFKA_BOOTSTRAP_SERVERS`, `KAFKA_GROUP_ID` and `KAFKA_TOPICS` (with commas) in its
/// environment, must commit what it has done, and gets SIGTERM and `handler.timeout` to stop.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OwnConsumer {
    /// The container that consumes. Default: the first of the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub container: Option<String>,
}
