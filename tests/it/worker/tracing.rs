//! Spans of attempts, as a collector gets them. Each worker is a process, because the environment is.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use drover::worker_config::{Batch, ExecHandler, Handler, Ordering, WorkerConfig};
use rdkafka::producer::BaseRecord;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::collector::{Collector, hex, spans, texts as attributes};
use super::kafka::{DEADLINE, Kafka, eventually, headers};
use super::outages::{nowhere, page, wait_for_page};
use super::process::Process;
use super::web::{Seen, Web, ok, status};
use super::workers::{GROUP, TOPIC, config, texts};
use crate::support::certificates::Certificates;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Produces a record that belongs to a trace.
fn produce_traced(kafka: &Kafka, value: &str) {
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let record = BaseRecord::to(TOPIC).partition(0);
    let record = record.key(&b"key"[..]).payload(value.as_bytes());
    let context = [
        ("traceparent", Some(traceparent.as_bytes())),
        ("tracestate", Some(&b"shop=1"[..])),
        ("baggage", Some(&b"user=7"[..])),
    ];
    kafka.send(record.headers(headers(&context)));
    kafka.flush();
}

/// The trace and the span that a handler was told.
fn told(seen: &Seen) -> (String, String) {
    let traceparent = seen.header("traceparent").unwrap();
    let parts: Vec<_> = traceparent.split('-').collect();
    assert_eq!((parts[0], parts.len()), ("00", 4), "{traceparent}");
    (parts[1].to_owned(), parts[2].to_owned())
}

/// Ends the process as Kubernetes does.
#[track_caller]
fn end(process: Process) -> String {
    process.terminate();
    let (status, log) = process.wait();
    assert_eq!(status, Some(0), "{log}");
    log
}

/// The process has the thread that exports.
fn has_the_thread(process: &Process) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let mut names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
    names.any(|name| name.is_ok_and(|name| name.trim() == "spans"))
}

#[test]
fn each_attempt_is_a_span_below_the_record_and_above_the_handler() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    produce_traced(&kafka, "fails once");
    kafka.produce(TOPIC, 0, &["other"], &texts("v", 2));
    let web = Web::start(|seen| {
        let fails = seen.text() == "fails once" && seen.header("drover-attempt") == Some("1");
        status(if fails { 500 } else { 204 })
    });
    let collector = Collector::start();
    let url = collector.url();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
    ];
    let process = Process::start_in(&environment, &config(&kafka, &web), nowhere());
    kafka.wait_for_commit(TOPIC, 0, 3);
    assert!(has_the_thread(&process));
    let log = end(process);
    assert!(log.contains(&format!("collector=\"{url}\"")), "{log}");
    // What was left was exported at the end, long before the five seconds were over.
    let all = collector.collected();
    let seen = web.seen();
    assert_eq!((all.len(), seen.len()), (4, 4), "{all:?}");
    for request in &seen {
        let (trace, id) = told(request);
        let span = all.iter().find(|span| span.id() == id).unwrap();
        assert_eq!(span.trace(), trace);
        assert_eq!(span.span.name, "process orders");
        assert_eq!(span.span.kind, 5); // consumer
        for (name, value) in [
            ("messaging.system", "kafka"),
            ("messaging.operation.name", "process"),
            ("messaging.destination.name", TOPIC),
            ("messaging.destination.partition.id", "0"),
            (
                "messaging.kafka.offset",
                request.header("drover-offset").unwrap(),
            ),
            ("messaging.consumer.group.name", GROUP),
            ("messaging.client.id", "pod-1"),
            ("drover.consumer", "shop/orders"),
            ("drover.attempt", request.header("drover-attempt").unwrap()),
        ] {
            assert_eq!(span.says(name), Some(value), "{name}");
        }
        for (name, value) in [
            ("service.namespace", "shop"),
            ("service.name", "orders"),
            ("service.instance.id", "pod-1"),
            ("deployment.environment", "test"),
        ] {
            let said = span.resource.get(name).map(String::as_str);
            assert_eq!(said, Some(value), "{name}");
        }
    }
    let traced: Vec<_> = all.iter().filter(|span| span.trace() == TRACE).collect();
    assert_eq!(traced.len(), 2);
    for (span, attempt, outcome, status) in [
        (traced[0], "1", "retry", Some("500")),
        (traced[1], "2", "done", None),
    ] {
        assert_eq!(span.parent(), PARENT);
        assert_eq!(span.span.trace_state, "shop=1");
        assert_eq!(span.says("drover.attempt"), Some(attempt));
        assert_eq!(span.says("drover.outcome"), Some(outcome));
        assert_eq!(span.says("http.response.status_code"), status);
        let error = status.map(|_| "HttpStatus");
        assert_eq!(span.says("error.type"), error);
    }
    let first = seen
        .iter()
        .find(|seen| seen.text() == "fails once")
        .unwrap();
    assert_eq!(first.header("tracestate"), Some("shop=1"));
    assert_eq!(first.header("baggage"), Some("user=7"));
    // What the record said is there as well, under its own name.
    let said = format!("00-{TRACE}-{PARENT}-01");
    assert_eq!(first.header("drover-header-traceparent"), Some(&*said));
    // Those that belong to no trace begin one each.
    let begun = all.iter().filter(|span| span.trace() != TRACE);
    let begun: BTreeSet<_> = begun.map(|span| (span.trace(), span.parent())).collect();
    assert_eq!(begun.len(), 2);
    assert!(begun.iter().all(|(_, parent)| parent.is_empty()));
    assert!(
        collector
            .headers()
            .iter()
            .all(|sent| sent["x-team"] == "blue")
    );
}

#[test]
fn a_batch_is_one_span_with_links() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    for value in ["a", "b", "c"] {
        produce_traced(&kafka, value);
    }
    kafka.produce(TOPIC, 0, &["key"], &texts("untraced", 1));
    let web = Web::start(|_| ok());
    let collector = Collector::start();
    let mut config = config(&kafka, &web);
    config.ordering = Ordering::None;
    config.batch = Batch {
        max_records: 4,
        max_wait: Duration::from_secs(10),
        ..config.batch
    };
    let url = format!("{}/v1/traces", collector.url());
    let environment = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*url),
        ("OTEL_SERVICE_NAME", "shop-orders"),
    ];
    let process = Process::start_in(&environment, &config, nowhere());
    kafka.wait_for_commit(TOPIC, 0, 4);
    end(process);
    let (all, seen) = (collector.collected(), web.seen());
    assert_eq!((all.len(), seen.len()), (1, 1), "{all:?}");
    let span = &all[0];
    assert_eq!(told(&seen[0]), (span.trace(), span.id()));
    assert_ne!(span.trace(), TRACE);
    assert_eq!(span.resource["service.name"], "shop-orders");
    assert_eq!(span.says("messaging.batch.message_count"), Some("4"));
    assert_eq!(span.says("drover.outcome"), Some("done"));
    let links: Vec<_> = span
        .span
        .links
        .iter()
        .map(|link| {
            assert_eq!(hex(&link.trace_id), TRACE);
            assert_eq!(hex(&link.span_id), PARENT);
            attributes(&link.attributes)["messaging.kafka.offset"].clone()
        })
        .collect();
    assert_eq!(links, ["0", "1", "2"]);
}

#[test]
fn a_command_finds_the_span_in_its_line() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    produce_traced(&kafka, "v");
    let web = Web::start(|_| ok());
    let collector = Collector::start();
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("lines");
    let script = format!(
        r#"while IFS= read -r line; do echo "$line" >>{}; echo '"done"'; done"#,
        lines.display()
    );
    let mut config = config(&kafka, &web);
    config.handler = Handler::Exec(ExecHandler {
        command: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec(),
    });
    let url = collector.url();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)];
    let process = Process::start_in(&environment, &config, nowhere());
    kafka.wait_for_commit(TOPIC, 0, 1);
    end(process);
    let all = collector.collected();
    assert_eq!(all.len(), 1);
    let line: serde_json::Value = serde_json::from_slice(&fs::read(&lines).unwrap()).unwrap();
    let expected = format!("00-{TRACE}-{}-01", all[0].id());
    assert_eq!(line["traceparent"], expected);
    assert_eq!(line["tracestate"], "shop=1");
    assert_eq!(line["headers"][0][1], format!("00-{TRACE}-{PARENT}-01"));
}

#[test]
fn what_is_not_sampled_is_not_exported_and_not_asked_for_there_is_nothing() {
    let collector = Collector::start();
    let url = collector.url();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url);
    for (environment, is_told, has_thread) in [
        (
            &[endpoint, ("OTEL_TRACES_SAMPLER", "always_off")][..],
            true,
            true,
        ),
        (&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], false, false),
        (&[("OTEL_SERVICE_NAME", "orders")], false, false),
    ] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        produce_traced(&kafka, "v");
        let web = Web::start(|_| ok());
        let admin = nowhere();
        let process = Process::start_in(environment, &config(&kafka, &web), admin);
        kafka.wait_for_commit(TOPIC, 0, 1);
        assert_eq!(has_the_thread(&process), has_thread, "{environment:?}");
        let (_, metrics) = page(admin, "/metrics").unwrap();
        let has_metric = metrics.contains("drover_worker_spans_total");
        assert_eq!(has_metric, has_thread, "{environment:?}");
        end(process);
        let seen = web.seen();
        let (trace, id) = told(&seen[0]);
        assert_eq!(trace, TRACE);
        // Without spans the record's own context goes through unchanged.
        assert_eq!(id != PARENT, is_told, "{environment:?}");
    }
    assert!(collector.collected().is_empty());
}

#[test]
fn a_protocol_that_the_worker_does_not_speak_is_told_and_records_are_delivered() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    produce_traced(&kafka, "v");
    let web = Web::start(|_| ok());
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    let process = Process::start_in(&environment, &config(&kafka, &web), nowhere());
    kafka.wait_for_commit(TOPIC, 0, 1);
    assert!(!has_the_thread(&process));
    let log = end(process);
    for words in [
        "OTEL_EXPORTER_OTLP_PROTOCOL is grpc",
        "http/protobuf",
        "4318",
    ] {
        assert!(log.contains(words), "{log}");
    }
}

/// The configuration for many records, quickly.
fn many(kafka: &Kafka, web: &Web) -> WorkerConfig {
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("v", 300));
    WorkerConfig {
        ordering: Ordering::None,
        ..config(kafka, web)
    }
}

#[test]
fn a_collector_that_is_silent_slows_nothing_and_holds_up_no_exit() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let config = many(&kafka, &web);
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        // Whoever waited for it would wait for an hour.
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "50"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
    ];
    let admin = nowhere();
    let process = Process::start_in(&environment, &config, admin);
    kafka.wait_for_commit(TOPIC, 0, 300);
    // One request is under way, and the queue is full.
    let dropped = eventually("spans that were dropped", || {
        let (_, metrics) = page(admin, "/metrics")?;
        let line = "drover_worker_spans_total{result=\"dropped\"} ";
        let value = metrics.lines().find_map(|found| found.strip_prefix(line))?;
        value.parse::<u32>().ok().filter(|dropped| *dropped > 0)
    });
    assert!((240..=300).contains(&dropped), "{dropped}");
    end(process);
    assert_eq!(web.seen().len(), 300);
}

#[test]
fn a_collector_that_is_away_is_told_once_and_used_when_it_is_back() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let config = many(&kafka, &web);
    let admin = nowhere();
    // An address of which a collector can be had later.
    let relay = Relay::start();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*relay.url),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100"),
    ];
    let process = Process::start_in(&environment, &config, admin);
    kafka.wait_for_commit(TOPIC, 0, 300);
    wait_for_page(
        admin,
        "/metrics",
        200,
        "drover_worker_spans_total{result=\"failed\"} 300",
    );
    relay.answers.store(200, Relaxed);
    kafka.produce(TOPIC, 0, &["a"], &texts("late", 3));
    kafka.wait_for_commit(TOPIC, 0, 303);
    wait_for_page(
        admin,
        "/metrics",
        200,
        "drover_worker_spans_total{result=\"exported\"} 3",
    );
    let log = end(process);
    let times = |words: &str| log.matches(words).count();
    assert_eq!(times("the collector does not take spans"), 1, "{log}");
    assert_eq!(times("the collector takes spans again"), 1, "{log}");
    assert!(log.contains("503"), "{log}");
}

/// A collector that answers what the test wants; its thread ends with the test's process.
struct Relay {
    url: String,
    answers: Arc<AtomicU32>,
}

impl Relay {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(AtomicU32::new(503));
        let status = Arc::clone(&answers);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                if request(&mut stream).is_some() {
                    let _ = answer(&mut stream, status.load(Relaxed));
                }
            }
        });
        Self { url, answers }
    }
}

/// Reads a request; gives its body.
fn request(stream: &mut impl std::io::Read) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

fn answer(stream: &mut impl std::io::Write, status: u32) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.flush()
}

#[test]
fn over_tls_the_collector_is_known_by_its_certificate() {
    let certificates = Certificates::make();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let chain = CertificateDer::from_pem_file(certificates.path("server.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates.path("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let tls = Arc::new(tls);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream);
            if let Some(body) = request(&mut stream) {
                let _ = answer(&mut stream, 200);
                if tell.send(spans(&body).len()).is_err() {
                    return;
                }
            }
        }
    });
    for (ca, is_taken) in [("other.crt", false), ("ca.crt", true)] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        kafka.produce(TOPIC, 0, &["a"], &texts("v", 2));
        let web = Web::start(|_| ok());
        let ca = certificates.text(ca);
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*ca),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ];
        let admin = nowhere();
        let process = Process::start_in(&environment, &config(&kafka, &web), admin);
        kafka.wait_for_commit(TOPIC, 0, 2);
        let result = if is_taken { "exported" } else { "failed" };
        let line = format!("drover_worker_spans_total{{result=\"{result}\"}} 2");
        wait_for_page(admin, "/metrics", 200, &line);
        let log = end(process);
        assert_eq!(log.contains("certificate"), !is_taken, "{log}");
    }
    let mut taken = 0;
    while taken < 2 {
        taken += told.recv_timeout(DEADLINE).unwrap();
    }
    assert_eq!(taken, 2);
}
