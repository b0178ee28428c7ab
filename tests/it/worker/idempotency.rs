//! Records are handled once although Kafka brings them twice, workers die and the store goes away.

use std::collections::BTreeMap;
use std::time::Duration;

use drover::idempotency::Claimed;
use drover::worker_config::{
    Idempotency, IdempotencyKey, OnExhausted, OnMissingKey, OnStoreError, StoreKind, WorkerConfig,
};
use rdkafka::bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::BaseRecord;
use rdkafka::types::RDKafkaApiKey;

use super::kafka::{Kafka, eventually, headers};
use super::outages::{nowhere, page, wait_for_page};
use super::process::{Process, written};
use super::web::{Reply, Seen, Web, ok, status};
use super::workers::{TOPIC, Worker, config};
use crate::stores::servers::{postgres, postgres_store, redis, redis_store};
use crate::stores::{Runtime, claim, holder, open, told};

/// The cluster's own requests are refused for as long as there are such errors.
pub const MANY: usize = 10_000;

pub fn send(kafka: &Kafka, partition: i32, id: &str) {
    let value = format!("{id} in {partition}");
    let record = BaseRecord::to(TOPIC)
        .partition(partition)
        .key(id.as_bytes())
        .payload(value.as_bytes())
        .headers(headers(&[("message-id", Some(id.as_bytes()))]));
    kafka.send(record);
}

pub fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("id-{n}")).collect()
}

fn id(seen: &Seen) -> String {
    seen.header("drover-header-message-id")
        .unwrap_or("")
        .to_owned()
}

/// How often each id came in.
fn tally(seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for request in seen {
        *tally.entry(id(request)).or_default() += 1;
    }
    tally
}

#[track_caller]
fn each_once(web: &Web, ids: &[String]) {
    let wanted: BTreeMap<String, usize> = ids.iter().map(|id| (id.clone(), 1)).collect();
    assert_eq!(tally(&web.seen()), wanted);
}

pub fn idempotent(kafka: &Kafka, web: &Web, store: &StoreKind) -> WorkerConfig {
    WorkerConfig {
        idempotency: Some(told(store.clone())),
        ..config(kafka, web)
    }
}

fn rules(config: &mut WorkerConfig) -> &mut Idempotency {
    config.idempotency.as_mut().unwrap()
}

#[track_caller]
fn committed(kafka: &Kafka, partitions: i32, offset: i64) {
    for partition in 0..partitions {
        kafka.wait_for_commit(TOPIC, partition, offset);
    }
}

/// Each id comes three times, twice in one partition and once in the other.
pub fn comes_three_times(kafka: &Kafka, ids: &[String]) {
    for id in ids {
        send(kafka, 0, id);
        send(kafka, 1, id);
        send(kafka, 0, id);
    }
    kafka.flush();
}

#[test]
fn a_record_that_comes_again_is_passed_over_by_the_worker_that_handled_it() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    let web = Web::start(|_| ok());
    let ids = ids(50);
    comes_three_times(&kafka, &ids);
    let store = StoreKind::Memory { max_entries: 1000 };
    let admin = nowhere();
    let config = idempotent(&kafka, &web, &store);
    let _worker = Worker::start_with_admin("pod-1", config, Some(admin));
    kafka.wait_for_commit(TOPIC, 0, 100);
    kafka.wait_for_commit(TOPIC, 1, 50);
    each_once(&web, &ids);
    wait_for_page(
        admin,
        "/metrics",
        200,
        "drover_worker_records_duplicate_total 100",
    );
}

/// Two workers race for the same ids, a partition each, while the handler fails some first attempts.
fn two_workers_race(store: &StoreKind) {
    let kafka = Kafka::with_topic(TOPIC, 2);
    let web = Web::start(|_| ok());
    web.behave(|seen| {
        let first = seen.header("drover-attempt") == Some("1");
        let fails = first && id(seen).ends_with('3');
        Reply {
            after: Duration::from_millis(5),
            ..if fails { status(500) } else { ok() }
        }
    });
    let ids = ids(100);
    comes_three_times(&kafka, &ids);
    let config = idempotent(&kafka, &web, store);
    let workers = [
        Worker::start("pod-1", config.clone()),
        Worker::start("pod-2", config),
    ];
    kafka.wait_for_commit(TOPIC, 0, 200);
    kafka.wait_for_commit(TOPIC, 1, 100);
    let handled = web.seen();
    let failed = |seen: &&Seen| id(seen).ends_with('3') && seen.number("drover-attempt") == 1;
    let (_, done): (Vec<&Seen>, Vec<&Seen>) = handled.iter().partition(failed);
    let done: Vec<Seen> = done.into_iter().cloned().collect();
    let wanted: BTreeMap<String, usize> = ids.iter().map(|id| (id.clone(), 1)).collect();
    assert_eq!(tally(&done), wanted);
    for worker in workers {
        worker.stop().unwrap();
    }
}

#[test]
fn two_workers_that_race_for_the_same_records_handle_each_once_with_redis() {
    let server = redis(&[]);
    two_workers_race(&redis_store(&server));
}

#[test]
fn two_workers_that_race_for_the_same_records_handle_each_once_with_postgres() {
    let server = postgres(&[]);
    two_workers_race(&postgres_store(&server));
}

/// Killed after the handler's success and before any commit; what it did is not done again.
fn a_worker_is_killed_before_it_commits(store: &StoreKind) {
    let kafka = Kafka::with_topic(TOPIC, 2);
    let web = Web::start(|_| ok());
    let ids = ids(40);
    for id in &ids {
        send(&kafka, 0, id);
        send(&kafka, 1, id);
    }
    kafka.flush();
    let refused = [RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS; MANY];
    let commit = RDKafkaApiKey::OffsetCommit;
    let mock: &MockCluster<'_, _> = &kafka.mock();
    mock.request_errors(commit, &refused);
    let config = idempotent(&kafka, &web, store);
    let (_folder, path) = written(&config);
    let first = Process::start(&["--config", &path]);
    web.wait_for_count(ids.len());
    // Its marks are there for everybody to see.
    let runtime = Runtime::new();
    runtime.block_on(async {
        let store = open(store);
        for id in &ids {
            let key = format!("{TOPIC}:header:{id}");
            while claim(&store, &key, &holder("the test", 1)).await != Claimed::Done {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    assert_eq!(kafka.committed(TOPIC, 0), None);
    drop(first); // SIGKILL
    mock.clear_request_errors(commit);
    let _second = Worker::start("pod-2", config);
    committed(&kafka, 2, 40);
    each_once(&web, &ids);
}

#[test]
fn what_a_killed_worker_did_and_did_not_commit_is_not_done_again_with_redis() {
    let server = redis(&[]);
    a_worker_is_killed_before_it_commits(&redis_store(&server));
}

#[test]
fn what_a_killed_worker_did_and_did_not_commit_is_not_done_again_with_postgres() {
    let server = postgres(&[]);
    a_worker_is_killed_before_it_commits(&postgres_store(&server));
}

/// The lease is ten minutes here: a claim that was not given back would hold the copy up for longer
/// than the test waits.
#[test]
fn a_failure_gives_the_claim_back() {
    let server = redis(&[]);
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|seen| {
        if seen.text().ends_with("first") {
            status(400)
        } else {
            ok()
        }
    });
    let copies = ["first", "second"];
    for copy in copies {
        let record = BaseRecord::to(TOPIC)
            .partition(0)
            .key(copy.as_bytes())
            .payload(copy.as_bytes());
        kafka.send(record.headers(headers(&[("message-id", Some(b"1"))])));
    }
    kafka.flush();
    let mut config = idempotent(&kafka, &web, &redis_store(&server));
    config.on_exhausted = OnExhausted::Skip;
    config.concurrency = 1;
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 2);
    let texts: Vec<String> = web.seen().iter().map(|s| s.text().to_owned()).collect();
    assert_eq!(texts, copies);
}

#[test]
fn a_record_that_a_dead_worker_has_claimed_waits_for_its_lease_and_is_then_handled() {
    let server = redis(&[]);
    let kind = redis_store(&server);
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let runtime = Runtime::new();
    runtime.block_on(async {
        let mut short = told(kind.clone());
        short.lease = Duration::from_secs(5);
        let dead = drover::store::Store::open(&short, drover::clock::Monotonic::start());
        let key = format!("{TOPIC}:header:id-0");
        assert_eq!(claim(&dead, &key, &holder("dead", 1)).await, Claimed::Ours);
    });
    send(&kafka, 0, "id-0");
    send(&kafka, 0, "id-1");
    kafka.flush();
    let mut config = idempotent(&kafka, &web, &kind);
    config.attempts = 1;
    config.on_exhausted = OnExhausted::Skip;
    let admin = nowhere();
    let _worker = Worker::start_with_admin("pod-1", config, Some(admin));
    kafka.wait_for_commit(TOPIC, 0, 2);
    each_once(&web, &ids(2));
    // Waiting spent no attempt.
    assert!(
        web.seen()
            .iter()
            .all(|seen| seen.number("drover-attempt") == 1)
    );
}

/// Stalls, says so, and goes on where it stood: nothing lost, nothing twice, no attempt spent.
#[test]
fn while_the_store_is_away_records_wait() {
    let mut server = redis(&[]);
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let mut config = idempotent(&kafka, &web, &redis_store(&server));
    config.attempts = 1;
    config.on_exhausted = OnExhausted::Skip;
    let admin = nowhere();
    let _worker = Worker::start_with_admin("pod-1", config, Some(admin));
    send(&kafka, 0, "before");
    kafka.flush();
    kafka.wait_for_commit(TOPIC, 0, 1);

    server.stop();
    let ids = ids(30);
    for id in &ids {
        send(&kafka, 0, id);
    }
    kafka.flush();
    wait_for_page(
        admin,
        "/readyz",
        503,
        "idempotency store does not answer: redis at",
    );
    wait_for_page(admin, "/livez", 200, "ok");
    // The controller reads this.
    eventually("a report of what is stuck", || {
        let (offset, report) = kafka.committed(TOPIC, 0)?;
        assert_eq!(offset, 1);
        report.contains("IdempotencyStore").then_some(())
    });
    assert_eq!(web.seen().len(), 1, "only the one before");

    server.start_again();
    kafka.wait_for_commit(TOPIC, 0, 31);
    let all: Vec<String> = ids.into_iter().chain(["before".to_owned()]).collect();
    each_once(&web, &all);
    wait_for_page(admin, "/readyz", 200, "ok");
}

#[test]
fn who_would_rather_deliver_than_wait_delivers() {
    let mut server = redis(&[]);
    server.stop();
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let mut config = idempotent(&kafka, &web, &redis_store(&server));
    rules(&mut config).on_store_error = OnStoreError::Deliver;
    let ids = ids(30);
    for id in &ids {
        send(&kafka, 0, id);
    }
    kafka.flush();
    let admin = nowhere();
    let _worker = Worker::start_with_admin("pod-1", config, Some(admin));
    kafka.wait_for_commit(TOPIC, 0, 30);
    each_once(&web, &ids);
    wait_for_page(
        admin,
        "/metrics",
        200,
        "drover_worker_idempotency_unprotected_total 30",
    );
    wait_for_page(
        admin,
        "/metrics",
        200,
        "drover_worker_idempotency_unconfirmed_total 30",
    );
    wait_for_page(admin, "/readyz", 200, "ok");
}

/// Brings a worker to where the handler has done its work and the store is gone.
fn done_without_a_mark(kafka: &Kafka, web: &Web, server: &mut crate::stores::servers::Server) {
    send(kafka, 0, "id-0");
    kafka.flush();
    web.wait_for("the handler has it", |seen| seen.len() == 1);
    server.stop();
    web.release();
    web.wait_for_count(1);
    eventually("a report of what is stuck", || {
        let (offset, report) = kafka.committed(TOPIC, 0)?;
        assert_eq!(offset, 0);
        report.contains("IdempotencyStore").then_some(())
    });
}

#[test]
fn what_is_done_and_cannot_be_marked_is_marked_when_the_store_is_back_and_not_done_again() {
    let mut server = redis(&[]);
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| Reply { hold: true, ..ok() });
    let _worker = Worker::start("pod-1", idempotent(&kafka, &web, &redis_store(&server)));
    done_without_a_mark(&kafka, &web, &mut server);

    server.start_again();
    kafka.wait_for_commit(TOPIC, 0, 1);
    send(&kafka, 0, "id-0");
    kafka.flush();
    kafka.wait_for_commit(TOPIC, 0, 2);
    each_once(&web, &ids(1));
}

#[test]
fn a_worker_that_must_go_before_the_store_is_back_finishes_what_is_done_and_says_so() {
    let mut server = redis(&[]);
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| Reply { hold: true, ..ok() });
    let mut config = idempotent(&kafka, &web, &redis_store(&server));
    config.drain_deadline = Duration::from_secs(1);
    let (_folder, path) = written(&config);
    let worker = Process::start(&["--config", &path]);
    done_without_a_mark(&kafka, &web, &mut server);
    worker.terminate();
    let (code, log) = worker.wait();
    assert_eq!(code, Some(0), "{log}");
    kafka.wait_for_commit(TOPIC, 0, 1);
    assert!(log.contains("handled, but it could not be marked"), "{log}");
    assert!(log.contains(&format!("{TOPIC}[0]@0")), "{log}");
    // Who comes next does not do it again.
    server.start_again();
    let _next = Worker::start("pod-2", config);
    send(&kafka, 0, "id-1");
    kafka.flush();
    kafka.wait_for_commit(TOPIC, 0, 2);
    each_once(&web, &ids(2));
}

#[test]
fn a_record_without_the_key_is_delivered_or_rejected_as_the_spec_says() {
    for (policy, handled) in [(OnMissingKey::Deliver, 2), (OnMissingKey::Reject, 0)] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        let web = Web::start(|_| ok());
        let store = StoreKind::Memory { max_entries: 10 };
        let mut config = idempotent(&kafka, &web, &store);
        rules(&mut config).on_missing_key = policy;
        config.on_exhausted = OnExhausted::Skip;
        kafka.produce(TOPIC, 0, &["a"], &["same".to_owned(), "same".to_owned()]);
        let admin = nowhere();
        let worker = Worker::start_with_admin("pod-1", config, Some(admin));
        kafka.wait_for_commit(TOPIC, 0, 2);
        assert_eq!(web.seen().len(), handled, "{policy:?}");
        if policy == OnMissingKey::Reject {
            let words = "drover_worker_attempts_failed_total{class=\"MissingKey\"} 2";
            wait_for_page(admin, "/metrics", 200, words);
        }
        worker.stop().unwrap();
        assert!(page(admin, "/livez").is_none());
    }
}

#[test]
fn what_was_handled_is_handled_again_only_by_the_header_that_the_spec_names() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let mut config = idempotent(&kafka, &web, &StoreKind::Memory { max_entries: 10 });
    rules(&mut config).key = IdempotencyKey::Pointer("/id".to_owned());
    rules(&mut config).redrive_header = Some("redrive".to_owned());
    config.concurrency = 1;
    for (redrive, text) in [
        (None, "first"),
        (None, "passed over"),
        (Some("monday"), "again"),
        (Some("monday"), "passed over"),
        (Some("tuesday"), "once more"),
    ] {
        let value = format!(r#"{{"id": 7, "text": "{text}"}}"#);
        let named = redrive.map(|day: &str| ("redrive", Some(day.as_bytes())));
        let named: Vec<_> = [("drover-redrive", Some(&b"forged"[..]))]
            .into_iter()
            .chain(named)
            .collect();
        let record = BaseRecord::to(TOPIC).partition(0).key(b"a".as_slice());
        kafka.send(record.payload(value.as_bytes()).headers(headers(&named)));
    }
    kafka.flush();
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 5);
    let texts: Vec<String> = web.seen().iter().map(|s| s.text().to_owned()).collect();
    let wanted: Vec<String> = ["first", "again", "once more"]
        .iter()
        .map(|text| format!(r#"{{"id": 7, "text": "{text}"}}"#))
        .collect();
    assert_eq!(texts, wanted);
}
