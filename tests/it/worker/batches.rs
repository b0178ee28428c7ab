//! Several records in one request, each with a way of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use drover::worker_config::{Batch, Decode, OnExhausted, Ordering, WorkerConfig};
use serde_json::{Value, json};

use super::kafka::Kafka;
use super::web::{Reply, Seen, Web, ok, status};
use super::workers::{TOPIC, Worker, config, texts};

const DEAD: &str = "orders.dlq";

fn batched(kafka: &Kafka, web: &Web, max_records: u32) -> WorkerConfig {
    WorkerConfig {
        batch: Batch {
            max_records,
            max_bytes: 1 << 20,
            max_wait: Duration::from_millis(20),
        },
        concurrency: 2,
        ..config(kafka, web)
    }
}

pub fn records(seen: &Seen) -> Vec<Value> {
    let document: Value = serde_json::from_slice(&seen.body).unwrap();
    document["records"].as_array().unwrap().clone()
}

pub fn values(seen: &Seen) -> Vec<String> {
    let value = |record: &Value| record["value"].as_str().unwrap().to_owned();
    records(seen).iter().map(value).collect()
}

/// Answers each record by its value.
pub fn results(seen: &Seen, result: impl Fn(&str) -> Value) -> Reply {
    let results: Vec<_> = values(seen).iter().map(|value| result(value)).collect();
    Reply {
        body: json!({ "results": results }).to_string(),
        ..ok()
    }
}

/// How often each value came.
fn tally(seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for value in seen.iter().flat_map(values) {
        *tally.entry(value).or_default() += 1;
    }
    tally
}

#[test]
fn records_go_together_never_two_of_a_key_and_each_once() {
    let kafka = Kafka::with_topic(TOPIC, 3);
    for partition in 0..3 {
        let values = texts(&format!("p{partition}"), 100);
        kafka.produce(TOPIC, partition, &["a", "b", "c", "d", "e"], &values);
    }
    let web = Web::start(|_| ok());
    let worker = Worker::start("pod-1", batched(&kafka, &web, 10));
    for partition in 0..3 {
        kafka.wait_for_commit(TOPIC, partition, 100);
    }
    assert!(worker.stop().is_ok());
    let seen = web.seen();
    let tally = tally(&seen);
    assert_eq!(tally.len(), 300);
    assert!(tally.values().all(|times| *times == 1));
    assert!(seen.len() < 200, "{} requests for 300 records", seen.len());
    for request in &seen {
        let records = records(request);
        assert_eq!(request.number("drover-batch"), records.len() as i64);
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert!(records.len() <= 10);
        let mut keys: Vec<_> = records
            .iter()
            .map(|record| (record["partition"].to_string(), record["key"].to_string()))
            .collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), records.len(), "two records of a key together");
        for record in &records {
            let name = format!("{TOPIC}/{}/{}", record["partition"], record["offset"]);
            assert_eq!(record["idempotencyKey"], json!(name));
            assert_eq!(record["attempt"], 1);
        }
    }
}

#[test]
fn each_record_goes_the_way_of_its_own_result() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    kafka.produce(TOPIC, 0, &keys, &texts("v", 20));
    let web = Web::start(|seen| {
        results(seen, |value| match value {
            "v-3" => json!({ "result": "reject", "error": "no such user" }),
            "v-5" if seen.number("drover-attempt") < 3 => json!("retry"),
            "v-7" => json!("skip"),
            _ => json!("done"),
        })
    });
    let mut config = batched(&kafka, &web, 20);
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 20);
    assert!(worker.stop().is_ok());
    let dead = kafka.read(DEAD, 1).remove(0);
    assert_eq!(dead.value.as_deref(), Some(&b"v-3"[..]));
    assert_eq!(dead.header("drover-dlq-error"), Some("no such user"));
    assert_eq!(dead.header("drover-dlq-reason"), Some("Rejected"));
    let seen = web.seen();
    for (value, times) in tally(&seen) {
        assert_eq!(times, if value == "v-5" { 3 } else { 1 }, "{value}");
    }
    for request in seen.iter().filter(|r| r.number("drover-attempt") > 1) {
        assert_eq!(values(request), ["v-5"], "what failed before goes alone");
    }
}

#[test]
fn what_is_no_json_is_left_out_of_its_batch_and_dead_lettered_as_it_was_read() {
    for together in [1, 5] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        kafka.mock().create_topic(DEAD, 1, 1).unwrap();
        let odd = ["{\"id\":1}", "{\"id\":", "2", "no", "[]"].map(str::to_owned);
        kafka.produce(TOPIC, 0, &["a", "b", "c", "d", "e"], &odd);
        let web = Web::start(|_| ok());
        let mut config = batched(&kafka, &web, together);
        config.decode = Some(Decode::Json);
        config.dead_letter_topic = Some(DEAD.to_owned());
        config.on_exhausted = OnExhausted::DeadLetter;
        let worker = Worker::start("pod-1", config);
        kafka.wait_for_commit(TOPIC, 0, 5);
        assert!(worker.stop().is_ok());
        let seen = web.seen();
        let mut seen: Vec<String> = match together {
            1 => seen
                .iter()
                .map(|request| request.text().to_owned())
                .collect(),
            _ => seen.iter().flat_map(values).collect(),
        };
        seen.sort();
        assert_eq!(seen, ["2", "[]", "{\"id\":1}"], "batches of {together}");
        let dead = kafka.read(DEAD, 2);
        let mut values: Vec<_> = dead.iter().map(|letter| letter.value.as_deref()).collect();
        values.sort();
        assert_eq!(values, [Some(&b"no"[..]), Some(&b"{\"id\":"[..])]);
        for (name, value) in [("reason", "NotJson"), ("attempts", "0")] {
            for letter in &dead {
                let header = letter.header(&format!("drover-dlq-{name}"));
                assert_eq!(header, Some(value), "{name}");
            }
        }
    }
}

#[test]
fn a_record_that_takes_its_batch_down_is_found_and_only_that_is_dead_lettered() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    let keys: Vec<String> = (0..10).map(|n| format!("k{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    kafka.produce(TOPIC, 0, &keys, &texts("v", 10));
    let web = Web::start(|seen| match values(seen).contains(&"v-4".to_owned()) {
        true => status(500),
        false => ok(),
    });
    let mut config = batched(&kafka, &web, 10);
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    config.attempts = 2;
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 10);
    let dead = kafka.read(DEAD, 1).remove(0);
    assert_eq!(dead.value.as_deref(), Some(&b"v-4"[..]));
    assert_eq!(dead.header("drover-dlq-attempts"), Some("2"));
    let answered_well = |value: &str| {
        let seen = web.seen();
        let good = seen
            .iter()
            .filter(|r| !values(r).contains(&"v-4".to_owned()));
        good.filter(|r| values(r).contains(&value.to_owned()))
            .count()
    };
    for number in (0..10).filter(|number| *number != 4) {
        assert_eq!(answered_well(&format!("v-{number}")), 1, "v-{number}");
    }
}

#[test]
fn with_ordering_partition_a_batch_is_a_run_and_nothing_overtakes_a_failure() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    for partition in 0..2 {
        let values = texts(&format!("p{partition}"), 60);
        kafka.produce(TOPIC, partition, &["a", "b", "c"], &values);
    }
    let web = Web::start(|seen| {
        let mut reply = results(seen, |value| match value {
            "p1-30" if seen.number("drover-attempt") < 3 => json!("retry"),
            _ => json!("done"),
        });
        reply.after = Duration::from_millis(2);
        reply
    });
    let mut config = batched(&kafka, &web, 8);
    config.ordering = Ordering::Partition;
    let worker = Worker::start("pod-1", config);
    for partition in 0..2 {
        kafka.wait_for_commit(TOPIC, partition, 60);
    }
    assert!(worker.stop().is_ok());
    let seen = web.seen();
    assert!(seen.iter().any(|request| records(request).len() > 1));
    let mut next = [0, 0];
    let mut failed = 0;
    for request in &seen {
        for record in records(request) {
            let partition = usize::try_from(record["partition"].as_i64().unwrap()).unwrap();
            let offset = record["offset"].as_i64().unwrap();
            assert_eq!(
                offset, next[partition],
                "in order, and each follows what was done"
            );
            if record["value"] == "p1-30" && request.number("drover-attempt") < 3 {
                failed += 1;
                // The rest of the batch is void.
                break;
            }
            next[partition] += 1;
        }
    }
    assert_eq!((next, failed), ([60, 60], 2));
}

#[test]
fn an_answer_that_is_no_result_stalls_and_loses_nothing() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("v", 3));
    let web = Web::start(|_| Reply {
        body: "{\"ok\":true}".to_owned(),
        ..ok()
    });
    let _worker = Worker::start("pod-1", batched(&kafka, &web, 10));
    web.wait_for("it is tried on", |seen| {
        tally(seen).values().any(|times| *times > 2)
    });
    assert_eq!(kafka.committed(TOPIC, 0).map_or(0, |(offset, _)| offset), 0);
    web.behave(|_| ok());
    kafka.wait_for_commit(TOPIC, 0, 3);
}

/// As a handler does that works on them side by side and says each as it comes to an end.
#[test]
fn results_in_another_order_than_asked_stall_and_lose_nothing() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("v", 3));
    let web = Web::start(|seen| {
        let result = |record: &Value| json!({ "result": "done", "offset": record["offset"] });
        let results: Vec<_> = records(seen).iter().rev().map(result).collect();
        Reply {
            body: json!({ "results": results }).to_string(),
            ..ok()
        }
    });
    let mut config = batched(&kafka, &web, 3);
    // All three, however late the last is read.
    config.batch.max_wait = Duration::from_secs(1);
    let _worker = Worker::start("pod-1", config);
    // Alone there is no other order.
    let seen = web.wait_for("each once more", |seen| {
        let tally = tally(seen);
        tally.len() == 3 && tally.values().all(|times| *times > 1)
    });
    assert_eq!(values(&seen[0]).len(), 3);
    kafka.wait_for_commit(TOPIC, 0, 3);
}

#[test]
fn what_waits_for_company_is_sent_when_the_worker_must_go() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let mut config = batched(&kafka, &web, 10);
    // Much longer than any test: only the drain can send it.
    config.batch.max_wait = Duration::from_secs(3600);
    let worker = Worker::start("pod-1", config);
    kafka.produce(TOPIC, 0, &["a"], &texts("full", 10));
    let distinct: Vec<_> = (0..10).map(|n| format!("k{n}")).collect();
    let distinct: Vec<&str> = distinct.iter().map(String::as_str).collect();
    kafka.produce(TOPIC, 0, &distinct, &texts("full", 10));
    // Ten of a key have no company but each other's turn; ten keys make a batch.
    web.wait_for("a full batch", |seen| !seen.is_empty());
    assert!(worker.stop().is_ok());
    let seen = web.seen();
    assert!(
        tally(&seen).values().all(|times| *times <= 2),
        "{:?}",
        tally(&seen)
    );
    assert!(seen.len() >= 2, "the last ones were sent without company");
}

/// Servers have limits for bodies, and the document around the records takes its share of them.
#[test]
fn a_batch_that_is_too_large_for_the_handler_goes_in_parts_and_costs_no_attempt() {
    for ordering in [Ordering::Key, Ordering::Partition] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        let keys: Vec<String> = texts("key", 60);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        kafka.produce(TOPIC, 0, &keys, &texts("v", 60));
        let web = Web::start(|seen| match seen.body.len() {
            0..1500 => ok(),
            _ => status(413),
        });
        let config = WorkerConfig {
            ordering,
            attempts: 2,
            ..batched(&kafka, &web, 30)
        };
        let worker = Worker::start("pod-1", config);
        kafka.wait_for_commit(TOPIC, 0, 60);
        assert!(worker.stop().is_ok());
        let seen = web.seen();
        assert!(seen.iter().all(|seen| seen.number("drover-attempt") == 1));
        let (taken, refused): (Vec<Seen>, Vec<Seen>) =
            seen.into_iter().partition(|seen| seen.body.len() < 1500);
        assert!(
            refused.len() < 20,
            "{} refused, {ordering:?}",
            refused.len()
        );
        assert!(taken.len() < 40, "{} taken, {ordering:?}", taken.len());
        let tally = tally(&taken);
        assert_eq!(tally.len(), 60);
        assert!(tally.values().all(|times| *times == 1), "{tally:?}");
        if ordering == Ordering::Partition {
            let order: Vec<_> = taken.iter().flat_map(values).collect();
            assert_eq!(order, texts("v", 60));
        }
    }
}
