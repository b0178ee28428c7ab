//! A worker whose own handler is gone gives its partitions to others.

use std::net::SocketAddr;
use std::time::Duration;

use drover::worker::Options;
use drover::worker_config::{Handler, WorkerConfig};

use super::kafka::{Kafka, eventually};
use super::outages::{nowhere, page, wait_for_page};
use super::web::{Web, ok};
use super::workers::{TOPIC, Worker, config, options, texts};

const PARTITIONS: i32 = 4;

/// A worker with a handler of its own, for which it does not wait long.
fn start(pod: &str, kafka: &Kafka, web: &Web, admin: SocketAddr) -> Worker {
    let options = Options {
        admin: Some(admin),
        handler_patience: Duration::from_secs(1),
        ..options(pod)
    };
    Worker::run(own_handler(config(kafka, web)), options)
}

fn own_handler(mut config: WorkerConfig) -> WorkerConfig {
    if let Handler::Http(http) = &mut config.handler {
        http.in_pod = true;
    }
    // No record is to blame.
    config.attempts = 1;
    config
}

fn partitions(admin: SocketAddr) -> Option<u32> {
    let (_, metrics) = page(admin, "/metrics")?;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("drover_worker_partitions_assigned "))?;
    line.parse().ok()
}

fn wait_for_shares(what: &str, admins: [SocketAddr; 2], shares: [u32; 2]) {
    eventually(what, || {
        (admins.map(partitions) == shares.map(Some)).then_some(())
    });
}

#[test]
fn a_worker_whose_own_handler_is_gone_leaves_its_partitions_to_others_until_it_is_back() {
    let kafka = Kafka::with_topic(TOPIC, PARTITIONS);
    let webs = [Web::start(|_| ok()), Web::start(|_| ok())];
    let admins = [nowhere(), nowhere()];
    let _well = start("pod-1", &kafka, &webs[0], admins[0]);
    let _struck = start("pod-2", &kafka, &webs[1], admins[1]);
    wait_for_shares("both have two", admins, [2, 2]);

    let [well, struck] = webs;
    let address = struck.address;
    drop(struck);
    for partition in 0..PARTITIONS {
        kafka.produce(TOPIC, partition, &["a", "b"], &texts("while", 10));
    }
    wait_for_shares("the one that is well has all", admins, [4, 0]);
    for partition in 0..PARTITIONS {
        kafka.wait_for_commit(TOPIC, partition, 10);
    }
    assert_eq!(well.seen().len(), 40, "nothing lost, nothing twice");
    wait_for_page(admins[1], "/livez", 200, "ok");
    wait_for_page(admins[1], "/readyz", 503, "handler not reachable");

    let back = Web::start_at(address, |_| ok());
    wait_for_shares("both have two again", admins, [2, 2]);
    wait_for_page(admins[1], "/readyz", 200, "ok");
    for partition in 0..PARTITIONS {
        kafka.produce(TOPIC, partition, &["a", "b"], &texts("after", 10));
    }
    for partition in 0..PARTITIONS {
        kafka.wait_for_commit(TOPIC, partition, 20);
    }
    assert_eq!((well.seen().len(), back.seen().len()), (60, 20));
}

#[test]
fn a_worker_that_stands_aside_stops_when_it_is_told_to() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let admin = nowhere();
    let worker = start("pod-1", &kafka, &web, admin);
    wait_for_page(admin, "/readyz", 200, "ok");
    // Nothing is delivered: it is looked at all the same.
    drop(web);
    wait_for_page(
        admin,
        "/readyz",
        503,
        "not yet a member of the consumer group",
    );
    assert!(worker.stop().is_ok());
}
