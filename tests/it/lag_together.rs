//! What many groups have committed, asked for together, beside what librdkafka says of each.

use std::collections::BTreeMap;
use std::time::Duration;

use drover::clock::Monotonic;
use drover::kafka::admin::{Admin, Answers, Committed};
use drover::kafka::security::Security;
use drover::topic::{Offset, TopicPartition};
use drover::worker_config::security::{Certificate, Mechanism, Sasl, Security as Written, Tls};

use crate::lag_admin::mock;
use crate::lag_broker::broker;
use crate::support::broker::Broker;
use crate::support::secured::{PASSWORD, USER, secured};

const TIMEOUT: Duration = Duration::from_secs(30);
const PARTITIONS: i32 = 3;

type Groups = BTreeMap<String, Vec<TopicPartition>>;

/// Groups that have committed for the first two partitions of a topic, and one that has for none.
async fn groups(admin: &Admin, topic: &str, count: usize) -> Groups {
    let partitions: Vec<_> = (0..PARTITIONS)
        .map(|number| TopicPartition::new(topic, number))
        .collect();
    let groups: Groups = (0..count)
        .map(|number| (format!("{topic}-{number}"), partitions.clone()))
        .collect();
    for (number, group) in groups.keys().enumerate().skip(1) {
        let offset = i64::try_from(number).unwrap();
        let offsets = BTreeMap::from([
            (partitions[0].clone(), (Offset(offset), Vec::new())),
            (
                partitions[1].clone(),
                (Offset(2), format!("said by {number}").into_bytes()),
            ),
        ]);
        admin
            .alter_committed(group, &offsets, TIMEOUT)
            .await
            .unwrap();
    }
    groups
}

/// What all of them have committed, as soon as their coordinator is at work, which a broker takes a moment for.
async fn answers(admin: &Admin, groups: &Groups) -> BTreeMap<String, Answers<Committed>> {
    let began = Monotonic::start();
    loop {
        let (answers, questions) = admin.committed_together(groups, TIMEOUT).await;
        if answers.len() == groups.len() {
            return answers;
        }
        assert!(questions > 0, "not asked: {answers:?}");
        assert!(began.elapsed() < TIMEOUT, "only {answers:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn it_is_what_librdkafka_says_of_each_in_a_question_for_all() {
    let broker = broker();
    let topic = broker.create_topic("together", PARTITIONS).await;
    let admin = Admin::open(&broker.servers, &BTreeMap::new()).unwrap();
    let groups = groups(&admin, &topic, 40).await;

    answers(&admin, &groups).await;
    let admin = Admin::open(&broker.servers, &BTreeMap::new()).unwrap();
    let (answers, questions) = admin.committed_together(&groups, TIMEOUT).await;
    let why = "who coordinates them, and what they have committed";
    assert_eq!((answers.len(), questions), (groups.len(), 2), "{why}");
    for (group, partitions) in &groups {
        let one = admin.committed(group, partitions, TIMEOUT).await.unwrap();
        assert_eq!(answers[group], one, "{group}");
    }
    let (again, questions) = admin.committed_together(&groups, TIMEOUT).await;
    assert_eq!((again, questions), (answers, 1));
}

#[tokio::test]
async fn a_few_groups_are_left_to_librdkafka() {
    let admin = Admin::open(&broker().servers, &BTreeMap::new()).unwrap();
    let few: Groups = BTreeMap::from([("few".to_owned(), vec![TopicPartition::new("few", 0)])]);
    let (answers, questions) = admin.committed_together(&few, TIMEOUT).await;
    assert_eq!((answers.len(), questions), (0, 0));
}

/// librdkafka's mock cluster answers for one group at a time, as brokers before 3.0.
#[tokio::test]
async fn brokers_that_cannot_answer_for_many_are_left_alone_for_a_while() {
    let mock = mock(&[("orders", PARTITIONS)]);
    let admin = Admin::open(&mock.bootstrap_servers(), &BTreeMap::new()).unwrap();
    let partitions = vec![TopicPartition::new("orders", 0)];
    let groups: Groups = (0..40)
        .map(|number| (format!("group-{number}"), partitions.clone()))
        .collect();
    for _ in 0..3 {
        let (answers, questions) = admin.committed_together(&groups, TIMEOUT).await;
        assert_eq!((answers.len(), questions), (0, 0));
    }
}

/// Brokers close connections that were idle: nobody should have to notice.
#[tokio::test]
async fn a_connection_that_the_broker_has_closed_is_made_anew() {
    let broker = Broker::start("idle", &["--set", "connections.max.idle.ms=3000"]).unwrap();
    let topic = broker.create_topic("idle", PARTITIONS).await;
    let preparing = Admin::open(&broker.servers, &BTreeMap::new()).unwrap();
    let groups = groups(&preparing, &topic, 20).await;
    drop(preparing);
    let admin = Admin::open(&broker.servers, &BTreeMap::new()).unwrap();
    let (_, port) = broker.servers.rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    for round in 0..2 {
        let all = answers(&admin, &groups).await;
        assert_eq!(all.len(), groups.len(), "round {round}");
        let began = Monotonic::start();
        while !has_been_closed_by(port) {
            assert!(began.elapsed() < TIMEOUT, "the broker does not close it");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A connection to this port is open on our side only.
fn has_been_closed_by(port: u16) -> bool {
    const CLOSE_WAIT: &str = "08";
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(2);
        let remote = fields.next().and_then(|place| place.rsplit_once(':'));
        remote.is_some_and(|(_, remote)| remote == format!("{port:04X}"))
            && fields.next() == Some(CLOSE_WAIT)
    })
}

fn encrypted(certificate: Option<Certificate>) -> Written {
    Written {
        tls: Some(Tls {
            ca_file: Some(secured().file("ca.crt")),
            certificate,
            verify_hostname: true,
        }),
        ..Written::default()
    }
}

fn login(mechanism: Mechanism, password: &str) -> Written {
    let password_file = secured().file(&format!("together-{password}"));
    std::fs::write(&password_file, password).unwrap();
    let sasl = Sasl {
        mechanism,
        username: USER.to_owned(),
        password_file,
    };
    Written {
        sasl: Some(sasl),
        ..encrypted(None)
    }
}

fn admin_of(listener: &str, written: &Written) -> Admin {
    let security = Security::load(written, |file| std::fs::read(file)).unwrap();
    Admin::secured(&secured().servers(listener), &BTreeMap::new(), &security).unwrap()
}

#[tokio::test]
async fn it_is_the_same_over_every_kind_of_connection() {
    let clear = Admin::open(&secured().broker.servers, &BTreeMap::new()).unwrap();
    // Groups may commit for a topic that is not there.
    let groups = groups(&clear, "together-secured", 20).await;
    let expected = answers(&clear, &groups).await;

    let certificate = Certificate {
        certificate_file: secured().file("client.crt"),
        key_file: secured().file("client.key"),
    };
    for (listener, written) in [
        ("TLS", encrypted(None)),
        ("MUTUAL", encrypted(Some(certificate))),
        ("LOGIN", login(Mechanism::Plain, PASSWORD)),
        ("LOGIN", login(Mechanism::ScramSha256, PASSWORD)),
        ("LOGIN", login(Mechanism::ScramSha512, PASSWORD)),
    ] {
        let admin = admin_of(listener, &written);
        let said = answers(&admin, &groups).await;
        assert_eq!(said, expected, "{listener} {written:?}");
    }
}

#[tokio::test]
async fn whom_the_broker_does_not_let_in_or_must_not_be_believed_is_asked_nothing() {
    let topic = [TopicPartition::new("together-refused", 0)];
    let groups: Groups = (0..20)
        .map(|number| (format!("refused-{number}"), topic.to_vec()))
        .collect();
    for (listener, written) in [
        ("LOGIN", login(Mechanism::Plain, "wrong")),
        ("LOGIN", login(Mechanism::ScramSha512, "wrong")),
        ("MUTUAL", encrypted(None)),
        ("ELSEWHERE", encrypted(None)),
        ("EXPIRED", encrypted(None)),
    ] {
        let admin = admin_of(listener, &written);
        let (answers, _) = admin.committed_together(&groups, TIMEOUT).await;
        assert!(answers.is_empty(), "{listener} {written:?}");
    }
}
