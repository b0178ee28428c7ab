//! What a storm asks of Kafka: topics, records, dead letters, and every commit that a group made.

use std::collections::BTreeMap;
use std::time::Duration;

use drover::report::Report;
use drover::topic::Offset as Place;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::history::{self, Commit, DeadLetter, Record};
use crate::wait::{DEADLINE, eventually};

const TIMEOUT: Duration = Duration::from_secs(20);
/// Kafka's own topic of commits.
const COMMITS: &str = "__consumer_offsets";

/// A topic and the group that reads it, which has its name; its dead letters go to `NAME.dlq`.
pub struct Topic {
    servers: String,
    pub name: String,
    pub partitions: i32,
    copies: i32,
    observer: BaseConsumer,
    producer: ThreadedProducer<DefaultProducerContext>,
}

fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

impl Topic {
    /// Makes the topic; its name is of this process's own. `copies` as many as there are brokers.
    pub fn create(servers: &str, name: &str, partitions: i32, copies: i32) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let topic = Self {
            servers: servers.to_owned(),
            observer: client(servers).set("group.id", &name).create().unwrap(),
            producer: client(servers)
                .set("enable.idempotence", "true")
                .set("linger.ms", "2")
                .set("queue.buffering.max.messages", "1000000")
                .set("message.timeout.ms", "120000")
                .create()
                .unwrap(),
            name,
            partitions,
            copies,
        };
        topic.make(&topic.name, partitions, &[]);
        topic
    }

    /// The topic of dead letters.
    pub fn dead(&self) -> String {
        format!("{}.dlq", self.name)
    }

    /// Makes the topic of dead letters. The broker writes its own time into each: what a copy says
    /// of its record's time is of no use here.
    pub fn make_dead(&self, settings: &[(&str, &str)]) {
        let settings = [&[("message.timestamp.type", "LogAppendTime")], settings].concat();
        self.make(&self.dead(), 4, &settings);
    }

    pub fn make(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = client(&self.servers).create().unwrap();
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(self.copies));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        // A broker that has just begun may not count among those that copies are kept on.
        eventually("a broker that takes the new topic", || {
            let made = admin.create_topics([&topic], &AdminOptions::new());
            match futures::executor::block_on(made).ok()?.remove(0) {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Some(()),
                Err(_) => None,
            }
        });
        eventually("the new topic", || {
            let metadata = self.observer.fetch_metadata(Some(name), TIMEOUT).ok()?;
            let made = metadata.topics()[0].partitions();
            let led = made.iter().all(|p| p.leader() >= 0 && p.error().is_none());
            (led && made.len() == usize::try_from(partitions).unwrap()).then_some(())
        });
    }

    /// Changes a setting of a topic, and nothing else of it.
    pub fn set(&self, name: &str, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = client(&self.servers).create().unwrap();
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (key, value) in settings {
            change = change.set(key, value);
        }
        let changed = admin.alter_configs([&change], &AdminOptions::new());
        futures::executor::block_on(changed)
            .unwrap()
            .remove(0)
            .unwrap();
    }

    /// Produces records `from..to`, spread over keys and partitions, and waits until all are there.
    /// Each tenth has no key.
    pub fn produce(&self, from: usize, to: usize, keys: usize) {
        self.produce_but(from, to, keys, |number| number % 10 == 9);
    }

    /// The same, with a key for all but those that are `keyless`.
    pub fn produce_but(
        &self,
        from: usize,
        to: usize,
        keys: usize,
        keyless: impl Fn(usize) -> bool,
    ) {
        let partitions = usize::try_from(self.partitions).unwrap();
        for number in from..to {
            let key = format!("key-{}", number % keys);
            let partition = i32::try_from(number % keys % partitions).unwrap();
            let value = number.to_string();
            let record: BaseRecord<'_, str, str> = BaseRecord::to(&self.name)
                .partition(partition)
                .payload(&value);
            let keyed = if keyless(number) {
                record
            } else {
                record.key(&key)
            };
            self.producer
                .send(keyed)
                .map_err(|(error, _)| error)
                .unwrap();
        }
        self.producer.flush(DEADLINE).unwrap();
    }

    /// The group's committed offset of each partition that has one.
    pub fn committed(&self) -> Option<BTreeMap<i32, i64>> {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.name, 0, self.partitions - 1);
        let list = self.observer.committed_offsets(list, TIMEOUT).ok()?;
        let known = list.elements().into_iter().filter_map(|element| {
            let Offset::Offset(offset) = element.offset() else {
                return None;
            };
            Some((element.partition(), offset))
        });
        Some(known.collect())
    }

    /// Where each partition of a topic ends.
    pub fn ends(&self, name: &str, partitions: i32) -> Option<BTreeMap<i32, i64>> {
        let end = |partition| {
            let (_, high) = self
                .observer
                .fetch_watermarks(name, partition, TIMEOUT)
                .ok()?;
            Some((partition, high))
        };
        (0..partitions).map(end).collect()
    }

    /// Waits until a partition ends at `end`, as far as transactions are over: a marker is written a
    /// little after the answer.
    #[track_caller]
    pub fn wait_for_end(&self, partition: i32, end: i64) {
        eventually("the end of the log", || {
            let ends = self.ends(&self.name, self.partitions)?;
            (ends[&partition] == end).then_some(())
        });
    }

    /// Waits until the group has committed all there is.
    #[track_caller]
    pub fn wait_until_all_is_committed(&self) {
        eventually("everything committed", || {
            let mut ends = self.ends(&self.name, self.partitions)?;
            ends.retain(|_, end| *end > 0);
            (self.committed()? == ends).then_some(())
        });
    }

    /// All records of the topic.
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        self.read(&self.name, self.partitions, |message| {
            records.push(Record {
                place: place(message.partition(), message.offset()),
                key: message
                    .key()
                    .map(|key| String::from_utf8(key.to_vec()).unwrap()),
            });
        });
        records
    }

    /// All dead letters.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let mut letters = Vec::new();
        self.read(&self.dead(), 4, |message| {
            let headers = message.headers().unwrap();
            let number = |name: &str| -> i64 {
                let header = headers.iter().find(|header| header.key == name).unwrap();
                std::str::from_utf8(header.value.unwrap())
                    .unwrap()
                    .parse()
                    .unwrap()
            };
            let partition = i32::try_from(number("drover-dlq-partition")).unwrap();
            letters.push(DeadLetter {
                of: place(partition, number("drover-dlq-offset")),
                at: message.timestamp().to_millis().unwrap() * 1000,
            });
        });
        letters
    }

    /// Every commit of the group, as Kafka keeps it.
    pub fn commits(&self) -> Vec<Commit> {
        let metadata = self
            .observer
            .fetch_metadata(Some(COMMITS), TIMEOUT)
            .unwrap();
        let partitions = i32::try_from(metadata.topics()[0].partitions().len()).unwrap();
        let mut commits = Vec::new();
        self.read(COMMITS, partitions, |message| {
            let (Some(key), Some(value)) = (message.key(), message.payload()) else {
                return; // a tombstone
            };
            let mut key = Bytes(key);
            if key.number(2) > 1 {
                return; // of a group, not of an offset
            }
            let (group, topic) = (key.text(), key.text());
            let partition = i32::try_from(key.number(4)).unwrap();
            if group == self.name && topic == self.name {
                commits.push(commit(partition, Bytes(value)));
            }
        });
        commits
    }

    /// Reads all that a topic has at present.
    fn read(&self, name: &str, partitions: i32, mut see: impl FnMut(&BorrowedMessage<'_>)) {
        let reader: BaseConsumer = client(&self.servers)
            .set("group.id", format!("{}-reader", self.name))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(name, partition, Offset::Beginning)
                .unwrap();
        }
        reader.assign(&list).unwrap();
        let mut at_end = 0;
        while at_end < partitions {
            let next = eventually("the next record", || {
                reader.poll(Duration::from_millis(100))
            });
            match next {
                Ok(message) => see(&message),
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => at_end += 1,
                Err(error) => eprintln!("read {name}: {error}"),
            }
        }
    }
}

fn place(partition: i32, offset: i64) -> history::Place {
    history::Place { partition, offset }
}

/// Kafka's `OffsetCommitValue`.
fn commit(partition: i32, mut value: Bytes<'_>) -> Commit {
    let version = value.number(2);
    let offset = value.number(8);
    if version >= 3 {
        value.number(4); // the leader's epoch
    }
    let metadata = match version {
        0..=3 => value.text(),
        4 => value.compact_text(),
        other => panic!("commits of version {other} are not known here"),
    };
    let at = value.number(8) * 1000;
    let report = Report::decode(&metadata, Place(offset)).ok();
    let tries = report.iter().flat_map(|report| &report.tries);
    let tries = tries.map(|tries| (tries.offset, tries.attempts)).collect();
    let pod = report
        .as_ref()
        .and_then(|report| report.pod.strip_prefix("pod-"));
    Commit {
        pod: pod.and_then(|number| number.parse().ok()),
        partition,
        offset,
        tries,
        ahead: report.map(|report| report.ahead).unwrap_or_default(),
        at,
    }
}

/// Kafka's own records, from front to back.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    /// A signed number of `bytes` bytes.
    fn number(&mut self, bytes: usize) -> i64 {
        let taken = self.take(bytes);
        let first = i64::from(taken[0].cast_signed());
        taken[1..]
            .iter()
            .fold(first, |number, byte| number << 8 | i64::from(*byte))
    }

    fn text(&mut self) -> String {
        let length = usize::try_from(self.number(2)).unwrap();
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }

    fn compact_text(&mut self) -> String {
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let byte = self.take(1)[0];
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        String::from_utf8(self.take(length - 1).to_vec()).unwrap()
    }
}
