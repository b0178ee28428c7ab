//! Records that the handler had when it was killed, or the worker with it: one of them may be why.
//!
//! A record that has its process killed, by the memory it takes say, takes the worker along where both are
//! in one container, and no answer says so. It would be delivered again to the next, for ever. So what was
//! with the handler then is delivered with nothing beside it, after a commit whose report says so: whoever
//! has the partition next, and finds that such a delivery has no end, knows which record it was.
//!
//! A handler in a container of its own takes only connections along when it is killed. Each record that it had has
//! failed then, and would fail with the guilty one again and again: so what this happens to twice goes alone too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::effect::{DeadLetterReason, Effect};
use super::event::{CONNECTION_BROKE, Failure, Verdict};
use super::lane::Lane;
use super::record::State;
use super::slab::{Generation, Handle};
use super::{Engine, LaneId};
use crate::report::WORKER_KILLED;
use crate::topic::{Offset, TopicPartition};

/// So many deliveries alone that ended with the worker are no accident.
const KILLS: u32 = 2;
/// Attempts after which a record whose connection breaks is delivered alone.
const BREAKS: u32 = 2;
/// A suspect is delivered without the commit that says so when that was not taken for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Others wait for so long, after an assignment, until the suspects among its records are read: they go first.
const UNREAD: Duration = Duration::from_secs(5);

/// One of them, in its lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Suspect {
    /// Deliveries alone that had no end.
    pub kills: u32,
    stage: Stage,
}

impl Suspect {
    /// It is not delivered any more.
    fn is_convicted(&self) -> bool {
        self.kills >= KILLS
    }

    /// What was committed may say that it has killed somebody.
    fn is_accused(&self) -> bool {
        self.kills > 0 || self.stage != Stage::Waiting
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing is said of a delivery.
    #[default]
    Waiting,
    /// To be said with the next commit, since `since`; `sent` with the one under way.
    Announced { since: Duration, sent: bool },
    /// A commit says it.
    Committed,
}

impl Suspect {
    /// After so many deliveries that had no end.
    pub(super) fn after(kills: u32) -> Self {
        let stage = Stage::Waiting;
        Self { kills, stage }
    }

    /// What the report says: that the delivery has no end yet.
    pub(super) fn kills_if_it_does_not_end(&self) -> u32 {
        let begun = self.stage != Stage::Waiting;
        self.kills.saturating_add(u32::from(begun))
    }

    /// A commit is sent that says so.
    pub(super) fn commit_sent(&mut self) {
        if let Stage::Announced { sent, .. } = &mut self.stage {
            *sent = true;
        }
    }

    /// The commit that was under way was taken.
    pub(super) fn commit_taken(&mut self) {
        if let Stage::Announced { sent: true, .. } = self.stage {
            self.stage = Stage::Committed;
        }
    }
}

/// What a commit says of a delivery that is over by now: until another says so, nothing is delivered that could have the
/// worker killed in the name of this record.
#[derive(Debug, Clone, Copy)]
struct Unsaid {
    lane: LaneId,
    epoch: u64,
    since: Duration,
    /// With the commit under way.
    sent: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// What a killed worker of this pod had, and is not known to be harmless.
    known: BTreeMap<TopicPartition, BTreeSet<i64>>,
    /// Those whose turn it is.
    waiting: VecDeque<(Handle, Generation)>,
    /// The one that the handler has, or the one whose dead letter is on its way.
    out: Option<(Handle, Generation)>,
    /// The last one was answered, and no commit has said so.
    unsaid: Option<Unsaid>,
    /// Partitions came with some, which may not be read yet: until when that is waited for.
    unread_until: Option<Duration>,
    /// When others, or the one that is announced, are delivered whatever became of what they wait for.
    patience: Option<Duration>,
}

impl Suspects {
    /// There is none to be delivered, or with the handler.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_empty()
            && self.out.is_none()
            && self.unsaid.is_none()
            && self.unread_until.is_none()
    }

    pub(super) fn none_waits(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A commit is sent of what is so in the lane now.
    pub(super) fn commit_sent(&mut self, lane: LaneId, epoch: u64) {
        if let Some(unsaid) = &mut self.unsaid
            && (unsaid.lane, unsaid.epoch) == (lane, epoch)
        {
            unsaid.sent = true;
        }
    }

    /// The commit that was under way was taken, or was not.
    pub(super) fn commit_came_back(&mut self, lane: LaneId, epoch: u64, taken: bool) {
        let same = |unsaid: &Unsaid| unsaid.sent && (unsaid.lane, unsaid.epoch) == (lane, epoch);
        match &mut self.unsaid {
            Some(unsaid) if same(unsaid) && taken => self.unsaid = None,
            Some(unsaid) if same(unsaid) => unsaid.sent = false,
            _ => {}
        }
    }

    /// When one of them is due if nothing happens before.
    pub(super) fn due(&self) -> Option<Duration> {
        self.patience
    }

    /// What lies before the frontier is finished.
    pub(super) fn passed(&mut self, partition: &TopicPartition, frontier: Offset) {
        if let Some(known) = self.known.get_mut(partition) {
            *known = known.split_off(&frontier.0);
            if known.is_empty() {
                self.known.remove(partition);
            }
        }
    }

    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        self.known.remove(partition);
    }

    fn cleared(&mut self, partition: &TopicPartition, offset: Offset) {
        if let Some(known) = self.known.get_mut(partition) {
            known.remove(&offset.0);
            if known.is_empty() {
                self.known.remove(partition);
            }
        }
    }
}

impl<P> Engine<P> {
    /// A worker of this pod was killed while the handler had these records.
    pub(super) fn suspect(&mut self, records: Vec<(TopicPartition, Offset)>) {
        for (partition, offset) in records {
            let known = self.suspects.known.entry(partition).or_default();
            known.insert(offset.0);
        }
    }

    /// What a killed worker of this pod had, as far as it is not known to be harmless.
    pub fn suspects(&self) -> impl Iterator<Item = (&TopicPartition, Offset)> {
        let known = self.suspects.known.iter();
        known.flat_map(|(partition, offsets)| offsets.iter().map(move |o| (partition, Offset(*o))))
    }

    /// A partition is assigned: what is known of it goes to its lane.
    pub(super) fn suspects_of(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let known = self.suspects.known.get(&lane.partition);
        for offset in known.into_iter().flatten() {
            if lane.ledger.next().is_none_or(|next| *offset >= next.0) {
                lane.suspects.entry(*offset).or_default();
            }
        }
        if !lane.suspects.is_empty() {
            self.suspects.unread_until = Some(self.now + UNREAD);
            // Whoever has the partition next is to know it too.
            self.changed(id);
        }
    }

    /// The record can be delivered: alone if it is a suspect, else in its lane's turn.
    pub(super) fn turn_has_come(&mut self, handle: Handle) {
        let record = &mut self.records[handle];
        let (id, offset) = (record.lane, record.offset);
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        if lane.suspects.contains_key(&offset.0) {
            record.state = State::Suspected;
            let generation = self.records.generation(handle);
            self.suspects.waiting.push_back((handle, generation));
        } else {
            record.state = State::Ready;
            lane.ready.push(offset, handle);
            self.enter_ring(id);
        }
    }

    /// Starts the suspect whose turn it is. True if nothing else may be started meanwhile.
    pub(super) fn start_suspect(&mut self, effects: &mut Vec<Effect<P>>) -> bool {
        self.suspects.patience = None;
        if self.suspects.is_quiet() {
            return false;
        }
        let others_wait = self.suspect_goes_first(effects);
        // It may have something to say.
        self.commit(effects);
        others_wait
    }

    fn suspect_goes_first(&mut self, effects: &mut Vec<Effect<P>>) -> bool {
        let records = &self.records;
        let is_there = |(handle, generation): &(Handle, Generation)| {
            records.generation(*handle) == *generation
        };
        let is_out = |out: &(Handle, Generation)| is_there(out) && records[out.0].is_out();
        self.suspects.out = self.suspects.out.filter(is_out);
        if self.suspects.out.is_some() {
            return true;
        }
        self.suspects.waiting.retain(is_there);
        let unsaid = self.something_is_unsaid();
        while let Some((handle, generation)) = self.next_suspect() {
            let record = &self.records[handle];
            let (id, offset) = (record.lane, record.offset);
            let (now, in_flight) = (self.now, self.in_flight);
            let lane = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut);
            let Some(suspect) = lane.and_then(|lane| lane.suspects.get_mut(&offset.0)) else {
                self.suspects.waiting.retain(|(other, _)| *other != handle);
                self.turn_has_come(handle);
                continue;
            };
            if suspect.is_convicted() {
                let kills = suspect.kills;
                self.suspects.waiting.retain(|(other, _)| *other != handle);
                self.convict(handle, kills, effects);
                let there = self.records.generation(handle) == generation;
                if there && self.records[handle].is_out() {
                    // Another could have the worker killed before the letter is written.
                    self.suspects.out = Some((handle, generation));
                    return true;
                }
                continue;
            }
            if in_flight > 0 {
                // One of those could have the worker killed in its name.
                return true;
            }
            match suspect.stage {
                Stage::Waiting => {
                    let (since, sent) = (now, false);
                    suspect.stage = Stage::Announced { since, sent };
                    self.suspects.patience.get_or_insert(since + PATIENCE);
                    self.changed(id);
                    self.commits.hurry();
                    return true;
                }
                Stage::Announced { since, .. } if now < since + PATIENCE => {
                    self.suspects.patience.get_or_insert(since + PATIENCE);
                    return true;
                }
                Stage::Announced { .. } | Stage::Committed => {}
            }
            if !unsaid && self.may_start() {
                self.suspects.waiting.retain(|(other, _)| *other != handle);
                self.suspects.out = Some((handle, generation));
                self.deliver(id, handle, false, effects);
            }
            return true;
        }
        unsaid || self.some_are_unread()
    }

    /// Whether suspects of the latest partitions are still to be read.
    fn some_are_unread(&mut self) -> bool {
        let Some(until) = self.suspects.unread_until else {
            return false;
        };
        let is_unread = |lane: &Lane| {
            let last = lane.suspects.keys().next_back();
            let unread = |last: &i64| lane.ledger.next().is_none_or(|next| *last >= next.0);
            !lane.draining && !lane.is_barred() && last.is_some_and(unread)
        };
        let any = self.lanes.iter().flatten().any(is_unread);
        if !any || self.now >= until || self.budget.full() {
            self.suspects.unread_until = None;
            return false;
        }
        self.suspects.patience.get_or_insert(until);
        true
    }

    /// Whether nothing may be delivered until a commit was taken.
    fn something_is_unsaid(&mut self) -> bool {
        let Some(unsaid) = self.suspects.unsaid else {
            return false;
        };
        let until = unsaid.since + PATIENCE;
        let lane = self.lane(unsaid.lane);
        let is_there = lane.is_some_and(|lane| lane.epoch == unsaid.epoch);
        if !is_there || self.now >= until {
            self.suspects.unsaid = None;
            return false;
        }
        self.suspects.patience = Some(until);
        true
    }

    /// The report of the lane says something of a delivery that is over.
    fn unsay(&mut self, id: LaneId) {
        let Some(lane) = self.lane(id) else {
            return;
        };
        self.suspects.unsaid = Some(Unsaid {
            lane: id,
            epoch: lane.epoch,
            since: self.now,
            sent: false,
        });
        self.changed(id);
        self.commits.hurry();
    }

    /// Of those that wait for nothing else a convicted one, else the one that has waited longest.
    fn next_suspect(&self) -> Option<(Handle, Generation)> {
        let is_its_turn = |waiting: &&(Handle, Generation)| {
            let lane = self.lane(self.records[waiting.0].lane);
            lane.is_some_and(|lane| !lane.in_order || lane.ledger.oldest() == Some(waiting.0))
        };
        let is_convicted = |waiting: &&(Handle, Generation)| {
            let record = &self.records[waiting.0];
            let lane = self.lane(record.lane);
            let suspect = lane.and_then(|lane| lane.suspects.get(&record.offset.0));
            suspect.is_some_and(Suspect::is_convicted)
        };
        let waiting = self.suspects.waiting.iter().filter(is_its_turn);
        let convicted = waiting.clone().find(is_convicted);
        convicted.or_else(|| waiting.clone().next()).copied()
    }

    /// The worker was killed each time that the handler had this record and no other.
    fn convict(&mut self, handle: Handle, kills: u32, effects: &mut Vec<Effect<P>>) {
        let record = &self.records[handle];
        let (id, offset) = (record.lane, record.offset);
        let found = self.lane(id).and_then(|lane| lane.ledger.find(offset));
        let Some((index, _)) = found else {
            return;
        };
        let failure = Failure {
            class: WORKER_KILLED,
            status: None,
            message: format!(
                "the container was killed {kills} times while the handler had this record and no other; was it its memory limit?"
            ),
        };
        self.totals.failures += 1;
        let reason = DeadLetterReason::WorkerKilled;
        self.exhausted(index, handle, reason, failure, effects);
    }

    /// The handler, or who asks it, has said something of a record.
    pub(super) fn suspect_answered(&mut self, handle: Handle, verdict: &Verdict) {
        let record = &self.records[handle];
        let (id, offset) = (record.lane, record.offset);
        let lane = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut);
        let Some(suspect) = lane.and_then(|lane| lane.suspects.get_mut(&offset.0)) else {
            return;
        };
        let was_announced = suspect.stage != Stage::Waiting;
        let was_not_tried = matches!(
            verdict,
            Verdict::Cancelled | Verdict::Postponed { .. } | Verdict::SlowDown { .. }
        );
        if !was_not_tried {
            self.is_no_suspect(id, offset);
        } else if was_announced {
            suspect.stage = Stage::Waiting;
            self.unsay(id);
        }
    }

    /// What is announced of a lane that is given back will not be delivered here, or was stopped by us.
    pub(super) fn take_announcements_back(&mut self, id: LaneId, also_of_what_is_out: bool) {
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let mut any = false;
        for (offset, suspect) in &mut lane.suspects {
            let held = lane.ledger.find(Offset(*offset));
            let is_out = held.is_some_and(|(_, handle)| self.records[handle].is_out());
            if suspect.stage != Stage::Waiting && (!is_out || also_of_what_is_out) {
                suspect.stage = Stage::Waiting;
                any = true;
            }
        }
        if any {
            self.unsay(id);
        }
    }

    /// The connection to a handler that one record may bring down for all has broken.
    pub(super) fn suspect_if_broken(&mut self, handle: Handle, failure: &Failure) {
        if !self.settings.own_handler || failure.class != CONNECTION_BROKE {
            return;
        }
        let record = &self.records[handle];
        // The last attempt, at the latest, is not lost to another record.
        if record.attempts >= BREAKS.min(self.settings.attempts - 1)
            && let Some(lane) = self.lanes[record.lane.0 as usize].as_mut()
        {
            lane.suspects.entry(record.offset.0).or_default();
        }
    }

    /// It is finished, or the handler has outlived it.
    pub(super) fn is_no_suspect(&mut self, id: LaneId, offset: Offset) {
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(suspect) = lane.suspects.remove(&offset.0) else {
            return;
        };
        self.suspects.cleared(&lane.partition, offset);
        match suspect.is_accused() {
            true => self.unsay(id),
            false => self.changed(id),
        }
    }
}
