//! What lies between the commit and the end and is no record that the fleet will see.

use std::collections::BTreeMap;
use std::time::Duration;

use drover::api::StartAt;
use drover::clock::Monotonic;
use drover::kafka::admin::Spec;
use drover::lag::{LagReader, Need, Start};
use drover::topic::{Offset, TopicPartition};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, Producer};

use super::{DEADLINE, TIMEOUT, broker, partitions};
use crate::lag::begin;
use crate::lag_admin::{commit, produce};

#[tokio::test]
async fn markers_of_transactions_are_nobodys_backlog_and_open_ones_neither() {
    let broker = broker();
    let topic = broker.create_topic("transactions", 1).await;
    let topic = topic.as_str();
    let producer = broker.transactions(topic);
    let send = || {
        let record = BaseRecord::<(), str>::to(topic).partition(0).payload("x");
        producer.send(record).unwrap();
        producer.flush(TIMEOUT).unwrap();
    };
    producer.begin_transaction().unwrap();
    send();
    producer.commit_transaction(TIMEOUT).unwrap();
    let admin = broker.admin();
    let asked = partitions(topic, 1);
    let end = async || {
        let ends = admin.offsets(&asked, Spec::Latest, TIMEOUT).await.unwrap();
        ends[&asked[0]].clone().unwrap().unwrap().0
    };
    // Markers are written a little after the answer.
    let until = async |wanted: i64| {
        let began = Monotonic::start();
        while end().await != wanted {
            assert!(began.elapsed() < DEADLINE, "the end is not {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // A record and its marker: offsets 0 and 1.
    until(2).await;
    producer.begin_transaction().unwrap();
    send();
    assert_eq!(
        end().await,
        2,
        "the open transaction's record does not count"
    );
    producer.abort_transaction(TIMEOUT).unwrap();
    until(4).await;
}

/// Clients that commit the offset after each record stay before the marker behind the last one.
#[tokio::test]
async fn what_lies_between_commit_and_end_of_ones_own_consumer_is_no_lag_if_it_is_no_record() {
    let broker = broker();
    let topic = broker.create_topic("own-transactions", 2).await;
    let topic = topic.as_str();
    let producer = broker.transactions(topic);
    producer.begin_transaction().unwrap();
    for partition in 0..2 {
        let record = BaseRecord::<(), str>::to(topic)
            .partition(partition)
            .payload("x");
        producer.send(record).unwrap();
    }
    producer.flush(TIMEOUT).unwrap();
    producer.commit_transaction(TIMEOUT).unwrap();
    // One is done, the other waits.
    commit(&broker.servers, topic, topic, &[(0, 1, ""), (1, 0, "")]);
    let reader = LagReader::new();
    let need = Need {
        own_consumer: true,
        ..broker.need(topic, topic)
    };
    reader.register(&"own", &need);
    let began = Monotonic::start();
    loop {
        let latest = reader.latest(&"own").unwrap();
        let lags = latest.offsets.as_ref().map(|offsets| {
            let lag = |sample: &Option<drover::scaling::PartitionSample>| {
                Some(sample.as_ref()?.lag().ok()?.0)
            };
            offsets.partitions.values().map(lag).collect::<Vec<_>>()
        });
        if lags == Some(vec![Some(0), Some(2)]) {
            break;
        }
        assert!(began.elapsed() < DEADLINE, "{lags:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Most clients do unless they are told otherwise: their commits lie within the transaction that is open.
#[tokio::test]
async fn of_a_consumer_that_does_not_wait_for_transactions_all_that_it_may_read_is_counted() {
    let broker = broker();
    let topic = broker.create_topic("read-uncommitted", 1).await;
    let topic = topic.as_str();
    let servers = broker.servers.as_str();
    produce(servers, topic, &[0], 2);
    let producer = broker.transactions(topic);
    producer.begin_transaction().unwrap();
    let send = |count: usize| {
        for _ in 0..count {
            let record = BaseRecord::<(), str>::to(topic).partition(0).payload("x");
            producer.send(record).unwrap();
        }
        producer.flush(TIMEOUT).unwrap();
    };
    send(5);
    commit(servers, topic, topic, &[(0, 7, "")]);
    let reader = LagReader::new();
    let need = Need {
        own_consumer: true,
        ..broker.need(topic, topic)
    };
    reader.register(&"a", &need);
    // Where the partition ends, and its lag.
    let until = async |expected: (i64, u64)| {
        let began = Monotonic::start();
        loop {
            let latest = reader.latest(&"a").unwrap();
            let sample = latest.offsets.as_ref().and_then(|offsets| {
                let sample = offsets.partitions.values().next()?.as_ref()?;
                Some((sample.end.0, sample.lag().ok()?.0))
            });
            if sample == Some(expected) {
                break;
            }
            assert!(began.elapsed() < DEADLINE, "not {expected:?}: {latest:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until((7, 0)).await;
    send(3);
    until((10, 3)).await;
    commit(servers, topic, topic, &[(0, 9, "")]);
    until((10, 1)).await;

    // Kafka forgets what a group without members has committed: it goes on from there, be the transaction still open.
    let client: AdminClient<DefaultClientContext> = broker.config().create().unwrap();
    let deleted = client.delete_groups(&[topic], &AdminOptions::new());
    deleted.await.unwrap().pop().unwrap().unwrap();
    let began = Monotonic::start();
    let is_forgotten = || Some(reader.latest(&"a")?.offsets?.forgotten);
    while is_forgotten() != Some(true) {
        assert!(began.elapsed() < DEADLINE, "it is not seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let start = begin(&reader, StartAt::Latest).await.unwrap();
    let place = BTreeMap::from([(TopicPartition::new(topic, 0), Offset(9))]);
    assert_eq!(start, Start::Restored(place));
    until((10, 1)).await;

    // The last record is done, and then comes the transaction's marker.
    commit(servers, topic, topic, &[(0, 10, "")]);
    until((10, 0)).await;
    producer.commit_transaction(TIMEOUT).unwrap();
    until((11, 0)).await;
}
