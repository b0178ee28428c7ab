//! The dead-letter topic is looked at before the first record is taken.

use std::collections::BTreeMap;
use std::time::Duration;

use drover::kafka::admin::Admin;
use drover::kafka::dead_letter_topic::{Facts, State, look, reason};
use drover::report::Report;
use drover::topic::Offset;
use drover::worker_config::OnExhausted;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaRespErr;

use super::kafka::{Kafka, eventually};
use super::outages::{nowhere, wait_for_page};
use super::web::{Web, ok, status, tally};
use super::workers::{TOPIC, Worker, config, texts};
use crate::lag_broker::broker;

const DEAD: &str = "orders.dlq";

#[test]
fn no_record_is_taken_before_the_dead_letter_topic_is_there() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 3));
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    let missing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    kafka.mock().topic_error(DEAD, missing).unwrap();
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let admin = nowhere();
    let _worker = Worker::in_pod_with_admin("pod-1", config, Some(admin));
    let why = "no record is taken: dead-letter topic orders.dlq does not exist; create it";
    wait_for_page(admin, "/readyz", 503, why);
    wait_for_page(admin, "/livez", 200, "ok");
    assert!(web.seen().is_empty());

    let none = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    kafka.mock().topic_error(DEAD, none).unwrap();
    kafka.wait_for_commit(TOPIC, 0, 3);
    wait_for_page(admin, "/readyz", 200, "ok");
}

/// The worker's word about the dead-letter topic, in the reports of `orders`.
#[track_caller]
fn wait_for_word(kafka: &Kafka, offset: i64, word: Option<&str>) {
    eventually(&format!("{word:?} with a commit at {offset}"), || {
        let (at, metadata) = kafka.committed(TOPIC, 0)?;
        assert!(at <= offset, "committed at {at}, beyond {offset}");
        let report = Report::decode(&metadata, Offset(at)).ok()?;
        (at == offset && report.dead_letter.as_deref() == word).then_some(())
    });
}

#[test]
fn a_dead_letter_topic_that_goes_under_a_running_worker_is_said_and_waited_for() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    let web = Web::start(|seen| match seen.text() {
        "bad" => status(400),
        _ => ok(),
    });
    let mut config = config(&kafka, &web);
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let _worker = Worker::in_pod("pod-1", config);
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 2));
    kafka.wait_for_commit(TOPIC, 0, 2);

    let missing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    kafka.mock().topic_error(DEAD, missing).unwrap();
    kafka.produce(TOPIC, 0, &["a"], &["bad".to_owned()]);
    kafka.produce(TOPIC, 0, &["b"], &texts("w", 3));
    wait_for_word(&kafka, 2, Some(reason::NOT_FOUND));
    let others =
        |seen: &BTreeMap<String, usize>| seen.keys().filter(|k| k.starts_with('w')).count();
    eventually("the others to be handled", || {
        (others(&tally(&web.seen())) == 3).then_some(())
    });

    let none = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    kafka.mock().topic_error(DEAD, none).unwrap();
    wait_for_word(&kafka, 6, None);
    let copies = kafka.read(DEAD, 1);
    assert_eq!(copies[0].value.as_deref(), Some(&b"bad"[..]));
}

/// What a real broker says of a topic with these settings.
async fn facts(name: &str, settings: &[(&str, &str)], source: &str) -> Facts {
    let broker = broker();
    let client: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &broker.servers)
        .create()
        .unwrap();
    let name = format!("{name}-{}", std::process::id());
    let mut topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
    for (name, value) in settings {
        topic = topic.set(name, value);
    }
    let created = client.create_topics([&topic], &AdminOptions::new());
    created.await.unwrap().pop().unwrap().unwrap();
    let admin = Admin::open(&broker.servers, &BTreeMap::new()).unwrap();
    let began = drover::clock::Monotonic::start();
    loop {
        let timeout = Duration::from_secs(10);
        let facts = look(&admin, &name, &[source.to_owned()], timeout).await;
        // The broker answers before all of it knows the topic.
        match facts {
            Ok(facts) if facts.state == State::There && facts.cleanup.is_some() => return facts,
            other => assert!(began.elapsed() < super::kafka::DEADLINE, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_real_broker_tells_what_is_wrong_with_a_dead_letter_topic() {
    let source = broker().create_topic("dlq-source", 1).await;
    let good = facts("dlq-good", &[], &source).await;
    assert_eq!((good.flaw(), good.state.clone()), (None, State::There));
    assert!(
        good.advice().is_some(),
        "equal limits leave no room for headers: {good:?}"
    );

    let roomy = [("max.message.bytes", "2000000")];
    assert_eq!(facts("dlq-roomy", &roomy, &source).await.advice(), None);

    let reason = |facts: Facts| facts.flaw().map(|flaw| flaw.reason);
    let compacted = facts("dlq-compacted", &[("cleanup.policy", "compact")], &source).await;
    assert_eq!(reason(compacted), Some(reason::COMPACTED));
    let small = facts("dlq-small", &[("max.message.bytes", "1000")], &source).await;
    assert_eq!(reason(small), Some(reason::TOO_SMALL));

    let admin = Admin::open(&broker().servers, &BTreeMap::new()).unwrap();
    let timeout = Duration::from_secs(10);
    let missing = look(&admin, "dlq-that-nobody-made", &[source], timeout).await;
    assert_eq!(reason(missing.unwrap()), Some(reason::NOT_FOUND));
}
