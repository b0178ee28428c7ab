//! Where the handler is.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::worker_config::HttpHandler;

/// Who we say we are.
pub const AGENT: &str = concat!("drover-worker/", env!("CARGO_PKG_VERSION"));

/// Where requests go, taken apart once.
#[derive(Clone, Debug)]
pub struct Target {
    /// What to connect to.
    pub address: Address,
    /// All of it, for protocols in which the host is part of a request's address.
    pub whole: Uri,
    /// What every request begins with: its first line and the headers that are always the same.
    pub opening: Bytes,
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
}

impl Stream {
    /// Tells the handler's kernel at once what has come, instead of with the next request or 40 ms later.
    ///
    /// A server that writes an answer in two pieces without TCP_NODELAY (those that come with Python,
    /// Ruby and the JDK do) has the second one held back until the first is acknowledged (Nagle's
    /// algorithm, RFC 896, against the delayed acknowledgement of RFC 1122 section 4.2.3.2).
    pub fn acknowledge(&self) {
        if let Self::Tcp(_stream) = self {
            // It only takes longer where it is not to be had.
            #[cfg(target_os = "linux")]
            let _ = _stream.set_quickack(true);
        }
    }
}

impl Address {
    /// Looks the name up, if there is one, and connects to the first address that answers; the error
    /// says to what it was tried.
    pub async fn connect(&self, limit: Duration) -> Result<Stream, String> {
        let connecting = async {
            match self {
                Self::Tcp(host, port) => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    // A request is one write; waiting for more would only delay it.
                    stream.set_nodelay(true)?;
                    Ok(Stream::Tcp(stream))
                }
                Self::Socket(path) => UnixStream::connect(path).await.map(Stream::Socket),
            }
        };
        match timeout(limit, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(_) => Err(format!("connect to {self}: no answer in time")),
        }
    }

    fn failed(&self, error: &io::Error) -> String {
        let hint = match self {
            Self::Socket(_) if error.kind() == io::ErrorKind::PermissionDenied => {
                "; the socket must be writable for the worker's user"
            }
            _ => "",
        };
        format!("connect to {self}: {error}{hint}")
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
        if let Some(socket) = &handler.socket {
            target.address = Address::Socket(socket.into());
        }
        Ok(target)
    }

    /// Takes a handler's URL apart; the error says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        // What may be a password is not repeated.
        let shown = if url.contains('@') { "" } else { url };
        let wrong = |what: &str| {
            format!("handler URL {shown:?}: {what}; write one such as http://localhost:3000/kafka")
        };
        let uri: Uri = url.parse().map_err(|error| wrong(&format!("{error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("must begin with http://"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("must not carry a user or password"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        // An IPv6 address stands in brackets in a URL, and without them elsewhere.
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let opening =
            format!("POST {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: {AGENT}\r\n");
        Ok(Self {
            address: Address::Tcp(host, authority.port_u16().unwrap_or(80)),
            whole: format!("http://{authority}{path}")
                .parse()
                .map_err(|error| wrong(&format!("{error}")))?,
            opening: opening.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_posted_to_is_refused_with_the_reason() {
        for (url, what) in [
            ("https://users/kafka", "must begin with http://"),
            ("users:3000", "must begin with http://"),
            ("http://me:secret@users/", "must not carry a user"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(what), "{error}");
            assert!(error.contains("such as http://"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let target = Target::parse("http://[::1]:8080").unwrap();
        assert_eq!(target.address, Address::Tcp("::1".to_owned(), 8080));
    }
}
