//! Where records come from: arguments, a count, a file, or standard input, whose next line may be long in coming.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::ProduceArgs;
use super::records::{Generated, Record, json_line};

/// One wait for a line before looking around again.
const WAIT: Duration = Duration::from_millis(50);
/// Lines that are read ahead; few, as each may be large.
const AHEAD: usize = 64;

/// A record and its number: its line, or which one it is, from 1.
type Numbered = (usize, anyhow::Result<Record>);

/// Gives one record after the other.
pub(super) enum Source {
    /// There at once.
    Made(Box<dyn Iterator<Item = Numbered>>),
    /// Read by a thread of its own, since nothing can end its waiting for standard input or a pipe.
    Read(Receiver<Numbered>),
}

/// What a source has.
pub(super) enum Next {
    /// A record, or why a line is none.
    Record(usize, anyhow::Result<Record>),
    /// There may be more later.
    NotYet,
    /// There is no more.
    End,
}

impl Source {
    /// What the arguments say.
    ///
    /// # Errors
    /// If the file cannot be opened; in one line.
    pub fn of(args: &ProduceArgs) -> anyhow::Result<Self> {
        let key = args.key.clone().map(String::into_bytes);
        if let Some(count) = args.count {
            let (keys, size) = (args.keys, args.size);
            let made = (Generated { count, keys, size }).records().map(Ok);
            return Ok(Self::Made(Box::new((1..).zip(made))));
        }
        if !args.values.is_empty() {
            let values = args.values.clone().into_iter();
            let made = values.map(move |value| Ok(Record::new(key.clone(), value.into_bytes())));
            return Ok(Self::Made(Box::new((1..).zip(made))));
        }
        let (sender, receiver) = sync_channel(AHEAD);
        let json = args.json_lines;
        let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
        let file = match file {
            Some(path) => Some(open(path)?),
            None => None,
        };
        // It ends with the program: there is no other end to a read of a terminal.
        thread::spawn(move || match file {
            Some(file) => read(file, "the file", &sender, key.as_deref(), json),
            None => read(
                io::stdin().lock(),
                "standard input",
                &sender,
                key.as_deref(),
                json,
            ),
        });
        Ok(Self::Read(receiver))
    }

    /// The next one; waits for a moment only.
    pub fn next(&mut self) -> Next {
        let next = match self {
            Self::Made(records) => records.next().ok_or(RecvTimeoutError::Disconnected),
            Self::Read(lines) => lines.recv_timeout(WAIT),
        };
        match next {
            Ok((number, record)) => Next::Record(number, record),
            Err(RecvTimeoutError::Timeout) => Next::NotYet,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    // Opening a folder is no error, reading it is; that would come after the first look at Kafka.
    let is_folder = file.metadata().is_ok_and(|of| of.is_dir());
    anyhow::ensure!(!is_folder, "{} is a folder; name a file", path.display());
    Ok(BufReader::new(file))
}

/// Reads to the end, to an error, or until nobody wants more.
fn read(from: impl BufRead, name: &str, to: &SyncSender<Numbered>, key: Option<&[u8]>, json: bool) {
    // Not `lines()`: a record may hold bytes that are no UTF-8.
    for (number, line) in (1..).zip(from.split(b'\n')) {
        let line = match line {
            Ok(line) if json && line.trim_ascii().is_empty() => continue,
            Ok(line) => line,
            Err(error) => {
                let why = anyhow::Error::new(error).context(format!("read {name}"));
                let _ = to.send((number, Err(why)));
                return;
            }
        };
        let record = if json {
            json_line(&line, number).map_err(anyhow::Error::new)
        } else {
            Ok(Record::new(key.map(<[u8]>::to_vec), line))
        };
        if to.send((number, record)).is_err() {
            return;
        }
    }
}
