//! A partition is lost while a record of it is in the handler: what the handler makes of it decides whether
//! whoever gets the record next has to do it.

use std::time::Duration;

use drover::worker_config::{Batch, WorkerConfig};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::idempotency::{idempotent, send};
use super::kafka::Kafka;
use super::outages::{nowhere, wait_for_page};
use super::web::{Reply, Web, ok, status};
use super::workers::{TOPIC, Worker};
use crate::stores::servers::{redis, redis_store};

/// The worker loses its partition while the handler has the record, gets it again and finds the record
/// claimed; then the handler answers what `first` is. How often the handler got it in all.
fn lost_in_the_handler(first: Reply, change: impl Fn(&mut WorkerConfig)) -> usize {
    let server = redis(&[]);
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(move |_| Reply {
        hold: true,
        ..first.clone()
    });
    let mut config = idempotent(&kafka, &web, &redis_store(&server));
    config.handler_timeout = Duration::from_secs(300);
    config.max_poll_interval = Duration::from_secs(600);
    change(&mut config);
    send(&kafka, 0, "id-0");
    kafka.flush();
    let admin = nowhere();
    let _worker = Worker::start_with_admin("pod-1", config, Some(admin));
    web.wait_for("the handler has it", |seen| seen.len() == 1);

    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    kafka
        .mock()
        .request_errors(RDKafkaApiKey::Heartbeat, &[unknown]);
    let held = "drover_worker_idempotency_claims_total{result=\"held\"} ";
    wait_for_page(admin, "/metrics", 200, held);
    assert_eq!(web.seen().len(), 1, "two at a time");
    web.behave(|_| ok());
    web.release();
    kafka.wait_for_commit(TOPIC, 0, 1);
    web.seen().len()
}

fn batched(config: &mut WorkerConfig) {
    config.batch = Batch {
        max_records: 10,
        max_bytes: 1 << 20,
        max_wait: Duration::from_millis(20),
    };
}

#[test]
fn what_is_in_the_handler_when_its_partition_is_lost_is_not_done_again() {
    assert_eq!(lost_in_the_handler(ok(), |_| ()), 1);
}

#[test]
fn a_batch_that_is_in_the_handler_when_its_partition_is_lost_is_not_done_again() {
    assert_eq!(lost_in_the_handler(ok(), batched), 1);
}

#[test]
fn what_fails_after_its_partition_was_lost_is_done_by_who_has_it_then() {
    assert_eq!(lost_in_the_handler(status(500), |_| ()), 2);
}
