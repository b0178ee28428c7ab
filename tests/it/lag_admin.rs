//! Questions to Kafka, on librdkafka's mock cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drover::clock::Monotonic;
use drover::kafka::admin::{Admin, Error, Spec};
use drover::report::Report;
use drover::topic::{Offset, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;

const TIMEOUT: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(30);

pub type Mock = MockCluster<'static, DefaultProducerContext>;

pub fn mock(topics: &[(&str, i32)]) -> Mock {
    let mock = MockCluster::new(1).unwrap();
    for (topic, partitions) in topics {
        mock.create_topic(topic, *partitions, 1).unwrap();
    }
    mock
}

pub fn admin(mock: &Mock) -> Admin {
    Admin::open(&mock.bootstrap_servers(), &BTreeMap::new()).unwrap()
}

/// Writes `count` records to each of the partitions.
pub fn produce(servers: &str, topic: &str, partitions: &[i32], count: usize) {
    let now = drover::clock::now().as_millisecond();
    produce_at(servers, topic, partitions, count, now);
}

/// The same, with a time of their own, in milliseconds since 1970.
pub fn produce_at(servers: &str, topic: &str, partitions: &[i32], count: usize, millis: i64) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("linger.ms", "1")
        .create()
        .unwrap();
    for &partition in partitions {
        for _ in 0..count {
            let record = BaseRecord::<(), str>::to(topic)
                .partition(partition)
                .timestamp(millis)
                .payload("x");
            producer.send(record).unwrap();
        }
    }
    producer.flush(TIMEOUT).unwrap();
}

/// Commits as a member of the group would, with a text.
pub fn commit(servers: &str, group: &str, topic: &str, commits: &[(i32, i64, &str)]) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", group)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for (partition, offset, metadata) in commits {
        let mut element = list.add_partition(topic, *partition);
        element
            .set_offset(rdkafka::Offset::Offset(*offset))
            .unwrap();
        element.set_metadata(*metadata);
    }
    let began = Monotonic::start();
    while let Err(error) = consumer.commit(&list, CommitMode::Sync) {
        // A broker that has just started has its groups to read first.
        let loads = RDKafkaErrorCode::CoordinatorLoadInProgress;
        assert_eq!(error.rdkafka_error_code(), Some(loads), "{error}");
        assert!(began.elapsed() < DEADLINE, "{error}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

fn partitions(topic: &str, count: i32) -> Vec<TopicPartition> {
    (0..count).map(|p| TopicPartition::new(topic, p)).collect()
}

fn names(topics: &[&str]) -> BTreeSet<String> {
    topics.iter().map(|topic| (*topic).to_owned()).collect()
}

#[tokio::test]
async fn offsets_of_many_partitions_come_in_one_answer() {
    let mock = mock(&[("orders", 4), ("users", 3)]);
    produce(&mock.bootstrap_servers(), "orders", &[0, 2], 7);
    let admin = admin(&mock);
    let all = [partitions("orders", 4), partitions("users", 3)].concat();
    let ends = admin.offsets(&all, Spec::Latest, TIMEOUT).await.unwrap();
    let of = |topic: &str, p: i32| ends[&TopicPartition::new(topic, p)].clone().unwrap();
    assert_eq!(ends.len(), 7);
    assert_eq!(of("orders", 0), Some(Offset(7)));
    assert_eq!(of("orders", 1), Some(Offset(0)));
    assert_eq!(of("users", 2), Some(Offset(0)));
    let starts = admin.offsets(&all, Spec::Earliest, TIMEOUT).await.unwrap();
    assert!(starts.values().all(|start| *start == Ok(Some(Offset(0)))));
}

#[tokio::test]
async fn a_partition_that_does_not_exist_fails_alone() {
    let mock = mock(&[("orders", 2)]);
    let admin = admin(&mock);
    let asked = partitions("orders", 3);
    let ends = admin.offsets(&asked, Spec::Latest, TIMEOUT).await.unwrap();
    assert_eq!(ends[&asked[0]], Ok(Some(Offset(0))));
    assert_eq!(ends[&asked[2]], Err(Error::Missing));
}

#[tokio::test]
async fn partitions_are_counted_and_a_missing_topic_is_told_apart() {
    let mock = mock(&[("orders", 5)]);
    let admin = admin(&mock);
    // The mock creates any topic that is asked for; an injected error stands for a real broker.
    let unknown = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    mock.topic_error("missing", unknown).unwrap();
    let answer = admin
        .partitions(&names(&["orders", "missing"]), TIMEOUT)
        .await
        .unwrap();
    assert_eq!(answer["orders"].as_ref().unwrap().len(), 5);
    assert_eq!(answer["missing"], Err(Error::Missing));
}

#[tokio::test]
async fn commits_come_back_with_their_text_and_none_is_not_zero() {
    let mock = mock(&[("orders", 3)]);
    let servers = mock.bootstrap_servers();
    let report = Report {
        pod: "orders-7f9-abc".to_owned(),
        done: 12_345,
        busy: Duration::from_millis(61_725),
        slots: 16,
        failures: 3,
        ahead: vec![9..11, 20..25],
        ..Report::default()
    };
    commit(
        &servers,
        "g",
        "orders",
        &[(0, 5, &report.encode(Offset(5))), (2, 0, "")],
    );
    let admin = admin(&mock);
    let asked = partitions("orders", 3);
    let answer = admin.committed("g", &asked, TIMEOUT).await.unwrap();
    let first = answer[&asked[0]].as_ref().unwrap();
    assert_eq!(first.offset, Some(Offset(5)));
    let text = std::str::from_utf8(&first.metadata).unwrap();
    assert_eq!(Report::decode(text, Offset(5)).unwrap(), report);
    assert_eq!(answer[&asked[1]].as_ref().unwrap().offset, None);
    assert_eq!(answer[&asked[2]].as_ref().unwrap().offset, Some(Offset(0)));
}

#[tokio::test]
async fn many_groups_are_asked_side_by_side() {
    let mock = mock(&[("orders", 2)]);
    let servers = mock.bootstrap_servers();
    for number in 0..8 {
        commit(
            &servers,
            &format!("g{number}"),
            "orders",
            &[(0, number, "")],
        );
    }
    let admin = admin(&mock);
    let asked = partitions("orders", 2);
    let groups: Vec<String> = (0..8).map(|number| format!("g{number}")).collect();
    let questions = groups
        .iter()
        .map(|group| admin.committed(group, &asked, TIMEOUT));
    for (number, answer) in futures::future::join_all(questions)
        .await
        .into_iter()
        .enumerate()
    {
        let answer = answer.unwrap();
        let offset = answer[&asked[0]].as_ref().unwrap().offset;
        assert_eq!(offset, Some(Offset(number as i64)));
    }
}

#[tokio::test]
async fn offsets_of_a_group_without_members_can_be_written() {
    let mock = mock(&[("orders", 2)]);
    let admin = admin(&mock);
    let asked = partitions("orders", 2);
    let wanted = [(Offset(3), Vec::new()), (Offset(4), b"text".to_vec())];
    let wanted = asked.iter().cloned().zip(wanted).collect();
    let written = admin.alter_committed("g", &wanted, TIMEOUT).await.unwrap();
    assert!(written.values().all(Result::is_ok), "{written:?}");
    let answer = admin.committed("g", &asked, TIMEOUT).await.unwrap();
    let committed = answer[&asked[1]].as_ref().unwrap();
    assert_eq!(committed.offset, Some(Offset(4)));
    assert_eq!(committed.metadata, b"text");
}

#[tokio::test]
async fn a_question_that_the_broker_does_not_know_says_so() {
    let mock = mock(&[]);
    let answer = admin(&mock).group("g", TIMEOUT).await;
    assert!(matches!(answer, Err(Error::Unsupported(_))), "{answer:?}");
}

#[tokio::test]
async fn an_unreachable_broker_is_a_failure_within_the_time_out() {
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let admin = Admin::open(&format!("127.0.0.1:{port}"), &BTreeMap::new()).unwrap();
    let began = Monotonic::start();
    let timeout = Duration::from_secs(1);
    let asked = partitions("orders", 1);
    let topics = names(&["orders"]);
    let (topics, ends, commits) = tokio::join!(
        admin.partitions(&topics, timeout),
        admin.offsets(&asked, Spec::Latest, timeout),
        admin.committed("g", &asked, timeout),
    );
    assert!(matches!(topics, Err(Error::Unreachable(_))), "{topics:?}");
    assert!(matches!(ends, Err(Error::Unreachable(_))), "{ends:?}");
    assert!(matches!(commits, Err(Error::Unreachable(_))), "{commits:?}");
    assert!(began.elapsed() < timeout * 3, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_wrong_property_is_named() {
    let wrong = BTreeMap::from([("no.such.property".to_owned(), "1".to_owned())]);
    let Err(error) = Admin::open("127.0.0.1:1", &wrong) else {
        panic!("opened with {wrong:?}");
    };
    assert!(error.to_string().contains("no.such.property"), "{error}");
}

/// Threads of this process whose name begins with `prefix`.
fn threads(prefix: &str) -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with(prefix))
        .count()
}

/// Runs a test in a process of its own, where it does `claim`: threads are counted by process, and
/// an abort inside librdkafka takes the process with it.
fn alone(test: &str, claim: impl Future<Output = ()>) {
    if std::env::var_os("DROVER_TEST_ALONE").is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(claim);
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("lag_admin::{test}"), "--nocapture"])
        .env("DROVER_TEST_ALONE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}", output.status);
}

/// Threads of this name, once all have it: each is started first and named then.
async fn all_threads(name: &str) -> usize {
    let (mut known, mut since) = (threads(name), 0);
    while since < 40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = threads(name);
        since = if now == known { since + 1 } else { 0 };
        known = now;
    }
    known
}

/// Waits until this process has at most so many threads of these names.
async fn threads_fall_to(own: usize, of_librdkafka: usize) {
    let began = Monotonic::start();
    while threads("kafka-admin") > own || threads("rdk") > of_librdkafka {
        assert!(began.elapsed() < Duration::from_secs(20), "threads stay");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_client_that_is_dropped_leaves_no_thread_behind() {
    alone("a_client_that_is_dropped_leaves_no_thread_behind", async {
        let mock = mock(&[("orders", 1)]);
        let of_mock = all_threads("rdk").await;
        for round in 0..5 {
            let admin = admin(&mock);
            let asked = partitions("orders", 1);
            admin.offsets(&asked, Spec::Latest, TIMEOUT).await.unwrap();
            assert_eq!(threads("kafka-admin"), 1, "round {round}");
            // A question whose caller has gone away must not hold the client.
            let abandoned = admin.offsets(&asked, Spec::Latest, TIMEOUT);
            let _ = tokio::time::timeout(Duration::ZERO, abandoned).await;
            let began = Monotonic::start();
            drop(admin);
            assert!(began.elapsed() < Duration::from_secs(2), "drop blocks");
            threads_fall_to(0, of_mock).await;
        }
    });
}

/// librdkafka aborts the process when a request to a coordinator has timed out and a broker comes
/// back (its issues 3663 and 4605); `native::admin` says how that is avoided.
#[test]
fn outages_longer_than_the_time_out_are_survived() {
    alone("outages_longer_than_the_time_out_are_survived", async {
        let mock = mock(&[("orders", 1)]);
        commit(&mock.bootstrap_servers(), "g", "orders", &[(0, 7, "")]);
        let of_mock = threads("rdk");
        let admin = admin(&mock);
        let asked = partitions("orders", 1);
        let short = Duration::from_millis(300);
        for round in 0..3 {
            let began = Monotonic::start();
            let answer = loop {
                match admin.committed("g", &asked, TIMEOUT).await {
                    Ok(answer) => break answer,
                    Err(error) => assert!(began.elapsed() < DEADLINE, "round {round}: {error}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            assert_eq!(answer[&asked[0]].as_ref().unwrap().offset, Some(Offset(7)));
            mock.broker_down(1).unwrap();
            for _ in 0..5 {
                let answer = admin.committed("g", &asked, short).await;
                assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
                let answer = admin.group("h", short).await;
                assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
            }
            if round < 2 {
                mock.broker_up(1).unwrap();
            }
        }
        drop(admin);
        threads_fall_to(0, of_mock).await;
    });
}
