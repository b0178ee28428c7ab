//! Keeps in a folder which Kafka clusters are asked, so that a process that follows one that died knows.
//!
//! One small file for each; written before the first question, and when something changes that the next process has to
//! know, never for a question. Without a folder nothing is kept; what cannot be kept holds up nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::digest;
use tracing::{debug, warn};

use super::Source;
use super::trials::{Id, Record, Trials, Verdict};
use crate::clock;

/// No more files than this are kept: the folder has a limit.
const MOST: usize = 2000;
/// And no more of the brokers than this.
const BROKERS: usize = 200;
/// No file of ours is longer.
const LONGEST: u64 = 4096;
const ENDING: &str = "json";

/// The record of who is asked.
pub struct Journal {
    trials: Mutex<Trials>,
    folder: Option<PathBuf>,
    warned: AtomicBool,
}

impl Journal {
    /// Reads what the process before has left in this folder, which is made if it is not there.
    pub fn open(folder: Option<&Path>) -> Self {
        let mut left = BTreeMap::new();
        let warned = AtomicBool::new(false);
        match folder {
            None => debug!("without a folder for it nothing is kept of which brokers are asked"),
            Some(folder) => match read(folder) {
                Ok(read) => left = read,
                Err(error) => {
                    warn!(folder = %folder.display(), %error, "cannot read which brokers were asked before");
                    warned.store(true, Relaxed);
                }
            },
        }
        let mut trials = Trials::after(left, clock::now());
        tell(&trials);
        let journal = Self {
            folder: folder.map(Path::to_owned),
            warned,
            trials: Mutex::default(),
        };
        journal.keep(&mut trials);
        *journal.lock() = trials;
        journal
    }

    /// Somebody wants to ask this source.
    pub(super) fn enter(self: &Arc<Self>, source: &Source) -> Place {
        let id = id(source);
        let mut trials = self.lock();
        let brokers: String = source.bootstrap_servers.chars().take(BROKERS).collect();
        trials.enter(&id, &brokers, clock::now());
        self.keep(&mut trials);
        drop(trials);
        Place {
            journal: Arc::clone(self),
            id,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Trials> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, trials: &mut Trials) {
        let changes = trials.changes();
        let Some(folder) = &self.folder else {
            return;
        };
        let room = trials.records().count() <= MOST;
        for (id, record) in changes {
            let kept = match record {
                Some(record) if room => write(folder, &id, &record),
                Some(_) => Ok(()),
                None => remove(folder, &id),
            };
            if let Err(error) = kept
                && !self.warned.swap(true, Relaxed)
            {
                warn!(folder = %folder.display(), %error, "cannot keep which brokers are asked; if it crashes by an answer of theirs, it will not know whose");
            }
        }
    }
}

/// A source that somebody wants to ask.
pub(super) struct Place {
    journal: Arc<Journal>,
    id: Id,
}

impl Place {
    /// Whether it may be asked now. If so, that is on disk.
    pub(super) fn verdict(&self) -> Verdict {
        let mut trials = self.journal.lock();
        let verdict = trials.admit(&self.id, clock::now());
        self.journal.keep(&mut trials);
        verdict
    }

    /// It is not asked any more.
    pub(super) fn leave(&self) {
        let mut trials = self.journal.lock();
        trials.leave(&self.id);
        self.journal.keep(&mut trials);
    }
}

/// By address and by who asks, without secrets: those could be guessed from a digest.
fn id(source: &Source) -> Id {
    let secret = |name: &str| {
        let words = ["password", "secret", "key", "pem", "oauth"];
        words.iter().any(|word| name.contains(word))
    };
    let properties = source.properties.iter();
    let properties: Vec<_> = properties.filter(|(name, _)| !secret(name)).collect();
    let who = source.security.identity();
    let text = format!("{:?}\n{properties:?}\n{who}", source.bootstrap_servers);
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let bytes = digest.as_ref().iter().take(16);
    Id(bytes.map(|byte| format!("{byte:02x}")).collect())
}

/// Says by whom the process before died, as far as that is known.
fn tell(trials: &Trials) {
    for record in trials.records() {
        if let Some((times, until)) = record.convicted() {
            warn!(brokers = record.brokers, times, %until, "the controller died within seconds of asking these brokers; they are left alone until then");
        }
    }
    let suspects = trials
        .records()
        .filter(|record| record.is_suspect())
        .count();
    if suspects > 0 {
        warn!(
            suspects,
            "the controller died while it began to ask several Kafka clusters; they are asked again one after the other"
        );
    }
}

/// What is kept of each source.
fn read(folder: &Path) -> io::Result<BTreeMap<Id, Record>> {
    fs::create_dir_all(folder)?;
    let mut records = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let ours = path.extension().is_some_and(|ending| ending == ENDING);
        let Some(name) = name.filter(|_| ours) else {
            continue;
        };
        match record(&path) {
            Ok(record) => {
                records.insert(Id(name.to_owned()), record);
            }
            Err(error) => {
                warn!(file = %path.display(), %error, "this says nothing of which brokers were asked; it is removed");
                fs::remove_file(&path)?;
            }
        }
    }
    Ok(records)
}

fn record(path: &Path) -> io::Result<Record> {
    if fs::metadata(path)?.len() > LONGEST {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Whole or not at all.
fn write(folder: &Path, id: &Id, record: &Record) -> io::Result<()> {
    let new = folder.join(format!("{id}.new"));
    fs::write(&new, serde_json::to_vec(record)?)?;
    fs::rename(new, folder.join(format!("{id}.{ENDING}")))
}

fn remove(folder: &Path, id: &Id) -> io::Result<()> {
    match fs::remove_file(folder.join(format!("{id}.{ENDING}"))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::security::Security;

    fn source(brokers: &str) -> Source {
        Source {
            bootstrap_servers: brokers.to_owned(),
            properties: BTreeMap::new(),
            security: Security::default(),
        }
    }

    fn open(folder: &Path) -> Arc<Journal> {
        Arc::new(Journal::open(Some(folder)))
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn who_was_asked_when_the_process_died_is_known_to_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state");
        let before = open(&folder);
        let bad = before.enter(&source("bad:9092"));
        assert_eq!(files(&folder), 0, "nobody was asked");
        assert_eq!(bad.verdict(), Verdict::Ask);
        assert_eq!(files(&folder), 1);

        let after = open(&folder);
        let (bad, good) = (source("bad:9092"), source("good:9092"));
        let (bad, good) = (after.enter(&bad), after.enter(&good));
        assert!(matches!(bad.verdict(), Verdict::LeftAlone { times: 1, .. }));
        assert_eq!(good.verdict(), Verdict::Ask);
        // In order.
        bad.leave();
        good.leave();
        assert_eq!(files(&folder), 1, "the conviction");

        let after = open(&folder);
        let bad = after.enter(&source("bad:9092"));
        assert!(matches!(bad.verdict(), Verdict::LeftAlone { times: 1, .. }));
    }

    #[test]
    fn damaged_files_are_removed_and_others_left() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("half.json"), b"{\"phase\":").unwrap();
        fs::write(folder.join("long.json"), vec![b' '; 100_000]).unwrap();
        fs::write(folder.join("begun.new"), b"{").unwrap();
        fs::write(folder.join("other"), b"x").unwrap();
        let journal = open(folder);
        assert_eq!(files(folder), 2);
        assert_eq!(journal.enter(&source("a:1")).verdict(), Verdict::Ask);
    }

    #[test]
    fn without_a_folder_that_can_be_written_all_are_asked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        for folder in [None, Some(file.join("below").as_path())] {
            let journal = Arc::new(Journal::open(folder));
            let places = ["a:1", "b:1"].map(|brokers| journal.enter(&source(brokers)));
            assert!(places.iter().all(|place| place.verdict() == Verdict::Ask));
        }
    }

    #[test]
    fn the_name_of_a_file_holds_no_secret_and_another_address_is_another_source() {
        let with = |password: &str| Source {
            properties: BTreeMap::from([
                ("sasl.password".to_owned(), password.to_owned()),
                ("sasl.username".to_owned(), "shop".to_owned()),
            ]),
            ..source("kafka:9092")
        };
        assert_eq!(id(&with("a")), id(&with("b")));
        assert_ne!(id(&source("kafka:9092")), id(&with("a")));
        assert_ne!(id(&source("kafka:9092")), id(&source("kafka:9093")));
    }
}
