//! What the YAML has from Secrets: from Secrets in files, or from the environment, laid out as files
//! that only this user can read, for as long as the worker runs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, getpid, test_kill_process};
use serde_json::Value;
use zeroize::Zeroizing;

use super::setup::{documents, values};
use crate::fleet::{SecretFile, SecretValue};
use crate::worker_config::WorkerConfig;

/// What was given; never printed.
#[derive(Default)]
pub struct Given(BTreeMap<SecretValue, Zeroizing<Vec<u8>>>);

impl Given {
    /// The Secrets in these files; the last one wins.
    ///
    /// # Errors
    /// In one line with its remedy; nothing of a value is in it.
    pub fn in_files(files: &[PathBuf]) -> Result<Self, String> {
        let mut given = Self::default();
        for file in files {
            given.extend(in_documents(&values(&documents(file)?))?);
        }
        Ok(given)
    }

    /// With what `others` have, which win.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// What a worker would find in this file: the environment's, or else what was given.
    ///
    /// # Errors
    /// In one line with its remedy, if there is none.
    pub fn value(&self, file: &SecretFile) -> Result<Zeroizing<Vec<u8>>, String> {
        let value = file.value();
        let name = variable(&value);
        if let Some(text) = std::env::var_os(&name) {
            use std::os::unix::ffi::OsStringExt as _;
            return Ok(Zeroizing::new(text.into_vec()));
        }
        self.0.get(&value).cloned().ok_or_else(|| {
            format!(
                "{} names key {} of Secret {}, which is not given; set {name}, add the Secret to the file, or give one with --secrets FILE",
                file.field(), value.key, value.secret
            )
        })
    }
}

/// The Secrets among a file's documents.
///
/// # Errors
/// If one makes no sense; nothing of its values is in the error.
pub(super) fn in_documents(documents: &[(usize, Result<Value, String>)]) -> Result<Given, String> {
    let mut given = Given::default();
    for (line, document) in documents {
        let Ok(document) = document else {
            // Said where the KafkaConsumer is looked for; of a file of Secrets here.
            return Err(format!(
                "line {line} of a file with Secrets begins a document that cannot be read; correct its YAML"
            ));
        };
        if document["kind"] != "Secret" {
            continue;
        }
        let name = document["metadata"]["name"].as_str().unwrap_or_default();
        for (part, is_base64) in [("data", true), ("stringData", false)] {
            for (key, value) in document[part].as_object().into_iter().flatten() {
                let wrong = || {
                    let form = if is_base64 { "base64" } else { "a text" };
                    format!("Secret {name}: {part}.{key} is not {form}; correct it")
                };
                let text = value.as_str().ok_or_else(wrong)?;
                let bytes = if is_base64 {
                    let decoded = base64::engine::general_purpose::STANDARD.decode(text);
                    decoded.map_err(|_| wrong())?
                } else {
                    text.as_bytes().to_vec()
                };
                let value = SecretValue {
                    secret: name.to_owned(),
                    key: key.clone(),
                };
                given.0.insert(value, Zeroizing::new(bytes));
            }
        }
    }
    Ok(given)
}

/// The variable that may hold a value: `DROVER_SECRET_`, the Secret and the key, in capitals, with
/// `_` for everything that no variable's name may have.
pub(super) fn variable(value: &SecretValue) -> String {
    let name = format!("DROVER_SECRET_{}_{}", value.secret, value.key);
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    name.chars().map(allowed).collect()
}

/// Before the process's id, in the name of its folder.
const PREFIX: &str = "drover-dev-";

/// Where folders are made: in memory where there is such a place.
fn place() -> PathBuf {
    let place = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let place = place.filter(|place| place.is_dir());
    place.unwrap_or_else(std::env::temp_dir)
}

/// Takes away what was left by others of this user that were killed.
pub(super) fn sweep() {
    for entry in fs::read_dir(place()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let pid = pid.and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        let Some(pid) = pid else {
            continue;
        };
        let own = |found: fs::Metadata| found.is_dir() && found.uid() == geteuid().as_raw();
        // One's own id was somebody else's before.
        let is_gone = || pid == getpid() || test_kill_process(pid) == Err(Errno::SRCH);
        // Who runs in another container has an id that says nothing here, but holds its folder.
        let held = || File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_err());
        if entry.metadata().is_ok_and(own) && is_gone() && !held() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder that only this user can look into; gone with this, with all that is in it.
#[derive(Debug, Default)]
pub(super) struct Folder(OnceLock<Made>);

#[derive(Debug)]
struct Made {
    path: PathBuf,
    /// Locked, so that it is not swept away.
    _held: Option<File>,
}

impl Folder {
    /// The configuration with its Secrets in here. Nothing is made where it needs none.
    ///
    /// # Errors
    /// In one line with its remedy, if a value is not given or cannot be written.
    pub fn lay_out(
        &self,
        config: WorkerConfig,
        files: &[SecretFile],
        given: &Given,
    ) -> Result<WorkerConfig, String> {
        let text = serde_json::to_string(&config).map_err(|error| error.to_string())?;
        let needed = files.iter().filter(|file| {
            let path = file.path().display().to_string();
            text.contains(&format!("\"{path}\""))
        });
        let needed: Vec<_> = needed.collect();
        if needed.is_empty() {
            return Ok(config);
        }
        let folder = self.path()?;
        for file in needed {
            write(&folder.join(&*file.file), &given.value(file)?)?;
        }
        Ok(config.with_secrets_in(folder))
    }

    fn path(&self) -> Result<&Path, String> {
        if let Some(made) = self.0.get() {
            return Ok(&made.path);
        }
        let path = place().join(format!("{PREFIX}{}", std::process::id()));
        // Never readable for others.
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| {
            format!(
                "make a folder for Secrets: {}: {error}; remove it, or set TMPDIR",
                path.display()
            )
        })?;
        let held = File::open(&path).ok();
        let _held = held.filter(|folder| folder.try_lock().is_ok());
        Ok(&self.0.get_or_init(|| Made { path, _held }).path)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| format!("write a Secret to {}: {error}", path.display()))
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(made) = self.0.get() {
            let _ = fs::remove_dir_all(&made.path);
        }
    }
}
