//! When frontiers are committed, and what the report says with them.

use std::time::Duration;

use super::effect::{Effect, FrontierCommit};
use super::lane::Lane;
use super::suspects::Suspect;
use super::{Engine, LaneId};
use crate::report::{self, Outcomes, Report, Stuck, Tries, unread};
use crate::topic::Offset;
use crate::worker_config::Ordering;

/// More records that failed never fit into a report.
const MOST_TRIES: usize = 300;
/// More ranges than this never fit into a report.
const MOST_RANGES: usize = 1024;

#[derive(Debug)]
pub(super) struct Commits {
    /// The commit under way; one at a time.
    pub under_way: Option<Vec<Sent>>,
    /// Lanes that changed since their last commit.
    changed: Vec<(LaneId, u64)>,
    /// Do not wait for the interval.
    urgent: bool,
    pub last: Duration,
    last_report: Duration,
    /// When it may be tried again after a failure.
    pub not_before: Duration,
    /// The same for partitions' last commits.
    pub last_not_before: Duration,
    pub failures: u32,
    /// What the last one that failed ended with, until one is taken.
    pub failure: Option<String>,
    pub fatal: Option<String>,
    /// The most bytes of a report.
    pub most_bytes: usize,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            under_way: None,
            changed: Vec::new(),
            urgent: false,
            last: Duration::ZERO,
            last_report: Duration::ZERO,
            not_before: Duration::ZERO,
            last_not_before: Duration::ZERO,
            failures: 0,
            failure: None,
            fatal: None,
            most_bytes: report::MAX_BYTES,
        }
    }
}

#[derive(Debug)]
pub(super) struct Sent {
    pub lane: LaneId,
    pub epoch: u64,
    pub offset: Offset,
    pub finished: u64,
    /// What the lane waits for before it is given back.
    pub is_last: bool,
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
        match (
            self.failure.as_ref().or(self.fatal.as_ref()),
            &self.under_way,
        ) {
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
        // One that is refused is not sent for a while, and hurries no others until then.
        let is_refused = lane.refused.is_some_and(|until| self.now < until);
        if !is_refused && lane.stuck.keys().next().copied() != lane.reported_stuck {
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
        let mut refused = Vec::new();
        for (id, epoch) in changed.drain(..) {
            let Some(lane) = self.lane(id).filter(|lane| lane.epoch == epoch) else {
                continue; // gone, or assigned anew
            };
            let is_last = self.waits_for_its_last_commit(id);
            if !is_last && lane.refused.is_some_and(|until| self.now < until) {
                refused.push((id, epoch));
                continue;
            }
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
                is_last,
            });
            // Of a crowd some may have been compacted away.
            self.enter_ring(id);
            self.suspects.passed(&frontier.partition, frontier.offset);
            self.suspects.commit_sent(id, epoch);
            frontiers.push(frontier);
        }
        changed.append(&mut refused);
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
            most_bytes: self.commits.most_bytes,
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
}
