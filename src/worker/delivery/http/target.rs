//! Where the handler is.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::authorization::Authorization;
use super::dial::dial;
use super::tls::{self, Tls};
use crate::worker_config::{HandlerTls, HttpHandler};

/// Who we say we are.
pub const AGENT: &str = concat!("drover-worker/", env!("CARGO_PKG_VERSION"));

/// What an answer may be encoded in: without saying so, anything (RFC 9110, section 12.5.3).
pub const ENCODING: &str = "identity";

/// A handler that refuses our certificate says so within this.
const REFUSAL: Duration = Duration::from_millis(250);

/// Where requests go, taken apart once.
#[derive(Clone)]
pub struct Target {
    /// What to connect to.
    pub address: Address,
    /// All of it, for protocols in which the host is part of a request's address.
    pub whole: Uri,
    /// What every request begins with: its first line and the headers that are always the same.
    pub opening: Bytes,
    /// The header `authorization` of every request; it is among those of `opening` already.
    pub authorization: Option<Authorization>,
    /// It runs in the same pod.
    pub in_pod: bool,
    /// None: in the clear.
    tls: Option<Box<Tls>>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of what may be secret.
        let mut shown = f.debug_struct("Target");
        shown.field("address", &self.address);
        shown.field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A name or an IP address, and a port.
    Tcp(String, u16),
    /// A Unix socket of the same pod.
    Socket(PathBuf),
}

/// A connection without anything on it.
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Socket(UnixStream),
    /// Over TCP, with TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Tells the handler's kernel at once what has come, instead of with the next request or 40 ms later.
    ///
    /// A server that writes an answer in two pieces without TCP_NODELAY (those that come with Python,
    /// Ruby and the JDK do) has the second one held back until the first is acknowledged (Nagle's
    /// algorithm, RFC 896, against the delayed acknowledgement of RFC 1122 section 4.2.3.2).
    pub fn acknowledge(&self) {
        let _stream = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Socket(_) => return,
        };
        // It only takes longer where it is not to be had.
        #[cfg(target_os = "linux")]
        let _ = _stream.set_quickack(true);
    }
}

impl Address {
    async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(host, port) => {
                let stream = dial(host, *port).await?;
                // A request is one write; waiting for more would only delay it.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Socket(path) => UnixStream::connect(path).await.map(Stream::Socket),
        }
    }

    fn failed(&self, error: &io::Error) -> String {
        let hint = match self {
            Self::Socket(_) if error.kind() == io::ErrorKind::PermissionDenied => {
                "; the socket must be writable for the worker's user"
            }
            _ => "",
        };
        format!("{error}{hint}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Target {
    /// The target of a handler; the error says what is wrong with it.
    pub fn of(handler: &HttpHandler) -> Result<Self, String> {
        let mut target = Self::parse(&handler.url)?;
        target.in_pod = handler.in_pod;
        if let Some(socket) = &handler.socket {
            target.address = Address::Socket(socket.into());
        }
        if let (Some(tls), Address::Tcp(host, _)) = (&mut target.tls, &target.address) {
            **tls = Tls::to(host, &handler.tls.clone().unwrap_or_default())?;
        }
        if let Some(file) = &handler.authorization_file {
            target.authorize(Authorization::read(file)?);
        }
        Ok(target)
    }

    /// Looks the name up, if there is one, connects to the first address that answers, and agrees on TLS where
    /// the URL says so; the error says to what it was tried.
    pub async fn connect(&self, limit: Duration) -> Result<Stream, String> {
        let address = &self.address;
        let connecting = async {
            let stream = address.connect().await;
            match (stream.map_err(|error| address.failed(&error))?, &self.tls) {
                (Stream::Tcp(stream), Some(tls)) => {
                    let greeted = tls.greet(stream).await;
                    greeted.map(|stream| Stream::Tls(Box::new(stream)))
                }
                (stream, _) => Ok(stream),
            }
        };
        match timeout(limit, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(why)) => Err(format!("connect to {address}: {why}")),
            Err(_) => Err(format!("connect to {address}: no answer in time")),
        }
    }

    /// Whether a handler is there that talks to us.
    ///
    /// # Errors
    /// As of [`Self::connect`].
    pub async fn look(&self, limit: Duration) -> Result<(), String> {
        let Stream::Tls(mut stream) = self.connect(limit).await? else {
            return Ok(());
        };
        // With TLS 1.3 a handler refuses our certificate only after we have taken its own.
        let mut byte = [0];
        let said = timeout(REFUSAL, stream.read(&mut byte)).await;
        match said.map(|read| read.err().and_then(|error| tls::refusal(&error))) {
            Ok(Some(why)) => Err(format!("connect to {}: {why}", self.address)),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    fn authorize(&mut self, authorization: Authorization) {
        let parts: [&[u8]; 4] = [
            &self.opening,
            b"authorization: ",
            authorization.value.as_bytes(),
            b"\r\n",
        ];
        self.opening = parts.concat().into();
        self.authorization = Some(authorization);
    }

    /// Takes a handler's URL apart; the error says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        // What may be a password is not repeated.
        let shown = if url.contains('@') { "" } else { url };
        let wrong = |what: &str| {
            format!("handler URL {shown:?}: {what}; write one such as http://localhost:3000/kafka")
        };
        let uri: Uri = url.parse().map_err(|error| wrong(&format!("{error}")))?;
        let (scheme, usual_port) = match uri.scheme_str() {
            Some("http") => ("http", 80),
            Some("https") => ("https", 443),
            _ => return Err(wrong("must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("must not carry a user or password"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        // An IPv6 address stands in brackets in a URL, and without them elsewhere.
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let opening = format!(
            "POST {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: {AGENT}\r\naccept-encoding: {ENCODING}\r\n"
        );
        let tls = match scheme {
            "https" => Tls::to(&host, &HandlerTls::default()).map(|tls| Some(Box::new(tls))),
            _ => Ok(None),
        };
        Ok(Self {
            address: Address::Tcp(host, authority.port_u16().unwrap_or(usual_port)),
            whole: format!("{scheme}://{authority}{path}")
                .parse()
                .map_err(|error| wrong(&format!("{error}")))?,
            opening: opening.into(),
            authorization: None,
            in_pod: false,
            tls: tls.map_err(|why| wrong(&why))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker_config::{HttpFormat, HttpProtocol};

    #[test]
    fn a_url_that_cannot_be_posted_to_is_refused_with_the_reason() {
        for (url, what) in [
            ("ftp://users/kafka", "must begin with http:// or https://"),
            ("users:3000", "must begin with http:// or https://"),
            ("http://me:secret@users/", "must not carry a user"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(what), "{error}");
            assert!(error.contains("such as http://"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let target = Target::parse("http://[::1]:8080").unwrap();
        assert_eq!(target.address, Address::Tcp("::1".to_owned(), 8080));
        let target = Target::parse("https://users.example.com/kafka").unwrap();
        let address = Address::Tcp("users.example.com".to_owned(), 443);
        assert_eq!((target.address, target.tls.is_some()), (address, true));
    }

    fn with_authorization(text: &[u8]) -> Result<Target, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Target::of(&HttpHandler {
            url: "http://users/".to_owned(),
            socket: None,
            in_pod: false,
            format: HttpFormat::Plain,
            protocol: HttpProtocol::Http1,
            tls: None,
            authorization_file: Some(file.path().to_owned()),
        })
    }

    #[test]
    fn the_header_authorization_is_what_the_secret_holds_and_never_shown() {
        let target = with_authorization(b"Bearer s3cret\n").unwrap();
        let opening = String::from_utf8(target.opening.to_vec()).unwrap();
        assert!(
            opening.ends_with("\r\nauthorization: Bearer s3cret\r\n"),
            "{opening}"
        );
        assert!(!format!("{target:?}").contains("s3cret"));
    }
}
