//! What a handler can answer, and what follows.

use std::time::Duration;

use drover::report::Report;
use drover::topic::Offset;
use drover::worker_config::{Handler, HttpProtocol, OnExhausted};
use rdkafka::producer::BaseRecord;

use super::kafka::{Kafka, eventually, headers};
use super::web::{Reply, Seen, Web, ok, status, tally};
use super::workers::{GROUP, TOPIC, Worker, config, texts};

const DEAD: &str = "orders.dlq";

fn is(seen: &Seen, text: &str) -> bool {
    seen.text() == text
}

#[test]
fn a_record_that_always_fails_is_dead_lettered_whole_after_five_attempts() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    let own = headers(&[
        ("a", Some(b"1")),
        ("a", Some(b"2")),
        ("null", None),
        ("bin", Some(b"\xff")),
    ]);
    kafka.produce(TOPIC, 0, &["before"], &texts("before", 3));
    let record = BaseRecord::to(TOPIC)
        .partition(0)
        .key(&b"key"[..])
        .payload(&b"poison"[..]);
    kafka.send(record.headers(own).timestamp(1_700_000_000_000));
    kafka.produce(TOPIC, 0, &["key"], &texts("after", 3));
    let web = Web::start(|seen| match is(seen, "poison") {
        true => Reply {
            body: "no\nsuch user".into(),
            ..status(500)
        },
        false => ok(),
    });
    let mut config = config(&kafka, &web);
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let _worker = Worker::start("pod-1", config);

    let dead = kafka.read(DEAD, 1).remove(0);
    assert_eq!(dead.key.as_deref(), Some(&b"key"[..]));
    assert_eq!(dead.value.as_deref(), Some(&b"poison"[..]));
    // Its own time: by the record's, retention would delete it before anybody has seen it.
    assert!(
        dead.timestamp > Some(1_750_000_000_000),
        "{:?}",
        dead.timestamp
    );
    let own = &dead.headers[..4];
    let bytes = |value: &[u8]| Some(value.to_vec());
    assert_eq!(own[0], ("a".to_owned(), bytes(b"1")));
    assert_eq!(own[1], ("a".to_owned(), bytes(b"2")));
    assert_eq!(own[2], ("null".to_owned(), None));
    assert_eq!(own[3], ("bin".to_owned(), bytes(b"\xff")));
    for (name, value) in [
        ("reason", "AttemptsExhausted"),
        ("attempts", "5"),
        ("status", "500"),
        ("error-class", "HttpStatus"),
        ("error", "500 Internal Server Error: no such user"),
        ("topic", TOPIC),
        ("partition", "0"),
        ("offset", "3"),
        ("timestamp", "1700000000000"),
        ("origin-topic", TOPIC),
        ("origin-offset", "3"),
        ("group", GROUP),
        ("consumer", "shop/orders"),
        ("pod", "pod-1"),
        ("worker-version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(
            dead.header(&format!("drover-dlq-{name}")),
            Some(value),
            "{name}"
        );
    }
    assert!(dead.header("drover-dlq-failed-at").is_some());

    kafka.wait_for_commit(TOPIC, 0, 7);
    let seen = web.seen();
    let attempts: Vec<_> = seen.iter().filter(|s| is(s, "poison")).collect();
    assert_eq!(attempts.len(), 5);
    let numbers: Vec<_> = attempts
        .iter()
        .map(|s| s.number("drover-attempt"))
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert!(
        attempts
            .iter()
            .all(|s| s.header("idempotency-key") == Some("orders/0/3"))
    );
    let last = attempts.last().unwrap().ended.unwrap();
    let after = seen.iter().filter(|s| s.text().starts_with("after"));
    assert!(
        after.clone().all(|s| s.begun > last),
        "a later record of the key did not wait"
    );
    assert_eq!(after.count(), 3);
}

#[test]
fn a_body_that_came_encoded_is_told_as_such_and_not_as_text() {
    for protocol in [HttpProtocol::Http1, HttpProtocol::H2c] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        kafka.mock().create_topic(DEAD, 1, 1).unwrap();
        kafka.produce(TOPIC, 0, &["k"], &texts("v", 1));
        let web = Web::start(|_| Reply {
            body: "\u{1f}\u{8}\u{fffd}".to_owned(),
            headers: vec![("content-encoding", "gzip".to_owned())],
            ..status(422)
        });
        let mut config = config(&kafka, &web);
        config.dead_letter_topic = Some(DEAD.to_owned());
        config.on_exhausted = OnExhausted::DeadLetter;
        let Handler::Http(handler) = &mut config.handler else {
            panic!("an HTTP handler");
        };
        handler.protocol = protocol;
        let _worker = Worker::start("pod-1", config);
        let dead = kafka.read(DEAD, 1).remove(0);
        assert_eq!(
            dead.header("drover-dlq-error"),
            Some("422 Unprocessable Entity: (a body in Content-Encoding gzip)")
        );
        assert_eq!(web.seen()[0].header("accept-encoding"), Some("identity"));
    }
}

#[test]
fn a_dead_letter_topic_that_refuses_holds_the_commit_until_it_takes_the_copy() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    kafka.produce(TOPIC, 0, &["k"], &texts("v", 2));
    let web = Web::start(|seen| if is(seen, "v-0") { status(400) } else { ok() });
    let mut config = config(&kafka, &web);
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    kafka
        .mock()
        .request_errors(RDKafkaApiKey::Produce, &[refused; 3]);
    let _worker = Worker::start("pod-1", config);

    let dead = kafka.read(DEAD, 1).remove(0);
    assert_eq!(dead.header("drover-dlq-reason"), Some("Rejected"));
    assert_eq!(dead.header("drover-dlq-attempts"), Some("1"));
    kafka.wait_for_commit(TOPIC, 0, 2);
    assert_eq!(
        tally(&web.seen())["v-0"],
        1,
        "a rejected record is not tried again"
    );
}

#[test]
fn without_a_dead_letter_topic_a_key_stalls_alone_and_goes_on_when_the_handler_is_mended() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    kafka.produce(TOPIC, 0, &["bad", "good"], &texts("p0", 20));
    kafka.produce(TOPIC, 1, &["good"], &texts("p1", 20));
    let web = Web::start(|seen| if is(seen, "p0-4") { status(500) } else { ok() });
    let _worker = Worker::start("pod-1", config(&kafka, &web));

    kafka.wait_for_commit(TOPIC, 1, 20);
    // p0-4 and what must wait for it: 6, 8 … 18.
    web.wait_for("the other key's records", |seen| {
        let done = |n: usize| seen.iter().any(|s| s.text() == format!("p0-{n}"));
        (1..20).step_by(2).all(done)
    });
    let stuck = eventually("a report of the stuck record", || {
        let (offset, metadata) = kafka.committed(TOPIC, 0)?;
        Report::decode(&metadata, Offset(offset))
            .ok()?
            .stuck
            .map(|stuck| (offset, stuck))
    });
    let (committed, stuck) = stuck;
    assert_eq!((committed, stuck.offset), (4, 4));
    assert!(
        stuck.attempts >= 5 && stuck.error.contains("500"),
        "{stuck:?}"
    );
    assert!(
        !web.seen().iter().any(|s| is(s, "p0-6")),
        "a record overtook one of its key"
    );

    web.behave(|_| ok());
    let metadata = kafka.wait_for_commit(TOPIC, 0, 20);
    assert_eq!(Report::decode(&metadata, Offset(20)).unwrap().stuck, None);
    let tally = tally(&web.seen());
    assert!(
        tally
            .iter()
            .all(|(text, count)| *count == 1 || text == "p0-4"),
        "{tally:?}"
    );
}

#[test]
fn a_handler_that_asks_for_less_is_asked_later_and_no_attempt_is_spent() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["k"], &texts("v", 3));
    let tired = std::sync::atomic::AtomicU32::new(0);
    let web = Web::start(
        move |_| match tired.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Reply {
                headers: vec![("retry-after", "1".into())],
                ..status(503)
            },
            _ => ok(),
        },
    );
    let mut config = config(&kafka, &web);
    config.attempts = 1;
    let _worker = Worker::start("pod-1", config);
    let seen = web.wait_for_count(4);
    kafka.wait_for_commit(TOPIC, 0, 3);
    assert_eq!(seen[1].number("drover-attempt"), 1);
    let waited = seen[1].begun - seen[0].ended.unwrap();
    assert!(waited >= Duration::from_millis(900), "{waited:?}");
}

#[test]
fn drover_result_says_more_than_the_status() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    let words: Vec<String> = ["done", "skip", "reject"].map(str::to_owned).into();
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &words);
    let web = Web::start(|seen| Reply {
        headers: vec![("drover-result", seen.text().to_owned())],
        ..status(500)
    });
    let mut config = config(&kafka, &web);
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 3);
    assert_eq!(web.seen().len(), 3);
    let dead = kafka.read(DEAD, 1).remove(0);
    assert_eq!(dead.value.as_deref(), Some(&b"reject"[..]));
    assert_eq!(dead.header("drover-dlq-error-class"), Some("HandlerResult"));
}

#[test]
fn a_handler_that_takes_too_long_has_failed() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["k"], &texts("v", 1));
    let slow = std::sync::atomic::AtomicBool::new(true);
    let web = Web::start(move |_| Reply {
        hold: slow.swap(false, std::sync::atomic::Ordering::Relaxed),
        ..ok()
    });
    let mut config = config(&kafka, &web);
    config.handler_timeout = Duration::from_millis(300);
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 1);
    let seen = web.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].number("drover-attempt"), 2);
    web.release();
}

#[test]
fn a_handler_that_is_broken_for_everybody_does_not_empty_the_topic_into_the_dead_letters() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    let keys: Vec<String> = texts("key", 60);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    kafka.produce(TOPIC, 0, &keys, &texts("v", 60));
    // A path that is wrong since the last deployment, say.
    let web = Web::start(|_| status(404));
    let mut config = config(&kafka, &web);
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    config.breaker_min_records = 10;
    let _worker = Worker::start("pod-1", config);
    let stuck = eventually("a report of the open breaker", || {
        let (offset, metadata) = kafka.committed(TOPIC, 0)?;
        let stuck = Report::decode(&metadata, Offset(offset)).ok()?.stuck?;
        stuck.error.starts_with("BreakerOpen").then_some(stuck)
    });
    assert!(stuck.error.contains("10 of 10 records"), "{stuck:?}");

    web.behave(|_| ok());
    kafka.wait_for_commit(TOPIC, 0, 60);
    let dead = kafka.read(DEAD, 9);
    assert_eq!(dead.len(), 9);
    let done = web
        .seen()
        .iter()
        .filter(|seen| seen.number("drover-attempt") > 0)
        .count();
    assert!(done >= 60, "{done}");
}

#[test]
fn pods_stop_dead_lettering_for_what_they_saw_together() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    let web = Web::start(|_| status(404));
    let mut config = config(&kafka, &web);
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    config.breaker_min_records = 30;
    let _workers = ["pod-1", "pod-2"].map(|pod| Worker::start(pod, config.clone()));
    let report = |partition| {
        let (offset, metadata) = kafka.committed(TOPIC, partition)?;
        Some((offset, Report::decode(&metadata, Offset(offset)).ok()?))
    };
    eventually("a partition for each", || {
        let pods = [report(0)?.1.pod, report(1)?.1.pod];
        (pods[0] != pods[1]).then_some(())
    });
    for partition in [0, 1] {
        kafka.produce(TOPIC, partition, &["k"], &texts("v", 14));
        kafka.wait_for_commit(TOPIC, partition, 14);
    }
    // Neither has seen enough by itself.
    let (of, stuck) = (15..30)
        .find_map(|end| {
            kafka.produce(TOPIC, 0, &["k"], &texts("v", 1));
            eventually("the record's fate", || {
                let (offset, report) = report(0)?;
                match report.stuck {
                    Some(stuck) => Some(Some((end, stuck))),
                    None => (offset == end).then_some(None),
                }
            })
        })
        .expect("it stops before it has seen enough by itself");
    assert!(stuck.error.starts_with("BreakerOpen "), "{stuck:?}");
    let outcomes = report(0).unwrap().1.outcomes.unwrap();
    let own = u32::try_from(of).unwrap();
    assert_eq!(
        (outcomes.given_up, outcomes.of),
        (own, own),
        "its own alone"
    );
}
