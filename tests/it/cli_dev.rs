//! `drover dev` as a program: a worker on this machine, with a Kafka in its process or another one.

mod feeding;
pub mod process;

use std::fs;
use std::path::PathBuf;

use rdkafka::producer::BaseRecord;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::json;

use crate::worker::kafka::{Kafka, eventually};
use crate::worker::web::{Web, ok, status};
use process::{Dev, drover};

/// A file with a KafkaConsumer that nothing listens for where it says.
struct Yaml {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Yaml {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.yaml");
        let yaml = Self {
            _folder: folder,
            path,
        };
        yaml.write("http://nowhere.invalid/", more);
        yaml
    }

    fn write(&self, url: &str, more: &str) {
        let head = "apiVersion: drover.dev/v1alpha1\nkind: KafkaConsumer\nmetadata: { name: orders, namespace: shop }\n";
        let spec = format!(
            "spec:\n  kafka: {{ bootstrapServers: \"nowhere.invalid:9092\" }}\n  topics: [orders]\n  handler: {{ http: {{ url: \"{url}\" }}, timeout: 5s }}\n"
        );
        fs::write(&self.path, format!("{head}{spec}{more}")).unwrap();
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

const DEAD_LETTERS: &str = "  delivery: { retry: { attempts: 2, initialBackoff: 10ms, maxBackoff: 20ms }, deadLetter: { topic: orders.dlq } }\n";

#[test]
fn records_answers_retries_and_dead_letters_are_told_and_ctrl_c_drains() {
    let web = Web::start(|seen| match seen.text() {
        "good" => ok(),
        "never" => status(400),
        _ => status(500),
    });
    let yaml = Yaml::new(DEAD_LETTERS);
    let url = web.url();
    let mut dev = Dev::start(&[yaml.path(), "--embedded", "--handler", &url, "-o", "json"]);
    let begins = dev.wait_for("begins", |_| true);
    assert_eq!(begins["consumer"], "shop/orders");
    assert_eq!(begins["deadLetters"], "orders.dlq");
    assert_eq!(begins["group"], "shop.orders.dev.tester");
    let brokers = begins["brokers"].as_str().unwrap().to_owned();
    dev.wait_for("assigned", |_| true);

    drover(&[
        "produce",
        "--bootstrap",
        &brokers,
        "--topic",
        "orders",
        "--key",
        "k",
        "good",
        "never",
        "bad",
    ]);
    let record = dev.wait_for("record", |news| news["value"] == "good");
    assert_eq!(record["key"], "k");
    let place = |news: &serde_json::Value| (news["partition"].clone(), news["offset"].clone());
    let done = dev.wait_for("answer", |news| place(news) == place(&record));
    assert_eq!(done["outcome"], "done");
    let rejected = dev.wait_for("deadLetter", |news| news["reason"] == "Rejected");
    assert_eq!(rejected["status"], 400);
    let exhausted = dev.wait_for("deadLetter", |news| news["reason"] == "AttemptsExhausted");
    assert_eq!(exhausted["attempts"], 2);
    assert_eq!(exhausted["deadLetterTopic"], "orders.dlq");
    let retries = dev.all("answer", |news| news["outcome"] == "retry");
    let attempts: Vec<_> = retries.iter().map(|news| news["attempt"].clone()).collect();
    assert_eq!(attempts, [json!(1), json!(2)]);

    let (code, summary) = dev.interrupt();
    assert_eq!(code, Some(0), "{summary}");
    assert_eq!(summary["records"], 3);
    assert_eq!(summary["done"], 1);
    assert_eq!(summary["deadLettered"], 2);
    assert_eq!(summary["unfinished"], 0);
}

#[test]
fn a_change_of_the_file_takes_effect_and_one_that_cannot_be_run_is_told() {
    let [before, after] = [(); 2].map(|()| Web::start(|_| ok()));
    let yaml = Yaml::new("");
    yaml.write(&before.url(), "");
    let mut dev = Dev::start(&[yaml.path(), "--embedded", "-o", "json"]);
    let brokers = dev.wait_for("begins", |_| true)["brokers"].clone();
    let brokers = brokers.as_str().unwrap();
    let produce = |value| {
        drover(&[
            "produce",
            "--bootstrap",
            brokers,
            "--topic",
            "orders",
            value,
        ]);
    };
    produce("one");
    before.wait_for_count(1);
    dev.wait_for("answer", |news| news["outcome"] == "done");

    yaml.write(&before.url(), "  nonsense: 1\n");
    let told = dev.wait_for("notReloaded", |_| true);
    assert!(
        told["problem"]
            .as_str()
            .unwrap()
            .contains("orders.yaml:8:3: ")
            && told["problem"].as_str().unwrap().contains("nonsense"),
        "{told}"
    );
    produce("two");
    before.wait_for_count(2);

    yaml.write(&after.url(), DEAD_LETTERS);
    let begins = dev.wait_for("begins", |news| news["deadLetters"] == "orders.dlq");
    let at = |news: &serde_json::Value| news["at"].as_str().unwrap().parse::<jiff::Timestamp>();
    let again = dev.wait_for("assigned", |news| at(news).unwrap() > at(&begins).unwrap());
    let waited = at(&again).unwrap().duration_since(at(&begins).unwrap());
    // A pod's session of 30 s would be waited for.
    assert!(waited.as_secs() < 15, "{waited}");
    produce("three");
    after.wait_for_count(1);
    let texts = |web: &Web| -> Vec<_> {
        web.seen()
            .iter()
            .map(|seen| seen.text().to_owned())
            .collect()
    };
    assert_eq!(texts(&before), ["one", "two"]);
    assert_eq!(texts(&after), ["three"]);
    eventually("all are done", || {
        (dev.all("answer", dev_done).len() == 3).then_some(())
    });
    let (code, summary) = dev.interrupt();
    assert_eq!(code, Some(0));
    assert_eq!(summary["done"], 3);
}

/// librdkafka's mock waits a session long for others when somebody leaves.
#[test]
fn a_second_one_at_the_embedded_kafka_gives_its_partitions_back_within_seconds() {
    let [first, second] = [(); 2].map(|()| Web::start(|_| ok()));
    let yaml = Yaml::new("");
    yaml.write(&first.url(), "");
    let mut dev = Dev::start(&[yaml.path(), "--embedded", "-o", "json"]);
    let begins = dev.wait_for("begins", |_| true);
    let [brokers, group] = ["brokers", "group"].map(|key| begins[key].as_str().unwrap());
    let some = |news: &serde_json::Value| {
        let partitions = news["partitions"].as_array();
        partitions.is_some_and(|partitions| !partitions.is_empty())
    };
    dev.wait_for("assigned", some);
    let url = second.url();
    let other = [
        yaml.path(),
        "--brokers",
        brokers,
        "--group",
        group,
        "--handler",
        &url,
        "-o",
        "json",
    ];
    let mut other = Dev::start(&other);
    other.wait_for("assigned", some);
    let (code, _) = other.interrupt();
    assert_eq!(code, Some(0));
    let left = drover::clock::now();
    let at = |news: &serde_json::Value| news["at"].as_str().unwrap().parse::<jiff::Timestamp>();
    let back = dev.wait_for("assigned", |news| some(news) && at(news).unwrap() > left);
    let waited = at(&back).unwrap().duration_since(left);
    assert!(waited.as_secs() < 20, "{waited}");
}

fn dev_done(news: &serde_json::Value) -> bool {
    news["outcome"] == "done"
}

#[test]
fn a_command_handles_records_and_lines_are_for_people() {
    let yaml = Yaml::new("");
    let command = "while IFS= read -r line; do echo heard >&2; echo '\"done\"'; done";
    let mut dev = Dev::start(&[
        yaml.path(),
        "--embedded",
        "--partitions",
        "1",
        "--exec",
        command,
    ]);
    let feed = dev.wait_for_line("feed it: ");
    let brokers = feed
        .split_whitespace()
        .skip_while(|word| *word != "--bootstrap")
        .nth(1);
    drover(&[
        "produce",
        "--bootstrap",
        brokers.unwrap(),
        "--topic",
        "orders",
        "--key",
        "k",
        "hello",
    ]);
    dev.wait_for_line("orders/0@0  key k  hello");
    dev.wait_for_line("orders/0@0  done (");
    let (code, lines, errors) = dev.interrupt_for_people();
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        lines.contains("1 record: 1 done; 0 failed attempts"),
        "{lines}"
    );
    // What the command says of itself.
    assert!(errors.contains("heard"), "{errors}");
}

#[test]
fn it_ends_when_its_reader_has_gone_away() {
    let yaml = Yaml::new("");
    for form in ["text", "json"] {
        let mut dev = Dev::start_read_by_head(&[yaml.path(), "--embedded", "-o", form]);
        assert_eq!(dev.ended(), Some(0), "{form}");
    }
}

const ENCRYPTION: &str = "  encryption:\n    activeRecord:\n      primaryKeySecret: { name: rails, key: primary_key }\n      keyDerivationSaltSecret: { name: rails, key: salt }\n";

#[test]
fn secrets_come_from_the_environment_and_files_and_are_never_told() {
    let yaml = Yaml::new(ENCRYPTION);
    let missing = Dev::start(&[yaml.path(), "--embedded"]).wait();
    assert_eq!(missing.0, Some(2));
    assert_eq!(missing.2.lines().count(), 1, "{}", missing.2);
    for words in [
        "spec.encryption.activeRecord.primaryKeySecret names key primary_key of Secret rails",
        "DROVER_SECRET_RAILS_PRIMARY_KEY",
        "--secrets FILE",
    ] {
        assert!(missing.2.contains(words), "{}", missing.2);
    }

    let web = Web::start(|_| ok());
    let secrets = yaml.path.with_file_name("secrets.yaml");
    fs::write(&secrets, "kind: Secret\nmetadata: { name: rails }\nstringData: { salt: hush-salt, primary_key: wrong }\n").unwrap();
    let place = tempfile::tempdir().unwrap();
    let environment = [
        ("DROVER_SECRET_RAILS_PRIMARY_KEY", "hush-key"),
        ("XDG_RUNTIME_DIR", place.path().to_str().unwrap()),
    ];
    let url = web.url();
    let arguments = [
        yaml.path(),
        "--embedded",
        "--handler",
        &url,
        "--secrets",
        secrets.to_str().unwrap(),
        "-o",
        "json",
        "--log",
        "debug",
    ];
    let mut dev = Dev::start_in(&arguments, &environment);
    let brokers = dev.wait_for("begins", |_| true)["brokers"].clone();
    let laid_out: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(laid_out.len(), 1);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = laid_out[0]
        .as_ref()
        .unwrap()
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);

    let keys = yaml.path.with_file_name("keys.yaml");
    fs::write(
        &keys,
        "kind: Secret\nstringData: { primary_key: hush-key, key_derivation_salt: hush-salt }\n",
    )
    .unwrap();
    drover(&[
        "produce",
        "--bootstrap",
        brokers.as_str().unwrap(),
        "--topic",
        "orders",
        "--encrypt",
        "--keys-file",
        keys.to_str().unwrap(),
        "plain words",
    ]);
    let seen = web.wait_for_count(1);
    assert_eq!(seen[0].text(), "plain words");
    dev.wait_for("answer", dev_done);
    let (code, summary) = dev.interrupt();
    assert_eq!((code, &summary["done"]), (Some(0), &json!(1)));
    let said = dev.everything();
    assert!(!said.contains("hush"), "{said}");
    assert!(
        fs::read_dir(place.path()).unwrap().next().is_none(),
        "it is taken away"
    );
}

#[test]
fn a_terminal_that_is_closed_leaves_no_secret_and_those_of_the_dead_are_swept() {
    let yaml = Yaml::new(ENCRYPTION);
    let secrets = "---\nkind: Secret\nmetadata: { name: rails }\nstringData: { salt: hush-salt, primary_key: hush-key }\n";
    let text = fs::read_to_string(&yaml.path).unwrap();
    fs::write(&yaml.path, format!("{text}{secrets}")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let there = || -> Vec<String> {
        let entries = fs::read_dir(place.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    };
    let environment = [("XDG_RUNTIME_DIR", place.path().to_str().unwrap())];
    let arguments = [yaml.path(), "--embedded", "-o", "json"];
    let mut killed = Dev::start_in(&arguments, &environment);
    killed.wait_for("assigned", |_| true);
    drop(killed);
    let left = there();
    assert_eq!(left.len(), 1);
    // As of somebody who is alive, and of something else.
    let alive = format!("drover-dev-{}", std::process::id());
    for kept in [&alive, "drover-dev-notes"] {
        fs::create_dir(place.path().join(kept)).unwrap();
    }

    let mut dev = Dev::start_in(&arguments, &environment);
    dev.wait_for("assigned", |_| true);
    assert!(!there().contains(&left[0]), "{left:?}");
    assert_eq!(there().len(), 3);
    let (code, summary) = dev.hang_up();
    assert_eq!((code, &summary["records"]), (Some(0), &json!(0)));
    let mut kept = there();
    kept.sort();
    assert_eq!(kept, [&alive, "drover-dev-notes"]);
}

#[test]
fn a_given_broker_has_a_group_of_ones_own_that_begins_where_the_yaml_says() {
    let kafka = Kafka::with_topic("orders", 1);
    let produce = |value: &str| {
        kafka.send(BaseRecord::to("orders").payload(value.as_bytes()).key(b"k"));
        kafka.flush();
    };
    produce("before");
    let web = Web::start(|_| ok());
    let yaml = Yaml::new("  startAt: Latest\n  groupId: shop-orders\n");
    let url = web.url();
    let arguments = [
        yaml.path(),
        "--brokers",
        &kafka.servers,
        "--handler",
        &url,
        "-o",
        "json",
    ];
    // The broker has only just started.
    let moving = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR; 2];
    let mock = kafka.mock();
    mock.request_errors(RDKafkaApiKey::OffsetFetch, &moving);
    let mut dev = Dev::start(&arguments);
    let begins = dev.wait_for("groupBegins", |_| true);
    assert_eq!(begins["group"], "shop-orders.dev.tester");
    assert_eq!(begins["offsets"], json!({"orders/0": 1}));
    produce("after");
    let seen = web.wait_for_count(1);
    assert_eq!(seen[0].text(), "after");
    dev.wait_for("answer", dev_done);
    assert_eq!(dev.interrupt().0, Some(0));

    // It goes on where it was.
    produce("later");
    let mut dev = Dev::start(&arguments);
    dev.wait_for("answer", dev_done);
    assert_eq!(web.wait_for_count(2)[1].text(), "later");
    assert!(dev.all("groupBegins", |_| true).is_empty());
    assert_eq!(dev.interrupt().0, Some(0));
}

#[test]
fn what_cannot_be_run_is_said_in_one_line() {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/own-consumer.yaml");
    let yaml = Yaml::new("");
    for (arguments, words) in [
        (vec![yaml.path()], "<--brokers <HOST:PORT>|--embedded>"),
        (vec!["/nowhere.yaml", "--embedded"], "read /nowhere.yaml"),
        (
            vec![yaml.path(), "other", "--embedded"],
            "there is no KafkaConsumer other in",
        ),
        (vec![own, "--embedded"], "=HOST:PORT "),
        (
            vec![yaml.path(), "--embedded", "--handler", "ftp://x"],
            "ftp://x",
        ),
    ] {
        let (code, _, errors) = Dev::start(&arguments).wait();
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains(words), "{words}: {errors}");
    }
}
