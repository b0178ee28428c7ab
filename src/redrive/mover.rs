//! Moves dead letters in transactions, at a rate, and watches what comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;

use super::headers::Added;
use super::letter::{Letter, REPLAY};
use super::place::Noted;
use super::replay::{Onlooker, Replay, Verdict, of, verdict};
use super::report::{Outcome, Report};
use crate::clock::Monotonic;
use crate::kafka::producer::Outgoing;
use crate::kafka::redrive::Redrive;
use crate::kafka::scan::{Scan, Step};
use crate::topic::{Offset, TopicPartition};

/// A transaction ends after so many records,
const RECORDS: u64 = 20_000;
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

/// Whether a letter was dealt with, or it was stopped before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    No,
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
    /// The next offset of each partition that something was read of since the last commit.
    positions: BTreeMap<i32, i64>,
    /// Records and bytes since then, and since when.
    sent: u64,
    bytes: usize,
    since: Duration,
    looked: Duration,
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
        let mover = Self {
            replay,
            redrive,
            follow,
            report,
            targets: replay.kind.to.iter().cloned().collect(),
            clock: Monotonic::start(),
            noted,
            onlooker,
            positions: BTreeMap::new(),
            sent: 0,
            bytes: 0,
            since: Duration::ZERO,
            looked: Duration::ZERO,
            failing: false,
        };
        // That the marks have no room is found out before the first record, not after it.
        let ends = replay
            .log
            .iter()
            .map(|(&number, range)| (number, range.end));
        mover.progress_of(&ends.collect())?;
        Ok(mover)
    }

    /// Moves a letter, if it is to be moved and when its time has come.
    pub fn take(&mut self, letter: &Letter<'_>, stop: &AtomicBool) -> anyhow::Result<Taken> {
        let replay = self.replay;
        match verdict(&replay.kind, of(&self.noted, letter), letter) {
            Verdict::Move => {
                if !self.wait_for_rate(stop)? {
                    return Ok(Taken::No);
                }
                self.send(letter)?;
            }
            other => self.report.left_out(other),
        }
        self.positions.insert(letter.partition, letter.offset + 1);
        if self.sent >= RECORDS || self.bytes >= BYTES {
            self.commit()?;
        }
        Ok(Taken::Yes)
    }

    fn send(&mut self, letter: &Letter<'_>) -> anyhow::Result<()> {
        let replay = self.replay;
        let Some(topic) = replay.destination(letter) else {
            return Ok(());
        };
        let topic = topic.as_ref();
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
        let size = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let sent = self.redrive.send(&outgoing);
        sent.map_err(|error| replay.refused(&format!("write to topic {topic}"), &error))?;
        self.sent += 1;
        self.bytes += size + 512;
        Ok(())
    }

    /// False if it was stopped meanwhile.
    fn wait_for_rate(&mut self, stop: &AtomicBool) -> anyhow::Result<bool> {
        let Some(rate) = self.replay.wishes.rate else {
            return Ok(true);
        };
        let due = Duration::try_from_secs_f64((self.report.moved + self.sent) as f64 / rate);
        let due = due.unwrap_or(Duration::MAX);
        while let Some(early) = due.checked_sub(self.clock.elapsed()) {
            // Less than a millisecond is no pace to keep.
            if early < Duration::from_millis(1) {
                break;
            }
            self.tick()?;
            if stop.load(Ordering::Relaxed) || self.fails() {
                return Ok(false);
            }
            self.look(early.min(LOOK))?;
        }
        Ok(true)
    }

    /// What is due: the end of the transaction, a look at what comes back, a word about it.
    pub fn tick(&mut self) -> anyhow::Result<()> {
        let now = self.clock.elapsed();
        if !self.positions.is_empty() && now > self.since + OPEN {
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

    /// Notes first what is to be moved again: interrupted, the same command without `--again` goes
    /// on then.
    pub fn note_again(&mut self) -> anyhow::Result<()> {
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
        for (&number, all) in &self.replay.log {
            let within = self.replay.kind.filter.within(number, all.clone());
            // What a filter by offsets or partition leaves out is not its business.
            if !within.is_empty() {
                self.positions.insert(number, within.end);
            }
        }
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        let progress = self.progress_of(&self.positions)?;
        let committed = self.redrive.commit(&progress);
        committed.map_err(|error| self.replay.refused("commit what was moved", &error))?;
        for (&number, &next) in &self.positions {
            if let Some(Some(marks)) = self.noted.get_mut(&number) {
                marks.advance(&self.replay.kind, next, self.replay.log[&number].start);
            }
        }
        self.positions.clear();
        self.report.moved += std::mem::take(&mut self.sent);
        self.bytes = 0;
        self.since = self.clock.elapsed();
        self.onlooker.moved(self.report.moved, self.since);
        Ok(())
    }

    fn progress_of(
        &self,
        positions: &BTreeMap<i32, i64>,
    ) -> anyhow::Result<Vec<(TopicPartition, Offset, String)>> {
        let place = &self.replay.place;
        let mut progress = Vec::with_capacity(positions.len());
        for (&number, &next) in positions {
            let oldest = self.replay.log[&number].start;
            let mut marks = self
                .noted
                .get(&number)
                .cloned()
                .flatten()
                .unwrap_or_default();
            marks.advance(&self.replay.kind, next, oldest);
            let offset = marks.offset(oldest);
            let text = marks.write(offset).ok_or_else(|| {
                anyhow!(
                    "there is no room to note a further filter for partition {number}: too many replays of {} with different ones are noted; replay without a filter, or purge what is done",
                    place.topic
                )
            })?;
            let partition = TopicPartition::new(place.topic.as_str(), number);
            progress.push((partition, offset, text));
        }
        Ok(progress)
    }

    /// Commits what is open, waits for what comes back, and reports. Where `moved` failed, what was
    /// not committed is taken back, and the error says what was.
    pub fn end(
        mut self,
        moved: anyhow::Result<()>,
        settle: Duration,
        stop: &AtomicBool,
    ) -> anyhow::Result<Report> {
        let ended = moved.and_then(|()| {
            if self.positions.is_empty() {
                Ok(())
            } else {
                self.commit()
            }
        });
        self.onlooker.done();
        if let Err(error) = ended {
            self.redrive.abort();
            return Err(anyhow!(
                "{error:#}; {} were replayed before, and are noted",
                self.report.moved
            ));
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
        } else {
            Outcome::Complete
        };
        Ok(self.report)
    }
}
