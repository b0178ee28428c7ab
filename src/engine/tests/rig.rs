//! An engine on a bench: events go in one by one, effects are looked at one by one.

use std::time::Duration;

use crate::engine::{
    Assignment, CONNECTION_BROKE, CommitFailure, Effect, Engine, Event, Failure, FrontierCommit,
    Incoming, KeyHash, LaneId, Refused, Run, Settings, Ticket, Verdict,
};
use crate::report::Report;
use crate::topic::{Offset, TopicPartition};
use crate::worker_config::{OnExhausted, Ordering};

pub(super) fn settings() -> Settings {
    Settings {
        pod: "pod-0".to_owned(),
        began: Duration::from_secs(1_000_000_000),
        ordering: Ordering::Key,
        hashing: 7,
        concurrency: 16,
        run: Run::ONE,
        attempts: 3,
        own_handler: true,
        initial_backoff: ms(100),
        max_backoff: ms(10_000),
        then: Vec::new(),
        waiting: 90,
        on_exhausted: OnExhausted::Stall,
        breaker: None,
        rate_limit: None,
        drain_deadline: ms(30_000),
        commit_interval: ms(1_000),
        report_interval: ms(30_000),
        budget_bytes: 1_000_000,
    }
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn failure() -> Failure {
    Failure {
        class: "HttpStatus",
        status: Some(500),
        message: "the handler answered 500".to_owned(),
    }
}

/// The connection broke before the answer.
pub(super) fn broken() -> Failure {
    Failure {
        class: CONNECTION_BROKE,
        status: None,
        message: "the connection was reset".to_owned(),
    }
}

pub(super) fn retry() -> Verdict {
    Verdict::Retry(failure())
}

pub(super) fn partition(lane: u32) -> TopicPartition {
    TopicPartition::new("orders", i32::try_from(lane).unwrap())
}

pub(super) struct Rig {
    pub engine: Engine<i64>,
    pub now: Duration,
    /// Effects that no test has looked at yet.
    pub effects: Vec<Effect<i64>>,
}

impl Rig {
    /// An engine with partitions 0 to `lanes` assigned, nothing committed yet, and the effects of
    /// that out of the way.
    pub(super) fn new(settings: Settings, lanes: u32) -> Self {
        let mut rig = Self {
            engine: Engine::new(settings),
            now: ms(1_000_000),
            effects: Vec::new(),
        };
        for lane in 0..lanes {
            rig.assign(lane, None, None);
        }
        rig.effects.clear();
        rig
    }

    pub(super) fn on(&mut self, event: Event<i64>) {
        self.engine.on(event, self.now, &mut self.effects);
    }

    pub(super) fn assign(&mut self, lane: u32, committed: Option<i64>, left: Option<Report>) {
        self.on(Event::Assigned(vec![Assignment {
            partition: partition(lane),
            lane: LaneId(lane),
            left_behind: left,
            committed: committed.map(Offset),
            topic_id: None,
        }]));
    }

    /// A partition of the topic with this id, of which so much was committed.
    pub(super) fn assign_of(&mut self, lane: u32, committed: i64, topic_id: &str) {
        self.on(Event::Assigned(vec![Assignment {
            partition: partition(lane),
            lane: LaneId(lane),
            left_behind: None,
            committed: Some(Offset(committed)),
            topic_id: Some(topic_id.to_owned()),
        }]));
    }

    /// A record of 100 bytes; a `key` below 0 is none.
    pub(super) fn read(&mut self, lane: u32, offset: i64, key: i64) {
        self.read_sized(lane, offset, key, 100);
    }

    pub(super) fn read_sized(&mut self, lane: u32, offset: i64, key: i64, bytes: usize) {
        self.on(Event::Record(Incoming {
            lane: LaneId(lane),
            offset: Offset(offset),
            key: u64::try_from(key).ok().map(KeyHash),
            bytes,
            payload: offset,
        }));
    }

    pub(super) fn position(&mut self, lane: u32, next: i64) {
        self.on(Event::Position {
            partition: partition(lane),
            next: Offset(next),
        });
    }

    pub(super) fn answer(&mut self, ticket: Ticket, verdict: Verdict) {
        self.on(Event::Finished {
            ticket,
            verdict,
            took: ms(5),
            payload: ticket.offset.0,
        });
    }

    pub(super) fn done(&mut self, ticket: Ticket) {
        self.answer(ticket, Verdict::Done);
    }

    pub(super) fn dead_lettered(&mut self, ticket: Ticket, result: Result<(), &str>) {
        self.on(Event::DeadLettered {
            ticket,
            result: result.map_err(str::to_owned),
            payload: ticket.offset.0,
        });
    }

    pub(super) fn committed(&mut self, result: Result<(), CommitFailure>) {
        self.on(Event::Committed(result));
    }

    /// The commit under way was taken, but for these partitions that there are not.
    pub(super) fn committed_without(&mut self, lanes: &[u32]) {
        let gone = lanes.iter().map(|lane| (*lane, Refused::Gone)).collect();
        self.refused(gone);
    }

    /// The commit under way was taken, but for these partitions.
    pub(super) fn refused(&mut self, lanes: Vec<(u32, Refused)>) {
        let refused = lanes.into_iter().map(|(lane, why)| (partition(lane), why));
        let refused = refused.collect();
        self.on(Event::CommittedInPart { refused });
    }

    pub(super) fn revoke(&mut self, lane: u32) {
        self.on(Event::Revoked(vec![partition(lane)]));
    }

    /// Time passes.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.on(Event::Tick);
    }

    /// Time passes to the next deadline; how long that was.
    pub(super) fn pass_to_deadline(&mut self) -> Duration {
        let due = self.engine.next_deadline().unwrap();
        let wait = due.saturating_sub(self.now);
        self.pass(wait);
        wait
    }

    /// Takes the effects that `pick` wants; the others stay.
    pub(super) fn take<T>(&mut self, pick: impl Fn(&Effect<i64>) -> Option<T>) -> Vec<T> {
        let mut taken = Vec::new();
        self.effects.retain(|effect| match pick(effect) {
            Some(value) => {
                taken.push(value);
                false
            }
            None => true,
        });
        taken
    }

    pub(super) fn deliveries(&mut self) -> Vec<(Ticket, u32)> {
        self.take(|effect| match effect {
            Effect::Deliver {
                ticket, attempt, ..
            } => Some((*ticket, *attempt)),
            _ => None,
        })
    }

    /// Tickets of what is delivered.
    pub(super) fn delivered(&mut self) -> Vec<Ticket> {
        self.deliveries()
            .into_iter()
            .map(|(ticket, _)| ticket)
            .collect()
    }

    /// Offsets of what is delivered.
    pub(super) fn offsets(&mut self) -> Vec<i64> {
        self.delivered().into_iter().map(|t| t.offset.0).collect()
    }

    /// The only delivery.
    pub(super) fn one(&mut self) -> Ticket {
        let delivered = self.delivered();
        assert_eq!(delivered.len(), 1, "{delivered:?}");
        delivered[0]
    }

    pub(super) fn commits(&mut self) -> Vec<Vec<FrontierCommit>> {
        self.take(|effect| match effect {
            Effect::Commit(frontiers) => Some(frontiers.clone()),
            _ => None,
        })
    }

    /// The only commit, as pairs of partition and offset.
    pub(super) fn committed_offsets(&mut self) -> Vec<(i32, i64)> {
        let commits = self.commits();
        assert_eq!(commits.len(), 1, "{commits:?}");
        let pair = |f: &FrontierCommit| (f.partition.partition, f.offset.0);
        commits[0].iter().map(pair).collect()
    }

    /// The report of the only frontier of the only commit.
    pub(super) fn report(&mut self) -> Report {
        let commits = self.commits();
        assert_eq!(commits.len(), 1, "{commits:?}");
        assert_eq!(commits[0].len(), 1, "{commits:?}");
        commits[0][0].report.clone()
    }

    pub(super) fn given_back(&mut self) -> Vec<i32> {
        let given = self.take(|effect| match effect {
            Effect::GiveBack(partitions) => Some(partitions.clone()),
            _ => None,
        });
        given.into_iter().flatten().map(|p| p.partition).collect()
    }

    /// What went without its last commit: how many records, and why.
    pub(super) fn uncommitted(&mut self) -> Vec<(u64, String)> {
        self.take(|effect| match effect {
            Effect::Uncommitted { records, why, .. } => Some((*records, why.clone())),
            _ => None,
        })
    }

    pub(super) fn cancelled(&mut self) -> Vec<i64> {
        self.take(|effect| match effect {
            Effect::Cancel(ticket) => Some(ticket.offset.0),
            _ => None,
        })
    }

    /// Attempts of each stall that was told.
    pub(super) fn stalls(&mut self) -> Vec<(i64, u32)> {
        self.take(|effect| match effect {
            Effect::Stalled {
                offset, attempts, ..
            } => Some((offset.0, *attempts)),
            _ => None,
        })
    }

    pub(super) fn unstalled(&mut self) -> Vec<i64> {
        self.take(|effect| match effect {
            Effect::Unstalled { offset, .. } => Some(offset.0),
            _ => None,
        })
    }

    /// Partitions paused (true) and resumed (false), in their order.
    pub(super) fn pauses(&mut self) -> Vec<(i32, bool)> {
        let told = self.take(|effect| {
            let (partitions, paused) = match effect {
                Effect::Pause(partitions) => (partitions, true),
                Effect::Resume(partitions) => (partitions, false),
                _ => return None,
            };
            Some(
                partitions
                    .iter()
                    .map(|p| (p.partition, paused))
                    .collect::<Vec<_>>(),
            )
        });
        told.into_iter().flatten().collect()
    }

    pub(super) fn stopped(&mut self) -> usize {
        self.take(|effect| matches!(effect, Effect::Stopped).then_some(()))
            .len()
    }
}
