//! Encrypted records: decrypted for the handler, dead-lettered as they were, waited for.

use std::path::{Path, PathBuf};

use drover::encryption::{Digest, Key, Options, Randomness, Secret, encrypt};
use drover::report::Report;
use drover::topic::Offset;
use drover::worker_config::{Encryption, HashDigest, OnExhausted, OnPlaintext, OnUnknownKey};
use rdkafka::producer::BaseRecord;

use super::kafka::{Kafka, eventually};
use super::web::{Seen, Web, ok, ok_after};
use super::workers::{TOPIC, Worker, config};
use drover::worker_config::Batch;
use std::time::Duration;

const DEAD: &str = "orders.dlq";
const SALT: &str = "the salt of these tests";

/// Files as a pod has them.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("salt"), SALT).unwrap();
        Self { folder }
    }

    fn key(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join(text.replace(' ', "-"));
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path
    }

    fn encryption(&self, keys: &[&str]) -> Encryption {
        Encryption {
            primary_key_files: keys.iter().map(|key| self.key(key)).collect(),
            deterministic_key_file: None,
            salt_file: self.folder.path().join("salt"),
            hash_digest: HashDigest::Sha256,
            support_sha1: false,
            pointer: None,
            max_inflated_bytes: 1 << 20,
            on_unknown_key: OnUnknownKey::Stall,
            on_plaintext: OnPlaintext::Reject,
        }
    }
}

/// A key as an application derives it, with its own copy of the configuration.
fn key(text: &str) -> Key {
    let secret = |text: &str| Secret::of(text.into()).unwrap();
    Key::derive(&secret(text), &secret(SALT), Digest::Sha256)
}

fn message(key: &Key, text: &str) -> String {
    let random = Randomness::from_bytes(&[5; Randomness::BYTES]);
    let options = Options {
        store_key_references: true,
        ..Options::default()
    };
    encrypt(key, text.as_bytes(), &options, &random).unwrap()
}

fn kafka() -> Kafka {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    kafka
}

fn produce(kafka: &Kafka, key: &str, values: &[&str]) {
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    kafka.produce(TOPIC, 0, &[key], &values);
}

#[test]
fn the_handler_gets_the_plaintext_and_a_word_that_it_was_encrypted() {
    let (kafka, files) = (kafka(), Files::new());
    let long = format!(r#"{{"id":7,"note":"{}"}}"#, "x".repeat(500));
    let (old, new) = (key("old key"), key("new key"));
    produce(
        &kafka,
        "k",
        &[&message(&old, "first"), &message(&new, &long)],
    );
    kafka.send(BaseRecord::to(TOPIC).partition(0).key(&b"k"[..]));
    kafka.flush();
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.encryption = Some(files.encryption(&["old key", "new key"]));
    let _worker = Worker::start("pod-1", config);

    let seen = web.wait_for_count(3);
    kafka.wait_for_commit(TOPIC, 0, 3);
    let bodies: Vec<&str> = seen.iter().map(|seen| seen.text()).collect();
    assert_eq!(bodies, ["first", &long, ""]);
    let said: Vec<_> = seen
        .iter()
        .map(|seen| {
            (
                seen.header("drover-decrypted"),
                seen.header("drover-tombstone"),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            (Some("true"), None),
            (Some("true"), None),
            (None, Some("true"))
        ]
    );
}

#[test]
fn what_cannot_be_decrypted_is_dead_lettered_still_encrypted_and_no_handler_sees_it() {
    let (kafka, files) = (kafka(), Files::new());
    let (ours, theirs) = (key("our key"), key("their key"));
    // Without a reference to its key, a wrong key is found out only by trying.
    let foreign = message(&theirs, "secret").replace(r#","i":""#, r#","x":""#);
    let good = message(&ours, "good");
    produce(&kafka, "k", &[&foreign, r#"{"id":7}"#, &good]);
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.encryption = Some(files.encryption(&["our key"]));
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let _worker = Worker::start("pod-1", config);

    let dead = kafka.read(DEAD, 2);
    kafka.wait_for_commit(TOPIC, 0, 3);
    for (letter, (value, class)) in dead.iter().zip([
        (foreign.as_str(), "AuthFailed"),
        (r#"{"id":7}"#, "NotAMessage"),
    ]) {
        assert_eq!(letter.value.as_deref(), Some(value.as_bytes()));
        for (name, value) in [
            ("reason", "DecryptionFailed"),
            ("error-class", class),
            ("attempts", "0"),
        ] {
            let header = letter.header(&format!("drover-dlq-{name}"));
            assert_eq!(header, Some(value), "{name}");
        }
    }
    let seen = web.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].text(), "good");
}

#[test]
fn a_record_of_an_unknown_key_waits_alone_and_is_handled_by_a_worker_that_has_the_key() {
    let (kafka, files) = (kafka(), Files::new());
    let (old, new) = (key("old key"), key("new key"));
    produce(&kafka, "a", &[&message(&new, "a-0"), &message(&old, "a-1")]);
    produce(&kafka, "b", &[&message(&old, "b-2"), &message(&old, "b-3")]);
    let web = Web::start(|_| ok());
    let mut before = config(&kafka, &web);
    before.encryption = Some(files.encryption(&["old key"]));
    before.dead_letter_topic = Some(DEAD.to_owned());
    before.on_exhausted = OnExhausted::DeadLetter;
    let mut after = before.clone();
    let worker = Worker::start("pod-1", before);

    web.wait_for("the other key's records", |seen| {
        seen.iter()
            .any(|seen| seen.text() == "b-3" && seen.ended.is_some())
    });
    let stuck = eventually("a report of the stuck record", || {
        let (offset, metadata) = kafka.committed(TOPIC, 0)?;
        Report::decode(&metadata, Offset(offset)).ok()?.stuck
    });
    assert_eq!((stuck.offset, stuck.error.as_str()), (0, "UnknownKeyId"));
    assert!(web.seen().iter().all(|seen| seen.text().starts_with('b')));
    worker.stop().unwrap();
    assert_eq!(kafka.committed(TOPIC, 0).unwrap().0, 0);

    after.encryption = Some(files.encryption(&["old key", "new key"]));
    let _worker = Worker::start("pod-2", after);
    kafka.wait_for_commit(TOPIC, 0, 4);
    let texts: Vec<String> = web.seen().iter().map(|s| s.text().to_owned()).collect();
    let of_a: Vec<&String> = texts.iter().filter(|text| text.starts_with('a')).collect();
    assert_eq!(of_a, ["a-0", "a-1"]);
    // What was finished beyond the stuck record is not delivered again.
    assert_eq!(texts.iter().filter(|text| text.starts_with('b')).count(), 2);
}

#[test]
fn while_producers_begin_to_encrypt_what_is_plain_is_delivered_as_it_is() {
    let (kafka, files) = (kafka(), Files::new());
    let ours = key("our key");
    produce(
        &kafka,
        "k",
        &["plain", &message(&ours, "secret"), r#"{"id":7}"#],
    );
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.encryption = Some(Encryption {
        on_plaintext: OnPlaintext::Deliver,
        ..files.encryption(&["our key"])
    });
    let _worker = Worker::start("pod-1", config);
    let seen = web.wait_for_count(3);
    let said: Vec<_> = seen
        .iter()
        .map(|seen| (seen.text(), seen.header("drover-decrypted").is_some()))
        .collect();
    assert_eq!(
        said,
        [("plain", false), ("secret", true), (r#"{"id":7}"#, false)]
    );
}

#[test]
fn a_message_in_a_field_is_decrypted_in_its_place() {
    let (kafka, files) = (kafka(), Files::new());
    let message = message(&key("our key"), r#"{"id":7}"#);
    let document = serde_json::json!({ "type": "user_created", "payload": message });
    produce(&kafka, "k", &[&document.to_string()]);
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.encryption = Some(Encryption {
        pointer: Some("/payload".to_owned()),
        ..files.encryption(&["our key"])
    });
    let _worker = Worker::start("pod-1", config);
    let seen = web.wait_for_count(1);
    let body: serde_json::Value = serde_json::from_str(seen[0].text()).unwrap();
    let expected = serde_json::json!({ "type": "user_created", "payload": r#"{"id":7}"# });
    assert_eq!(body, expected);
}

#[test]
fn a_worker_without_its_key_says_which_file_is_missing_and_ends() {
    let (kafka, files) = (kafka(), Files::new());
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    let missing = Path::new("/nowhere/primary-key-0");
    config.encryption = Some(Encryption {
        primary_key_files: vec![missing.to_owned()],
        ..files.encryption(&[])
    });
    let worker = Worker::start("pod-1", config);
    eventually("its end", || worker.is_over().then_some(()));
    let error = worker.stop().unwrap_err().to_string();
    assert!(
        error.contains("primary key") && error.contains("/nowhere/primary-key-0"),
        "{error}"
    );
}

/// How many requests were in the handler at once, at most.
fn most_at_once(seen: &[Seen]) -> usize {
    let inside = |at: &Seen| {
        let others = seen.iter().filter(|other| other.begun <= at.begun);
        others
            .filter(|other| other.ended.is_none_or(|ended| ended > at.begun))
            .count()
    };
    seen.iter().map(inside).max().unwrap_or(0)
}

/// Sixteen records of some hundred bytes that become almost a mebibyte each.
fn bombs(kafka: &Kafka, count: usize) {
    let large = "0".repeat(900 << 10);
    let bomb = message(&key("our key"), &large);
    assert!(bomb.len() < 4096, "{}", bomb.len());
    for number in 0..count {
        let key = format!("k{number}");
        let record = BaseRecord::to(TOPIC).partition(0);
        kafka.send(record.key(key.as_bytes()).payload(bomb.as_bytes()));
    }
    kafka.flush();
}

#[test]
fn what_records_become_when_they_are_decrypted_stays_within_the_memory_budget() {
    let (kafka, files) = (kafka(), Files::new());
    bombs(&kafka, 16);
    let web = Web::start(|_| ok_after(Duration::from_millis(20)));
    let mut config = config(&kafka, &web);
    config.encryption = Some(files.encryption(&["our key"]));
    // Without what is read ahead, not quite half of it is room for two of those, not for three.
    config.memory_budget_bytes = 6 << 20;
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 16);
    let seen = web.seen();
    assert_eq!(seen.len(), 16);
    assert!(seen.iter().all(|seen| seen.body.len() == 900 << 10));
    assert!(seen.iter().all(|seen| seen.number("drover-attempt") == 1));
    assert!(most_at_once(&seen) <= 2, "{}", most_at_once(&seen));
}

#[test]
fn a_batch_is_no_larger_than_there_is_room_for_what_it_becomes() {
    let (kafka, files) = (kafka(), Files::new());
    bombs(&kafka, 8);
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.encryption = Some(files.encryption(&["our key"]));
    config.memory_budget_bytes = 6 << 20;
    config.batch = Batch {
        max_records: 8,
        max_bytes: 1 << 20,
        max_wait: Duration::from_millis(20),
    };
    config.concurrency = 2;
    let _worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 8);
    let seen = web.seen();
    let records = |seen: &Seen| usize::try_from(seen.number("drover-batch")).unwrap();
    assert_eq!(seen.iter().map(records).sum::<usize>(), 8, "each once");
    assert!(seen.iter().all(|seen| records(seen) <= 2));
}

#[test]
fn what_the_memory_budget_has_no_room_for_is_dead_lettered_whatever_the_limit() {
    let (kafka, files) = (kafka(), Files::new());
    bombs(&kafka, 1);
    produce(&kafka, "k", &[&message(&key("our key"), "good")]);
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    let mut encryption = files.encryption(&["our key"]);
    encryption.max_inflated_bytes = 256 << 20;
    config.encryption = Some(encryption);
    config.memory_budget_bytes = 1 << 20;
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let _worker = Worker::start("pod-1", config);
    let letter = kafka.read(DEAD, 1).remove(0);
    kafka.wait_for_commit(TOPIC, 0, 2);
    assert_eq!(letter.header("drover-dlq-error-class"), Some("TooLarge"));
    let words = letter.header("drover-dlq-error").unwrap();
    assert!(words.contains("more than 262144 bytes"), "{words}");
    assert_eq!(web.seen().len(), 1);
}
