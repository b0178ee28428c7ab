//! One connection to a broker: a question, its answer, the next question.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader,
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::scram::Exchange;
use super::way::{Login, Way};
use crate::clock::Monotonic;

/// Longer answers are not read: what is asked for is bounded, and librdkafka is asked then. It is what a broker of bad will
/// may take of the memory, for each connection.
const LONGEST_ANSWER: usize = 32 << 20;
/// Versions of requests that every broker with multi-group questions has.
const API_VERSIONS: i16 = 3;
const HANDSHAKE: i16 = 1;
const AUTHENTICATE: i16 = 1;
/// A session ends after a time that the broker says; it is left when this share of it is over.
const OF_SESSION: f64 = 0.8;

/// Why there is no answer; how it ends is said to nobody but the log, since librdkafka is asked then.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The connection.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What came is not what was asked for.
    #[error("not understood: {0}")]
    Unreadable(String),
    /// The broker refuses something.
    #[error("the broker answered {0} with error {1}")]
    Refused(&'static str, i16),
    /// The broker does not know such questions.
    #[error("the broker does not know {0:?} in version {1}")]
    Unsupported(ApiKey, i16),
    /// The broker is not who it must be.
    #[error("{0}")]
    Login(String),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for T {}

/// A connection on which questions may be asked.
pub struct Connection {
    /// With whom it is.
    pub host: String,
    /// Where.
    pub port: u16,
    stream: Box<dyn Stream>,
    client_id: StrBytes,
    last: i32,
    session: Monotonic,
    session_lasts: Option<Duration>,
}

impl Connection {
    /// Connects, says who we are, and looks whether the broker knows what will be `asked`.
    pub async fn open(
        host: &str,
        port: u16,
        way: &Way,
        asked: &[(ApiKey, i16)],
    ) -> Result<Self, Trouble> {
        let tcp = connect(host, port).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &way.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|error| Trouble::Login(error.to_string()))?;
                let connector = TlsConnector::from(Arc::clone(config));
                Box::new(connector.connect(name, tcp).await?)
            }
        };
        let mut connection = Self {
            host: host.to_owned(),
            port,
            stream,
            client_id: StrBytes::from_string(way.client_id.clone()),
            last: 0,
            session: Monotonic::start(),
            session_lasts: None,
        };
        connection.versions(asked).await?;
        if let Some(login) = &way.login {
            connection.log_in(login).await?;
        }
        Ok(connection)
    }

    /// The same with the first of the brokers to begin with that lets us in.
    pub async fn open_any(way: &Way, asked: &[(ApiKey, i16)]) -> Result<Self, Trouble> {
        let mut last = Trouble::Unreadable("no broker is named".to_owned());
        for (host, port) in &way.bootstrap {
            match Self::open(host, *port, way, asked).await {
                Ok(connection) => return Ok(connection),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// The broker will soon want to know anew who we are.
    pub fn is_over(&self) -> bool {
        self.session_lasts
            .is_some_and(|lasts| self.session.elapsed() >= lasts)
    }

    /// A question and its answer. After an error the connection is of no more use, nor if the future is dropped
    /// before its end.
    pub async fn ask<Q: Encodable, A: Decodable>(
        &mut self,
        key: ApiKey,
        version: i16,
        question: &Q,
    ) -> Result<A, Trouble> {
        self.last = self.last.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(key as i16)
            .with_request_api_version(version)
            .with_correlation_id(self.last)
            .with_client_id(Some(self.client_id.clone()));
        let mut bytes = BytesMut::new();
        bytes.put_i32(0);
        header
            .encode(&mut bytes, key.request_header_version(version))
            .and_then(|()| question.encode(&mut bytes, version))
            .map_err(unreadable)?;
        let length = i32::try_from(bytes.len() - 4).map_err(|_| too_long())?;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await?;

        let length = usize::try_from(self.stream.read_i32().await?).map_err(|_| too_long())?;
        if length > LONGEST_ANSWER {
            return Err(too_long());
        }
        let mut answer = BytesMut::with_capacity(length);
        let mut rest = (&mut self.stream).take(length as u64);
        while rest.read_buf(&mut answer).await? > 0 {}
        if answer.len() < length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut answer = answer.freeze();
        let header = ResponseHeader::decode(&mut answer, key.response_header_version(version))
            .map_err(unreadable)?;
        if header.correlation_id != self.last {
            return Err(Trouble::Unreadable(
                "an answer to something else".to_owned(),
            ));
        }
        A::decode(&mut answer, version).map_err(unreadable)
    }

    async fn versions(&mut self, asked: &[(ApiKey, i16)]) -> Result<(), Trouble> {
        let question = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("drover"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let answer: ApiVersionsResponse = self
            .ask(ApiKey::ApiVersions, API_VERSIONS, &question)
            .await?;
        if answer.error_code != 0 {
            return Err(Trouble::Refused("ApiVersions", answer.error_code));
        }
        for &(key, version) in asked {
            let known = answer.api_keys.iter().any(|known| {
                known.api_key == key as i16
                    && (known.min_version..=known.max_version).contains(&version)
            });
            if !known {
                return Err(Trouble::Unsupported(key, version));
            }
        }
        Ok(())
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), Trouble> {
        let question = SaslHandshakeRequest::default()
            .with_mechanism(StrBytes::from_string(login.mechanism.name().to_owned()));
        let answer: SaslHandshakeResponse = self
            .ask(ApiKey::SaslHandshake, HANDSHAKE, &question)
            .await?;
        if answer.error_code != 0 {
            return Err(Trouble::Refused("SaslHandshake", answer.error_code));
        }
        let Some(mut exchange) = Exchange::begin(login)? else {
            let (user, password) = (&login.username, &login.password);
            // RFC 4616.
            let message = format!("\0{user}\0{password}");
            self.authenticate(message.into()).await?;
            return Ok(());
        };
        let challenge = self.authenticate(exchange.first().into()).await?;
        let reply = exchange.reply(&challenge)?;
        let proof = self.authenticate(reply.into()).await?;
        exchange.verify(&proof)
    }

    async fn authenticate(&mut self, message: Bytes) -> Result<Bytes, Trouble> {
        let question = SaslAuthenticateRequest::default().with_auth_bytes(message);
        let answer: SaslAuthenticateResponse = self
            .ask(ApiKey::SaslAuthenticate, AUTHENTICATE, &question)
            .await?;
        if answer.error_code != 0 {
            return Err(Trouble::Refused("SaslAuthenticate", answer.error_code));
        }
        self.session_lasts = u64::try_from(answer.session_lifetime_ms)
            .ok()
            .filter(|millis| *millis > 0)
            .map(|millis| Duration::from_millis(millis).mul_f64(OF_SESSION));
        self.session = Monotonic::start();
        Ok(answer.auth_bytes)
    }
}

/// To the first of the host's addresses that takes us.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn unreadable(error: impl std::fmt::Display) -> Trouble {
    Trouble::Unreadable(error.to_string())
}

fn too_long() -> Trouble {
    Trouble::Unreadable("a length that cannot be".to_owned())
}
