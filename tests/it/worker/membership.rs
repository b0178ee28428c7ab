//! Joining, handing over and leaving.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use drover::report::Report;
use drover::topic::Offset;
use drover::worker_config::{GroupProtocol, OnExhausted, WorkerConfig};

use super::kafka::{Kafka, eventually};
use super::outages::{nowhere, page};
use super::web::{Reply, Web, ok, ok_after, tally};
use super::workers::{TOPIC, Worker, config, texts};

#[test]
fn a_worker_that_is_told_to_stop_finishes_and_commits_what_is_in_flight_and_begins_nothing() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c", "d"], &texts("v", 40));
    let web = Web::start(|_| Reply { hold: true, ..ok() });
    let mut config = config(&kafka, &web);
    config.concurrency = 4;
    let worker = Worker::start("pod-1", config);
    web.wait_for("four in flight", |seen| seen.len() == 4);

    worker.terminate();
    // A worker that did not wait for what is in flight would be over by now.
    std::thread::park_timeout(Duration::from_millis(500));
    assert!(!worker.is_over());
    web.release();
    assert!(worker.stop().is_ok());

    let (committed, metadata) = kafka.committed(TOPIC, 0).unwrap();
    assert_eq!(committed, 4);
    assert_eq!(Report::decode(&metadata, Offset(4)).unwrap().done, 4);
    assert_eq!(web.seen().len(), 4);
}

#[test]
fn two_workers_share_and_hand_over_without_repeating_or_reordering_anything() {
    let kafka = Kafka::with_topic(TOPIC, 4);
    // Unlike a broker, the mock refuses a member that syncs after the leader has, which then joins
    // again, and meanwhile it refuses commits. The leader asks for metadata before it syncs: with
    // this delay it comes last.
    kafka
        .mock()
        .broker_round_trip_time(1, Duration::from_millis(100))
        .unwrap();
    hand_over(&kafka, |_| ());
}

#[test]
fn two_workers_share_and_hand_over_by_the_consumer_protocol() {
    let kafka = Kafka::with_topic(TOPIC, 4);
    hand_over(&kafka, by_consumer_protocol);
}

fn by_consumer_protocol(config: &mut WorkerConfig) {
    config.group_protocol = GroupProtocol::Consumer;
    // The broker sets them.
    config.properties.remove("session.timeout.ms");
    config.properties.remove("heartbeat.interval.ms");
}

#[test]
fn what_overruns_the_drain_deadline_is_left_to_the_next_owner_and_is_no_failure() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("v", 2));
    let web = Web::start(|seen| Reply {
        hold: seen.text() == "v-0",
        ..ok()
    });
    let mut config = config(&kafka, &web);
    config.attempts = 1;
    config.on_exhausted = OnExhausted::Skip;
    config.drain_deadline = Duration::from_secs(1);
    let first = Worker::start("pod-1", config.clone());
    web.wait_for_count(1);
    assert!(first.stop().is_ok());
    let (committed, metadata) = kafka.committed(TOPIC, 0).unwrap();
    assert_eq!(committed, 0, "a commit passed an unfinished record");
    let ahead = Report::decode(&metadata, Offset(0)).unwrap().ahead;
    assert_eq!((ahead.len(), ahead[0].clone()), (1, 1..2));

    web.behave(|_| ok());
    let _second = Worker::start("pod-2", config);
    kafka.wait_for_commit(TOPIC, 0, 2);
    let seen: Vec<_> = web.seen().iter().map(|s| s.text().to_owned()).collect();
    assert_eq!(seen.iter().filter(|text| *text == "v-0").count(), 2);
    assert_eq!(seen.iter().filter(|text| *text == "v-1").count(), 1);
    web.release();
}

/// A worker at work, a second one joins, the first one leaves, the second finishes.
fn hand_over(kafka: &Kafka, change: impl Fn(&mut WorkerConfig)) {
    let keys = ["a", "b", "c", "d", "e"];
    let mut produced = 0;
    for partition in 0..4 {
        let values = texts(&format!("p{partition}-first"), 300);
        produced += values.len();
        kafka.produce(TOPIC, partition, &keys, &values);
    }
    let web = Web::start(|_| ok_after(Duration::from_millis(20)));
    let mut config = config(kafka, &web);
    change(&mut config);
    config.concurrency = 4;
    let admin = nowhere();
    let first = Worker::start_with_admin("pod-1", config.clone(), Some(admin));
    web.wait_for("the first worker at work", |seen| seen.len() > 20);

    // The second joins in the middle of the work, the first leaves in the middle of it.
    let second = Worker::start("pod-2", config.clone());
    eventually("a commit of the second worker", || {
        let mut reports = (0..4).filter_map(|partition| kafka.committed(TOPIC, partition));
        reports
            .any(|(at, text)| Report::decode(&text, Offset(at)).is_ok_and(|r| r.pod == "pod-2"))
            .then_some(())
    });
    // What was taken for the second was given back in an order that shows.
    let (_, metrics) = page(admin, "/metrics").unwrap();
    let drained = "drover_worker_drain_duration_seconds_count ";
    let drained = metrics.lines().find_map(|line| line.strip_prefix(drained));
    assert!(drained.is_some_and(|count| count != "0"), "{metrics}");
    assert!(
        metrics.contains("drover_worker_commit_violations_total 0"),
        "{metrics}"
    );
    for partition in 0..4 {
        let values = texts(&format!("p{partition}-second"), 100);
        produced += values.len();
        kafka.produce(TOPIC, partition, &keys, &values);
    }
    assert!(first.stop().is_ok());
    web.wait_for_count(produced);
    for partition in 0..4 {
        kafka.wait_for_commit(TOPIC, partition, 400);
    }
    assert!(second.stop().is_ok());

    let seen = web.seen();
    let repeated: Vec<_> = tally(&seen)
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .collect();
    assert_eq!(repeated, []);
    assert_eq!(seen.len(), produced);
    let mut last: HashMap<(i64, String), (i64, Instant)> = HashMap::new();
    for request in &seen {
        let lane = (
            request.number("drover-partition"),
            request.header("drover-key").unwrap().to_owned(),
        );
        let offset = request.number("drover-offset");
        if let Some((before, ended)) = last.insert(lane, (offset, request.ended.unwrap())) {
            assert!(
                offset > before && request.begun >= ended,
                "{offset} against {before}"
            );
        }
    }
}

#[test]
fn a_record_finished_beyond_the_frontier_by_the_last_owner_is_not_handled_again() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("v", 10));
    let left_behind = Report {
        pod: "pod-0".to_owned(),
        done: 5,
        ahead: vec![4..6, 8..9],
        ..Report::default()
    };
    kafka.commit(TOPIC, 0, 2, &left_behind.encode(Offset(2)));
    let web = Web::start(|_| ok());
    let _worker = Worker::start("pod-1", config(&kafka, &web));
    kafka.wait_for_commit(TOPIC, 0, 10);
    let mut offsets: Vec<_> = web
        .seen()
        .iter()
        .map(|s| s.number("drover-offset"))
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [2, 3, 6, 7, 9]);
}

#[test]
fn foreign_metadata_is_passed_over() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 4));
    kafka.commit(TOPIC, 0, 2, "bQ9AAA==\u{fc}");
    let web = Web::start(|_| ok());
    let _worker = Worker::start("pod-1", config(&kafka, &web));
    kafka.wait_for_commit(TOPIC, 0, 4);
    assert_eq!(web.seen().len(), 2);
}

#[test]
fn the_consumer_protocol_works_as_the_classic_one_does() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    for partition in 0..2 {
        kafka.produce(
            TOPIC,
            partition,
            &["a", "b"],
            &texts(&format!("p{partition}"), 50),
        );
    }
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    by_consumer_protocol(&mut config);
    let worker = Worker::start("pod-1", config);
    for partition in 0..2 {
        kafka.wait_for_commit(TOPIC, partition, 50);
    }
    assert!(worker.stop().is_ok());
    assert_eq!(web.seen().len(), 100);
}
