//! Which Kafka clusters are asked, where to ask one of them may end this process.
//!
//! librdkafka works in this process, and not every malformed answer of a broker is survived. So who was never asked is on
//! trial for its first seconds, and a process that starts after one that died looks who was: the only one is convicted,
//! and left alone for a while; several are asked again one after the other, so that the next death finds the only one.
//!
//! Who ends in order leaves nothing. How a process died it cannot know: a crash, no memory for an answer, a kill for
//! another reason. So the first time is short.
//!
//! Pure: is given the time and what was kept of the process before. [`super::journal`] keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a trial lasts. What ends a process does so with the first answers.
const TRIAL: SignedDuration = SignedDuration::from_secs(10);
/// Where there are so many that it would take longer than this until all were asked, trials are shorter,
const ALL_WITHIN_SECS: i64 = 600;
/// but not shorter than this.
const SHORTEST_SECS: i64 = 2;
/// How long who was convicted once is left alone; each further time four times as long,
const LEFT_ALONE: SignedDuration = SignedDuration::from_secs(60);
/// and no longer than this.
const LONGEST: SignedDuration = SignedDuration::from_secs(24 * 3600);
/// Who was asked well for so long after a conviction loses it; so does who is not there for so long after its end.
const FORGIVEN: SignedDuration = SignedDuration::from_secs(3600);
/// Suspects whose fleets are gone are waited for no longer than this.
const EXPECTED: SignedDuration = SignedDuration::from_secs(300);

/// The stable name of a source; letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(pub(super) String);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of a source, and outlives this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its brokers, for whoever reads it.
    pub(super) brokers: String,
    phase: Phase,
    /// How often the process died while it was the only one on trial.
    convictions: u32,
    /// When that was last found out.
    died: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// Not asked yet.
    New,
    /// It was one of several that were on trial when the process died.
    Suspect,
    /// It is asked, and not for long.
    Trial { until: Timestamp },
    /// It is asked, and passed its trial.
    Well { since: Timestamp },
    /// It is left alone.
    Convicted,
}

/// Whether a source may be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may.
    Ask,
    /// Others are asked before it.
    Waits,
    /// It is left alone.
    LeftAlone {
        /// The process died so often while it was the only one on trial,
        times: u32,
        /// the last time before this,
        last: Timestamp,
        /// and it is asked again then.
        until: Timestamp,
    },
}

/// All sources.
#[derive(Debug, Default)]
pub(super) struct Trials {
    standings: BTreeMap<Id, Standing>,
    /// Of these the records have changed.
    changed: BTreeSet<Id>,
    /// Since when there are any that want to be asked.
    begun: Option<Timestamp>,
}

#[derive(Debug)]
struct Standing {
    record: Record,
    /// So many want it to be asked.
    wanted: usize,
    /// While it is on trial no other is.
    alone: bool,
}

impl Record {
    fn new(brokers: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            phase: Phase::New,
            convictions: 0,
            died: None,
        }
    }

    /// How often it was convicted, and until when it is left alone for that.
    pub(super) fn convicted(&self) -> Option<(u32, Timestamp)> {
        (self.phase == Phase::Convicted).then(|| (self.convictions, self.left_alone_until()))
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.phase == Phase::Suspect
    }

    fn left_alone_until(&self) -> Timestamp {
        let times = 4_i32.pow(self.convictions.saturating_sub(1).min(8));
        let period = LEFT_ALONE.saturating_mul(times).min(LONGEST);
        later(self.died.unwrap_or(Timestamp::UNIX_EPOCH), period)
    }

    fn is_on_trial(&self) -> bool {
        matches!(self.phase, Phase::Trial { .. })
    }

    fn waits(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Suspect)
    }

    /// Passes on to what comes by itself with the time; whether it does.
    fn settle(&mut self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Trial { until } if now >= until => self.phase = Phase::Well { since: now },
            Phase::Well { since } if self.convictions > 0 && now >= later(since, FORGIVEN) => {
                self.convictions = 0;
                self.died = None;
            }
            Phase::Convicted if now >= self.left_alone_until() => self.phase = Phase::New,
            _ => return false,
        }
        true
    }

    /// What is kept of it when nobody wants it to be asked any more; nothing if there is nothing against it.
    fn let_go(&self) -> Option<Self> {
        let phase = match self.phase {
            Phase::Convicted => Phase::Convicted,
            _ => Phase::New,
        };
        (self.convictions > 0).then(|| Self {
            phase,
            ..self.clone()
        })
    }
}

impl Trials {
    /// After a process that left these records. Of sources that were let go they say nothing but convictions.
    pub(super) fn after(left: BTreeMap<Id, Record>, now: Timestamp) -> Self {
        let on_trial = left.values().filter(|record| record.is_on_trial()).count();
        let mut trials = Self::default();
        for (id, before) in left {
            let mut record = before.clone();
            // Whatever the clock was.
            record.died = record.died.map(|died| died.min(now));
            match (record.phase, on_trial) {
                (Phase::Trial { .. }, 1) => {
                    record.phase = Phase::Convicted;
                    record.convictions = record.convictions.saturating_add(1);
                    record.died = Some(now);
                }
                (Phase::Trial { .. } | Phase::Well { .. }, 2..) => record.phase = Phase::Suspect,
                // All were asked well: it may have died of anything. If it was by one of them, the next death finds
                // them all on trial.
                (Phase::Well { .. }, 0) => record.phase = Phase::New,
                _ => {}
            }
            let forgiven = later(record.left_alone_until(), FORGIVEN) <= now;
            if record.phase == Phase::New && (record.convictions == 0 || forgiven) {
                trials.changed.insert(id);
                continue;
            }
            if record != before {
                trials.changed.insert(id.clone());
            }
            let standing = Standing {
                record,
                wanted: 0,
                alone: false,
            };
            trials.standings.insert(id, standing);
        }
        trials
    }

    /// All records.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.standings.values().map(|standing| &standing.record)
    }

    /// The records that have changed since this was asked last; none for those of which there is nothing to keep.
    pub(super) fn changes(&mut self) -> Vec<(Id, Option<Record>)> {
        let changed = std::mem::take(&mut self.changed);
        let record = |id: Id| {
            let standing = self.standings.get(&id);
            let record = standing.map(|standing| standing.record.clone());
            let worth = |record: &Record| record.phase != Phase::New || record.convictions > 0;
            (id, record.filter(worth))
        };
        changed.into_iter().map(record).collect()
    }

    /// Somebody wants this source to be asked.
    pub(super) fn enter(&mut self, id: &Id, brokers: &str, now: Timestamp) {
        self.begun.get_or_insert(now);
        let standing = self.standings.entry(id.clone());
        let standing = standing.or_insert_with(|| Standing {
            record: Record::new(brokers),
            wanted: 0,
            alone: false,
        });
        standing.wanted += 1;
    }

    /// Does not want it any more. Whoever lets go of what he asked in order takes no blame.
    pub(super) fn leave(&mut self, id: &Id) {
        if let Some(standing) = self.standings.get_mut(id) {
            standing.wanted = standing.wanted.saturating_sub(1);
            if standing.wanted == 0 {
                self.forget(id);
            }
        }
    }

    /// Whether this source may be asked now; from then on it is.
    pub(super) fn admit(&mut self, id: &Id, now: Timestamp) -> Verdict {
        let Some(standing) = self.standings.get_mut(id) else {
            return Verdict::Waits;
        };
        if standing.record.settle(now) {
            self.changed.insert(id.clone());
        }
        let record = &standing.record;
        match record.phase {
            Phase::Trial { .. } | Phase::Well { .. } => Verdict::Ask,
            Phase::Convicted => Verdict::LeftAlone {
                times: record.convictions,
                last: record.died.unwrap_or(now),
                until: record.left_alone_until(),
            },
            Phase::New | Phase::Suspect => self.begin(id, now),
        }
    }

    /// Begins the trial of one that waits, if it may begin now.
    fn begin(&mut self, id: &Id, now: Timestamp) -> Verdict {
        for (other, standing) in &mut self.standings {
            if standing.record.settle(now) {
                self.changed.insert(other.clone());
            }
        }
        self.forget_who_does_not_come(now);
        let alone = self.is_alone(id);
        if alone && !self.is_next(id) {
            return Verdict::Waits;
        }
        let wanted = self.standings.values().filter(|it| it.wanted > 0).count();
        let length = match i64::try_from(wanted) {
            Ok(wanted) if alone => {
                let share = ALL_WITHIN_SECS / wanted.max(1);
                SignedDuration::from_secs(share.max(SHORTEST_SECS)).min(TRIAL)
            }
            _ => TRIAL,
        };
        if let Some(standing) = self.standings.get_mut(id) {
            let until = later(now, length);
            standing.record.phase = Phase::Trial { until };
            standing.alone = alone;
            self.changed.insert(id.clone());
        }
        Verdict::Ask
    }

    /// Whether no other may be on trial at the same time: there is something against it, or anybody is suspected.
    fn is_alone(&self, id: &Id) -> bool {
        let own = self.standings.get(id).map(|standing| &standing.record);
        let suspected = |standing: &Standing| {
            standing.record.is_suspect() || (standing.alone && standing.record.is_on_trial())
        };
        own.is_some_and(|own| own.convictions > 0) || self.standings.values().any(suspected)
    }

    /// Whether nobody is on trial, and of those that wait nobody has fewer convictions.
    fn is_next(&self, id: &Id) -> bool {
        let mut all = self.standings.values();
        let first = self
            .waiting()
            .min_by_key(|(id, standing)| (standing.record.convictions, *id));
        !all.any(|standing| standing.record.is_on_trial())
            && first.is_some_and(|(first, _)| first == id)
    }

    fn waiting(&self) -> impl Iterator<Item = (&Id, &Standing)> {
        let all = self.standings.iter();
        all.filter(|(_, standing)| standing.wanted > 0 && standing.record.waits())
    }

    fn forget_who_does_not_come(&mut self, now: Timestamp) {
        if self.begun.is_none_or(|begun| now < later(begun, EXPECTED)) {
            return;
        }
        let missing = self.standings.iter();
        let missing = missing.filter(|(_, standing)| {
            standing.wanted == 0 && !matches!(standing.record.phase, Phase::New | Phase::Convicted)
        });
        let missing: Vec<Id> = missing.map(|(id, _)| id.clone()).collect();
        for id in missing {
            self.forget(&id);
        }
    }

    fn forget(&mut self, id: &Id) {
        if let Some(standing) = self.standings.get_mut(id) {
            match standing.record.let_go() {
                Some(record) => {
                    standing.record = record;
                    standing.alone = false;
                }
                None => {
                    self.standings.remove(id);
                }
            }
        }
        self.changed.insert(id.clone());
    }
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "trials_tests.rs"]
mod tests;
