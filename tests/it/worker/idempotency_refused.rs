//! The store is there, and says no to one key.

use super::idempotency::{idempotent, ids, send};
use super::kafka::{Kafka, eventually};
use super::web::{Web, ok};
use super::workers::{TOPIC, Worker};
use crate::stores::Runtime;
use crate::stores::servers::{PASSWORD, redis, redis_store};

#[test]
fn a_record_whose_key_the_store_refuses_waits_alone() {
    let server = redis(&[]);
    let password = PASSWORD.replace(' ', "%20");
    let url = format!("redis://:{password}@{}/1", server.address());
    let client = ::redis::Client::open(url).unwrap();
    let runtime = Runtime::new();
    let tell = |command: ::redis::Cmd| {
        runtime.block_on(async {
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            command.exec_async(&mut connection).await.unwrap();
        });
    };
    // Of somebody else.
    tell(::redis::Cmd::set("drover:shop.orders:id-0", "theirs"));

    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let ids = ids(200);
    for id in &ids {
        send(&kafka, 0, id);
    }
    kafka.flush();
    let _worker = Worker::start("pod-1", idempotent(&kafka, &web, &redis_store(&server)));
    web.wait_for("all but one", |seen| seen.len() == 199);
    eventually("a report of the one", || {
        let (offset, report) = kafka.committed(TOPIC, 0)?;
        assert_eq!(offset, 0);
        report.contains("IdempotencyStore").then_some(())
    });

    tell(::redis::Cmd::del("drover:shop.orders:id-0"));
    kafka.wait_for_commit(TOPIC, 0, 200);
    assert_eq!(web.seen().len(), 200);
}
