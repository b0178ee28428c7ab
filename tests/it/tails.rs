//! The watch over the ends of partitions, on librdkafka's mock cluster. (It lets a read wait for its
//! whole time, so what a real broker tells at once comes here within some seconds.)

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use drover::kafka::security::Security;
use drover::kafka::tails::{Ends, READ, Tails};
use drover::lag::{LagReader, Need, Pace, Source};
use drover::topic::{Offset, TopicPartition};

use crate::lag_admin::{Mock, commit, mock, produce};

const DEADLINE: Duration = Duration::from_secs(60);

fn watch(mock: &Mock) -> (Tails, Receiver<TopicPartition>) {
    let (sender, arrivals) = channel();
    let arrived = move |partition| sender.send(partition).unwrap();
    let tails = Tails::open(
        &mock.bootstrap_servers(),
        &BTreeMap::new(),
        &Security::default(),
        arrived,
    )
    .unwrap();
    (tails, arrivals)
}

fn ends(ends: &[(i32, i64)]) -> Ends {
    let named = |&(partition, end)| (TopicPartition::new("orders", partition), Offset(end));
    ends.iter().map(named).collect()
}

#[test]
fn what_arrives_is_told_once_until_it_is_watched_again() {
    let mock = mock(&[("orders", 3)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "orders", &[0, 1, 2], 10);
    let (tails, arrivals) = watch(&mock);
    tails.watch(ends(&[(0, 10), (1, 10)]));
    // Partition 2 is not watched, and 0 stays as it is.
    produce(&servers, "orders", &[1, 2], 5);
    let first = arrivals.recv_timeout(DEADLINE).unwrap();
    assert_eq!(first, TopicPartition::new("orders", 1));
    let again = arrivals.recv_timeout(READ + READ / 2);
    assert_eq!(again, Err(RecvTimeoutError::Timeout));

    tails.watch(ends(&[(0, 10), (1, 15)]));
    produce(&servers, "orders", &[0, 1], 1);
    let mut both = [(); 2].map(|()| arrivals.recv_timeout(DEADLINE).unwrap().partition);
    both.sort_unstable();
    assert_eq!(both, [0, 1]);
}

#[test]
fn a_watch_ends_with_its_owner() {
    let mock = mock(&[("orders", 1)]);
    let (tails, arrivals) = watch(&mock);
    tails.watch(ends(&[(0, 0)]));
    drop(tails);
    // The thread has gone, and what it told with is gone too.
    assert_eq!(
        arrivals.recv_timeout(DEADLINE),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[tokio::test]
async fn a_sleeping_fleet_is_woken_by_what_arrives_and_sleeps_again() {
    let mock = mock(&[("orders", 2)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "orders", &[0, 1], 3);
    commit(&servers, "g", "orders", &[(0, 3, ""), (1, 3, "")]);
    let reader = LagReader::new();
    let need = Need {
        source: Source {
            bootstrap_servers: servers.clone(),
            properties: BTreeMap::new(),
            security: Security::default(),
        },
        topics: vec!["orders".to_owned()],
        group_id: "g".to_owned(),
        dead_letter_topic: None,
        own_consumer: false,
    };
    reader.register(&"a", &need);
    let wakes = reader.wakes();
    assert_eq!(wakes.next().await, "a");
    for round in 1..=2_u64 {
        reader.set_pace(&"a", Pace::Asleep);
        let end = 3 + 2 * round as i64;
        produce(&servers, "orders", &[1], 2);
        tokio::time::timeout(DEADLINE, async {
            loop {
                let offsets = reader.latest(&"a").unwrap().offsets.unwrap();
                let second = offsets.partitions.values().nth(1).unwrap().as_ref();
                if second.is_some_and(|second| second.end == Offset(end)) {
                    break;
                }
                wakes.next().await;
            }
        })
        .await
        .expect("woken in time");
        reader.set_pace(&"a", Pace::Close);
        commit(&servers, "g", "orders", &[(1, end, "")]);
    }
}
