//! What the API server's audit log says of one namespace. The log is that of all tests of the process, and grows
//! with them: each reader goes on where it left off, and parses only what is its own.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::Value;

use super::control_plane::ControlPlane;

/// The log, of one namespace.
pub struct AuditLog {
    path: PathBuf,
    namespace: String,
    read: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// How far the log has been read, in bytes: to the end of a line.
    to: u64,
    entries: Vec<Value>,
}

impl AuditLog {
    pub fn new(cluster: &ControlPlane, namespace: &str) -> Self {
        Self {
            path: cluster.folder().join("audit.log"),
            namespace: namespace.to_owned(),
            read: Mutex::default(),
        }
    }

    /// Every entry until now about the namespace's objects, in the log's order.
    pub fn entries(&self) -> Vec<Value> {
        let mut read = self.read.lock().unwrap();
        let mut log = File::open(&self.path).unwrap();
        log.seek(SeekFrom::Start(read.to)).unwrap();
        let mut new = Vec::new();
        log.read_to_end(&mut new).unwrap();
        let whole = new.iter().rposition(|byte| *byte == b'\n');
        let whole = &new[..whole.map_or(0, |end| end + 1)];
        let mention = format!("\"{}\"", self.namespace);
        for line in str::from_utf8(whole).unwrap().lines() {
            if line.contains(&mention) {
                let entry: Value = serde_json::from_str(line).unwrap();
                if entry["objectRef"]["namespace"] == self.namespace.as_str() {
                    read.entries.push(entry);
                }
            }
        }
        read.to += whole.len() as u64;
        read.entries.clone()
    }
}
