//! Handler or Kafka away, and back.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use drover::report::Report;
use drover::topic::Offset;
use drover::worker_config::{GroupProtocol, Handler, OnExhausted, WorkerConfig};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::kafka::{Kafka, eventually};
use super::web::{Reply, Web, ok};
use super::workers::{TOPIC, Worker, config, texts};

/// An address that nobody listens at.
pub fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A page of the admin port: its status and body.
pub fn page(admin: SocketAddr, path: &str) -> Option<(u16, String)> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(admin).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
}

#[track_caller]
pub fn wait_for_page(admin: SocketAddr, path: &str, status: u16, words: &str) {
    eventually(&format!("{path} answers {status} {words}"), || {
        let (found, body) = page(admin, path)?;
        (found == status && body.contains(words)).then_some(())
    });
}

/// Where brokers were away for longer than the session, librdkafka joins anew under the same static name, and what it
/// still had to commit is fenced: for it the client is then at its end.
#[test]
fn a_worker_whose_commit_is_fenced_joins_anew_and_goes_on() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("early", 30));
    let web = Web::start(|_| ok());
    let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
    kafka
        .mock()
        .request_errors(RDKafkaApiKey::OffsetCommit, &[fenced]);
    let worker = Worker::start("pod-1", config(&kafka, &web));
    kafka.wait_for_commit(TOPIC, 0, 30);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("late", 30));
    kafka.wait_for_commit(TOPIC, 0, 60);
    worker.stop().unwrap();
}

/// What it had finished and could not commit it knows by itself, with its next client too.
#[test]
fn a_worker_whose_commit_is_fenced_does_not_deliver_again_what_it_had_finished() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("early", 30));
    let web = Web::start(|_| ok());
    let worker = Worker::start("pod-1", config(&kafka, &web));
    kafka.wait_for_commit(TOPIC, 0, 30);
    let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
    kafka
        .mock()
        .request_errors(RDKafkaApiKey::OffsetCommit, &[fenced]);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("late", 30));
    kafka.wait_for_commit(TOPIC, 0, 60);
    worker.stop().unwrap();
    assert_eq!(web.seen().len(), 60);
}

/// With a broker that comes back found within a second.
fn back_soon(mut config: WorkerConfig) -> WorkerConfig {
    let soon = [
        ("reconnect.backoff.max.ms", "300"),
        ("socket.connection.setup.timeout.ms", "1000"),
    ];
    let soon = soon.map(|(name, value)| (name.to_owned(), value.to_owned()));
    config.properties.extend(soon);
    config
}

#[test]
fn a_broker_that_is_away_for_longer_than_the_session_has_nothing_delivered_again() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("early", 30));
    let web = Web::start(|_| ok());
    let admin = nowhere();
    let config = back_soon(config(&kafka, &web));
    let worker = Worker::start_with_admin("pod-1", config, Some(admin));
    kafka.wait_for_commit(TOPIC, 0, 30);
    web.behave(|_| Reply { hold: true, ..ok() });
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("late", 12));
    web.wait_for("one of each key in the handler", |seen| seen.len() == 33);
    let all_are_read = "drover_worker_records_received_total 42";
    wait_for_page(admin, "/metrics", 200, all_are_read);

    kafka.mock().broker_down(1).unwrap();
    web.release();
    web.wait_for_count(42);
    let lost = "drover_worker_rebalances_total{result=\"lost\"} 1";
    wait_for_page(admin, "/metrics", 200, lost);
    kafka.mock().broker_up(1).unwrap();
    kafka.wait_for_commit(TOPIC, 0, 42);
    worker.stop().unwrap();
    assert_eq!(web.seen().len(), 42);
}

/// librdkafka asks for the offsets of an assignment a few times within milliseconds; if the group's coordinator moves just
/// then, it never asks again, and the partitions stand still.
#[test]
fn a_coordinator_that_moves_while_partitions_are_taken_over_leaves_none_of_them_behind() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    for partition in 0..2 {
        kafka.produce(TOPIC, partition, &["a", "b"], &texts("v", 10));
    }
    kafka.flush();
    let moving = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
    let question = RDKafkaApiKey::OffsetFetch;
    kafka.mock().request_errors(question, &[moving; 1_000]);
    let web = Web::start(|_| ok());
    let admin = nowhere();
    let worker = Worker::start_with_admin("pod-1", config(&kafka, &web), Some(admin));
    wait_for_page(admin, "/readyz", 503, "committed offsets cannot be read: ");
    assert_eq!(web.seen().len(), 0, "read from where nobody knows");
    kafka.mock().clear_request_errors(question);
    for partition in 0..2 {
        kafka.wait_for_commit(TOPIC, partition, 10);
    }
    wait_for_page(admin, "/readyz", 200, "");
    worker.stop().unwrap();
}

/// What the worker says of its handler in the report of `orders` at this offset.
#[track_caller]
fn wait_for_handler_word(kafka: &Kafka, offset: i64, is: impl Fn(Option<&str>) -> bool) {
    eventually("what is said of the handler", || {
        let (at, metadata) = kafka.committed(TOPIC, 0)?;
        let report = Report::decode(&metadata, Offset(at)).ok()?;
        (at == offset && is(report.handler.as_deref())).then_some(())
    });
}

#[test]
fn a_handler_that_goes_away_and_comes_back_gets_the_rest() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("early", 30));
    let web = Web::start(|_| ok());
    let (address, admin) = (web.address, nowhere());
    let mut config = config(&kafka, &web);
    // No record is to blame: not one attempt is spent on a handler that is not there.
    config.attempts = 1;
    config.on_exhausted = OnExhausted::Skip;
    let worker = Worker::in_pod_with_admin("pod-1", config, Some(admin));
    kafka.wait_for_commit(TOPIC, 0, 30);
    wait_for_page(admin, "/readyz", 200, "ok");

    drop(web);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("late", 30));
    wait_for_page(admin, "/readyz", 503, "handler not reachable");
    wait_for_page(admin, "/livez", 200, "ok");
    // The controller tells people why, and no other way leads from here to it.
    let said = format!("connect to {address}: ");
    wait_for_handler_word(&kafka, 30, |why| {
        why.is_some_and(|why| why.starts_with(&said))
    });
    assert!(!worker.is_over());

    let web = Web::start_at(address, |_| ok());
    kafka.wait_for_commit(TOPIC, 0, 60);
    wait_for_page(admin, "/readyz", 200, "ok");
    assert_eq!(web.seen().len(), 30);
    wait_for_handler_word(&kafka, 60, |why| why.is_none());
    wait_for_page(
        admin,
        "/metrics",
        200,
        "drover_worker_records_done_total 60",
    );
    wait_for_page(
        admin,
        "/metrics",
        200,
        "drover_worker_partitions_assigned 1",
    );
}

#[test]
fn a_handler_in_the_pod_is_waited_for_before_joining_the_group() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 5));
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    let address = web.address;
    drop(web);
    let Handler::Http(handler) = &mut config.handler else {
        panic!("an HTTP handler");
    };
    handler.in_pod = true;
    config.attempts = 1;
    let admin = nowhere();
    let _worker = Worker::in_pod_with_admin("pod-1", config, Some(admin));
    wait_for_page(
        admin,
        "/readyz",
        503,
        "handler not reachable: connect to 127.0.0.1",
    );
    wait_for_page(admin, "/livez", 200, "ok");
    let web = Web::start_at(address, |_| ok());
    kafka.wait_for_commit(TOPIC, 0, 5);
    assert_eq!(web.seen().len(), 5);
}

#[test]
fn a_worker_outlives_kafka_being_away_and_goes_on_by_itself() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("early", 10));
    let web = Web::start(|_| ok());
    let admin = nowhere();
    let config = back_soon(config(&kafka, &web));
    let worker = Worker::in_pod_with_admin("pod-1", config, Some(admin));
    kafka.wait_for_commit(TOPIC, 0, 10);

    kafka.mock().broker_down(1).unwrap();
    wait_for_page(admin, "/readyz", 503, "Kafka not reachable");
    wait_for_page(admin, "/livez", 200, "ok");
    kafka.mock().broker_up(1).unwrap();
    wait_for_page(admin, "/readyz", 200, "ok");
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("late", 10));
    kafka.wait_for_commit(TOPIC, 0, 20);
    assert!(worker.stop().is_ok());
}

#[test]
fn a_missing_topic_is_said_and_taken_up_when_it_appears() {
    let kafka = Kafka::with_topic("another", 1);
    let missing = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    kafka.mock().create_topic(TOPIC, 1, 1).unwrap();
    kafka.mock().topic_error(TOPIC, missing).unwrap();
    let web = Web::start(|_| ok());
    let admin = nowhere();
    let _worker = Worker::in_pod_with_admin("pod-1", config(&kafka, &web), Some(admin));
    wait_for_page(admin, "/readyz", 503, "topic not there");
    wait_for_page(admin, "/livez", 200, "ok");

    let none = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    kafka.mock().topic_error(TOPIC, none).unwrap();
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 3));
    kafka.wait_for_commit(TOPIC, 0, 3);
    wait_for_page(admin, "/readyz", 200, "ok");
}

#[test]
fn a_member_without_partitions_is_ready() {
    for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        let web = Web::start(|_| ok());
        let mut config = config(&kafka, &web);
        config.group_protocol = protocol;
        if protocol == GroupProtocol::Consumer {
            config.properties.remove("session.timeout.ms");
            config.properties.remove("heartbeat.interval.ms");
        }
        let admins = [nowhere(), nowhere()];
        let workers =
            admins.map(|admin| Worker::in_pod_with_admin("pod", config.clone(), Some(admin)));
        for admin in admins {
            wait_for_page(admin, "/readyz", 200, "ok");
        }
        drop(workers);
    }
}
