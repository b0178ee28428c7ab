//! When frontiers are committed, and what the report says with them.

use std::time::Duration;

use super::effect::{Effect, FrontierCommit};
use super::event::CommitFailure;
use super::lane::Lane;
use super::suspects::Suspect;
use super::{Engine, LaneId, backoff};
use crate::report::{self, Outcomes, Report, Stuck, Tries, unread};
use crate::topic::{Offset, TopicPartition};
use crate::worker_config::Ordering;

/// The wait after a commit that may succeed soon; it doubles up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A commit that has little time, as its partitions must go, is sent again this long after it was
/// sent, or after the answer that it must wait.
const SHORT_WAIT: Duration = Duration::from_millis(100);
/// The wait after a commit that cannot succeed until someone mends it.
const FATAL_WAIT: Duration = Duration::from_secs(30);
/// A partition that Kafka did not know so often in a row is not waited for when it is given back. A broker that has just
/// begun to coordinate may not have heard of it yet.
const GONE: u32 = 3;
/// More records that failed never fit into a report.
const MOST_TRIES: usize = 300;
/// More ranges than this never fit into a report.
const MOST_RANGES: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Commits {
    /// The commit under way; one at a time.
    under_way: Option<Vec<Sent>>,
    /// Lanes that changed since their last commit.
    changed: Vec<(LaneId, u64)>,
    /// Do not wait for the interval.
    urgent: bool,
    last: Duration,
    last_report: Duration,
    /// When it may be tried again after a failure.
    not_before: Duration,
    /// The same for partitions' last commits.
    last_not_before: Duration,
    failures: u32,
    /// What the last one that failed ended with, until one is taken.
    failure: Option<String>,
    fatal: Option<String>,
}

#[derive(Debug)]
struct Sent {
    lane: LaneId,
    epoch: u64,
    offset: Offset,
    finished: u64,
}

impl Commits {
    /// The commit under way speaks of the lane.
    pub(super) fn speaks_of(&self, lane: LaneId, epoch: u64) -> bool {
        let sent = self.under_way.iter().flatten();
        sent.into_iter()
            .any(|sent| sent.lane == lane && sent.epoch == epoch)
    }

    /// The next commit does not wait for the interval.
    pub(super) fn hurry(&mut self) {
        self.urgent = true;
    }

    /// Why a commit that is not taken yet was not.
    pub(super) fn last_failure(&self) -> &str {
        match (&self.failure, &self.under_way) {
            (Some(failure), _) => failure,
            (None, Some(_)) => "no answer in time",
            (None, None) => "not tried in time",
        }
    }

    /// Why commits cannot succeed, if they cannot.
    pub(super) fn fatal(&self) -> Option<&str> {
        self.fatal.as_deref()
    }
}

/// The whole second, since 1970, in which `due` is over.
pub(super) fn no_earlier(due: Duration) -> u64 {
    let begun = u64::from(due.subsec_nanos() > 0);
    due.as_secs().saturating_add(begun)
}

impl<P> Engine<P> {
    /// The lane's next report will differ from its last.
    pub(super) fn changed(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        if !lane.dirty {
            lane.dirty = true;
            self.commits.changed.push((id, lane.epoch));
        }
        if lane.stuck.keys().next().copied() != lane.reported_stuck {
            self.commits.urgent = true;
        }
    }

    /// The dead-letter topic was looked at: all reports say what is wrong with it.
    pub(super) fn dead_letter_topic(&mut self, flaw: Option<&'static str>) {
        if std::mem::replace(&mut self.dead_letter_flaw, flaw) != flaw {
            self.all_reports_change();
        }
    }

    /// The handler is away, or back: all reports say why.
    pub(super) fn handler_away(&mut self, why: Option<String>) {
        if self.handler_away != why {
            self.handler_away = why;
            self.all_reports_change();
        }
    }

    fn all_reports_change(&mut self) {
        let lanes: Vec<_> = self.by_partition.values().copied().collect();
        for id in lanes {
            self.changed(id);
        }
        self.commits.hurry();
    }

    /// When the next commit is due; none while one is under way, or without anything to say.
    pub(super) fn commit_due(&self) -> Option<Duration> {
        let commits = &self.commits;
        if commits.under_way.is_some() || self.by_partition.is_empty() {
            return None;
        }
        let report = commits.last_report + self.settings.report_interval;
        let moved = commits.last + self.settings.commit_interval;
        let due = match (commits.changed.is_empty(), commits.urgent) {
            (true, _) => report,
            (false, true) => Duration::ZERO,
            (false, false) => report.min(moved),
        };
        // A lane that waits for its last commit does not wait for an earlier failure's back-off.
        match self.last_commit_wanted() {
            Some(first_try) if first_try => Some(Duration::ZERO),
            Some(_) => Some(commits.last_not_before),
            None => Some(due.max(commits.not_before)),
        }
    }

    pub(super) fn commit(&mut self, effects: &mut Vec<Effect<P>>) {
        if self.commit_due().is_none_or(|due| due > self.now) {
            return;
        }
        let commits = &mut self.commits;
        commits.last = self.now;
        commits.urgent = false;
        let mut changed = std::mem::take(&mut commits.changed);
        if self.now >= commits.last_report + self.settings.report_interval {
            commits.last_report = self.now;
            changed.clear();
            let lanes = self.lanes.iter().flatten();
            changed.extend(lanes.map(|lane| (lane.id, lane.epoch)));
        }
        let mut frontiers = Vec::with_capacity(changed.len());
        let mut sent = Vec::with_capacity(changed.len());
        for (id, epoch) in changed.drain(..) {
            let Some(lane) = self.lane(id).filter(|lane| lane.epoch == epoch) else {
                continue; // gone, or assigned anew
            };
            let frontier = self.frontier(lane);
            let Some(lane) = self.lane_mut(id) else {
                continue;
            };
            lane.dirty = false;
            if let Some(frontier) = &frontier
                && !lane.tried.is_empty()
            {
                // Finished, or compacted away.
                lane.tried = lane.tried.split_off(&frontier.offset.0);
            }
            let Some(frontier) = frontier else {
                continue;
            };
            if !lane.suspects.is_empty() {
                lane.suspects = lane.suspects.split_off(&frontier.offset.0);
                lane.suspects.values_mut().for_each(Suspect::commit_sent);
            }
            lane.asked = Some(frontier.offset);
            lane.reported_stuck = lane.stuck.keys().next().copied();
            sent.push(Sent {
                lane: id,
                epoch,
                offset: frontier.offset,
                finished: lane.uncommitted,
            });
            // Of a crowd some may have been compacted away.
            self.enter_ring(id);
            self.suspects.passed(&frontier.partition, frontier.offset);
            self.suspects.commit_sent(id, epoch);
            frontiers.push(frontier);
        }
        self.commits.changed = changed;
        if !sent.is_empty() {
            self.commits.under_way = Some(sent);
            effects.push(Effect::Commit(frontiers));
        }
    }

    /// What to commit for a lane: none where nothing is known, or where the frontier lies before
    /// what this epoch has asked for already: it is not for us to take the group back after a reset
    /// of the log.
    fn frontier(&self, lane: &Lane) -> Option<FrontierCommit> {
        let offset = lane.ledger.frontier()?;
        if lane.asked.is_some_and(|asked| offset < asked) {
            return None;
        }
        let began = self.settings.began;
        let tries = lane.tried.range(offset.0..).map(|(offset, tried)| Tries {
            offset: *offset,
            attempts: tried.attempts,
            next_at: tried.due.map(|due| no_earlier(began.saturating_add(due))),
        });
        let tries: Vec<_> = tries.take(MOST_TRIES).collect();
        let suspects = lane.suspects.range(offset.0..);
        let suspects = suspects.map(|(offset, suspect)| report::Suspect {
            offset: *offset,
            kills: suspect.kills_if_it_does_not_end(),
        });
        let ahead = lane.ahead(MOST_RANGES);
        let first = tries.first().filter(|tries| tries.offset == offset.0);
        Some(FrontierCommit {
            partition: lane.partition.clone(),
            offset,
            report: Report {
                tried: first.map_or(0, |first| first.attempts),
                tries,
                suspects: suspects.collect(),
                topic_id: lane.topic_id.clone(),
                stuck: lane
                    .stuck
                    .values()
                    .next()
                    .cloned()
                    .or_else(|| self.held_back(lane))
                    .or_else(|| lane.crowd()),
                later: self.later(lane),
                past: self.past(lane, &ahead),
                ahead,
                ..self.pod_report()
            },
        })
    }

    /// While too much would be dead-lettered, every partition with something to do says so.
    fn held_back(&self, lane: &Lane) -> Option<Stuck> {
        let open = self.fuse.as_ref()?.open()?;
        let oldest = lane.ledger.oldest().map(|handle| &self.records[handle])?;
        Some(Stuck {
            offset: oldest.offset.0,
            // No failure of this very record's: whoever takes over goes by `tries`.
            attempts: 0,
            error: format!(
                "{} {} of {} records would be dead-lettered: {}",
                unread::BREAKER_OPEN,
                open.bad,
                open.of,
                open.error
            ),
        })
    }

    /// What is the same in the reports of all partitions.
    fn pod_report(&self) -> Report {
        let slots = match self.settings.ordering {
            Ordering::Partition => {
                let runs = self.by_partition.len() * self.settings.run.records;
                self.settings.concurrency.min(runs)
            }
            Ordering::Key | Ordering::None => self.settings.concurrency,
        };
        Report {
            pod: self.settings.pod.clone(),
            done: self.totals.finished(),
            busy: self.totals.busy,
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            failures: self.totals.failures,
            slow_downs: self.totals.slow_downs,
            outcomes: self.outcomes(),
            dead_letter: self.dead_letter_flaw.map(str::to_owned),
            handler: self.handler_away.clone(),
            topic_id: None,
            tried: 0,
            stuck: None,
            later: None,
            tries: Vec::new(),
            suspects: Vec::new(),
            ahead: Vec::new(),
            past: None,
        }
    }

    /// What this pod's own records came to, for the others.
    fn outcomes(&self) -> Option<Outcomes> {
        let (given_up, of) = self.fuse.as_ref()?.own();
        let at = (self.settings.began + self.now).as_secs();
        (of > 0).then_some(Outcomes { given_up, of, at })
    }

    fn commits_go_through(&mut self) {
        self.totals.commits += 1;
        self.commits.failures = 0;
        self.commits.failure = None;
        self.commits.fatal = None;
    }

    /// A lane's commit was taken.
    fn taken(&mut self, sent: &Sent) {
        self.suspects.commit_came_back(sent.lane, sent.epoch, true);
        let lane = self.lane_mut(sent.lane);
        if let Some(lane) = lane.filter(|lane| lane.epoch == sent.epoch) {
            lane.committed = Some(sent.offset);
            lane.uncommitted -= sent.finished;
            lane.unknown = 0;
            lane.suspects.values_mut().for_each(Suspect::commit_taken);
        }
    }

    /// A commit came back, taken but for partitions that are gone. Theirs is said again with the next: the others do not
    /// wait for it, and one that is to be given back does not for long.
    pub(super) fn committed_in_part(&mut self, gone: &[TopicPartition]) {
        let Some(sent) = self.commits.under_way.take() else {
            return;
        };
        let mut refused = Vec::new();
        for sent in &sent {
            let lane = self.lane_mut(sent.lane);
            let Some(lane) = lane.filter(|lane| lane.epoch == sent.epoch) else {
                continue;
            };
            if !gone.contains(&lane.partition) {
                self.taken(sent);
                continue;
            }
            lane.unknown += 1;
            if !(lane.draining && lane.unknown >= GONE) {
                self.changed(sent.lane);
            }
            refused.push((sent.lane, sent.epoch));
        }
        if refused.len() < sent.len() {
            self.commits_go_through();
        }
        let why = CommitFailure::Later("Kafka does not know the partition".to_owned());
        self.last_commit_failed(&why, |lane, epoch| refused.contains(&(lane, epoch)));
        self.commits.failure = Some(why.words().to_owned());
        self.commits.last_not_before = self.now + SHORT_WAIT;
    }

    /// A commit came back.
    pub(super) fn committed(&mut self, result: Result<(), CommitFailure>) {
        let Some(sent) = self.commits.under_way.take() else {
            return;
        };
        let Err(failure) = result else {
            self.commits_go_through();
            for sent in &sent {
                self.taken(sent);
            }
            return;
        };
        self.totals.commit_failures += 1;
        for sent in &sent {
            self.suspects.commit_came_back(sent.lane, sent.epoch, false);
            let lane = self.lane(sent.lane);
            if lane.is_some_and(|lane| lane.epoch == sent.epoch) {
                self.changed(sent.lane);
            }
        }
        self.last_commit_failed(&failure, |lane, epoch| {
            sent.iter()
                .any(|sent| sent.lane == lane && sent.epoch == epoch)
        });
        let commits = &mut self.commits;
        commits.failure = Some(failure.words().to_owned());
        match failure {
            // Where the group has rebalanced meanwhile, that took its time already.
            CommitFailure::Outdated(_) => {
                commits.not_before = self.now.max(commits.last + SHORT_WAIT);
                commits.last_not_before = commits.not_before;
            }
            CommitFailure::Later(_) => {
                commits.failures = commits.failures.saturating_add(1);
                let seed = backoff::seed(0, 0, commits.failures);
                let wait = backoff::growing(SHORTEST_WAIT, LONGEST_WAIT, commits.failures, seed);
                commits.not_before = self.now + wait;
                commits.last_not_before = self.now + SHORT_WAIT;
            }
            // The group will say what is still ours; until then the interval is soon enough.
            CommitFailure::Dropped(_) => {
                commits.not_before = self.now + self.settings.commit_interval;
            }
            CommitFailure::Fatal(why) => {
                commits.fatal = Some(why);
                commits.not_before = self.now + FATAL_WAIT;
            }
        }
    }
}
