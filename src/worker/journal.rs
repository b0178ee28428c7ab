//! What the handler has, in files that outlive a worker that is killed together with its handler.
//!
//! Processes of a command share the worker's container: when one of them takes too much memory the container
//! is killed as a whole, and nothing but these files says what was in their hands. A file belongs to a slot and
//! is written over in place, one system call when a delivery begins and one when it ends. A process that is
//! killed leaves what it has written; a machine that is lost takes it along, and so does a pod that is deleted.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tracing::warn;

use super::consume::Loop;
use super::record::Record;
use crate::engine::Event;
use crate::topic::{Offset, TopicPartition};

/// What a killed worker had.
pub(super) type Left = BTreeSet<(TopicPartition, Offset)>;

/// Names of the files: of slots,
const SLOT: &str = "slot-";
/// and of what earlier workers had.
const SUSPECTS: &str = "suspects";
/// After the last line: what follows is of an earlier, longer entry.
const END: &str = "\n";

/// A folder with such files.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    slots: Cell<usize>,
    /// So much of what was left is written.
    kept: Cell<usize>,
}

/// A slot's file.
#[derive(Debug)]
pub struct Place {
    file: File,
    /// It was told that it cannot be written.
    told: Cell<bool>,
}

/// While it lives its file says what the handler has.
pub struct Entry(Rc<Place>);

impl Journal {
    /// A journal in `folder`, which is made if need be, and what a worker that was killed left there.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Left)> {
        fs::create_dir_all(folder)?;
        let mut left = Left::new();
        let mut slots = Vec::new();
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let is_slot = name.is_some_and(|name| name.starts_with(SLOT));
            if is_slot || name == Some(SUSPECTS) {
                left.extend(entries(&String::from_utf8_lossy(&fs::read(&path)?)));
            }
            if is_slot {
                slots.push(path);
            }
        }
        let journal = Self {
            folder: folder.to_owned(),
            slots: Cell::default(),
            kept: Cell::default(),
        };
        // First, so that a worker that is killed in between loses nothing.
        journal.keep(left.iter().map(|(partition, offset)| (partition, *offset)))?;
        for path in slots {
            fs::remove_file(path)?;
        }
        Ok((journal, left))
    }

    /// Writes what is left of what a killed worker had, if that has become less.
    pub(super) fn keep<'a>(
        &self,
        left: impl Iterator<Item = (&'a TopicPartition, Offset)>,
    ) -> io::Result<()> {
        let mut text = String::new();
        let mut count = 0;
        for (partition, offset) in left {
            line(&mut text, &partition.topic, partition.partition, offset);
            count += 1;
        }
        if count == self.kept.replace(count) {
            return Ok(());
        }
        let path = self.folder.join(SUSPECTS);
        let beside = path.with_extension("new");
        fs::write(&beside, text)?;
        fs::rename(beside, path)
    }

    /// A file for a new slot.
    pub(super) fn place(&self) -> Option<Rc<Place>> {
        let number = self.slots.replace(self.slots.get() + 1);
        let path = self.folder.join(format!("{SLOT}{number}"));
        match File::create(&path) {
            Ok(file) => Some(Rc::new(Place {
                file,
                told: Cell::default(),
            })),
            Err(error) => {
                warn!(path = %path.display(), %error, "not written, so that a record that has the worker killed here is not found");
                None
            }
        }
    }
}

impl Place {
    /// The handler is given `records` together.
    pub(super) fn enter<'a>(self: &Rc<Self>, records: impl Iterator<Item = &'a Record>) -> Entry {
        let mut text = String::new();
        for record in records {
            line(&mut text, &record.topic, record.partition, record.offset);
        }
        text.push_str(END);
        self.write(&text);
        Entry(Rc::clone(self))
    }

    fn write(&self, text: &str) {
        if let Err(error) = self.file.write_all_at(text.as_bytes(), 0)
            && !self.told.replace(true)
        {
            warn!(%error, "the journal is not written, so that a record that has the worker killed is not found");
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.write(END);
    }
}

fn line(text: &mut String, topic: &str, partition: i32, offset: Offset) {
    writeln!(text, "{topic} {partition} {offset}").expect("a String takes everything");
}

/// The entries of a file up to its end; a line that was not written whole is none.
fn entries(text: &str) -> impl Iterator<Item = (TopicPartition, Offset)> {
    let lines = text.split_inclusive('\n').map_while(|line| {
        let line = line.strip_suffix('\n')?;
        (!line.is_empty()).then_some(line)
    });
    lines.filter_map(|line| {
        let mut words = line.split(' ');
        let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
        let partition = TopicPartition::new(topic, partition.parse().ok()?);
        let offset = Offset(offset.parse().ok()?);
        words.next().is_none().then_some((partition, offset))
    })
}

impl Loop {
    /// Says what a worker of this pod had when it was killed. Before anything is assigned.
    pub(super) fn suspect(&mut self, left: Left) {
        if left.is_empty() {
            return;
        }
        let named = left.iter().take(5);
        let named: Vec<_> = named
            .map(|(partition, offset)| {
                format!("{}/{}/{offset}", partition.topic, partition.partition)
            })
            .collect();
        warn!(
            records = left.len(),
            such_as = named.join(" "),
            "a worker of this pod was killed while the handler had these; each is delivered with nothing beside it, and becomes a dead letter if it has the worker killed again"
        );
        self.tell(Event::Suspects(left.into_iter().collect()));
    }

    /// Once a second: what turned out to be harmless needs no place any more.
    pub(super) fn journal_turn(&mut self) {
        if let Some(journal) = &self.journal
            && let Err(error) = journal.keep(self.engine.suspects())
        {
            warn!(%error, "the journal is not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(topic: &str, partition: i32, offset: i64) -> Record {
        Record {
            topic: topic.into(),
            partition,
            offset: Offset(offset),
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    fn left(folder: &Path) -> Vec<(i32, i64)> {
        let (_, left) = Journal::open(folder).unwrap();
        let left = left.into_iter();
        left.map(|(partition, offset)| (partition.partition, offset.0))
            .collect()
    }

    #[test]
    fn what_the_handler_has_is_left_and_what_it_had_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, before) = Journal::open(folder.path()).unwrap();
        assert_eq!(before, Left::new());
        let (first, second) = (journal.place().unwrap(), journal.place().unwrap());
        let records = [record("orders", 3, 41), record("orders", 3, 1042)];
        drop(first.enter(records.iter()));
        let _entry = first.enter(records[..1].iter());
        drop(second.enter(records[1..].iter()));
        // As a killed worker: nothing is dropped.
        assert_eq!(left(folder.path()), [(3, 41)]);
        // And the next one, which was killed before it had anything to do.
        assert_eq!(left(folder.path()), [(3, 41)]);
    }

    #[test]
    fn what_turned_out_to_be_harmless_is_not_left() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path()).unwrap();
        let place = journal.place().unwrap();
        let records = [record("orders", 0, 7), record("orders", 1, 8)];
        let _entry = place.enter(records.iter());
        let (journal, both) = Journal::open(folder.path()).unwrap();
        assert_eq!(both.len(), 2);
        let one = both.iter().take(1);
        journal
            .keep(one.map(|(partition, offset)| (partition, *offset)))
            .unwrap();
        assert_eq!(left(folder.path()), [(0, 7)]);
    }

    #[test]
    fn a_damaged_file_says_what_is_whole_in_it() {
        let of = |text: &str| {
            entries(text)
                .map(|(p, o)| (p.partition, o.0))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("a 1 2\nb 3 4"), [(1, 2)]);
        assert_eq!(of("a 1 2\n\nb 3 4\n"), [(1, 2)]);
        assert_eq!(of("a 1\na 1 x\na 1 2 3\na 5 6\n"), [(5, 6)]);
        assert_eq!(of(""), []);
    }
}
