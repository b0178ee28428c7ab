//! A handler over HTTP/2 without TLS.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use axum::http::Version;
use drover::report::Report;
use drover::topic::Offset;
use drover::worker_config::{Batch, Handler, HttpFormat, HttpProtocol, Ordering, WorkerConfig};
use h2::Reason;

use super::h2c_server::{Act, Asked, End, Server};
use super::kafka::{DEADLINE, Kafka, eventually};
use super::process::{Process, written};
use super::web::{Web, ok, tally};
use super::workers::{TOPIC, Worker, config, texts};

/// A configuration whose handler at `url` is spoken to over HTTP/2.
fn over_h2c(kafka: &Kafka, url: String) -> WorkerConfig {
    let web = Web::start(|_| ok());
    let mut config = config(kafka, &web);
    let Handler::Http(handler) = &mut config.handler else {
        panic!("an HTTP handler");
    };
    handler.url = url;
    handler.protocol = HttpProtocol::H2c;
    config
}

/// The same for records that wait for none.
fn beside_each_other(kafka: &Kafka, url: String, concurrency: u32) -> WorkerConfig {
    WorkerConfig {
        ordering: Ordering::None,
        concurrency,
        // What is held is held on a busy machine too.
        handler_timeout: DEADLINE * 2,
        ..over_h2c(kafka, url)
    }
}

/// How often each record came, by the attempt that it was said to be.
fn attempts(asked: &[Asked]) -> BTreeMap<(&str, u32), usize> {
    let mut attempts = BTreeMap::new();
    for asked in asked {
        *attempts.entry((&*asked.record, asked.attempt)).or_default() += 1;
    }
    attempts
}

fn held(asked: &[Asked]) -> usize {
    asked.iter().filter(|asked| asked.end.is_none()).count()
}

#[test]
fn every_record_is_handled_once_and_says_the_same_as_over_http_1() {
    let kafka = Kafka::with_topic(TOPIC, 3);
    for partition in 0..3 {
        let values = texts(&format!("p{partition}"), 100);
        kafka.produce(TOPIC, partition, &["a", "b", "c"], &values);
    }
    let web = Web::start(|_| ok());
    let worker = Worker::start("pod-1", over_h2c(&kafka, web.url()));
    for partition in 0..3 {
        kafka.wait_for_commit(TOPIC, partition, 100);
    }
    assert!(worker.stop().is_ok());
    let seen = web.seen();
    let tally = tally(&seen);
    assert_eq!((tally.len(), seen.len()), (300, 300));
    for request in &seen {
        assert_eq!(request.version, Version::HTTP_2);
        let place = ["drover-topic", "drover-partition", "drover-offset"];
        let place = place.map(|name| request.header(name).unwrap()).join("/");
        assert_eq!(request.header("idempotency-key"), Some(&*place));
        assert_eq!(request.header("drover-attempt"), Some("1"));
        assert!(request.header("drover-key").is_some());
        // It is part of the address.
        assert_eq!(request.header("host"), None);
    }
}

#[test]
fn a_handler_on_a_socket_gets_batches_and_events() {
    for (format, batch, content_type) in [
        (HttpFormat::Plain, 10, "application/json"),
        (
            HttpFormat::CloudEventsStructured,
            1,
            "application/cloudevents+json",
        ),
    ] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("v", 30));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let web = Web::start_at_socket(&path, |_| ok());
        let mut config = over_h2c(&kafka, "http://localhost/records".to_owned());
        config.batch = Batch {
            max_records: batch,
            ..config.batch
        };
        let Handler::Http(handler) = &mut config.handler else {
            panic!("an HTTP handler");
        };
        handler.socket = Some(path.to_str().unwrap().to_owned());
        handler.in_pod = true;
        handler.format = format;
        let worker = Worker::start("pod-1", config);
        kafka.wait_for_commit(TOPIC, 0, 30);
        assert!(worker.stop().is_ok());
        for request in web.seen() {
            assert_eq!(request.version, Version::HTTP_2);
            assert_eq!(request.header("drover-batch").is_some(), batch > 1);
            let is = request.header("content-type").unwrap();
            assert!(is.starts_with(content_type), "{is}");
        }
    }
}

#[test]
fn records_in_flight_share_a_connection_as_far_as_the_handler_lets_them() {
    // Each as many as it needs.
    for (streams, connections) in [(100, 1), (3, 3), (1, 8)] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        kafka.produce(TOPIC, 0, &["same"], &texts("v", 8));
        let server = Server::start(streams, |_| Act::Hold);
        let _worker = Worker::start("pod-1", beside_each_other(&kafka, server.url(), 8));
        let asked = server.wait_for("all records at once", |asked| held(asked) == 8);
        assert_eq!(server.connections().len(), connections, "{asked:?}");
        server.release();
        kafka.wait_for_commit(TOPIC, 0, 8);
        assert_eq!(server.asked().len(), 8);
    }
}

#[test]
fn a_handler_that_says_goodbye_costs_no_attempt() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["same"], &texts("v", 200));
    let server = Server::start(100, |asked| {
        let offset = asked.record.rsplit('/').next().unwrap();
        // With others in flight beside it.
        match offset.parse::<u32>().unwrap() % 20 {
            10 => Act::SayGoodbye,
            _ => Act::Answer,
        }
    });
    let mut config = beside_each_other(&kafka, server.url(), 8);
    config.attempts = 1;
    let worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 200);
    assert!(worker.stop().is_ok());
    assert!(server.connections().len() > 5, "{:?}", server.connections());
    let asked = server.asked();
    let attempts = attempts(&asked);
    assert_eq!(attempts.len(), 200);
    assert!(
        attempts
            .iter()
            .all(|((_, attempt), times)| (*attempt, *times) == (1, 1)),
        "{attempts:?}"
    );
}

#[test]
fn a_stream_that_the_handler_resets_is_tried_again_and_others_go_on() {
    for (reason, attempt) in [
        (Reason::INTERNAL_ERROR, 2),
        (Reason::NO_ERROR, 2),
        (Reason::REFUSED_STREAM, 1),
        (Reason::ENHANCE_YOUR_CALM, 1),
    ] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        kafka.produce(TOPIC, 0, &["same"], &texts("v", 4));
        let times = std::sync::atomic::AtomicU32::new(0);
        let server = Server::start(100, move |asked| match &*asked.record {
            "orders/0/2" => match times.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Act::Reset(reason),
                _ => Act::Answer,
            },
            _ => Act::Hold,
        });
        // Half of it would do, which is what is left after a wish to slow down.
        let _worker = Worker::start("pod-1", beside_each_other(&kafka, server.url(), 16));
        let again = server.wait_for("the record again, beside the others", |asked| {
            let of = |asked: &&Asked| asked.record == "orders/0/2";
            asked.iter().filter(of).count() == 2 && held(asked) == 3
        });
        let last = again.last().unwrap();
        assert_eq!((last.attempt, last.connection), (attempt, 0), "{reason:?}");
        server.release();
        kafka.wait_for_commit(TOPIC, 0, 4);
        assert_eq!(server.asked().len(), 5);
    }
}

#[test]
fn an_answer_that_is_reset_in_the_middle_is_none_whatever_its_status() {
    for (reason, bytes) in [
        (Reason::INTERNAL_ERROR, 2),
        (Reason::CANCEL, 2),
        (Reason::NO_ERROR, 2),
        (Reason::INTERNAL_ERROR, 1_000_000),
    ] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        kafka.produce(TOPIC, 0, &["a"], &texts("v", 1));
        let server = Server::start(100, move |asked| match asked.attempt {
            1 => Act::Break(reason, bytes),
            _ => Act::Answer,
        });
        let _worker = Worker::start("pod-1", over_h2c(&kafka, server.url()));
        kafka.wait_for_commit(TOPIC, 0, 1);
        let asked = server.asked();
        let attempts: Vec<_> = asked.iter().map(|asked| asked.attempt).collect();
        assert_eq!(attempts, [1, 2], "{reason:?} after {bytes}");
    }
}

#[test]
fn a_lost_connection_costs_each_record_on_it_an_attempt_and_no_more() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["same"], &texts("v", 4));
    let server = Server::start(100, |asked| match asked.connection {
        0 => Act::Hold,
        _ => Act::Answer,
    });
    let worker = Worker::start("pod-1", beside_each_other(&kafka, server.url(), 4));
    server.wait_for("all at once", |asked| held(asked) == 4);
    server.hang_up();
    kafka.wait_for_commit(TOPIC, 0, 4);
    assert!(worker.stop().is_ok());
    let asked = server.asked();
    let attempts = attempts(&asked);
    assert_eq!(attempts.len(), 8, "{attempts:?}");
    for ((_, attempt), times) in attempts {
        assert!(attempt <= 2 && times == 1, "{asked:?}");
    }
}

/// Long before the time of a record on it is up, which here is longer than the test's.
#[test]
fn a_connection_that_has_gone_silent_is_found_dead_and_given_up() {
    for in_flight in [true, false] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        let server = Server::start(100, move |asked| match asked.connection {
            0 if in_flight => Act::Hold,
            _ => Act::Answer,
        });
        let _worker = Worker::start("pod-1", beside_each_other(&kafka, server.url(), 4));
        kafka.produce(TOPIC, 0, &["same"], &texts("v", 2));
        if in_flight {
            server.wait_for("both in flight", |asked| held(asked) == 2);
        } else {
            kafka.wait_for_commit(TOPIC, 0, 2);
        }
        server.deafen();
        kafka.produce(TOPIC, 0, &["same"], &texts("w", 2));
        kafka.wait_for_commit(TOPIC, 0, 4);
        let asked = server.asked();
        let last: BTreeMap<_, _> = asked
            .iter()
            .map(|asked| (&*asked.record, (asked.connection, asked.attempt)))
            .collect();
        let on_another = (1, 2);
        for (record, before) in [("orders/0/0", (0, 1)), ("orders/0/1", (0, 1))] {
            let expected = if in_flight { on_another } else { before };
            assert_eq!(last[record], expected, "{asked:?}");
        }
        for record in ["orders/0/2", "orders/0/3"] {
            assert_eq!(last[record].0, 1, "{asked:?}");
        }
    }
}

#[test]
fn time_that_is_up_ends_one_stream_and_no_other() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    kafka.produce(TOPIC, 0, &["slow"], &texts("slow", 1));
    let server = Server::start(100, |asked| match &*asked.record {
        "orders/0/0" if asked.attempt == 1 => Act::Hold,
        _ => Act::Answer,
    });
    let mut config = over_h2c(&kafka, server.url());
    config.handler_timeout = Duration::from_millis(500);
    let _worker = Worker::start("pod-1", config);
    server.wait_for("the slow one", |asked| held(asked) == 1);
    kafka.produce(TOPIC, 1, &["quick"], &texts("quick", 50));
    kafka.wait_for_commit(TOPIC, 1, 50);
    kafka.wait_for_commit(TOPIC, 0, 1);
    let asked = server.wait_for("the reset", |asked| asked[0].end.is_some());
    assert_eq!(asked[0].end, Some(End::GivenUp(Reason::CANCEL)));
    let again = asked.iter().filter(|asked| asked.record == "orders/0/0");
    assert_eq!(again.map(|asked| asked.attempt).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(server.connections().len(), 1);
}

#[test]
fn a_drain_that_takes_too_long_resets_what_is_in_flight_and_commits_none_of_it() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 3));
    let server = Server::start(100, |asked| match &*asked.record {
        "orders/0/1" => Act::Hold,
        _ => Act::Answer,
    });
    let mut config = over_h2c(&kafka, server.url());
    config.handler_timeout = Duration::from_secs(120);
    config.drain_deadline = Duration::from_millis(300);
    let worker = Worker::start("pod-1", config);
    server.wait_for("the second record", |asked| held(asked) == 1);
    kafka.wait_for_commit(TOPIC, 0, 1);
    assert!(worker.stop().is_ok());
    let asked = server.wait_for("its end", |asked| held(asked) == 0);
    let ends: Vec<_> = asked.iter().map(|asked| asked.end.unwrap()).collect();
    assert_eq!(ends[0], End::Answered);
    // By a reset, or with the connection right after it.
    assert!(
        matches!(ends[1], End::GivenUp(Reason::CANCEL) | End::HungUp),
        "{ends:?}"
    );
    let (offset, metadata) = kafka.committed(TOPIC, 0).unwrap();
    assert_eq!(offset, 1);
    assert_eq!(Report::decode(&metadata, Offset(1)).unwrap().stuck, None);
}

/// Reads frames until `HEADERS` of two streams are there; None if the other end goes before.
fn two_streams(stream: &mut TcpStream) -> Option<()> {
    stream.read_exact(&mut [0; 24]).ok()?; // the preface
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).ok()?; // SETTINGS
    let mut streams = 0;
    while streams < 2 {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).ok()?];
        stream.read_exact(&mut payload).ok()?;
        match (head[3], head[4]) {
            (1, _) => streams += 1,
            (4, 0) => stream.write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0]).ok()?, // its SETTINGS, taken
            _ => {}
        }
    }
    Some(())
}

#[test]
fn what_comes_after_the_last_stream_that_the_handler_looks_at_costs_no_attempt() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["same"], &texts("v", 2));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::start(100, |_| Act::Answer);
    let behind = server.url();
    let behind = behind
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    // The first connection is answered by hand, what follows goes to the server.
    let relay = std::thread::spawn(move || {
        let mut first = loop {
            let (mut stream, _) = listener.accept().unwrap();
            if two_streams(&mut stream).is_some() {
                break stream;
            }
        };
        // GOAWAY after stream 1 without error, which is then answered with 204.
        let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let answer = [0, 0, 1, 1, 5, 0, 0, 0, 1, 0x89];
        first.write_all(&goaway).unwrap();
        first.write_all(&answer).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let server = TcpStream::connect(behind).unwrap();
        let (mut up, mut down) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
        let upward = std::thread::spawn(move || {
            let _ = std::io::copy(&mut up, &mut down);
            let _ = down.shutdown(std::net::Shutdown::Both);
        });
        let (mut up, mut down) = (stream, server);
        let _ = std::io::copy(&mut down, &mut up);
        let _ = up.shutdown(std::net::Shutdown::Both);
        upward.join().unwrap();
    });
    let mut config = beside_each_other(&kafka, format!("http://{address}/"), 2);
    config.attempts = 1;
    let worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 2);
    assert!(worker.stop().is_ok());
    relay.join().unwrap();
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].attempt, 1);
}

/// A server of HTTP/1.1 that knows nothing else; its thread ends with the test's process.
fn only_http_1() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut first = [0; 24];
            if stream.read_exact(&mut first).is_ok() {
                let answer = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer);
            }
        }
    });
    url
}

#[test]
fn a_handler_that_speaks_only_http_1_stalls_the_record_with_the_field_and_the_remedy() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic("orders.dlq", 1, 1).unwrap();
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 1));
    let mut config = over_h2c(&kafka, only_http_1());
    config.attempts = 1;
    config.dead_letter_topic = Some("orders.dlq".to_owned());
    config.on_exhausted = drover::worker_config::OnExhausted::DeadLetter;
    let (_folder, path) = written(&config);
    let mut process = Process::start(&["--config", &path]);
    process.wait_for_words("set spec.handler.http.protocol to Http1");
    let stuck = eventually("a report of the stuck record", || {
        let (offset, metadata) = kafka.committed(TOPIC, 0)?;
        Report::decode(&metadata, Offset(offset)).ok()?.stuck
    });
    assert_eq!(stuck.error, "Protocol");
    process.terminate();
    assert_eq!(process.wait().0, Some(0));

    // Once it is what the spec says, the record is handled, by its first attempt.
    let web = Web::start(|_| ok());
    let Handler::Http(handler) = &mut config.handler else {
        panic!("an HTTP handler");
    };
    handler.url = web.url();
    let _worker = Worker::start("pod-2", config);
    kafka.wait_for_commit(TOPIC, 0, 1);
}

#[test]
fn a_handler_that_is_away_costs_no_attempt() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("v", 20));
    let web = Web::start(|_| ok());
    let (address, url) = (web.address, web.url());
    drop(web);
    let admin = super::outages::nowhere();
    let mut config = over_h2c(&kafka, url);
    config.attempts = 1;
    let worker = Worker::start_with_admin("pod-1", config, Some(admin));
    super::outages::wait_for_page(admin, "/readyz", 503, "handler not reachable");
    super::outages::wait_for_page(admin, "/metrics", 200, "class=\"Connect\"");
    let web = Web::start_at(address, |_| ok());
    kafka.wait_for_commit(TOPIC, 0, 20);
    assert!(worker.stop().is_ok());
    let seen = web.seen();
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|s| s.header("drover-attempt") == Some("1")));
}
