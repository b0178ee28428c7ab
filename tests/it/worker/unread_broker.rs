//! The same with a real broker: records that are broken on its disk, a topic that is made anew or that
//! gets more partitions.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use drover::report::{Report, unread};
use drover::topic::Offset;
use drover::worker_config::{GroupProtocol, WorkerConfig};
use rdkafka::admin::{AdminClient, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset as Position, TopicPartitionList};

use super::kafka::{DEADLINE, Kafka, eventually};
use super::web::{Web, ok, tally};
use super::workers::{Worker, config};
use crate::lag_broker::{Broker, broker};

/// A topic of the real broker's.
pub struct Topic {
    broker: &'static Broker,
    name: String,
    observer: BaseConsumer,
}

impl Topic {
    /// With a group of its name.
    pub fn new(name: &str) -> Self {
        Self::of_group(name, None)
    }

    fn of_group(name: &str, group: Option<&str>) -> Self {
        let broker = broker();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let name = runtime.block_on(broker.create_topic(name, 1));
        let observer = ClientConfig::new()
            .set("bootstrap.servers", &broker.servers)
            .set("group.id", group.unwrap_or(&name))
            .create()
            .unwrap();
        Self {
            broker,
            name,
            observer,
        }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.broker.servers)
            .create()
            .unwrap()
    }

    /// Has it have `count` partitions.
    pub fn grow(&self, count: usize) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let admin = self.admin();
        let more = NewPartitions::new(&self.name, count);
        let grown = admin.create_partitions([&more], &Default::default());
        runtime.block_on(grown).unwrap().pop().unwrap().unwrap();
        eventually("the partitions that were added", || {
            let name = Some(self.name.as_str());
            let metadata = self.observer.fetch_metadata(name, DEADLINE).ok()?;
            let topic = metadata.topics().first()?;
            let led = topic.partitions().iter().filter(|p| p.leader() >= 0);
            (led.count() == count).then_some(())
        });
    }

    /// Deletes it and creates it again.
    fn make_anew(&self) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let admin = self.admin();
        let deleted = admin.delete_topics(&[&self.name], &Default::default());
        runtime.block_on(deleted).unwrap().pop().unwrap().unwrap();
        eventually("the topic anew", || {
            let anew = NewTopic::new(&self.name, 1, TopicReplication::Fixed(1));
            let created = admin.create_topics([&anew], &Default::default());
            runtime.block_on(created).ok()?.pop()?.ok()
        });
    }

    /// Sets the group's offset, as tools do.
    fn set_offset(&self, offset: i64, metadata: &str) {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&self.name, 0);
        element.set_offset(Position::Offset(offset)).unwrap();
        element.set_metadata(metadata);
        eventually("the offset to be taken", || {
            self.observer.commit(&list, CommitMode::Sync).ok()
        });
    }

    /// The first word of what the group's report says is stuck.
    fn said(&self) -> Option<String> {
        let stuck = self.committed()?.1?.stuck?;
        stuck.error.split(' ').next().map(str::to_owned)
    }

    /// Each value in a batch of its own.
    fn produce(&self, values: &[&str]) {
        self.produce_to(0, values);
    }

    pub fn produce_to(&self, partition: i32, values: &[&str]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.broker.servers)
            .create()
            .unwrap();
        for value in values {
            let record = BaseRecord::<(), str>::to(&self.name).payload(value);
            producer.send(record.partition(partition)).unwrap();
            producer.flush(DEADLINE).unwrap();
        }
    }

    pub fn committed(&self) -> Option<(i64, Option<Report>)> {
        self.committed_of(0)
    }

    pub fn committed_of(&self, partition: i32) -> Option<(i64, Option<Report>)> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.name, partition);
        let list = self
            .observer
            .committed_offsets(list, Duration::from_secs(10))
            .ok()?;
        let element = list.find_partition(&self.name, partition)?;
        let Position::Offset(offset) = element.offset() else {
            return None;
        };
        let report = Report::decode(element.metadata(), Offset(offset)).ok();
        Some((offset, report))
    }

    /// The group waits for its members to join.
    pub fn is_rebalancing(&self) -> bool {
        let groups = self.observer.fetch_group_list(Some(&self.name), DEADLINE);
        groups.is_ok_and(|groups| {
            let mut groups = groups.groups().iter();
            groups.any(|group| group.state() == "PreparingRebalance")
        })
    }

    /// Waits until the report speaks of `class`, or of nothing; gives the committed offset.
    #[track_caller]
    fn wait_for(&self, offset: i64, class: Option<&str>) {
        eventually(&format!("{class:?} at {offset}"), || {
            let (at, report) = self.committed()?;
            assert!(at <= offset, "committed at {at}, beyond {offset}");
            let stuck = report?.stuck;
            let said = match (class, &stuck) {
                (Some(class), Some(stuck)) => stuck.error.starts_with(class),
                (None, None) => true,
                _ => false,
            };
            (at == offset && said).then_some(())
        });
    }

    /// The only segment of the log, on the broker's disk.
    fn segment(&self) -> PathBuf {
        let folders = std::fs::read_dir(&self.broker.folder).unwrap();
        let logs = folders.map(|folder| {
            let data = folder.unwrap().path().join("data");
            data.join(format!("{}-0", self.name))
                .join("00000000000000000000.log")
        });
        logs.into_iter().find(|log| log.exists()).unwrap()
    }

    /// Changes `from` to `to` on the broker's disk.
    fn damage(&self, from: &str, to: &str) {
        let segment = self.segment();
        let bytes = std::fs::read(&segment).unwrap();
        let at = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(segment);
        let place = u64::try_from(at).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file.unwrap(), to.as_bytes(), place).unwrap();
    }

    pub fn config(&self, web: &Web) -> WorkerConfig {
        // The mock only lends its settings.
        let config = config(&Kafka::with_topic("unused", 1), web);
        WorkerConfig {
            bootstrap_servers: self.broker.servers.clone(),
            group_id: self.name.clone(),
            topics: vec![self.name.clone()],
            ..config
        }
    }
}

#[test]
fn a_batch_that_is_broken_on_the_brokers_disk_is_waited_for_and_not_jumped_over() {
    let topic = Topic::new("broken");
    let values = [
        "first-record",
        "second-record",
        "third-record",
        "fourth-record",
    ];
    topic.produce(&values);
    topic.damage("second-record", "sXcond-record");
    let web = Web::start(|_| ok());
    let _worker = Worker::in_pod("pod-1", topic.config(&web));

    topic.wait_for(1, Some(unread::UNREADABLE));
    assert_eq!(
        tally(&web.seen()).into_keys().collect::<Vec<_>>(),
        ["first-record"]
    );
    topic.damage("sXcond-record", "second-record");
    topic.wait_for(4, None);
    let seen = tally(&web.seen());
    let once = values.map(|value| (value.to_owned(), 1));
    assert_eq!(seen, BTreeMap::from(once));
}

#[test]
fn offsets_of_a_topic_that_was_made_anew_are_not_taken_for_its_own() {
    let topic = Topic::new("anew");
    topic.produce(&["new-1", "new-2", "new-3", "new-4"]);
    // As a restored or mirrored group has them, or one that committed while the topic was replaced.
    let left = Report {
        pod: "pod-1".to_owned(),
        topic_id: Some("the-id-of-the-old-one".to_owned()),
        ..Report::default()
    };
    topic.set_offset(2, &left.encode(Offset(2)));
    let web = Web::start(|_| ok());
    let worker = Worker::in_pod("pod-2", topic.config(&web));
    topic.wait_for(2, Some(unread::TOPIC_RECREATED));
    assert!(worker.stop().is_ok());
    // Whoever comes next finds it again.
    let _worker = Worker::in_pod("pod-3", topic.config(&web));
    topic.wait_for(2, Some(unread::TOPIC_RECREATED));
    assert!(web.seen().is_empty());
}

#[test]
fn a_topic_that_is_made_anew_under_a_worker_is_read_whole_or_told() {
    let topic = Topic::new("replaced");
    topic.produce(&["old-1", "old-2"]);
    let web = Web::start(|_| ok());
    let _worker = Worker::in_pod("pod-1", topic.config(&web));
    topic.wait_for(2, None);

    topic.make_anew();
    topic.produce(&["new-1"]);
    eventually("all of the new topic, or a word", || {
        let all = tally(&web.seen()).contains_key("new-1");
        let told = topic.said();
        (all || told.is_some_and(|said| unread::ALL.contains(&&*said))).then_some(())
    });
}

#[test]
fn a_topic_that_is_made_anew_with_fewer_partitions_keeps_no_others_commits_back() {
    let shrunk = Topic::new("shrunk");
    shrunk.grow(3);
    let other = Topic::of_group("shrunk-beside", Some(&shrunk.name));
    for partition in 0..3 {
        shrunk.produce_to(partition, &["old"]);
    }
    other.produce(&["before"]);
    let web = Web::start(|_| ok());
    let mut config = shrunk.config(&web);
    config.topics.push(other.name.clone());
    let drain_deadline = config.drain_deadline;
    let worker = Worker::in_pod("pod-1", config);
    shrunk.wait_for(1, None);
    other.wait_for(1, None);

    shrunk.make_anew();
    other.produce(&["after-1", "after-2"]);
    other.wait_for(3, None);
    // It has nothing to wait for but what can be committed.
    let began = drover::clock::Monotonic::start();
    assert!(worker.stop().is_ok());
    assert!(began.elapsed() < drain_deadline, "{:?}", began.elapsed());
}

#[test]
fn partitions_that_are_added_are_read_from_their_first_record() {
    let topic = Topic::new("grown");
    topic.produce(&["before"]);
    let web = Web::start(|_| ok());
    let mut config = topic.config(&web);
    let soon = ("topic.metadata.refresh.interval.ms", "500");
    config
        .properties
        .insert(soon.0.to_owned(), soon.1.to_owned());
    let worker = Worker::in_pod("pod-1", config);
    topic.wait_for(1, None);

    // They have records before any worker knows of them.
    topic.grow(3);
    topic.produce_to(1, &["added-1", "added-2"]);
    topic.produce_to(2, &["added-3"]);
    topic.produce(&["after"]);
    let seen = web.wait_for("all of them", |seen| seen.len() >= 5);
    assert!(worker.stop().is_ok());
    let values = ["before", "added-1", "added-2", "added-3", "after"];
    assert_eq!(
        tally(&seen),
        values.map(|value| (value.to_owned(), 1)).into()
    );
}

#[test]
fn a_topic_that_outgrows_its_predecessor_at_once_is_never_read_from_its_middle() {
    a_dozen_topics_are_replaced("outgrown", GroupProtocol::Classic);
}

#[test]
fn nor_is_it_by_the_consumer_protocol() {
    a_dozen_topics_are_replaced("outgrown-by-consumer", GroupProtocol::Consumer);
}

/// Each is replaced at another moment of the client's requests.
fn a_dozen_topics_are_replaced(name: &str, protocol: GroupProtocol) {
    const RECORDS: usize = 6;
    let first = Topic::new(&format!("{name}-0"));
    let group = first.name.clone();
    let others = (1..12).map(|n| Topic::of_group(&format!("{name}-{n}"), Some(&group)));
    let topics: Vec<Topic> = std::iter::once(first).chain(others).collect();
    let values = |topic: &Topic, age: &str, count| {
        let value = |number| format!("{} {age} {number}", topic.name);
        (0..count).map(value).collect::<Vec<_>>()
    };
    let produce = |topic: &Topic, age: &str, count| {
        let values = values(topic, age, count);
        topic.produce(&values.iter().map(String::as_str).collect::<Vec<_>>());
    };
    for topic in &topics {
        produce(topic, "old", RECORDS / 2);
    }
    let web = Web::start(|_| ok());
    let mut config = WorkerConfig {
        topics: topics.iter().map(|topic| topic.name.clone()).collect(),
        group_protocol: protocol,
        ..topics[0].config(&web)
    };
    if protocol == GroupProtocol::Consumer {
        config.properties.remove("session.timeout.ms");
        config.properties.remove("heartbeat.interval.ms");
    }
    let worker = Worker::in_pod("pod-1", config.clone());
    for topic in &topics {
        topic.wait_for(3, None);
    }

    let handled = |topic: &Topic| {
        let seen = tally(&web.seen());
        let new = values(topic, "new", RECORDS).into_iter();
        new.filter(|value| seen.contains_key(value)).count()
    };
    for topic in &topics {
        topic.make_anew();
        produce(topic, "new", RECORDS);
    }
    for topic in &topics {
        eventually("all of the new topic, or a word", || {
            let told = topic.said().as_deref() == Some(unread::TOPIC_RECREATED);
            (told || handled(topic) == RECORDS).then_some(())
        });
    }
    // Nothing is passed over: what was not begun with stays where it is, whoever comes.
    assert!(worker.stop().is_ok());
    let worker = Worker::in_pod("pod-2", config.clone());
    let mut stopped = Vec::new();
    for topic in &topics {
        if handled(topic) < RECORDS {
            topic.wait_for(3, Some(unread::TOPIC_RECREATED));
            assert_eq!(handled(topic), 0, "{}", topic.name);
            stopped.push(topic);
        }
    }
    assert!(worker.stop().is_ok());

    // The user's word.
    for topic in stopped {
        topic.set_offset(0, "");
    }
    let _worker = Worker::in_pod("pod-3", config);
    for topic in &topics {
        eventually("all of the new topic", || {
            (handled(topic) == RECORDS).then_some(())
        });
    }
}
