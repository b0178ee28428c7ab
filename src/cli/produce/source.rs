//! Where records come from: arguments, a count, or standard input, whose next line may be long in coming.

use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

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
    /// Read from standard input by a thread of its own, since nothing can end its waiting.
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
    pub fn of(args: &ProduceArgs) -> Self {
        let key = args.key.clone().map(String::into_bytes);
        if let Some(count) = args.count {
            let (keys, size) = (args.keys, args.size);
            let made = (Generated { count, keys, size }).records().map(Ok);
            return Self::Made(Box::new((1..).zip(made)));
        }
        if !args.values.is_empty() {
            let values = args.values.clone().into_iter();
            let made = values.map(move |value| Ok(Record::new(key.clone(), value.into_bytes())));
            return Self::Made(Box::new((1..).zip(made)));
        }
        let (sender, receiver) = sync_channel(AHEAD);
        let json = args.json_lines;
        // It ends with the program: there is no other end to a read of a terminal.
        thread::spawn(move || read(&sender, key.as_deref(), json));
        Self::Read(receiver)
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

/// Reads standard input to its end, to an error, or until nobody wants more.
fn read(to: &SyncSender<Numbered>, key: Option<&[u8]>, json: bool) {
    // Not `lines()`: a record may hold bytes that are no UTF-8.
    for (number, line) in (1..).zip(io::stdin().lock().split(b'\n')) {
        let line = match line {
            Ok(line) if json && line.trim_ascii().is_empty() => continue,
            Ok(line) => line,
            Err(error) => {
                let why = anyhow::Error::new(error).context("read standard input");
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
