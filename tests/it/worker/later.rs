//! Later attempts (`retry.then`): a record waits in its place, others go past it.

use std::time::Duration;

use drover::worker_config::OnExhausted;

use super::kafka::{Kafka, eventually};
use super::web::{Seen, Web, ok, status};
use super::workers::{TOPIC, Worker, config, texts};

const DEAD: &str = "orders.dlq";

/// What was asked for this value, in turn.
fn asked(web: &Web, value: &str) -> Vec<Seen> {
    let mut seen = web.seen();
    seen.retain(|seen| seen.text() == value);
    seen
}

#[test]
fn a_record_waits_for_its_later_attempts_through_a_restart_and_others_go_past_it() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    // Of the key `bad` are v-0 and v-3.
    kafka.produce(TOPIC, 0, &["bad", "a", "b"], &texts("v", 6));
    let web = Web::start(|seen| match seen.text() == "v-0" {
        true => status(500),
        false => ok(),
    });
    let mut config = config(&kafka, &web);
    config.attempts = 2;
    config.then = vec![Duration::from_secs(1), Duration::from_secs(2)];
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let worker = Worker::start("pod-1", config.clone());
    eventually("the third attempt, and that it is told", || {
        let (_, report) = kafka.committed(TOPIC, 0)?;
        let told = report.contains("tries=0:3@") && report.contains("later=1,1,");
        (asked(&web, "v-0").len() == 3 && told).then_some(())
    });
    for value in ["v-1", "v-2", "v-4", "v-5"] {
        assert_eq!(asked(&web, value).len(), 1, "{value} goes past it");
    }
    // What waits holds no drain.
    worker.stop().unwrap();
    assert_eq!(asked(&web, "v-0").len(), 3);
    assert_eq!(asked(&web, "v-3").len(), 0, "it is of the same key");

    let _worker = Worker::start("pod-2", config);
    let letter = kafka.read(DEAD, 1).remove(0);
    assert_eq!(letter.value.as_deref(), Some(&b"v-0"[..]));
    assert_eq!(letter.header("drover-dlq-attempts"), Some("4"));
    kafka.wait_for_commit(TOPIC, 0, 6);
    let attempts = asked(&web, "v-0");
    let numbers: Vec<_> = attempts
        .iter()
        .map(|s| s.number("drover-attempt"))
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let waited = |n: usize| attempts[n].begun - attempts[n - 1].ended.unwrap();
    assert!(waited(2) >= Duration::from_secs(1), "{:?}", waited(2));
    assert!(waited(3) >= Duration::from_secs(2), "{:?}", waited(3));
    let behind = asked(&web, "v-3");
    assert_eq!(behind.len(), 1);
    assert!(behind[0].begun > attempts[3].ended.unwrap());
    for value in ["v-1", "v-2", "v-4", "v-5"] {
        assert_eq!(asked(&web, value).len(), 1, "{value} is not handled again");
    }
}
