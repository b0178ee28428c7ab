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
    let key = format!("drover:shop.orders:{TOPIC}:header:id-0");
    // Of somebody else.
    let mut set = ::redis::cmd("SET");
    set.arg(&key).arg("theirs");
    tell(set);

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

    let mut del = ::redis::cmd("DEL");
    del.arg(&key);
    tell(del);
    kafka.wait_for_commit(TOPIC, 0, 200);
    assert_eq!(web.seen().len(), 200);
}
