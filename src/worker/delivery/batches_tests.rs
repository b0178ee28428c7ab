use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::engine::{
    Assignment, Effect, Engine, Event, Failure, Incoming, LaneId, Run, Settings, Verdict,
};
use crate::topic::{Offset, TopicPartition};
use crate::worker::record::Record;
use crate::worker_config::{OnExhausted, Ordering};

const WAIT: Duration = Duration::from_millis(50);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn limits(records: usize, bytes: usize) -> Limits {
    Limits {
        records,
        bytes,
        wait: WAIT,
        in_order: false,
    }
}

fn record(partition: i32, offset: i64, key: Option<u8>, bytes: usize) -> Box<Record> {
    Box::new(Record {
        topic: "orders".into(),
        partition,
        offset: Offset(offset),
        timestamp: None,
        key: key.map(|key| Bytes::from(vec![key])),
        value: Some(vec![0; bytes].into()),
        headers: vec![],
    })
}

fn delivery(offset: i64, attempt: u32, bytes: usize) -> Delivery {
    Delivery {
        ticket: Ticket {
            lane: LaneId(0),
            epoch: 1,
            offset: Offset(offset),
        },
        attempt,
        follows: false,
        record: record(0, offset, None, bytes),
    }
}

fn taken(batches: &mut Batches, now: Duration) -> Option<Vec<i64>> {
    let batch = batches.take(now)?;
    Some(batch.iter().map(|d| d.ticket.offset.0).collect())
}

#[test]
fn a_full_batch_goes_at_once_and_one_that_is_not_waits() {
    let mut batches = Batches::new(limits(2, 1_000));
    for offset in 0..3 {
        batches.push(delivery(offset, 1, 10), ms(offset as u64), None);
    }
    assert_eq!(batches.due(), Some(Duration::ZERO));
    assert_eq!(taken(&mut batches, ms(3)), Some(vec![0, 1]));
    assert_eq!(batches.due(), Some(ms(2) + WAIT));
    assert_eq!(taken(&mut batches, ms(51)), None);
    assert_eq!(taken(&mut batches, ms(52)), Some(vec![2]));
    assert_eq!(batches.due(), None);
}

#[test]
fn bytes_close_a_batch_and_a_large_record_goes_alone() {
    let mut batches = Batches::new(limits(10, 100));
    for (offset, bytes) in [(0, 60), (1, 40), (2, 1), (3, 500), (4, 1)] {
        batches.push(delivery(offset, 1, bytes), ms(0), None);
    }
    batches.flush();
    let mut all = Vec::new();
    while let Some(batch) = taken(&mut batches, ms(0)) {
        all.push(batch);
    }
    assert_eq!(all, [vec![0, 1], vec![2], vec![3], vec![4]]);
}

#[test]
fn a_record_that_failed_before_goes_alone() {
    let mut batches = Batches::new(limits(10, 1_000));
    for (offset, attempt) in [(0, 1), (1, 2), (2, 1)] {
        batches.push(delivery(offset, attempt, 1), ms(0), None);
    }
    assert_eq!(taken(&mut batches, ms(0)), Some(vec![1]));
    assert_eq!(taken(&mut batches, ms(0)), None);
    assert_eq!(taken(&mut batches, WAIT), Some(vec![0, 2]));
}

#[test]
fn what_has_not_gone_yet_can_be_taken_back() {
    let mut batches = Batches::new(limits(2, 1_000));
    for offset in 0..3 {
        batches.push(delivery(offset, 1, 1), ms(0), None);
    }
    for offset in 0..3 {
        let ticket = delivery(offset, 1, 1).ticket;
        assert!(batches.remove(ticket).is_some());
        assert!(batches.remove(ticket).is_none());
    }
    assert_eq!((batches.due(), batches.open_bytes), (None, 0));
}

/// A worker that only delivers: an engine, batches, and a handler of `SLOTS` slots.
struct World {
    engine: Engine<Box<Record>>,
    batches: Batches,
    limits: Limits,
    now: Duration,
    effects: Vec<Effect<Box<Record>>>,
    /// Batches that the handler has.
    out: Vec<Vec<Delivery>>,
    /// How often each record was done.
    done: BTreeMap<(i32, i64), u32>,
    read: BTreeMap<i32, i64>,
    letters: Vec<Ticket>,
}

const SLOTS: usize = 3;
const LANES: u32 = 2;

fn failure() -> Failure {
    Failure {
        class: "HttpStatus",
        status: Some(500),
        message: "500".to_owned(),
    }
}

impl World {
    fn new(ordering: Ordering, limits: Limits) -> Self {
        let run = Run {
            records: limits.records,
            bytes: limits.bytes,
        };
        let settings = Settings {
            pod: "pod-0".to_owned(),
            began: Duration::from_secs(1_000_000_000),
            ordering,
            hashing: 0,
            concurrency: SLOTS * limits.records,
            run,
            attempts: 3,
            own_handler: false,
            initial_backoff: ms(100),
            max_backoff: ms(1_000),
            then: Vec::new(),
            waiting: 90,
            on_exhausted: OnExhausted::Skip,
            drain_deadline: ms(2_000),
            commit_interval: ms(500),
            report_interval: ms(5_000),
            budget_bytes: 1_000_000,
            breaker: None,
            rate_limit: None,
        };
        let mut world = Self {
            engine: Engine::new(settings),
            batches: Batches::new(limits),
            limits,
            now: ms(1_000),
            effects: Vec::new(),
            out: Vec::new(),
            done: BTreeMap::new(),
            read: BTreeMap::new(),
            letters: Vec::new(),
        };
        let assignments = (0..LANES).map(|lane| Assignment {
            partition: TopicPartition::new("orders", i32::try_from(lane).unwrap()),
            lane: LaneId(lane),
            left_behind: None,
            committed: Some(Offset(0)),
            topic_id: None,
        });
        world.tell(Event::Assigned(assignments.collect()));
        world
    }

    fn tell(&mut self, event: Event<Box<Record>>) {
        self.engine.on(event, self.now, &mut self.effects);
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::Deliver {
                        ticket,
                        attempt,
                        follows,
                        payload,
                    } => {
                        let delivery = Delivery {
                            ticket,
                            attempt,
                            follows,
                            record: payload,
                        };
                        self.batches.push(delivery, self.now, None);
                    }
                    Effect::Commit(_) => {
                        let taken = Event::Committed(Ok(()));
                        self.engine.on(taken, self.now, &mut self.effects);
                    }
                    Effect::DeadLetter { ticket, .. } => self.letters.push(ticket),
                    _ => {}
                }
            }
        }
        while self.out.len() < SLOTS
            && let Some(batch) = self.batches.take(self.now)
        {
            self.out.push(batch);
        }
    }

    fn read(&mut self, lane: u32, key: Option<u8>, bytes: usize) {
        let partition = i32::try_from(lane).unwrap();
        let next = self.read.entry(partition).or_insert(0);
        let record = record(partition, *next, key, bytes);
        *next += 1;
        self.tell(Event::Record(Incoming {
            lane: LaneId(lane),
            offset: record.offset,
            key: record.key_hash(),
            bytes: record.content_bytes(),
            payload: record,
        }));
    }

    /// The handler answers a batch: all done, all failed, or record by record.
    fn answer(&mut self, which: usize, results: u32) {
        if self.out.is_empty() {
            return;
        }
        let batch = self.out.remove(which % self.out.len());
        let verdict = |index: usize| match results >> (index % 16 * 2) & 3 {
            0 if results.is_multiple_of(7) => Verdict::Reject(failure()),
            0 => Verdict::Retry(failure()),
            _ => Verdict::Done,
        };
        let mut verdicts: Vec<_> = (0..batch.len()).map(verdict).collect();
        if self.limits.in_order {
            super::super::results::keep_order(&mut verdicts);
        }
        for (delivery, verdict) in batch.into_iter().zip(verdicts) {
            let place = (delivery.record.partition, delivery.record.offset.0);
            *self.done.entry(place).or_default() += u32::from(verdict == Verdict::Done);
            self.tell(Event::Finished {
                ticket: delivery.ticket,
                verdict,
                took: ms(1),
                payload: delivery.record,
            });
        }
    }

    fn pass(&mut self) {
        let due = self.engine.next_deadline().into_iter();
        let due = due.chain(self.batches.due()).min();
        self.now = self.now.max(due.unwrap_or_default());
        self.tell(Event::Tick);
    }

    fn check(&self, ordering: Ordering) -> Result<(), TestCaseError> {
        prop_assert!(self.engine.in_flight() <= SLOTS * self.limits.records);
        let mut keys = BTreeSet::new();
        let mut partitions = BTreeSet::new();
        for batch in &self.out {
            prop_assert!(!batch.is_empty() && batch.len() <= self.limits.records);
            let bytes: usize = batch.iter().map(|d| d.record.content_bytes()).sum();
            prop_assert!(batch.len() == 1 || bytes <= self.limits.bytes, "{bytes}");
            prop_assert!(batch.len() == 1 || batch.iter().all(|d| d.attempt == 1));
            let of = batch[0].record.partition;
            let ordered = batch
                .windows(2)
                .all(|w| w[1].record.partition == of && w[0].record.offset < w[1].record.offset);
            match ordering {
                Ordering::Partition => {
                    prop_assert!(ordered);
                    prop_assert!(partitions.insert(of), "a partition is in flight twice");
                }
                Ordering::Key => {
                    for delivery in batch {
                        let record = &delivery.record;
                        if let Some(key) = &record.key {
                            let place = (record.partition, key.clone());
                            prop_assert!(keys.insert(place), "a key is in flight twice");
                        }
                    }
                }
                Ordering::None => {}
            }
        }
        Ok(())
    }
}

proptest! {
    /// Order and limits hold for whole batches, and everything is handled in the end.
    #[test]
    fn batches_keep_the_order_and_nothing_is_lost(
        ordering in prop_oneof![Just(Ordering::Key), Just(Ordering::Partition), Just(Ordering::None)],
        records in 2..6_usize,
        bytes in 20..200_usize,
        steps in proptest::collection::vec((0..8_u32, any::<u32>()), 1..120),
    ) {
        let in_order = ordering == Ordering::Partition;
        let mut world = World::new(ordering, Limits { in_order, ..limits(records, bytes) });
        for (kind, number) in steps {
            match kind {
                0..=3 => {
                    let key = u8::try_from(number / 2 % 5).ok().filter(|key| *key > 0);
                    world.read(number % LANES, key, 1 + (number / 10 % 60) as usize);
                }
                4 | 5 => world.answer(number as usize, number),
                _ => world.pass(),
            }
            world.check(ordering)?;
        }
        // All is well from now on.
        for _ in 0..2_000 {
            if world.engine.held_bytes() == 0 {
                break;
            }
            match world.out.is_empty() {
                true => world.pass(),
                false => world.answer(0, u32::MAX - 1),
            }
            world.check(ordering)?;
        }
        prop_assert_eq!(world.engine.held_bytes(), 0);
        prop_assert!(world.letters.is_empty());
        let read: i64 = world.read.values().sum();
        let handled = world.engine.totals().finished();
        prop_assert_eq!(handled, u64::try_from(read).unwrap());
        // Nothing was done twice: who is void in a run was not done.
        let passed_over = usize::try_from(world.engine.totals().passed_over).unwrap();
        let done = world.done.values().filter(|times| **times > 0).count();
        prop_assert!(world.done.values().all(|times| *times <= 1));
        prop_assert_eq!(done + passed_over, usize::try_from(read).unwrap());
    }
}
