//! Slots with real processes, and the loop's part by hand.

use std::fs::read_to_string;
use std::path::PathBuf;

use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::*;
use crate::engine::LaneId;
use crate::telemetry::worker_metrics::WorkerMetrics;
use crate::topic::Offset;
use crate::worker::delivery::answer::class;
use crate::worker::delivery::claims::Claims;
use crate::worker::delivery::exec::Exec;
use crate::worker::delivery::prepare::Preparation;
use crate::worker::delivery::transport::Transport;
use crate::worker::record::Record;
use crate::worker_config::{Idempotency, IdempotencyKey, OnMissingKey, OnStoreError, StoreKind};

const PATIENCE: Duration = Duration::from_secs(30);

fn once() -> Idempotency {
    Idempotency {
        key: IdempotencyKey::Offset,
        redrive_header: None,
        retry_topic: None,
        store: StoreKind::Memory { max_entries: 100 },
        scope: "shop/orders".to_owned(),
        retention: Duration::from_secs(3600),
        lease: Duration::from_secs(60),
        on_store_error: OnStoreError::Stall,
        on_missing_key: OnMissingKey::Reject,
    }
}

/// A handler that writes a line into a file for each that it is given, and answers when it may.
struct World {
    deliveries: Deliveries,
    folder: TempDir,
    clock: Monotonic,
    wake: Arc<Notify>,
}

impl World {
    fn new(idempotency: Option<&Idempotency>, batches: Option<batches::Limits>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Each answer waits for a file of its own, so that a test says when it comes.
        let script = "n=0; while read -r line; do n=$((n+1)); echo \"$n\" >> asked; \
                      while [ ! -e \"answer-$n\" ]; do sleep 0.02; done; echo '\"done\"'; done";
        let cd = format!("cd '{}'; {script}", folder.path().display());
        let clock = Monotonic::start();
        let metrics = WorkerMetrics::register(&mut Registry::default(), &class::ALL);
        let pipeline = Pipeline {
            preparation: Preparation::default(),
            claims: Claims::new(idempotency, "pod-0", clock, &Arc::new(metrics)),
            transport: Transport::Exec(Exec {
                command: ["sh", "-c", &cd].map(str::to_owned).to_vec(),
                clock,
                journal: None,
                listeners: RefCell::default(),
            }),
            tracing: None,
        };
        let limits = Limits {
            timeout: Duration::from_secs(60),
            slots: 4,
            batches,
        };
        let wake = Arc::new(Notify::new());
        Self {
            deliveries: Deliveries::new(pipeline, limits, clock, Arc::clone(&wake)),
            folder,
            clock,
            wake,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn asked(&self) -> usize {
        read_to_string(self.file("asked")).map_or(0, |lines| lines.lines().count())
    }

    fn answer(&self, which: usize) {
        std::fs::write(self.file(&format!("answer-{which}")), "").expect("a file");
    }

    fn begin(&mut self, offset: i64) {
        self.deliveries
            .begin(delivery(offset), self.clock.elapsed());
    }

    /// The next that are over, with their verdicts.
    async fn over(&self) -> Vec<(i64, Verdict)> {
        let mut over = Vec::new();
        let taking = async {
            while over.is_empty() {
                self.wake.notified().await;
                self.deliveries.take_over(&mut over);
            }
        };
        timeout(PATIENCE, taking)
            .await
            .expect("a delivery that is over");
        over.into_iter()
            .map(|each| (each.ticket.offset.0, each.verdict))
            .collect()
    }

    async fn until_asked(&self, times: usize) {
        let asking = async {
            while self.asked() < times {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, asking)
            .await
            .expect("the handler to be asked");
    }
}

fn ticket(offset: i64) -> Ticket {
    Ticket {
        lane: LaneId(0),
        epoch: 1,
        offset: Offset(offset),
    }
}

fn delivery(offset: i64) -> Delivery {
    Delivery {
        ticket: ticket(offset),
        attempt: 1,
        // A run, as ordering Partition makes of it.
        follows: offset > 0,
        record: Box::new(Record {
            topic: "orders".into(),
            partition: 0,
            offset: Offset(offset),
            timestamp: None,
            key: None,
            value: Some(b"{}".to_vec().into()),
            headers: vec![],
        }),
    }
}

fn in_order(records: usize) -> batches::Limits {
    batches::Limits {
        records,
        bytes: 1 << 20,
        wait: Duration::ZERO,
        in_order: true,
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), test);
}

#[test]
fn what_is_cancelled_before_it_began_is_never_given_to_the_handler() {
    run(async {
        let mut world = World::new(Some(&once()), None);
        // Given and taken back before its slot has had a turn, as when a partition is lost in the same poll.
        world.begin(0);
        world.deliveries.cancel(ticket(0));
        assert_eq!(world.over().await, [(0, Verdict::Cancelled)]);
        // The claim on it is free, and the handler has not seen it.
        world.begin(0);
        world.answer(1);
        assert_eq!(world.over().await, [(0, Verdict::Done)]);
        assert_eq!(world.asked(), 1);
        world.deliveries.close().await;
    });
}

#[test]
fn while_partitions_are_given_back_a_batch_in_parts_ends_with_the_part_that_is_at_the_handler() {
    run(async {
        let mut world = World::new(None, Some(in_order(3)));
        // The handler takes one record of two bytes at once.
        world.deliveries.shared.most.refused(4);
        (0..3).for_each(|offset| world.begin(offset));
        world.deliveries.send_due(world.clock.elapsed(), false);
        world.until_asked(1).await;
        world.deliveries.send_due(world.clock.elapsed(), true);
        world.answer(1);
        let mut over = world.over().await;
        while over.len() < 3 {
            over.extend(world.over().await);
        }
        let cancelled = |offset| (offset, Verdict::Cancelled);
        assert_eq!(over, [(0, Verdict::Done), cancelled(1), cancelled(2)]);
        assert_eq!(world.asked(), 1);
        world.deliveries.close().await;
    });
}

#[test]
fn to_end_a_record_of_a_part_that_is_over_ends_none_of_the_parts_after_it() {
    run(async {
        let mut world = World::new(None, Some(in_order(2)));
        world.deliveries.shared.most.refused(4);
        (0..2).for_each(|offset| world.begin(offset));
        world.deliveries.send_due(world.clock.elapsed(), false);
        world.until_asked(1).await;
        world.answer(1);
        assert_eq!(world.over().await, [(0, Verdict::Done)]);
        world.until_asked(2).await;
        world.deliveries.cancel(ticket(0));
        world.answer(2);
        assert_eq!(world.over().await, [(1, Verdict::Done)]);
        world.deliveries.close().await;
    });
}

#[test]
#[should_panic(expected = "a slot's own")]
fn the_panic_of_a_slot_ends_the_worker() {
    run(async {
        let mut world = World::new(None, None);
        world
            .deliveries
            .tasks
            .spawn_local(async { panic!("a slot's own") });
        loop {
            tokio::task::yield_now().await;
            world.deliveries.look_after_slots();
        }
    });
}
