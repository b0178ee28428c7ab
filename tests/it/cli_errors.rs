//! What the command line says when something is not as it should be, over all subcommands that ask somebody:
//! one line with a remedy, exit code 2, nothing on standard output, and never a secret.

mod acls;
mod asked;
mod brokers;
mod clusters;
mod empty;
mod refused;
mod rights;
mod silent;
mod wide;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// In every secret here.
pub const SECRET: &str = "hush";

const DROVER: &str = env!("CARGO_BIN_EXE_drover");

fn drover(arguments: &[&str]) -> Command {
    alone(Command::new(DROVER), arguments)
}

/// `command` with these arguments, away from whatever this machine has.
fn alone(mut command: Command, arguments: &[&str]) -> Command {
    command
        .args(arguments)
        .env("KUBECONFIG", "/nonexistent")
        .env("HOME", "/nonexistent")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("DROVER_BOOTSTRAP")
        .stdin(Stdio::null());
    command
}

/// Nothing that was said has a secret in it.
fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(
        !out.contains(SECRET) && !error.contains(SECRET),
        "{out}{error}"
    );
    (out, error)
}

/// It failed as it should, with these words.
fn fails(command: &mut Command, words: &[&str]) {
    let output = command.output().unwrap();
    let (out, error) = said(&output);
    let what = format!("{command:?}: {out}{error}");
    assert_eq!(output.status.code(), Some(2), "{what}");
    assert_eq!(out, "", "{what}");
    assert_eq!(error.lines().count(), 1, "{what}");
    for words in words {
        assert!(error.contains(words), "{words}: {what}");
    }
}

/// Answers every request in the same way; ends with the process.
pub fn api_server(code: u16, body: Value) -> SocketAddr {
    api_server_that(move |_| (code, body.clone()))
}

/// Answers by the head of the request; ends with the process.
pub fn api_server_that(answer: impl Fn(&str) -> (u16, Value) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 16 << 10];
            let length = stream.read(&mut head).unwrap_or(0);
            let (code, body) = answer(&String::from_utf8_lossy(&head[..length]));
            let body = match body {
                Value::String(text) => text,
                body => body.to_string(),
            };
            let head = format!(
                "HTTP/1.1 {code} Whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

pub fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}

/// A kubeconfig with a secret for whatever listens there.
pub fn kubeconfig(folder: &Path, address: SocketAddr) -> PathBuf {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "there",
        "clusters": [{ "name": "there", "cluster": { "server": format!("http://{address}") } }],
        "contexts": [{ "name": "there", "context": { "cluster": "there", "user": "me", "namespace": "shop" } }],
        "users": [{ "name": "me", "user": { "token": format!("{SECRET}-token") } }],
    });
    let file = folder.join(address.port().to_string());
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// Where nobody listens.
pub fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
