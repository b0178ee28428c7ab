//! Logs with holes, on a real broker: aborted transactions, markers, compaction.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::history::Place;
use crate::quiet::broker;
use crate::storm::{Storm, Weather};
use crate::wait::eventually;

const TIMEOUT: Duration = Duration::from_secs(60);

fn one_partition(name: &'static str) -> Weather {
    Weather {
        workers: 1,
        partitions: 1,
        records: 0,
        ..Weather::fair(name, 1)
    }
}

fn handled(storm: &Storm) -> BTreeSet<i64> {
    let places = storm.witness.deliveries().into_iter().map(|d| d.place);
    places.map(|Place { offset, .. }| offset).collect()
}

struct Transactions {
    producer: BaseProducer,
    topic: String,
}

impl Transactions {
    fn new(topic: &str) -> Self {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &broker().servers)
            .set("transactional.id", topic)
            .create()
            .unwrap();
        producer.init_transactions(TIMEOUT).unwrap();
        Self {
            producer,
            topic: topic.to_owned(),
        }
    }

    /// A transaction of `count` records, left open.
    fn begin(&self, count: usize) {
        self.producer.begin_transaction().unwrap();
        for number in 0..count {
            let (key, value) = (number.to_string(), "x");
            let record: BaseRecord<'_, str, str> = BaseRecord::to(&self.topic).partition(0);
            self.producer.send(record.key(&key).payload(value)).unwrap();
        }
        self.producer.flush(TIMEOUT).unwrap();
    }

    fn commit(&self) {
        self.producer.commit_transaction(TIMEOUT).unwrap();
    }

    fn abort(&self) {
        self.producer.abort_transaction(TIMEOUT).unwrap();
    }
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn aborted_records_are_never_delivered_and_markers_hold_no_commit() {
    let mut storm = Storm::prepare(&broker().servers, one_partition("aborted"));
    let transactions = Transactions::new(&storm.topic.name);
    transactions.begin(5);
    transactions.commit();
    transactions.begin(7);
    transactions.abort();
    storm.scale_to(1);
    // Two markers: 5 + 1 + 7 + 1, the last of them aborted.
    storm.topic.wait_for_end(0, 14);
    storm.topic.wait_until_all_is_committed();
    assert_eq!(storm.topic.committed().unwrap()[&0], 14);
    assert_eq!(handled(&storm), (0..5).collect());

    // An open transaction is nobody's yet, and holds up what comes after it.
    transactions.begin(3);
    storm.topic.produce(0, 4, 4);
    crate::wait::pause(Duration::from_millis(500));
    assert_eq!(storm.witness.handled(), 5);
    transactions.commit();
    storm.topic.wait_for_end(0, 14 + 3 + 4 + 1);
    let findings = storm.finish();
    findings.assert_complete(&[]);
    assert_eq!((findings.produced, findings.handled), (12, 12));
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn a_worker_that_takes_over_within_a_transaction_begins_where_the_other_stood() {
    let mut storm = Storm::prepare(&broker().servers, one_partition("within"));
    let transactions = Transactions::new(&storm.topic.name);
    storm.scale_to(1);
    for turn in 0..4 {
        transactions.begin(50);
        if turn % 2 == 0 {
            transactions.commit();
        } else {
            transactions.abort();
        }
        storm.replace();
    }
    storm.topic.wait_for_end(0, 4 * 51);
    let findings = storm.finish();
    findings.assert_complete(&[]);
    assert_eq!(findings.handled, 100);
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn compaction_holes_hold_no_commit() {
    let weather = one_partition("compacted");
    let mut storm = Storm::prepare(&broker().servers, weather);
    let compacted = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("segment.ms", "100"),
    ];
    storm.topic.set(&storm.topic.name, &compacted);
    // The same few keys again and again: all but the last of each are cleaned away.
    let mut produced = 0;
    eventually("the log's cleaning", || {
        // A compacted topic refuses what has no key.
        storm
            .topic
            .produce_but(produced, produced + 40, 4, |_| false);
        produced += 40;
        crate::wait::pause(Duration::from_millis(300));
        (storm.topic.records().len() < produced / 2).then_some(())
    });
    storm.scale_to(1);
    let findings = storm.finish();
    findings.assert_complete(&[]);
    assert!(findings.produced < produced, "{findings}");
}
