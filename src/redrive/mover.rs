//! Moves dead letters in transactions, at a rate, and watches what comes back.

mod refused;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;

use super::headers::Added;
use super::letter::{Letter, REPLAY};
use super::marks::{Kind, Marks};
use super::pace::Pace;
use super::place::{Log, Noted};
use super::printable;
use super::replay::{Fenced, Onlooker, Replay, Verdict, of, verdict};
use super::report::{Outcome, Report, Tally};
use crate::clock::Monotonic;
use crate::kafka::producer::Outgoing;
use crate::kafka::redrive::Redrive;
use crate::kafka::scan::{Scan, Step};
use crate::topic::{Offset, TopicPartition};
use refused::BATCH;

/// A transaction ends after so many records,
const RECORDS: usize = 20_000;
/// so many bytes,
const BYTES: usize = 16 << 20;
/// or so long; with it, what was moved can be read.
const OPEN: Duration = Duration::from_millis(500);
/// From look to look at what comes back.
const LOOK: Duration = Duration::from_millis(100);
/// Fewer that come back say nothing.
const LEAST_FAILURES: u64 = 20;
/// Records of others in the dead-letter topic that are passed over in one look.
const IN_ONE_LOOK: usize = 10_000;

/// Why moving does not go on.
#[derive(Debug)]
pub enum Halt {
    /// A letter was refused, and with it the transaction: it goes on behind the last commit with another producer.
    Refusal,
    /// Something is wrong that this replay cannot get over.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Halt {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Whether a letter was dealt with, or it was stopped before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    No,
}

/// A letter that was sent: where it lies, and how large it is.
#[derive(Clone, Copy, Debug)]
struct Sent {
    place: (i32, i64),
    size: usize,
}

/// Moves dead letters.
pub struct Mover<'a> {
    replay: &'a Replay,
    redrive: Redrive,
    /// The end of the dead-letter topic.
    follow: Scan,
    noted: Noted,
    onlooker: &'a mut dyn Onlooker,
    report: Report,
    /// Topics that letters may go to.
    targets: BTreeSet<String>,
    clock: Monotonic,
    /// The next offset of each partition that something was read of since the last commit,
    positions: BTreeMap<i32, i64>,
    /// and as of that commit.
    done: BTreeMap<i32, i64>,
    /// The letters that were sent since then, by their numbers; how large they are together, what was left out, and
    /// since when.
    sent: Vec<Sent>,
    bytes: usize,
    left_out: Tally,
    unclaimed: u64,
    since: Duration,
    looked: Duration,
    /// Partitions that hold, or may hold below what is read, another consumer's letters of those that are meant: what is
    /// noted of them is of one consumer's. Of the others it is simply of all, as for the one consumer that most have.
    shared: BTreeSet<i32>,
    /// Letters that were in a batch with one that was refused: each goes alone.
    suspects: BTreeSet<(i32, i64)>,
    refused: BTreeSet<(i32, i64)>,
    /// How many of them no earlier replay has found.
    newly_refused: usize,
    /// How large a batch may be for the topics.
    batch: usize,
    pace: Option<Pace>,
    /// The namespace of the KafkaConsumer whose letters are moved, where only letters say it.
    namespace: Option<String>,
    /// Too many came back. It stays so: a commit meanwhile makes their share a smaller one.
    failing: bool,
}

impl<'a> Mover<'a> {
    pub fn new(
        replay: &'a Replay,
        redrive: Redrive,
        follow: Scan,
        noted: Noted,
        onlooker: &'a mut dyn Onlooker,
        report: Report,
    ) -> anyhow::Result<Self> {
        let mut mover = Self {
            replay,
            redrive,
            follow,
            report,
            targets: replay.kind.to.iter().cloned().collect(),
            clock: Monotonic::start(),
            noted,
            onlooker,
            positions: BTreeMap::new(),
            done: BTreeMap::new(),
            sent: Vec::new(),
            bytes: 0,
            left_out: Tally::default(),
            unclaimed: 0,
            since: Duration::ZERO,
            looked: Duration::ZERO,
            shared: replay.log.keys().copied().collect(),
            suspects: BTreeSet::new(),
            refused: BTreeSet::new(),
            newly_refused: 0,
            batch: BATCH,
            pace: replay.wishes.rate.map(Pace::of),
            namespace: None,
            failing: false,
        };
        // That the marks have no room is found out before the first record, not after it.
        let ends = replay
            .log
            .iter()
            .map(|(&number, range)| (number, range.end));
        mover.progress_of(&ends.collect())?;
        let (ours, all) = (&replay.kind, replay.kind.of_all());
        let noted = &mover.noted;
        mover.shared.retain(|number| {
            let marks = noted.get(number).and_then(Option::as_ref);
            marks.is_some_and(|marks| marks.start(ours) != marks.start(&all))
        });
        Ok(mover)
    }

    /// What is to be read now.
    pub fn left_to_read(&self) -> Log {
        let mut ranges = self.replay.ranges(&self.noted);
        for (number, range) in &mut ranges {
            let done = self.done.get(number).copied().unwrap_or(0);
            range.start = range.start.max(done).min(range.end);
        }
        ranges
    }

    /// Goes on behind the last commit.
    pub fn resume(&mut self, redrive: Redrive, noted: Noted) {
        self.redrive = redrive;
        self.noted = noted;
        self.report.came_to_the_end = false;
    }

    /// So many offsets are left to read.
    pub fn expects(&mut self, left: u64) {
        self.onlooker.expects(self.report.moved + left);
    }

    /// So many offsets were gone before they were read.
    pub fn passed_over(&mut self, deleted: u64) {
        self.report.deleted += deleted;
    }

    /// Moves a letter, if it is to be moved and when its time has come.
    pub fn take(&mut self, letter: &Letter<'_>, stop: &AtomicBool) -> Result<Taken, Halt> {
        let replay = self.replay;
        let place = (letter.partition, letter.offset);
        let mut alone = false;
        match verdict(&replay.kind, of(&self.noted, letter), letter) {
            // It is in the report already.
            Verdict::Move if self.refused.contains(&place) => {}
            Verdict::Move => {
                if !self.wait_for_rate(stop)? {
                    return Ok(Taken::No);
                }
                alone = self.suspects.contains(&place);
                if alone {
                    self.commit()?;
                }
                self.send(letter)?;
                self.unclaimed += u64::from(replay.is_unclaimed(letter));
            }
            other => {
                self.left_out.count(other);
                if other == Verdict::Foreign {
                    self.shared.insert(letter.partition);
                }
            }
        }
        self.positions.insert(letter.partition, letter.offset + 1);
        if alone || self.sent.len() >= RECORDS || self.bytes >= BYTES {
            self.commit()?;
        }
        Ok(Taken::Yes)
    }

    fn send(&mut self, letter: &Letter<'_>) -> Result<(), Halt> {
        let replay = self.replay;
        let Some(topic) = replay.destination(letter) else {
            return Ok(());
        };
        let topic = topic.as_ref();
        replay.may_be_retried(letter)?;
        replay.is_of_one_namespace(letter, &mut self.namespace)?;
        if !self.targets.contains(topic) {
            replay.target(topic)?;
            self.targets.insert(topic.to_owned());
        }
        let added = Added::new(letter, &replay.wishes.id, replay.wishes.bypass.as_deref());
        let (key, value) = (letter.key.as_deref(), letter.value.as_deref());
        let outgoing = Outgoing {
            topic,
            key,
            value,
            // Now: by its own time the topic's retention might delete it at once. That is kept in
            // the headers.
            timestamp: None,
            headers: added.to(letter),
        };
        let headers = outgoing.headers.iter();
        let headers = headers.map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len));
        let size =
            key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers.sum::<usize>();
        let number = self.sent.len();
        self.sent.push(Sent {
            place: (letter.partition, letter.offset),
            size,
        });
        self.bytes += size;
        match self.redrive.send(&outgoing, number) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.halt(&format!("write to topic {}", printable(topic)), error)),
        }
    }

    /// False if it was stopped meanwhile.
    fn wait_for_rate(&mut self, stop: &AtomicBool) -> Result<bool, Halt> {
        let Some(mut pace) = self.pace else {
            return Ok(true);
        };
        while let Some(early) = pace.early(self.clock.elapsed()) {
            self.tick()?;
            if stop.load(Ordering::Relaxed) || self.fails() {
                return Ok(false);
            }
            self.look(early.min(LOOK))?;
        }
        pace.goes(self.clock.elapsed());
        self.pace = Some(pace);
        Ok(true)
    }

    /// What is due: the end of the transaction, a look at what comes back, a word about it.
    pub fn tick(&mut self) -> Result<(), Halt> {
        let now = self.clock.elapsed();
        if now > self.since + OPEN {
            self.commit()?;
        }
        if now > self.looked + LOOK {
            self.redrive.poll();
            self.look(Duration::ZERO)?;
            self.looked = now;
            self.onlooker.moved(self.report.moved, now);
        }
        Ok(())
    }

    /// Whether too many come back.
    pub fn fails(&mut self) -> bool {
        let Report {
            moved,
            failed_again,
            ..
        } = &self.report;
        let share = failed_again.saturating_mul(100)
            >= moved.saturating_mul(self.replay.wishes.stop_at.into());
        self.failing |= *failed_again >= LEAST_FAILURES && share;
        self.failing
    }

    /// Reads what was written to the dead-letter topic meanwhile.
    fn look(&mut self, wait: Duration) -> anyhow::Result<()> {
        let mut wait = wait;
        for _ in 0..IN_ONE_LOOK {
            let mut ours = false;
            let id = self.replay.wishes.id.as_bytes();
            let step = self.follow.step(wait, |message| {
                message.each_header(|name, value| {
                    ours |= name == REPLAY.as_bytes() && value == Some(id);
                });
            });
            self.report.failed_again += u64::from(ours);
            match step.map_err(|error| self.replay.place.cannot_read(&error))? {
                Step::Record => wait = Duration::ZERO,
                Step::Nothing | Step::End => break,
            }
        }
        Ok(())
    }

    /// Notes first what is to be moved again: interrupted, the same command goes on then, with `--again` or without.
    pub fn note_again(&mut self) -> Result<(), Halt> {
        for (&number, all) in &self.replay.log {
            let within = self.replay.kind.filter.within(number, all.clone());
            if !within.is_empty() {
                self.positions.insert(number, within.start);
            }
        }
        self.commit()
    }

    /// Everything was read, so everything up to the ends was dealt with.
    pub fn reached_the_end(&mut self) {
        self.report.came_to_the_end = true;
        for (&number, all) in &self.replay.log {
            let within = self.replay.kind.filter.within(number, all.clone());
            // What a filter by offsets or partition leaves out is not its business.
            if !within.is_empty() {
                self.positions.insert(number, within.end);
            }
        }
    }

    /// Ends the transaction, if anything was read since the last one.
    pub fn commit(&mut self) -> Result<(), Halt> {
        if self.positions.is_empty() {
            return Ok(());
        }
        let progress = self.progress_of(&self.positions)?;
        // What was read meanwhile may be of another topic.
        self.replay.is_still()?;
        if let Err(error) = self.redrive.commit(&progress) {
            return Err(self.halt("commit what was moved", error));
        }
        for (number, next) in std::mem::take(&mut self.positions) {
            let marks = self.marks(number, next);
            self.noted.insert(number, Some(marks));
            self.done.insert(number, next);
        }
        self.report.moved += self.sent.len() as u64;
        self.report.left_out.add(std::mem::take(&mut self.left_out));
        self.report.unclaimed += std::mem::take(&mut self.unclaimed);
        self.sent.clear();
        self.bytes = 0;
        self.since = self.clock.elapsed();
        self.onlooker.moved(self.report.moved, self.since);
        Ok(())
    }

    /// What is noted of a partition that is dealt with up to `next`.
    fn marks(&self, number: i32, next: i64) -> Marks {
        let kind = match self.shared.contains(&number) {
            true => Cow::Borrowed(&self.replay.kind),
            false => Cow::Owned(self.replay.kind.of_all()),
        };
        let kind: &Kind = &kind;
        let noted = self.noted.get(&number).cloned().flatten();
        let mut marks = noted.unwrap_or_default();
        marks.advance(kind, next, self.replay.log[&number].start);
        self.note_refused(number, next, kind, &mut marks);
        marks
    }

    fn progress_of(
        &self,
        positions: &BTreeMap<i32, i64>,
    ) -> anyhow::Result<Vec<(TopicPartition, Offset, String)>> {
        let place = &self.replay.place;
        let mut progress = Vec::with_capacity(positions.len());
        for (&number, &next) in positions {
            let oldest = self.replay.log[&number].start;
            let marks = self.marks(number, next);
            let offset = marks.offset(oldest);
            let text = marks.write(offset, self.replay.life.as_deref());
            let text = text.ok_or_else(|| self.replay.no_room(number))?;
            let partition = TopicPartition::new(place.topic.as_str(), number);
            progress.push((partition, offset, text));
        }
        Ok(progress)
    }

    /// Waits for what comes back, and reports. Where `moved` failed, what was not committed is taken back, and the error
    /// says what was.
    pub fn end(
        mut self,
        moved: Result<(), Halt>,
        settle: Duration,
        stop: &AtomicBool,
    ) -> anyhow::Result<Report> {
        self.onlooker.done();
        if let Err(Halt::Failed(error)) = moved {
            self.redrive.abort();
            let said = format!(
                "{error:#}; {} were replayed before, and are noted",
                self.report.moved
            );
            return Err(match error.is::<Fenced>() {
                true => Fenced(said).into(),
                false => anyhow!(said),
            });
        }
        let moved_in = self.clock.elapsed();
        let until = moved_in + settle;
        while self.clock.elapsed() < until && !stop.load(Ordering::Relaxed) && !self.fails() {
            self.look(LOOK)?;
        }
        self.look(Duration::ZERO)?;
        self.report.took = moved_in;
        self.report.outcome = if self.fails() {
            Outcome::Failing
        } else if stop.load(Ordering::Relaxed) {
            Outcome::Interrupted
        } else if self.report.missing().is_some() {
            Outcome::Incomplete
        } else {
            Outcome::Complete
        };
        Ok(self.report)
    }
}
