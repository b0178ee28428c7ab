//! A server that gives OAuth tokens to a client with the right secret, as OpenID Connect providers do. Nobody signs
//! its tokens: the broker of `secured` takes them so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use drover::clock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::secured::Secured;

pub const CLIENT: &str = "drover";
pub const SECRET: &str = "halibut:7 &c.";

/// The server; it ends with the process.
pub struct TokenServer {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Tokens hold for so many seconds.
    seconds: i64,
    /// Hangs up on everybody.
    away: bool,
    seen: Vec<Asked>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// As it was sent.
    pub form: String,
    /// The client had the right secret.
    pub granted: bool,
}

impl TokenServer {
    /// In the clear. Its tokens hold for so many seconds.
    pub fn start(seconds: i64) -> Self {
        Self::serve(seconds, None)
    }

    /// With a certificate of the authority `ca` of `secured`.
    pub fn start_with_tls(seconds: i64, secured: &Secured) -> Self {
        let certificates = CertificateDer::pem_file_iter(secured.file("server.crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(secured.file("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates.map(Result::unwrap).collect(), key)
            .unwrap();
        Self::serve(seconds, Some(Arc::new(config)))
    }

    fn serve(seconds: i64, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Arc::new(Mutex::new(State {
            seconds,
            away: false,
            seen: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who hangs up has changed its mind.
                let _ = match &tls {
                    None => answer(stream, &shared),
                    Some(config) => {
                        let session = ServerConnection::new(Arc::clone(config)).unwrap();
                        answer(StreamOwned::new(session, stream), &shared)
                    }
                };
            }
        });
        Self {
            address,
            scheme,
            state,
        }
    }

    pub fn url(&self) -> String {
        format!("{}://{}/oauth2/token", self.scheme, self.address)
    }

    pub fn go_away(&self) {
        self.state.lock().unwrap().away = true;
    }

    pub fn come_back(&self) {
        self.state.lock().unwrap().away = false;
    }

    pub fn seen(&self) -> Vec<Asked> {
        self.state.lock().unwrap().seen.clone()
    }

    /// Tokens given.
    pub fn granted(&self) -> usize {
        self.seen().iter().filter(|asked| asked.granted).count()
    }
}

fn answer(stream: impl Read + Write, state: &Mutex<State>) -> std::io::Result<()> {
    if state.lock().unwrap().away {
        return Ok(());
    }
    let mut reader = BufReader::new(stream);
    let (mut login, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.clone_into(&mut login),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut form = vec![0; length];
    reader.read_exact(&mut form)?;
    let mut state = state.lock().unwrap();
    // RFC 6749, section 2.3.1.
    let right = STANDARD.encode(format!("{CLIENT}:halibut%3A7+%26c."));
    let granted = login == format!("Basic {right}");
    state.seen.push(Asked {
        form: String::from_utf8_lossy(&form).into_owned(),
        granted,
    });
    let seconds = state.seconds;
    drop(state);
    let (status, body) = if granted {
        let token = token(seconds);
        let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": seconds });
        ("200 OK", body)
    } else {
        let body = json!({ "error": "invalid_client", "error_description": "no client of ours" });
        ("401 Unauthorized", body)
    };
    let body = body.to_string();
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()
}

fn token(seconds: i64) -> String {
    let now = clock::now().as_second();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "sub": CLIENT, "iat": now, "exp": now + seconds, "scope": "kafka" });
    format!("{}.{}.", part(json!({ "alg": "none" })), part(claims))
}
