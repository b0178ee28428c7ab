//! What cannot be read is named, holds its own partition, and is never jumped over.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use drover::report::{Report, unread};
use drover::topic::Offset;

use super::kafka::{Kafka, eventually};
use super::web::{Web, ok, tally};
use super::workers::{TOPIC, Worker, config, texts};

/// A batch of one record, in Kafka's format 2, with a checksum that is wrong.
fn batch_with_wrong_checksum(value: &[u8]) -> Vec<u8> {
    // attributes, timestamp and offset delta, no key, value, no headers.
    let length = i8::try_from(value.len()).unwrap();
    let mut record = vec![0, 0, 0, 1, u8::try_from(length * 2).unwrap()];
    record.extend(value);
    record.push(0);
    let mut rest = Vec::new();
    rest.extend(0_i16.to_be_bytes()); // attributes: not compressed
    rest.extend(0_i32.to_be_bytes()); // the last record's delta
    rest.extend([0; 16]); // timestamps
    rest.extend([0xff; 14]); // no producer
    rest.extend(1_i32.to_be_bytes()); // records
    rest.push(u8::try_from(record.len() * 2).unwrap());
    rest.extend(record);
    let mut batch = 0_i64.to_be_bytes().to_vec();
    batch.extend(i32::try_from(9 + rest.len()).unwrap().to_be_bytes());
    batch.extend([0, 0, 0, 0, 2]); // leader epoch, format
    batch.extend(0x0bad_0bad_u32.to_be_bytes());
    batch.extend(rest);
    batch
}

/// Produces raw bytes, as no client would.
fn produce_raw(servers: &str, topic: &str, batch: &[u8]) {
    let mut request = Vec::new();
    request.extend([0, 0, 0, 7]); // Produce, version 7
    request.extend(1_i32.to_be_bytes());
    request.extend((-1_i16).to_be_bytes()); // no client id
    request.extend((-1_i16).to_be_bytes()); // no transaction
    request.extend(1_i16.to_be_bytes()); // acks
    request.extend(10_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
    request.extend(topic.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(0_i32.to_be_bytes()); // partition
    request.extend(i32::try_from(batch.len()).unwrap().to_be_bytes());
    request.extend(batch);
    let mut stream = TcpStream::connect(servers).unwrap();
    let length = i32::try_from(request.len()).unwrap();
    stream.write_all(&length.to_be_bytes()).unwrap();
    stream.write_all(&request).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer).unwrap();
    // Correlation id, one topic, its name, one partition, its number: then the error.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[at..at + 2], [0, 0], "{answer:?}");
}

/// The report of a stuck record, once `committed` is so and it speaks of `class`.
#[track_caller]
fn stuck(kafka: &Kafka, committed: i64, class: &str) -> drover::report::Stuck {
    eventually(&format!("a report of {class} at {committed}"), || {
        let (offset, metadata) = kafka.committed(TOPIC, 0)?;
        assert!(offset <= committed, "committed at {offset}");
        let stuck = Report::decode(&metadata, Offset(offset)).ok()?.stuck?;
        (offset == committed && stuck.error.starts_with(class)).then_some(stuck)
    })
}

#[test]
fn a_record_with_a_wrong_checksum_stalls_its_partition_and_nothing_gets_past_it() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("before", 4));
    produce_raw(&kafka.servers, TOPIC, &batch_with_wrong_checksum(b"broken"));
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("behind", 4));
    kafka.produce(TOPIC, 1, &["c"], &texts("beside", 4));
    let web = Web::start(|_| ok());
    let worker = Worker::start("pod-1", config(&kafka, &web));

    let stuck = stuck(&kafka, 4, unread::UNREADABLE);
    assert_eq!((stuck.offset, stuck.attempts), (4, 0));
    kafka.wait_for_commit(TOPIC, 1, 4);
    assert!(worker.stop().is_ok());
    assert_eq!(kafka.committed(TOPIC, 0).unwrap().0, 4);
    let seen = tally(&web.seen());
    assert_eq!(seen.len(), 8, "{seen:?}");
    assert!(
        !seen.keys().any(|text| text.starts_with("behind")),
        "{seen:?}"
    );
}

#[test]
fn an_offset_behind_the_end_of_the_log_is_kept_and_named() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    kafka.produce(TOPIC, 0, &["a"], &texts("new", 5));
    kafka.produce(TOPIC, 1, &["a"], &texts("beside", 5));
    kafka.commit(TOPIC, 0, 50, "");
    let web = Web::start(|_| ok());
    let worker = Worker::start("pod-1", config(&kafka, &web));

    assert_eq!(stuck(&kafka, 50, unread::OFFSET_BEYOND_END).offset, 50);
    kafka.wait_for_commit(TOPIC, 1, 5);
    assert!(worker.stop().is_ok());
    assert_eq!(kafka.committed(TOPIC, 0).unwrap().0, 50);
    assert!(
        tally(&web.seen())
            .keys()
            .all(|text| text.starts_with("beside"))
    );
}

#[test]
fn an_offset_that_retention_has_overtaken_is_kept_and_named() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    // The mock keeps 5 MiB of a partition.
    let large = vec!["x".repeat(100_000); 80];
    kafka.produce(TOPIC, 0, &["a"], &large);
    kafka.produce(TOPIC, 1, &["a"], &texts("beside", 5));
    kafka.commit(TOPIC, 0, 1, "");
    let web = Web::start(|_| ok());
    let worker = Worker::start("pod-1", config(&kafka, &web));

    let stuck = stuck(&kafka, 1, unread::OFFSETS_EXPIRED);
    assert_eq!(stuck.offset, 1);
    assert!(stuck.error.contains("the log begins at"), "{stuck:?}");
    kafka.wait_for_commit(TOPIC, 1, 5);
    assert!(worker.stop().is_ok());
    assert_eq!(kafka.committed(TOPIC, 0).unwrap().0, 1);
    assert_eq!(web.seen().len(), 5);
}

#[test]
fn a_partition_without_a_committed_offset_begins_at_its_oldest_record() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let large = vec!["x".repeat(100_000); 80];
    kafka.produce(TOPIC, 0, &["a"], &large);
    let web = Web::start(|_| ok());
    let _worker = Worker::start("pod-1", config(&kafka, &web));
    kafka.wait_for_commit(TOPIC, 0, 80);
}
