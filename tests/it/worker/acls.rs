//! A real broker that refuses by its ACLs: what is missing is named, nothing is lost, and all goes on
//! when it is allowed.

use drover::kafka::dead_letter_topic::reason;
use drover::worker_config::{OnExhausted, WorkerConfig};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Offset as Position, TopicPartitionList};

use super::kafka::{DEADLINE, Kafka, eventually};
use super::outages::{nowhere, wait_for_page};
use super::web::{Web, ok, status, tally};
use super::workers::{TOPIC, Worker, config, texts};
use crate::support::acls::{DESCRIBE, Of, READ, WRITE, allow, broker, disallow};
use drover::report::Report;
use drover::topic::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// A topic of its own, a group of the same name, and a worker's configuration for both.
struct Place {
    topic: String,
    observer: BaseConsumer,
}

impl Place {
    fn new(name: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let topic = runtime.block_on(broker().create_topic(name, 1));
        let observer = ClientConfig::new()
            .set("bootstrap.servers", &broker().servers)
            .set("group.id", &topic)
            .create()
            .unwrap();
        Self { topic, observer }
    }

    fn config(&self, web: &Web) -> WorkerConfig {
        // The mock only lends its settings.
        WorkerConfig {
            bootstrap_servers: broker().servers.clone(),
            group_id: self.topic.clone(),
            topics: vec![self.topic.clone()],
            ..config(&Kafka::with_topic("unused", 1), web)
        }
    }

    fn produce(&self, values: &[String]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &broker().servers)
            .create()
            .unwrap();
        for value in values {
            let record = BaseRecord::to(&self.topic).key(value).payload(value);
            producer.send(record).unwrap();
        }
        producer.flush(DEADLINE).unwrap();
    }

    fn committed(&self) -> Option<(i64, Option<Report>)> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, 0);
        let list = self.observer.committed_offsets(list, DEADLINE).ok()?;
        let element = list.find_partition(&self.topic, 0)?;
        let Position::Offset(offset) = element.offset() else {
            return None;
        };
        let report = Report::decode(element.metadata(), Offset(offset)).ok();
        Some((offset, report))
    }

    #[track_caller]
    fn wait_for_commit(&self, offset: i64) {
        eventually(&format!("a commit at {offset}"), || {
            let (at, _) = self.committed()?;
            assert!(at <= offset, "committed at {at}, beyond {offset}");
            (at == offset).then_some(())
        });
    }
}

#[test]
fn a_topic_that_may_not_be_read_is_named_and_read_when_it_may() {
    let place = Place::new("acl-read");
    let topic = place.topic.as_str();
    place.produce(&texts("v", 3));
    allow(Of::Topic(topic), DESCRIBE);
    let web = Web::start(|_| ok());
    let admin = nowhere();
    let _worker = Worker::in_pod_with_admin("pod-1", place.config(&web), Some(admin));
    let words = format!("topic {topic} may not be read; allow Read on it");
    wait_for_page(admin, "/readyz", 503, &words);
    wait_for_page(admin, "/livez", 200, "ok");
    assert!(web.seen().is_empty());

    allow(Of::Topic(topic), READ);
    place.wait_for_commit(3);
    wait_for_page(admin, "/readyz", 200, "ok");
    // And taken away under a running worker.
    disallow(Of::Topic(topic), READ);
    wait_for_page(admin, "/readyz", 503, &words);
    wait_for_page(admin, "/livez", 200, "ok");
    allow(Of::Topic(topic), WRITE);
    place.produce(&texts("w", 3));
    allow(Of::Topic(topic), READ);
    place.wait_for_commit(6);
    wait_for_page(admin, "/readyz", 200, "ok");
    assert_eq!(tally(&web.seen()).len(), 6);
}

#[test]
fn a_group_that_may_not_be_used_is_named_and_joined_when_it_may() {
    let place = Place::new("acl-group");
    let group = place.topic.as_str();
    place.produce(&texts("v", 3));
    allow(Of::Group(group), DESCRIBE);
    let web = Web::start(|_| ok());
    let admin = nowhere();
    let _worker = Worker::in_pod_with_admin("pod-1", place.config(&web), Some(admin));
    let words = format!("consumer group {group} may not be used; allow Read on it");
    wait_for_page(admin, "/readyz", 503, &words);
    wait_for_page(admin, "/livez", 200, "ok");
    assert!(web.seen().is_empty());

    allow(Of::Group(group), READ);
    place.wait_for_commit(3);
    wait_for_page(admin, "/readyz", 200, "ok");
    // And taken away under a running worker.
    disallow(Of::Group(group), READ);
    place.produce(&texts("w", 3));
    wait_for_page(admin, "/readyz", 503, &words);
    wait_for_page(admin, "/livez", 200, "ok");
    allow(Of::Group(group), READ);
    place.wait_for_commit(6);
    wait_for_page(admin, "/readyz", 200, "ok");
    assert_eq!(tally(&web.seen()).len(), 6);
}

#[test]
fn a_dead_letter_topic_that_may_not_be_written_to_is_named_and_written_to_when_it_may() {
    let place = Place::new("acl-source");
    let dead = Place::new("acl-dead");
    place.produce(&texts("v", 3));
    allow(Of::Topic(&dead.topic), READ);
    let web = Web::start(|seen| match seen.text() {
        "bad" => status(400),
        _ => ok(),
    });
    let mut config = place.config(&web);
    config.dead_letter_topic = Some(dead.topic.clone());
    config.on_exhausted = OnExhausted::DeadLetter;
    let admin = nowhere();
    let _worker = Worker::in_pod_with_admin("pod-1", config, Some(admin));
    let words = format!(
        "no record is taken: dead-letter topic {} may not be written to; allow Write",
        dead.topic
    );
    wait_for_page(admin, "/readyz", 503, &words);
    assert!(web.seen().is_empty());
    allow(Of::Topic(&dead.topic), WRITE);
    place.wait_for_commit(3);

    // And taken away under a running worker.
    disallow(Of::Topic(&dead.topic), WRITE);
    place.produce(&["bad".to_owned()]);
    eventually("the word of what is refused", || {
        let (at, report) = place.committed()?;
        assert_eq!(at, 3);
        let report = report?;
        let stuck = report.stuck?;
        assert_eq!(
            (stuck.offset, stuck.error.starts_with("DeadLetter")),
            (3, true),
            "{stuck:?}"
        );
        (report.dead_letter.as_deref() == Some(reason::NOT_AUTHORIZED)).then_some(())
    });
    place.produce(&texts("w", 2));
    eventually("the others to be handled", || {
        (tally(&web.seen()).len() == 6).then_some(())
    });
    allow(Of::Topic(&dead.topic), WRITE);
    place.wait_for_commit(6);
    eventually("its own word to be taken back", || {
        let report = place.committed()?.1?;
        (report.stuck.is_none() && report.dead_letter.is_none()).then_some(())
    });
    let (oldest, next) = place
        .observer
        .fetch_watermarks(&dead.topic, 0, DEADLINE)
        .unwrap();
    assert_eq!(next - oldest, 1, "one copy");
}

/// A producer that may not write idempotently is of no use any more, also when it may.
#[test]
fn a_refused_right_to_write_idempotently_is_asked_for_again() {
    const DEAD: &str = "orders.dlq";
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    kafka.produce(TOPIC, 0, &["k"], &texts("bad", 1));
    let web = Web::start(|_| status(400));
    let mut config = config(&kafka, &web);
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    kafka
        .mock()
        .request_errors(RDKafkaApiKey::InitProducerId, &[refused; 2]);
    let _worker = Worker::in_pod("pod-1", config);
    assert_eq!(kafka.read(DEAD, 1).len(), 1);
    kafka.wait_for_commit(TOPIC, 0, 1);
}

#[test]
fn what_a_person_may_not_do_with_dead_letters_is_named_by_the_command_line() {
    let place = Place::new("acl-cli");
    let topic = place.topic.as_str();
    place.produce(&texts("v", 3));
    let dlq = |verb: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_drover"));
        let arguments = [
            "dlq",
            verb,
            "--bootstrap",
            &broker().servers,
            "--topic",
            topic,
        ];
        let output = command.args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), error)
    };
    let group = format!("drover.redrive.{topic}");
    allow(Of::Group(&group), DESCRIBE);
    eventually("the group to be refused", || {
        let (code, error) = dlq("replay");
        let named = error.contains("refuses") && error.contains("Read on group");
        (code == Some(2) && named && error.lines().count() == 1).then_some(())
    });
    allow(Of::Topic(topic), DESCRIBE);
    eventually("the topic to be refused", || {
        let (code, error) = dlq("list");
        let named = error.contains("refuses") && error.contains("give this user the right");
        (code == Some(2) && named && error.lines().count() == 1).then_some(())
    });
}
