//! What all pods together may deliver.

use std::time::Duration;

use drover::clock::Monotonic;
use drover::worker_config::RateLimit;

use super::kafka::Kafka;
use super::web::{Web, ok, status};
use super::workers::{TOPIC, Worker, config, texts};

#[test]
fn pods_together_keep_the_rate_limit_and_lose_nothing_by_it() {
    let kafka = Kafka::with_topic(TOPIC, 4);
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    let limit = RateLimit {
        records: 40,
        per: Duration::from_secs(1),
    };
    config.rate_limit = Some(limit);
    let clock = Monotonic::start();
    for partition in 0..4 {
        kafka.produce(TOPIC, partition, &["a", "b", "c"], &texts("v", 30));
    }
    let _workers = ["pod-1", "pod-2"].map(|pod| Worker::start(pod, config.clone()));
    for partition in 0..4 {
        kafka.wait_for_commit(TOPIC, partition, 30);
    }
    let took = clock.elapsed().as_secs_f64();
    assert_eq!(web.seen().len(), 120, "each once");
    // But for a tenth of a second's leave, and a record, of each pod.
    assert!(took >= (120.0 - 4.0 - 2.0) / 40.0, "{took} s");
}

#[test]
fn later_attempts_count_as_well() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|asked| match asked.number("drover-attempt") {
        3 => ok(),
        _ => status(500),
    });
    let mut config = config(&kafka, &web);
    config.rate_limit = Some(RateLimit {
        records: 600,
        per: Duration::from_secs(60),
    });
    let clock = Monotonic::start();
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("v", 6));
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 6);
    let took = clock.elapsed().as_secs_f64();
    assert_eq!(web.seen().len(), 18);
    assert!(took >= (18.0 - 1.0) / 10.0, "{took} s");
}
