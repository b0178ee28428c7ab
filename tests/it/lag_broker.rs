//! Questions to a real Kafka broker: what the mock cluster does not know or does otherwise.

mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use drover::api::StartAt;
use drover::clock::Monotonic;
use drover::kafka::admin::{Admin, Error, Spec};
use drover::kafka::security::Security;
use drover::lag::{LagReader, Need, Source, Start};
use drover::topic::{Offset, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::lag::begin;
use crate::lag_admin::{commit, produce};
pub use crate::support::broker::Broker;

const TIMEOUT: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(60);

/// The broker of this process; the first caller waits until it is up. A broker that is there already
/// is used where `DROVER_BOOTSTRAP` names it.
pub fn broker() -> &'static Broker {
    static STARTED: OnceLock<Result<Broker, String>> = OnceLock::new();
    let find = || match std::env::var("DROVER_BOOTSTRAP") {
        Ok(servers) => Ok(Broker::at(servers)),
        Err(_) => Broker::start("lag", &[]),
    };
    match STARTED.get_or_init(find) {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    }
}

/// What these tests ask of it.
impl Broker {
    fn admin(&self) -> Admin {
        Admin::open(&self.servers, &BTreeMap::new()).unwrap()
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        config
    }

    /// Makes a topic of this process's own; its name is good for a group too.
    pub async fn create_topic(&self, name: &str, partitions: i32) -> String {
        let name = format!("{name}-{}", std::process::id());
        let name = name.as_str();
        let client: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let created = client.create_topics([&topic], &AdminOptions::new());
        created.await.unwrap().pop().unwrap().unwrap();
        // The broker answers before all of it knows the topic.
        let admin = self.admin();
        let topics = BTreeSet::from([name.to_owned()]);
        let began = Monotonic::start();
        while admin.partitions(&topics, TIMEOUT).await.unwrap()[name].is_err() {
            assert!(began.elapsed() < DEADLINE, "{name} does not appear");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        name.to_owned()
    }

    /// Has a topic deleted; the broker may still answer for it for a moment.
    pub async fn delete_topic(&self, name: &str) {
        let client: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        let deleted = client.delete_topics(&[name], &AdminOptions::new());
        deleted.await.unwrap().pop().unwrap().unwrap();
    }

    /// A consumer that has the partitions of `topic`, in the group of its name.
    fn joined(&self, topic: &str) -> BaseConsumer {
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", topic)
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        consumer.subscribe(&[topic]).unwrap();
        let began = Monotonic::start();
        while consumer.assignment().unwrap().count() == 0 {
            assert!(began.elapsed() < DEADLINE, "no assignment");
            consumer.poll(Duration::from_millis(50));
        }
        consumer
    }

    /// A producer whose records are written in transactions, under the name of `topic`.
    pub fn transactions(&self, topic: &str) -> BaseProducer {
        let producer: BaseProducer = self
            .config()
            .set("transactional.id", topic)
            .create()
            .unwrap();
        producer.init_transactions(TIMEOUT).unwrap();
        producer
    }

    fn need(&self, topic: &str, group: &str) -> Need {
        Need {
            source: Source {
                bootstrap_servers: self.servers.clone(),
                properties: BTreeMap::new(),
                security: Security::default(),
            },
            topics: vec![topic.to_owned()],
            group_id: group.to_owned(),
            dead_letter_topic: None,
            own_consumer: false,
        }
    }
}

/// The answer once it is not "later": a new broker first has to make its own topics. None for a
/// group that does not exist.
async fn eventually<T, F: Future<Output = Result<T, Error>>>(ask: impl Fn() -> F) -> Option<T> {
    let began = Monotonic::start();
    loop {
        match ask().await {
            Ok(answer) => return Some(answer),
            Err(Error::NoSuchGroup) => return None,
            Err(Error::Later(_) | Error::Moved) if began.elapsed() < DEADLINE => {}
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn partitions(topic: &str, count: i32) -> Vec<TopicPartition> {
    (0..count).map(|p| TopicPartition::new(topic, p)).collect()
}

#[tokio::test]
async fn a_missing_topic_is_told_apart_and_not_created_by_asking() {
    let admin = broker().admin();
    let topics = BTreeSet::from(["never-made".to_owned()]);
    for _ in 0..2 {
        let answer = admin.partitions(&topics, TIMEOUT).await.unwrap();
        assert_eq!(answer["never-made"], Err(Error::Missing));
    }
    let asked = partitions("never-made", 1);
    let ends = admin.offsets(&asked, Spec::Latest, TIMEOUT).await;
    assert!(matches!(ends, Err(Error::Later(_))), "{ends:?}");
    let answer = admin.partitions(&topics, TIMEOUT).await.unwrap();
    assert_eq!(answer["never-made"], Err(Error::Missing));
}

#[tokio::test]
async fn all_commits_of_a_group_come_without_naming_partitions() {
    let broker = broker();
    let topic = broker.create_topic("all-commits", 3).await;
    let topic = topic.as_str();
    let (servers, admin) = (&broker.servers, broker.admin());
    commit(servers, topic, topic, &[(0, 0, "a"), (2, 0, "c")]);
    let answer = admin.all_committed(topic, TIMEOUT).await.unwrap();
    let texts: Vec<_> = answer
        .into_iter()
        .map(|(p, committed)| (p.partition, committed.unwrap().metadata))
        .collect();
    assert_eq!(texts, [(0, b"a".to_vec()), (2, b"c".to_vec())]);
}

#[tokio::test]
async fn a_group_with_members_keeps_its_offsets() {
    let broker = broker();
    let topic = broker.create_topic("members", 1).await;
    let topic = topic.as_str();
    let admin = broker.admin();
    let asked = partitions(topic, 1);
    let nobody = eventually(|| admin.group(topic, TIMEOUT)).await;
    assert_eq!(nobody.map_or(0, |group| group.members.len()), 0);
    let first = BTreeMap::from([(asked[0].clone(), (Offset(0), Vec::new()))]);
    let written = admin.alter_committed(topic, &first, TIMEOUT).await.unwrap();
    assert_eq!(written[&asked[0]], Ok(()));

    let consumer = broker.joined(topic);
    let group = admin.group(topic, TIMEOUT).await.unwrap();
    assert_eq!((group.members.len(), group.state.as_str()), (1, "Stable"));
    let member = &group.members[0];
    assert_eq!(member.partitions, asked);
    assert_eq!(&*member.host, "127.0.0.1");
    assert_eq!(member.client_id, "rdkafka");
    assert!(member.id.starts_with("rdkafka-"), "{}", member.id);
    let refused = admin.alter_committed(topic, &first, TIMEOUT).await.unwrap();
    assert_eq!(refused[&asked[0]], Err(Error::GroupBusy));
    drop(consumer);
}

#[tokio::test]
async fn a_new_group_with_members_is_left_to_them() {
    let broker = broker();
    let topic = broker.create_topic("joined", 1).await;
    let topic = topic.as_str();
    let _consumer = broker.joined(topic);
    let reader = LagReader::new();
    reader.register(&"a", &broker.need(topic, topic));
    let start = begin(&reader, StartAt::Latest).await.unwrap();
    assert_eq!(start, Start::HasMembers(1));
}

/// Kafka does so a week after a group's last member has left; here somebody has its offsets deleted.
#[tokio::test]
async fn offsets_that_kafka_forgets_are_written_again_as_they_were() {
    let broker = broker();
    let topic = broker.create_topic("forgotten", 3).await;
    let topic = topic.as_str();
    produce(&broker.servers, topic, &[0, 1], 10);
    let report = "what a worker says of itself";
    let committed = [(0, 7, report), (1, 2, "")];
    commit(&broker.servers, topic, topic, &committed);
    let reader = LagReader::new();
    reader.register(&"a", &broker.need(topic, topic));
    let read = async |forgotten: bool| {
        let began = Monotonic::start();
        loop {
            let latest = reader.latest(&"a").and_then(|latest| latest.offsets);
            if let Some(offsets) = latest.filter(|offsets| offsets.forgotten == forgotten) {
                return offsets;
            }
            assert!(began.elapsed() < DEADLINE, "forgotten: {forgotten}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    read(false).await;

    let client: AdminClient<DefaultClientContext> = broker.config().create().unwrap();
    let deleted = client.delete_groups(&[topic], &AdminOptions::new());
    deleted.await.unwrap().pop().unwrap().unwrap();
    read(true).await;
    let start = begin(&reader, StartAt::Latest).await.unwrap();
    let Start::Restored(again) = start else {
        panic!("{start:?}");
    };
    let again: Vec<i64> = again.into_values().map(|offset| offset.0).collect();
    // The last partition had none: its oldest record.
    assert_eq!(again, [7, 2, 0]);
    read(false).await;
    let admin = broker.admin();
    let answer = admin.all_committed(topic, TIMEOUT).await.unwrap();
    let first = answer.into_values().next().unwrap().unwrap();
    assert_eq!(first.metadata, report.as_bytes());
}

#[tokio::test]
async fn kafka_says_which_pod_has_which_partitions_where_pods_do_not() {
    let broker = broker();
    let topic = broker.create_topic("own", 2).await;
    let topic = topic.as_str();
    produce(&broker.servers, topic, &[0, 1], 3);
    let consumer = broker.joined(topic);
    for own_consumer in [true, false] {
        let reader = LagReader::new();
        let need = Need {
            own_consumer,
            ..broker.need(topic, topic)
        };
        reader.register(&"a", &need);
        let pods = || {
            let latest = reader.latest(&"a")?.offsets?;
            let pods = latest.partitions.values();
            let pods = pods.map(|sample| sample.as_ref()?.pod.clone());
            Some(pods.collect::<Vec<_>>())
        };
        let expected = own_consumer.then(|| "127.0.0.1".to_owned());
        let began = Monotonic::start();
        while pods() != Some(vec![expected.clone(); 2]) {
            assert!(began.elapsed() < DEADLINE, "{own_consumer}: {:?}", pods());
            consumer.poll(Duration::from_millis(50));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Who they are is known of both.
        let read = reader.latest(&"a").and_then(|latest| latest.offsets);
        let members = read.unwrap().members.clone().unwrap();
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].client_id, "rdkafka");
    }
}

#[tokio::test]
async fn a_group_begins_at_a_time_and_after_the_last_record_at_the_end() {
    let broker = broker();
    let topic = broker.create_topic("times", 2).await;
    let topic = topic.as_str();
    let producer: BaseProducer = broker.config().create().unwrap();
    for number in 0..10 {
        let record = BaseRecord::<(), str>::to(topic)
            .partition(0)
            .timestamp(1_700_000_000_000 + number * 1000)
            .payload("x");
        producer.send(record).unwrap();
    }
    producer.flush(TIMEOUT).unwrap();
    let reader = LagReader::new();
    reader.register(&"a", &broker.need(topic, topic));
    let time = "2023-11-14T22:13:24.500Z".parse().unwrap();
    let start = eventually(|| begin(&reader, StartAt::Time(time)))
        .await
        .unwrap();
    let Start::Written(first) = start else {
        panic!("{start:?}");
    };
    let first: Vec<i64> = first.into_values().map(|offset| offset.0).collect();
    assert_eq!(first, [5, 0]);
}

/// A broker of its own, because it is taken away.
#[tokio::test]
async fn a_broker_that_is_killed_and_comes_back_is_read_again() {
    let broker = Broker::start("lag-killed", &[]).unwrap();
    let topic = broker.create_topic("killed", 3).await;
    let topic = topic.as_str();
    produce(&broker.servers, topic, &[0, 1], 4);
    let reader = LagReader::new();
    reader.register(&"a", &broker.need(topic, topic));
    eventually(|| begin(&reader, StartAt::Earliest)).await;
    let until = async |wanted: &str, enough: &dyn Fn(&drover::lag::Latest) -> bool| {
        let began = Monotonic::start();
        loop {
            let latest = reader.latest(&"a").unwrap();
            if enough(&latest) {
                return latest;
            }
            assert!(began.elapsed() < DEADLINE, "{wanted}: {latest:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let lag = |latest: &drover::lag::Latest| {
        let offsets = latest.offsets.as_ref()?;
        let lags = offsets
            .partitions
            .values()
            .map(|p| Some(p.as_ref()?.lag().ok()?.0));
        lags.sum::<Option<u64>>()
    };
    until("lag", &|latest| lag(latest) == Some(8)).await;
    broker.tell(&["stop", "kafka", "--kill"]).unwrap();
    let broken = until("failure", &|latest| latest.failure.is_some()).await;
    let error = broken.failure.unwrap().error;
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    // Long enough that every question of a round has timed out at least once.
    tokio::time::sleep(Duration::from_secs(12)).await;
    broker.tell(&["start", "kafka"]).unwrap();
    let healed = until("recovery", &|latest| latest.failure.is_none()).await;
    assert_eq!(lag(&healed), Some(8));
}
