//! Batches with an idempotency store: each record of a batch has a claim of its own, made before and
//! settled after by its own result, whatever becomes of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use drover::clock::Monotonic;
use drover::idempotency::Claimed;
use drover::store::Store;
use drover::worker_config::{Batch, OnExhausted, Ordering, StoreKind, WorkerConfig};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};

use super::batches::{records, results, values};
use super::idempotency::{MANY, comes_three_times, idempotent, ids, send};
use super::kafka::{Kafka, eventually};
use super::process::{Process, written};
use super::web::{Reply, Seen, Web, ok};
use super::workers::{TOPIC, Worker};
use crate::stores::servers::{postgres, postgres_store, redis, redis_store};
use crate::stores::{Runtime, claim, holder, open, told};

fn batched(kafka: &Kafka, web: &Web, store: &StoreKind) -> WorkerConfig {
    WorkerConfig {
        batch: Batch {
            max_records: 10,
            max_bytes: 1 << 20,
            max_wait: Duration::from_millis(20),
        },
        concurrency: 2,
        ..idempotent(kafka, web, store)
    }
}

/// The id in a value that [`send`] made.
fn id(value: &str) -> &str {
    value.split(' ').next().unwrap()
}

/// What the handler says of a record: all but three ids are done at once.
fn result(value: &str, attempt: i64) -> &'static str {
    match id(value) {
        "id-3" => "reject",
        "id-5" if attempt == 1 => "retry",
        "id-7" => "skip",
        _ => "done",
    }
}

/// How often the handler said `word` of each id.
fn said(seen: &[Seen], word: &str) -> BTreeMap<String, usize> {
    let mut said = BTreeMap::new();
    for request in seen {
        for record in records(request) {
            let value = record["value"].as_str().unwrap();
            if result(value, record["attempt"].as_i64().unwrap()) == word {
                *said.entry(id(value).to_owned()).or_default() += 1;
            }
        }
    }
    said
}

fn answer(seen: &Seen) -> Reply {
    let said = |record: &Value| {
        let value = record["value"].as_str().unwrap();
        json!(result(value, record["attempt"].as_i64().unwrap()))
    };
    let results: Vec<_> = records(seen).iter().map(said).collect();
    Reply {
        body: json!({ "results": results }).to_string(),
        after: Duration::from_millis(5),
        ..ok()
    }
}

fn once(ids: impl IntoIterator<Item = impl Into<String>>) -> BTreeMap<String, usize> {
    ids.into_iter().map(|id| (id.into(), 1)).collect()
}

/// Two workers race for the same ids, each of which comes three times, with failures in the midst of
/// batches.
fn two_workers_race_with_batches(store: &StoreKind) {
    let kafka = Kafka::with_topic(TOPIC, 2);
    let web = Web::start(answer);
    let ids = ids(40);
    comes_three_times(&kafka, &ids);
    let mut config = batched(&kafka, &web, store);
    config.on_exhausted = OnExhausted::Skip;
    let workers = [
        Worker::start("pod-1", config.clone()),
        Worker::start("pod-2", config),
    ];
    kafka.wait_for_commit(TOPIC, 0, 80);
    kafka.wait_for_commit(TOPIC, 1, 40);
    let seen = web.seen();
    assert!(seen.iter().any(|request| records(request).len() > 1));
    let others = ids.iter().filter(|id| !["id-3", "id-7"].contains(&&***id));
    assert_eq!(said(&seen, "done"), once(others));
    assert_eq!(said(&seen, "skip"), once(["id-7"]));
    // What was rejected gave its claim back, so its copies were tried too; and as nothing marks it, it
    // may be once more by whom it is given while the workers share the partitions.
    assert!(said(&seen, "reject")["id-3"] >= 3);
    for worker in workers {
        worker.stop().unwrap();
    }
}

#[test]
fn batches_of_two_workers_handle_each_record_once_with_redis() {
    let server = redis(&[]);
    two_workers_race_with_batches(&redis_store(&server));
}

#[test]
fn batches_of_two_workers_handle_each_record_once_with_postgres() {
    let server = postgres(&[]);
    two_workers_race_with_batches(&postgres_store(&server));
}

/// Killed after the handler's success and before any commit.
fn a_worker_is_killed_before_it_commits_batches(store: &StoreKind) {
    let kafka = Kafka::with_topic(TOPIC, 2);
    let web = Web::start(|_| ok());
    let ids = ids(40);
    for id in &ids {
        send(&kafka, 0, id);
        send(&kafka, 1, id);
    }
    kafka.flush();
    let commit = RDKafkaApiKey::OffsetCommit;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
    kafka.mock().request_errors(commit, &[refused; MANY]);
    let config = batched(&kafka, &web, store);
    let (_folder, path) = written(&config);
    let first = Process::start(&["--config", &path]);
    web.wait_for("all of them", |seen| {
        let answered = seen.iter().filter(|seen| seen.ended.is_some());
        answered.map(|seen| records(seen).len()).sum::<usize>() == ids.len()
    });
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
    kafka.mock().clear_request_errors(commit);
    let _second = Worker::start("pod-2", config);
    kafka.wait_for_commit(TOPIC, 0, 40);
    kafka.wait_for_commit(TOPIC, 1, 40);
    assert_eq!(said_at_all(&web), once(ids));
}

/// How often each id came to the handler.
fn said_at_all(web: &Web) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for value in web.seen().iter().flat_map(values) {
        *tally.entry(id(&value).to_owned()).or_default() += 1;
    }
    tally
}

#[test]
fn batches_that_a_killed_worker_did_and_did_not_commit_are_not_done_again_with_redis() {
    let server = redis(&[]);
    a_worker_is_killed_before_it_commits_batches(&redis_store(&server));
}

#[test]
fn batches_that_a_killed_worker_did_and_did_not_commit_are_not_done_again_with_postgres() {
    let server = postgres(&[]);
    a_worker_is_killed_before_it_commits_batches(&postgres_store(&server));
}

/// Of a run in order one record was handled before, and one is being handled by somebody else: what
/// comes before that goes on, what comes after waits for it.
#[test]
fn in_order_a_batch_passes_over_what_is_done_and_ends_before_what_another_holds() {
    let server = redis(&[]);
    let kind = redis_store(&server);
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let runtime = Runtime::new();
    let key = |number: usize| format!("{TOPIC}:header:id-{number}");
    let theirs = holder("another", 1);
    let another = runtime.block_on(async {
        let another = Store::open(&told(kind.clone()), Monotonic::start());
        for number in [0, 5] {
            assert_eq!(claim(&another, &key(number), &theirs).await, Claimed::Ours);
        }
        assert!(another.confirm(&key(0), &theirs).await.unwrap());
        another
    });
    let ids = ids(10);
    for id in &ids {
        send(&kafka, 0, id);
    }
    kafka.flush();
    let mut config = batched(&kafka, &web, &kind);
    config.ordering = Ordering::Partition;
    config.attempts = 1;
    config.on_exhausted = OnExhausted::Skip;
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 5);
    assert_eq!(said_at_all(&web), once(["id-1", "id-2", "id-3", "id-4"]));

    runtime.block_on(async { another.release(&key(5), &theirs).await.unwrap() });
    kafka.wait_for_commit(TOPIC, 0, 10);
    let order: Vec<String> = web.seen().iter().flat_map(values).collect();
    let order: Vec<&str> = order.iter().map(|value| id(value)).collect();
    assert_eq!(order, ids[1..], "in order, each once, no attempt spent");
}

/// With the batch in the handler the store goes; what is done is marked, each of its records, when the
/// store is back.
#[test]
fn a_batch_that_is_done_and_cannot_be_marked_is_marked_when_the_store_is_back() {
    let mut server = redis(&[]);
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|seen| Reply {
        hold: true,
        ..results(seen, |value| match value {
            "id-3 in 0" => json!("retry"),
            _ => json!("done"),
        })
    });
    let ids = ids(6);
    for id in &ids {
        send(&kafka, 0, id);
    }
    kafka.flush();
    let _worker = Worker::start("pod-1", batched(&kafka, &web, &redis_store(&server)));
    web.wait_for("the handler has all", |seen| {
        seen.iter().map(|seen| records(seen).len()).sum::<usize>() == ids.len()
    });
    server.stop();
    web.release();
    eventually("a report of what is stuck", || {
        let (offset, report) = kafka.committed(TOPIC, 0)?;
        assert_eq!(offset, 0);
        report.contains("IdempotencyStore").then_some(())
    });
    web.behave(|_| ok());

    server.start_again();
    kafka.wait_for_commit(TOPIC, 0, 6);
    for id in &ids {
        send(&kafka, 0, id);
    }
    kafka.flush();
    kafka.wait_for_commit(TOPIC, 0, 12);
    let mut wanted = once(ids);
    // The one that failed was tried again, when its claim could be made again.
    wanted.insert("id-3".to_owned(), 2);
    assert_eq!(said_at_all(&web), wanted);
}
