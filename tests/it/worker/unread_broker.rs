//! The same with a real broker: records that are broken on its disk, a topic that is made anew.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use drover::report::{Report, unread};
use drover::topic::Offset;
use drover::worker_config::WorkerConfig;
use rdkafka::admin::{AdminClient, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset as Position, TopicPartitionList};

use super::kafka::{DEADLINE, Kafka, eventually};
use super::web::{Web, ok, tally};
use super::workers::{Worker, config};
use crate::lag_broker::{Broker, broker};

struct Topic {
    broker: &'static Broker,
    name: String,
    observer: BaseConsumer,
}

impl Topic {
    fn new(name: &str) -> Self {
        let broker = broker();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let name = runtime.block_on(broker.create_topic(name, 1));
        let observer = ClientConfig::new()
            .set("bootstrap.servers", &broker.servers)
            .set("group.id", &name)
            .create()
            .unwrap();
        Self {
            broker,
            name,
            observer,
        }
    }

    /// Each value in a batch of its own.
    fn produce(&self, values: &[&str]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.broker.servers)
            .create()
            .unwrap();
        for value in values {
            let record = BaseRecord::<(), str>::to(&self.name).payload(value);
            producer.send(record.partition(0)).unwrap();
            producer.flush(DEADLINE).unwrap();
        }
    }

    fn committed(&self) -> Option<(i64, Option<Report>)> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.name, 0);
        let list = self
            .observer
            .committed_offsets(list, Duration::from_secs(10))
            .ok()?;
        let element = list.find_partition(&self.name, 0)?;
        let Position::Offset(offset) = element.offset() else {
            return None;
        };
        let report = Report::decode(element.metadata(), Offset(offset)).ok();
        Some((offset, report))
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

    fn config(&self, web: &Web) -> WorkerConfig {
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
    let _worker = Worker::start("pod-1", topic.config(&web));

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
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(&topic.name, 0);
    element.set_offset(Position::Offset(2)).unwrap();
    element.set_metadata(left.encode(Offset(2)));
    eventually("the offsets of the old one", || {
        let sync = rdkafka::consumer::CommitMode::Sync;
        topic.observer.commit(&list, sync).ok()
    });
    let web = Web::start(|_| ok());
    let worker = Worker::start("pod-2", topic.config(&web));
    topic.wait_for(2, Some(unread::TOPIC_RECREATED));
    assert!(worker.stop().is_ok());
    // Whoever comes next finds it again.
    let _worker = Worker::start("pod-3", topic.config(&web));
    topic.wait_for(2, Some(unread::TOPIC_RECREATED));
    assert!(web.seen().is_empty());
}

#[test]
fn a_topic_that_is_made_anew_under_a_worker_is_read_whole_or_told() {
    let topic = Topic::new("replaced");
    topic.produce(&["old-1", "old-2"]);
    let web = Web::start(|_| ok());
    let _worker = Worker::start("pod-1", topic.config(&web));
    topic.wait_for(2, None);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &topic.broker.servers)
        .create()
        .unwrap();
    let deleted = admin.delete_topics(&[&topic.name], &Default::default());
    runtime.block_on(deleted).unwrap().pop().unwrap().unwrap();
    eventually("the topic anew", || {
        let anew = NewTopic::new(&topic.name, 1, TopicReplication::Fixed(1));
        let created = admin.create_topics([&anew], &Default::default());
        runtime.block_on(created).ok()?.pop()?.ok()
    });
    topic.produce(&["new-1", "new-2", "new-3", "new-4"]);
    // librdkafka reads on in the new topic where it was in the old one; that is noticed soon.
    eventually("all of the new topic, or a word", || {
        let seen = tally(&web.seen());
        let all = (1..=4).all(|n| seen.contains_key(&format!("new-{n}")));
        let told = topic.committed().and_then(|(_, report)| report?.stuck);
        (all || told
            .is_some_and(|stuck| unread::ALL.contains(&stuck.error.split(' ').next().unwrap())))
        .then_some(())
    });
}
