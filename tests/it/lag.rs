//! The lag reader, on librdkafka's mock cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drover::api::StartAt;
use drover::lag::{Error, LagReader, Latest, Need, Offsets, Pace, Source, Start, TopicState};
use drover::report::{Report, Stuck};
use drover::topic::{Offset, TopicPartition};

use crate::lag_admin::{Mock, commit, mock, produce, produce_at};

const DEADLINE: Duration = Duration::from_secs(30);

fn need(servers: &str, topics: &[&str], group: &str) -> Need {
    Need {
        source: Source {
            bootstrap_servers: servers.to_owned(),
            properties: BTreeMap::new(),
            security: Default::default(),
        },
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        group_id: group.to_owned(),
        dead_letter_topic: None,
        own_consumer: false,
    }
}

/// What is known of `fleet` once it satisfies `enough`.
async fn until(
    reader: &LagReader<&'static str>,
    fleet: &'static str,
    enough: impl Fn(&Latest) -> bool,
) -> Latest {
    let wait = async {
        loop {
            let latest = reader.latest(&fleet).unwrap();
            if enough(&latest) {
                return latest;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(DEADLINE, wait).await {
        Ok(latest) => latest,
        Err(_) => panic!("not in time: {:?}", reader.latest(&fleet)),
    }
}

async fn offsets(
    reader: &LagReader<&'static str>,
    fleet: &'static str,
    enough: impl Fn(&Offsets) -> bool,
) -> Arc<Offsets> {
    let enough = |latest: &Latest| latest.offsets.as_deref().is_some_and(&enough);
    until(reader, fleet, enough).await.offsets.unwrap()
}

fn lags(offsets: &Offsets) -> Vec<Option<u64>> {
    let lag =
        |sample: &Option<drover::scaling::PartitionSample>| Some(sample.as_ref()?.lag().ok()?.0);
    offsets.partitions.values().map(lag).collect()
}

fn one_fleet(mock: &Mock, topics: &[&str]) -> LagReader<&'static str> {
    let reader = LagReader::new();
    reader.register(&"a", &need(&mock.bootstrap_servers(), topics, "g"));
    reader.set_pace(&"a", Pace::Close);
    reader
}

#[tokio::test]
async fn lag_counts_from_the_start_where_nothing_was_committed() {
    let mock = mock(&[("orders", 3)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "orders", &[0, 1, 2], 10);
    commit(&servers, "g", "orders", &[(1, 4, "")]);
    let reader = one_fleet(&mock, &["orders"]);
    let read = offsets(&reader, "a", |_| true).await;
    assert_eq!(lags(&read), [Some(10), Some(6), Some(10)]);
    let latest = reader.latest(&"a").unwrap();
    assert_eq!(latest.topics["orders"], TopicState::Exists(3));
    assert_eq!(latest.failure, None);
}

#[tokio::test]
async fn what_waited_before_anybody_looked_says_itself_since_when() {
    let mock = mock(&[("orders", 3)]);
    let servers = mock.bootstrap_servers();
    let now = drover::clock::now().as_millisecond();
    let (hour_ago, day_ago) = (now - 3_600_000, now - 86_400_000);
    produce_at(&servers, "orders", &[0], 10, day_ago);
    produce_at(&servers, "orders", &[1, 2], 10, hour_ago);
    commit(&servers, "g", "orders", &[(2, 10, "")]);
    let reader = one_fleet(&mock, &["orders"]);
    let oldest = |millis: i64| {
        move |read: &Offsets| {
            read.oldest
                .is_some_and(|oldest| oldest.as_millisecond() == millis)
        }
    };
    offsets(&reader, "a", oldest(day_ago)).await;
    commit(&servers, "g", "orders", &[(0, 10, "")]);
    offsets(&reader, "a", oldest(hour_ago)).await;
    // What comes now is seen coming.
    produce_at(&servers, "orders", &[0, 1, 2], 1, day_ago);
    commit(&servers, "g", "orders", &[(1, 10, "")]);
    offsets(&reader, "a", |read| read.oldest.is_none()).await;
}

#[tokio::test]
async fn reports_come_with_the_offsets_and_something_new_wakes() {
    let mock = mock(&[("orders", 2)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "orders", &[0, 1], 10);
    let reader = one_fleet(&mock, &["orders"]);
    let wakes = reader.wakes();
    assert_eq!(wakes.next().await, "a");
    let stuck = Stuck {
        offset: 4,
        attempts: 7,
        error: "HttpStatus 500".to_owned(),
    };
    let report = Report {
        pod: "pod-1".to_owned(),
        done: 40,
        busy: Duration::from_secs(2),
        slots: 4,
        stuck: Some(stuck.clone()),
        ..Report::default()
    };
    commit(
        &servers,
        "g",
        "orders",
        &[(0, 4, &report.encode(Offset(4))), (1, 9, "not ours")],
    );
    assert_eq!(
        tokio::time::timeout(DEADLINE, wakes.next()).await.unwrap(),
        "a"
    );
    let read = offsets(&reader, "a", |read| !read.pods.is_empty()).await;
    assert_eq!(lags(&read), [Some(6), Some(1)]);
    assert_eq!(read.pods["pod-1"].done, 40);
    let first = read.partitions[&TopicPartition::new("orders", 0)]
        .as_ref()
        .unwrap();
    assert_eq!(first.stuck, Some(stuck));
    assert_eq!(first.pod.as_deref(), Some("pod-1"));
}

#[tokio::test]
async fn nothing_new_wakes_nobody() {
    let mock = mock(&[("orders", 2)]);
    let reader = one_fleet(&mock, &["orders"]);
    let wakes = reader.wakes();
    assert_eq!(wakes.next().await, "a");
    let first = reader.latest(&"a").unwrap().offsets.unwrap().at;
    let again = tokio::time::timeout(Duration::from_secs(3), wakes.next()).await;
    assert!(again.is_err(), "woken although nothing changed");
    let read = offsets(&reader, "a", |_| true).await;
    assert!(read.at > first, "it was read, though");
}

#[tokio::test]
async fn two_fleets_share_one_client_until_the_last_one_goes() {
    let mock = mock(&[("orders", 2), ("users", 1)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "orders", &[0], 5);
    let reader = LagReader::new();
    reader.register(&"a", &need(&servers, &["orders"], "g1"));
    reader.register(&"b", &need(&servers, &["orders", "users"], "g2"));
    commit(&servers, "g2", "orders", &[(0, 3, "")]);
    let a = offsets(&reader, "a", |_| true).await;
    let b = offsets(&reader, "b", |read| lags(read)[0] == Some(2)).await;
    assert_eq!(lags(&a), [Some(5), Some(0)]);
    assert_eq!(lags(&b), [Some(2), Some(0), Some(0)]);
    assert_eq!((reader.numbers().clusters, reader.numbers().fleets), (1, 2));
    reader.unregister(&"a");
    assert!(reader.latest(&"a").is_none());
    assert_eq!(reader.numbers().clusters, 1);
    reader.unregister(&"b");
    assert_eq!(reader.numbers().clusters, 0);
}

#[tokio::test]
async fn a_broker_that_goes_is_a_failure_with_its_beginning_and_heals_by_itself() {
    let mock = mock(&[("orders", 1)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "orders", &[0], 3);
    let reader = one_fleet(&mock, &["orders"]);
    let read = offsets(&reader, "a", |_| true).await;
    mock.broker_down(1).unwrap();
    let broken = until(&reader, "a", |latest| latest.failure.is_some()).await;
    let failure = broken.failure.unwrap();
    assert!(
        matches!(failure.error, Error::Unreachable(_)),
        "{failure:?}"
    );
    let kept = broken.offsets.unwrap();
    assert_eq!(
        lags(&kept),
        lags(&read),
        "the last offsets stay what they were"
    );
    mock.broker_up(1).unwrap();
    let healed = until(&reader, "a", |latest| latest.failure.is_none()).await;
    assert!(healed.offsets.unwrap().at > kept.at);
    let numbers = reader.numbers();
    assert!(
        numbers.failures > 0 && numbers.requests > numbers.failures,
        "{numbers:?}"
    );
}

#[tokio::test]
async fn a_topic_that_is_missing_is_unknown_and_found_once_it_is_there() {
    let mock = mock(&[("orders", 2)]);
    let unknown = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    mock.topic_error("late", unknown).unwrap();
    let reader = one_fleet(&mock, &["orders", "late"]);
    let latest = until(&reader, "a", |latest| latest.offsets.is_some()).await;
    assert_eq!(latest.topics["late"], TopicState::Missing);
    assert_eq!(latest.failure, None, "the cluster does answer");
    // One unknown partition stands for the topic; `late` sorts before `orders`.
    assert_eq!(lags(&latest.offsets.unwrap()), [None, Some(0), Some(0)]);
    let fine = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    mock.topic_error("late", fine).unwrap();
    offsets(&reader, "a", |read| lags(read).iter().all(Option::is_some)).await;
}

/// Has the first offsets of fleet `a` written, and waits for what becomes of it.
pub async fn begin(reader: &LagReader<&'static str>, start_at: StartAt) -> Result<Start, Error> {
    loop {
        if let Some(outcome) = reader.begin(&"a", start_at, &BTreeSet::new(), || true) {
            return outcome;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_group_without_offsets_begins_where_start_at_says() {
    let mock = mock(&[("orders", 2)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "orders", &[0, 1], 8);
    for (group, start_at, lag) in [
        ("early", StartAt::Earliest, 8),
        ("late", StartAt::Latest, 0),
    ] {
        let reader = LagReader::new();
        reader.register(&"a", &need(&servers, &["orders"], group));
        let start = begin(&reader, start_at).await.unwrap();
        assert!(
            matches!(&start, Start::Written(first) if first.len() == 2),
            "{start:?}"
        );
        let committed = |read: &Offsets| {
            read.partitions
                .values()
                .flatten()
                .all(|sample| sample.committed.is_some())
        };
        let read = offsets(&reader, "a", committed).await;
        assert_eq!(lags(&read), [Some(lag), Some(lag)], "{group}");
        let again = begin(&reader, StartAt::Latest).await.unwrap();
        assert_eq!(again, Start::Resumes);
    }
}

#[tokio::test]
async fn a_group_with_any_commit_is_left_alone() {
    let mock = mock(&[("orders", 2)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "orders", &[0, 1], 8);
    commit(&servers, "g", "orders", &[(1, 2, "")]);
    let reader = one_fleet(&mock, &["orders"]);
    let start = begin(&reader, StartAt::Latest).await.unwrap();
    assert_eq!(start, Start::Resumes);
    let read = offsets(&reader, "a", |_| true).await;
    let first = read.partitions[&TopicPartition::new("orders", 0)]
        .as_ref()
        .unwrap();
    assert_eq!(first.committed, None);
}

#[tokio::test]
async fn a_property_that_librdkafka_refuses_is_a_failure_of_the_fleet() {
    let mut need = need("127.0.0.1:1", &["orders"], "g");
    need.source.properties = BTreeMap::from([("no.such".to_owned(), "1".to_owned())]);
    let reader = LagReader::new();
    reader.register(&"a", &need);
    let latest = until(&reader, "a", |latest| latest.failure.is_some()).await;
    let error = latest.failure.unwrap().error;
    assert!(
        matches!(&error, Error::Config(text) if text.contains("no.such")),
        "{error}"
    );
    assert!(begin(&reader, StartAt::Earliest).await.is_err());
}
