//! The quiet path: delivered once, in order, committed with a report.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use drover::report::Report;
use drover::topic::Offset;
use drover::worker_config::Ordering;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use super::kafka::Kafka;
use super::web::{Web, ok, ok_after, tally};
use super::workers::{TOPIC, Worker, config, http, texts};

#[test]
fn every_record_is_handled_once_and_committed_with_a_report() {
    let kafka = Kafka::with_topic(TOPIC, 3);
    for partition in 0..3 {
        let values = texts(&format!("p{partition}"), 200);
        kafka.produce(TOPIC, partition, &["a", "b", "c"], &values);
    }
    let web = Web::start(|_| ok());
    let worker = Worker::start("pod-1", config(&kafka, &web));

    let seen = web.wait_for_count(600);
    for partition in 0..3 {
        let metadata = kafka.wait_for_commit(TOPIC, partition, 200);
        let report = Report::decode(&metadata, Offset(200)).unwrap();
        assert_eq!(report.pod, "pod-1");
        assert_eq!(report.slots, 16);
        assert!(
            report.done >= 200 && report.busy > Duration::ZERO,
            "{report:?}"
        );
        assert_eq!(report.stuck, None);
    }
    assert!(worker.stop().is_ok());
    let tally = tally(&seen);
    assert_eq!(tally.len(), 600);
    assert!(tally.values().all(|count| *count == 1));
    assert_eq!(web.seen().len(), 600);
}

#[test]
fn records_of_a_key_are_handled_one_after_the_other_and_others_beside_them() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c", "d"], &texts("v", 80));
    let web = Web::start(|_| ok_after(Duration::from_millis(5)));
    let _worker = Worker::start("pod-1", config(&kafka, &web));
    let seen = web.wait_for_count(80);

    let mut last: HashMap<String, (i64, std::time::Instant)> = HashMap::new();
    let mut beside = 0;
    for request in &seen {
        let (key, offset) = (
            request.header("drover-key").unwrap(),
            request.number("drover-offset"),
        );
        let others = last
            .iter()
            .filter(|(other, (_, ended))| *other != key && *ended > request.begun);
        beside += others.count();
        let before = last.insert(key.to_owned(), (offset, request.ended.unwrap()));
        if let Some((before, ended)) = before {
            assert!(offset > before, "{key}: {offset} after {before}");
            assert!(
                request.begun >= ended,
                "{key}: {offset} began before {before} ended"
            );
        }
    }
    assert!(beside > 0, "no two keys were ever in flight together");
}

#[test]
fn concurrency_is_never_passed_and_none_waits_for_none() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["same"], &texts("v", 60));
    let web = Web::start(|_| ok_after(Duration::from_millis(20)));
    let mut config = config(&kafka, &web);
    config.ordering = Ordering::None;
    config.concurrency = 4;
    let _worker = Worker::start("pod-1", config);
    let seen = web.wait_for_count(60);

    let at_once = |request: &super::web::Seen| {
        let inside = |other: &&super::web::Seen| {
            other.begun <= request.begun && other.ended.unwrap() > request.begun
        };
        seen.iter().filter(inside).count()
    };
    assert_eq!(seen.iter().map(at_once).max(), Some(4));
}

#[test]
fn a_backlog_larger_than_the_budget_is_handled_once_and_completely() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    let padding = "x".repeat(4096);
    for partition in 0..2 {
        let values: Vec<_> = (0..400)
            .map(|n| format!("p{partition}-{n}-{padding}"))
            .collect();
        kafka.produce(TOPIC, partition, &["a", "b", "c"], &values);
    }
    let web = Web::start(|_| ok_after(Duration::from_millis(1)));
    let mut config = config(&kafka, &web);
    // A twelfth of the backlog: reading pauses and goes on many times.
    config.memory_budget_bytes = 256 << 10;
    config.concurrency = 4;
    let _worker = Worker::start("pod-1", config);
    for partition in 0..2 {
        kafka.wait_for_commit(TOPIC, partition, 400);
    }
    let tally = tally(&web.seen());
    assert_eq!(tally.len(), 800);
    assert!(tally.values().all(|count| *count == 1));
}

/// Whatever a producer compresses with; a client built without a codec could not read on.
#[test]
fn records_of_every_codec_are_read() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for codec in codecs {
        let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> =
            rdkafka::ClientConfig::new()
                .set("bootstrap.servers", &kafka.servers)
                .set("compression.type", codec)
                .set("linger.ms", "200")
                .create()
                .unwrap();
        // What compresses badly is sent as it is.
        let value = codec.repeat(500);
        for _ in 0..20 {
            let record = BaseRecord::to(TOPIC)
                .partition(0)
                .key(codec)
                .payload(&value);
            assert!(producer.send(record).is_ok());
        }
        producer.flush(super::kafka::DEADLINE).unwrap();
    }
    let web = Web::start(|_| ok());
    let _worker = Worker::start("pod-1", config(&kafka, &web));
    let seen = web.wait_for_count(100);
    for codec in codecs {
        let body = codec.repeat(500);
        let of_codec = seen
            .iter()
            .filter(|request| request.body == body.as_bytes());
        assert_eq!(of_codec.count(), 20, "{codec}");
    }
}

/// A server that keeps no connection for long, and does not say so.
fn serve_and_hang_up(
    listener: &std::net::TcpListener,
    attempts: &std::sync::Mutex<Vec<String>>,
    over: &AtomicBool,
) {
    use std::io::{Read as _, Write as _};
    'connections: for stream in listener.incoming() {
        if over.load(Relaxed) {
            return;
        }
        let mut stream = stream.unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.ends_with(b"the end") {
            match stream.read(&mut buffer).unwrap() {
                0 => continue 'connections, // somebody only looked whether we are there
                length => request.extend_from_slice(&buffer[..length]),
            }
        }
        let request = String::from_utf8(request).unwrap();
        let attempt = request
            .lines()
            .find(|line| line.starts_with("drover-attempt"))
            .unwrap();
        attempts.lock().unwrap().push(attempt.to_owned());
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    }
}

/// Ends that server, also where the test fails.
struct Over<'a>(&'a AtomicBool, std::net::SocketAddr);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
        drop(std::net::TcpStream::connect(self.1));
    }
}

#[test]
fn a_connection_that_the_handler_closes_while_it_is_idle_costs_no_attempt() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (attempts, over) = (std::sync::Mutex::new(Vec::new()), AtomicBool::new(false));
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.handler = http(format!("http://{address}/"));
    std::thread::scope(|scope| {
        scope.spawn(|| serve_and_hang_up(&listener, &attempts, &over));
        let _over = Over(&over, address);
        let worker = Worker::start("pod-1", config);
        for number in 0..5 {
            kafka.produce(TOPIC, 0, &["a"], &["the end".to_owned()]);
            kafka.wait_for_commit(TOPIC, 0, number + 1);
        }
        assert!(worker.stop().is_ok());
    });
    let attempts = attempts.into_inner().unwrap();
    assert_eq!(attempts, ["drover-attempt: 1"; 5]);
}
