//! A way to the API server that can be shut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Passes on what comes, unless it is shut.
pub struct Gate {
    _folder: tempfile::TempDir,
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    shut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Gate {
    /// Before the API server that this kubeconfig names.
    pub fn before(kubeconfig: &Path) -> Self {
        let text = std::fs::read_to_string(kubeconfig).unwrap();
        let server = text.split("https://").nth(1).unwrap();
        let end = server.find(|c: char| !c.is_ascii_alphanumeric() && !".:-".contains(c));
        let server = server[..end.unwrap_or(server.len())].to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = server.split(':').next().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        let through = text.replace(
            &format!("https://{server}"),
            &format!("https://{host}:{port}"),
        );
        std::fs::write(&path, through).unwrap();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        // Ends with the process; nothing else knows its port.
        std::thread::spawn(move || {
            for incoming in listener.incoming() {
                let Ok(incoming) = incoming else { return };
                if serving.shut.load(Ordering::SeqCst) {
                    continue; // closed at once
                }
                let Ok(outgoing) = TcpStream::connect(&server) else {
                    continue;
                };
                let mut open = serving.open.lock().unwrap();
                open.push(incoming.try_clone().unwrap());
                pass(incoming.try_clone().unwrap(), outgoing.try_clone().unwrap());
                pass(outgoing, incoming);
            }
        });
        Self {
            _folder: folder,
            kubeconfig: path,
            shared,
        }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Ends all connections, and takes no more.
    pub fn shut(&self) {
        self.shared.shut.store(true, Ordering::SeqCst);
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn open(&self) {
        self.shared.shut.store(false, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
