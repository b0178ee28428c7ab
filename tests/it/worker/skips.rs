//! Records that somebody gave up with `drover skip`.

use drover::report::Report;
use drover::topic::Offset;
use drover::worker_config::{OnExhausted, Ordering, Skip};
use rdkafka::producer::BaseRecord;

use super::kafka::{Kafka, eventually};
use super::outages::nowhere;
use super::outages::page;
use super::web::{Seen, Web, ok, status, tally};
use super::workers::{TOPIC, Worker, config, texts};

const WRITTEN: i64 = 1_700_000_000_000;

fn skip(offset: i64, timestamp: i64) -> Skip {
    Skip {
        topic: TOPIC.to_owned(),
        partition: 0,
        offset,
        timestamp,
        reason: "no such user".to_owned(),
    }
}

/// Twelve records, each a second after the one before.
fn kafka() -> Kafka {
    let kafka = Kafka::with_topic(TOPIC, 1);
    for (number, value) in (0..).zip(texts("v", 12)) {
        let record = BaseRecord::to(TOPIC).partition(0).key(&b"k"[..]);
        let record = record.timestamp(WRITTEN + number * 1_000);
        kafka.send(record.payload(value.as_bytes()));
    }
    kafka.flush();
    kafka
}

fn is_bad(seen: &Seen) -> bool {
    ["v-4", "v-8"].contains(&seen.text())
}

#[test]
fn a_stuck_record_is_skipped_after_the_roll_and_no_other() {
    for ordering in [Ordering::Key, Ordering::Partition] {
        let kafka = kafka();
        let web = Web::start(|seen| if is_bad(seen) { status(500) } else { ok() });
        let mut config = config(&kafka, &web);
        config.ordering = ordering;
        config.attempts = 2;
        let first = Worker::start("pod-1", config.clone());
        eventually("a report of the stuck record", || {
            let (offset, metadata) = kafka.committed(TOPIC, 0)?;
            let stuck = Report::decode(&metadata, Offset(offset)).ok()?.stuck?;
            (stuck.offset == 4).then_some(())
        });
        first.stop().unwrap();
        let tried = tally(&web.seen())["v-4"];

        // One of them is of a topic that was there before this one: what lies at its place is delivered.
        config.skips = vec![
            skip(4, WRITTEN + 4_000),
            skip(6, WRITTEN + 1),
            skip(99, WRITTEN),
        ];
        let admin = nowhere();
        let second = Worker::start_with_admin("pod-2", config.clone(), Some(admin));
        // The next bad one is not skipped with it.
        eventually("the next record to be stuck", || {
            let (offset, metadata) = kafka.committed(TOPIC, 0)?;
            let stuck = Report::decode(&metadata, Offset(offset)).ok()?.stuck?;
            ((offset, stuck.offset) == (8, 8)).then_some(())
        });
        let (_, metrics) = eventually("metrics", || page(admin, "/metrics"));
        let count = |line: &str| metrics.lines().any(|found| found == line);
        assert!(count("drover_worker_records_given_up_total 1"), "{metrics}");
        assert!(count("drover_worker_records_skipped_total 0"), "{metrics}");
        let seen = tally(&web.seen());
        assert_eq!(seen["v-4"], tried, "{seen:?}");
        assert_eq!(seen["v-6"], 1, "{seen:?}");
        web.behave(|_| ok());
        kafka.wait_for_commit(TOPIC, 0, 12);
        second.stop().unwrap();
        let seen = tally(&web.seen());
        let good = seen
            .iter()
            .filter(|(text, _)| *text != "v-4" && *text != "v-8");
        assert!(good.clone().all(|(_, count)| *count == 1), "{seen:?}");
        assert_eq!(good.count(), 10);
    }
}

#[test]
fn a_skipped_record_is_no_dead_letter_and_needs_no_handler() {
    let kafka = kafka();
    kafka.mock().create_topic("orders.dlq", 1, 1).unwrap();
    // Nobody listens there.
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.handler = super::workers::http("http://127.0.0.1:1/".to_owned());
    config.dead_letter_topic = Some("orders.dlq".to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    config.skips = (0..12).map(|n| skip(n, WRITTEN + n * 1_000)).collect();
    let admin = nowhere();
    let _worker = Worker::start_with_admin("pod-1", config, Some(admin));
    kafka.wait_for_commit(TOPIC, 0, 12);
    let (_, metrics) = eventually("metrics", || page(admin, "/metrics"));
    for line in [
        "drover_worker_records_given_up_total 12",
        "drover_worker_records_dead_lettered_total 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }
}
