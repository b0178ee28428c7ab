//! A replay: dead letters go back to where they came from, each once.
//!
//! What was moved, and that it was moved, are one transaction: interrupted at any point, nothing is
//! lost, and the next replay of its kind goes on where it was. See `marks` for how that is noted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{anyhow, ensure};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::runtime::Handle;

use super::letter::Letter;
use super::marks::{Kind, Marks};
use super::mover::{Halt, Mover, Taken};
use super::place::{Life, Log, Noted, Place};
use super::rehearsal::Foreseen;
use super::report::{Outcome, Report};
use crate::clock;
use crate::kafka::admin::Admin;
use crate::kafka::redrive::{self, Redrive};
use crate::kafka::scan::{Scan, Step};

/// One wait for a record before looking around.
const LOOK: Duration = Duration::from_millis(20);

/// What is wished of a replay, beside what it moves.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Its name, in the headers of what it moves.
    pub id: String,
    /// Back to the topic that each came from, also where the KafkaConsumer has a retry topic.
    pub to_source: bool,
    /// Records a second at most.
    pub rate: Option<f64>,
    /// Stop when so many in a hundred of those that were moved are dead letters again.
    pub stop_at: u32,
    /// After the last one, look for so long what becomes a dead letter again.
    pub settle: Duration,
    /// The header that makes a record a new one to the idempotency store.
    pub bypass: Option<String>,
    /// Move also what was moved to the same place before.
    pub again: bool,
}

/// Another replay of the same dead-letter topic has begun, and ended this one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fenced(pub(super) String);

/// Who is told how far it has come.
pub trait Onlooker {
    /// So many are moved in the end, where all that is there is meant and moves. Before the first one, and anew where it
    /// begins again.
    fn expects(&mut self, _count: u64) {}
    /// So many were moved and committed, so long after it began. Often.
    fn moved(&mut self, count: u64, elapsed: Duration);
    /// No more will be moved.
    fn done(&mut self);
}

/// A replay, before it begins.
pub struct Replay {
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) wishes: Wishes,
    pub(super) log: Log,
    /// Which topic of its name the log is of.
    pub(super) life: Life,
    pub(super) admin: Admin,
    pub(super) runtime: Handle,
}

/// What becomes of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is moved.
    Move,
    /// It was moved before.
    Already,
    /// It was replayed too often.
    Guarded,
    /// Nothing says where it came from.
    Orphan,
    /// Another consumer gave it up.
    Foreign,
    /// It is not meant.
    Other,
}

pub(super) fn verdict(kind: &Kind, marks: &Marks, letter: &Letter<'_>) -> Verdict {
    if !kind.filter.describes(letter) {
        Verdict::Other
    } else if kind.filter.is_of_another(letter) {
        Verdict::Foreign
    } else if !kind.moves(letter) {
        if !kind.allows(letter) {
            Verdict::Guarded
        } else {
            Verdict::Orphan
        }
    } else if marks.has(kind, letter) {
        Verdict::Already
    } else {
        Verdict::Move
    }
}

impl Replay {
    /// Looks at the topic. Questions are asked in the runtime that this is called in.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub async fn prepare(place: Place, kind: Kind, wishes: Wishes) -> anyhow::Result<Self> {
        ensure!(
            kind.to.as_ref() != Some(&place.topic),
            "{} {} is the dead-letter topic itself; name another one",
            place.reach.words.to,
            place.topic
        );
        let admin = place.reach.admin()?;
        let (log, life) = place.log(&admin).await?;
        Ok(Self {
            place,
            kind,
            wishes,
            log,
            life,
            admin,
            runtime: Handle::current(),
        })
    }

    /// Counts what would be moved. Blocking. `look` is called after each step.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub fn rehearse(
        &self,
        look: &mut dyn FnMut(&Scan),
        stop: &AtomicBool,
    ) -> anyhow::Result<Report> {
        let (noted, continued) = self.marks(self.wishes.again)?;
        let mut report = self.report(None);
        report.passed = self.passed(&noted);
        report.continued = continued;
        let mut foreseen = Foreseen::default();
        let mut scan = self.place.scan(&self.ranges(&noted))?;
        loop {
            if stop.load(Ordering::Relaxed) {
                report.outcome = Outcome::Interrupted;
                return Ok(report);
            }
            let step = scan.step(LOOK, |message| {
                let letter = Letter::of(message);
                match verdict(&self.kind, of(&noted, &letter), &letter) {
                    Verdict::Move => {
                        self.foresee(&letter, &mut foreseen);
                        report.would_move(&letter);
                        report.unclaimed += u64::from(self.is_unclaimed(&letter));
                    }
                    other => report.left_out.count(other),
                }
            });
            report.deleted = scan.deleted();
            if step.map_err(|error| self.place.cannot_read(&error))? == Step::End {
                let is_shared = report.left_out.foreign > 0;
                report.would_fail = self.foreseen(foreseen, &noted, is_shared);
                return Ok(report);
            }
            look(&scan);
        }
    }

    /// Moves them. Blocking.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub fn perform(
        mut self,
        onlooker: &mut dyn Onlooker,
        stop: &AtomicBool,
    ) -> anyhow::Result<Report> {
        if let Some(to) = self.for_all() {
            self.target(to)?;
        }
        // First, since it ends whoever is at it: what they have noted is complete then, and is of
        // nothing behind the ends that are read after it.
        let redrive = self.open(None)?;
        (self.log, self.life) = self.runtime.block_on(self.place.log(&self.admin))?;
        let (noted, continued) = self.marks(self.wishes.again)?;
        let follow = self.place.follow(&self.log)?;
        let mut report = self.report(Some(self.wishes.id.clone()));
        report.passed = self.passed(&noted);
        report.continued = continued;
        let mut mover = Mover::new(&self, redrive, follow, noted, onlooker, report)?;
        let mut moved = match self.wishes.again && !continued {
            true => mover.note_again(),
            false => Ok(()),
        };
        moved = moved.and_then(|()| self.moved(&mut mover, stop));
        while matches!(moved, Err(Halt::Refusal)) {
            moved = self.resumed(&mut mover);
            moved = moved.and_then(|()| self.moved(&mut mover, stop));
        }
        mover.end(moved, self.wishes.settle, stop)
    }

    /// Where a letter was refused nothing of its transaction counts, and the producer is of no use: it is as if another
    /// replay went on where this one was. As at the beginning, what was noted is read after the others were ended.
    fn resumed(&self, mover: &mut Mover<'_>) -> Result<(), Halt> {
        let redrive = self.open(mover.batch())?;
        // The wish to move all of it again was noted before the first one.
        let (noted, _) = self.marks(false)?;
        mover.resume(redrive, noted);
        Ok(())
    }

    /// Moves one after the other, until all are, it was stopped, or too many come back.
    fn moved(&self, mover: &mut Mover<'_>, stop: &AtomicBool) -> Result<(), Halt> {
        let mut scan = self.place.scan(&mover.left_to_read())?;
        mover.expects(scan.left());
        let moved = self.each_moved(mover, &mut scan, stop);
        mover.passed_over(scan.deleted());
        moved
    }

    fn each_moved(
        &self,
        mover: &mut Mover<'_>,
        scan: &mut Scan,
        stop: &AtomicBool,
    ) -> Result<(), Halt> {
        while !stop.load(Ordering::Relaxed) {
            let mut taken: Result<Taken, Halt> = Ok(Taken::Yes);
            let step = scan.step(LOOK, |message| {
                taken = mover.take(&Letter::of(message), stop);
            });
            let step = step.map_err(|error| self.place.cannot_read(&error))?;
            // Behind one that was not taken nothing may be: its partition would be noted beyond it.
            if taken? == Taken::No {
                break;
            }
            if step == Step::End {
                mover.reached_the_end();
                break;
            }
            mover.tick()?;
            if mover.fails() {
                break;
            }
        }
        mover.commit()
    }

    /// With batches of so many bytes, where that is known.
    fn open(&self, batch: Option<usize>) -> anyhow::Result<Redrive> {
        let Place { reach, .. } = &self.place;
        let opened = Redrive::open(&reach.kafka(), &self.place.group(), batch, reach.timeout);
        opened.map_err(|error| self.refused("begin the replay", &error))
    }

    pub(super) fn refused(&self, what: &str, error: &redrive::Error) -> anyhow::Error {
        let address = &self.place.reach.bootstrap;
        let words = self.place.reach.words;
        let group = self.place.group();
        match error {
            redrive::Error::NotAuthorized(denial) => anyhow!(
                "{what}: {error}; {}, or other credentials with {}; a replay takes Write on the target topics, Write and Describe on the transactional id {group}, and Read on the group {group}",
                denial.remedy(),
                words.property
            ),
            redrive::Error::Unreachable(_) => anyhow!(
                "{what}: {error}; check {} {address} and that the brokers run; {} goes on where this one was",
                words.bootstrap,
                words.next
            ),
            redrive::Error::Config(_) => anyhow!("{error}; check {}", words.property),
            redrive::Error::Fenced => Fenced(format!(
                "{what}: {error}; what it has not done is done by the other one, if that means it too, or by a further replay when that has ended"
            ))
            .into(),
            redrive::Error::Records(_) | redrive::Error::Refused(_) => anyhow!(
                "{what}: {error}; nothing of it counts, and {} tries it again",
                words.next
            ),
        }
    }

    /// Whether the topic is still the one that was looked at.
    pub(super) fn is_still(&self) -> anyhow::Result<()> {
        self.runtime
            .block_on(self.place.is_still(&self.admin, &self.life))
    }

    pub(super) fn no_room(&self, partition: i32) -> anyhow::Error {
        let topic = &self.place.topic;
        anyhow!(
            "there is no room to note a further filter for partition {partition}: too many replays of {topic} with different ones are noted; replay without a filter, which notes all of them as one, or delete from the beginning what is done with, and its notes with it: drover dlq purge --topic {topic} --partition {partition} --before OFFSET"
        )
    }

    /// What was replayed before, all of it readable; and whether what is to be moved again was begun before, and is
    /// only continued.
    fn marks(&self, again: bool) -> anyhow::Result<(Noted, bool)> {
        let marks = self
            .runtime
            .block_on(self.place.marks(&self.admin, &self.log, &self.life));
        let group = self.place.group();
        let what = format!("read the offsets of group {group}");
        let mut noted = marks.map_err(|error| self.place.reach.explain(&what, &error))?;
        let mut each = noted.values().flatten();
        let continued = again && each.any(|marks| marks.is_at_it_again(&self.kind));
        for (partition, marks) in &mut noted {
            if again {
                let marks = marks.get_or_insert_default();
                let all = self.log.get(partition).cloned().unwrap_or(0..0);
                if !continued && !self.kind.filter.within(*partition, all.clone()).is_empty() {
                    marks.again(&self.kind, all.end);
                }
            }
            ensure!(
                marks.is_some(),
                "group {group} has something for partition {partition} that no replay wrote, or that speaks of another topic of that name; delete the group if nothing was replayed, or {}",
                self.place.reach.words.again
            );
        }
        Ok((noted, continued))
    }

    /// What is meant and was not passed by a replay of this kind.
    pub(super) fn ranges(&self, noted: &Noted) -> Log {
        let range = |(&number, all): (&i32, &std::ops::Range<i64>)| {
            let marks = noted.get(&number).and_then(Option::as_ref);
            let done = marks.and_then(|marks| marks.start(&self.kind)).unwrap_or(0);
            let within = self.kind.filter.within(number, all.clone());
            (number, within.start.max(done)..within.end)
        };
        self.log.iter().map(range).collect()
    }

    /// Places that are meant and lie before what is read.
    fn passed(&self, noted: &Noted) -> u64 {
        let read = self.ranges(noted);
        let before = |(number, all): (&i32, &std::ops::Range<i64>)| {
            let meant = self.kind.filter.within(*number, all.clone());
            let begin = read.get(number).map_or(meant.end, |range| range.start);
            u64::try_from(begin.min(meant.end) - meant.start).unwrap_or(0)
        };
        self.log.iter().map(before).sum()
    }

    fn report(&self, id: Option<String>) -> Report {
        Report::new(&self.place.topic, self.for_all(), id)
    }
}

pub(super) fn of<'a>(noted: &'a Noted, letter: &Letter<'_>) -> &'a Marks {
    static NOTHING: Marks = Marks::nothing();
    noted
        .get(&letter.partition)
        .and_then(Option::as_ref)
        .unwrap_or(&NOTHING)
}

/// A name for this replay that no other has.
///
/// # Errors
/// If the system gives no random bytes.
pub fn id() -> anyhow::Result<String> {
    let mut random = [0; 4];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| anyhow!("the system gives no random bytes"))?;
    let time = clock::now().strftime("%Y%m%dT%H%M%SZ");
    Ok(format!("{time}-{:08x}", u32::from_be_bytes(random)))
}
