//! A broker whose ACLs refuse: each command names the right that is missing, on what, and how it is given.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{api_server_that, drover, fails, failure, kubeconfig, said};
use crate::lag_admin::{commit, produce};
use crate::support::acls::{DESCRIBE, DESCRIBE_CONFIGS, Of, READ, allow, broker};
use crate::support::consumers::http_url;

/// Topics and groups of which something is refused.
struct Stage {
    /// May not be seen.
    unseen: String,
    /// May be seen.
    unread: String,
    /// May be read.
    unwritten: String,
    open: String,
    folder: tempfile::TempDir,
}

impl Stage {
    /// With `name` in the names of its topics.
    async fn new(name: &str) -> Self {
        let servers = broker().servers.as_str();
        let mut topics = Vec::new();
        for kind in ["unseen", "unread", "unwritten", "open"] {
            let topic = format!("acl-{name}-{kind}");
            let topic = broker().create_topic(&topic, 1).await;
            produce(servers, &topic, &[0], 2);
            commit(servers, "acl-cli", &topic, &[(0, 0, "")]);
            topics.push(topic);
        }
        let [unseen, unread, unwritten, open]: [String; 4] = topics.try_into().unwrap();
        allow(Of::Topic(&unseen), DESCRIBE_CONFIGS);
        allow(Of::Topic(&unread), DESCRIBE);
        allow(Of::Topic(&unwritten), READ);
        allow(Of::Group("acl-cli-unseen"), DESCRIBE_CONFIGS);
        allow(Of::Group("acl-cli-seen"), DESCRIBE);
        Self {
            unseen,
            unread,
            unwritten,
            open,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A topic with a dead letter that came from `origin`.
    async fn dead_letters_of(&self, name: &str, origin: &str) -> String {
        let topic = broker().create_topic(name, 1).await;
        let origin = format!("drover-dlq-topic={origin}");
        let mut produce = drover(&["produce", "--topic", &topic, "--header", &origin]);
        produce.args(["--header", "drover-dlq-reason=Rejected", "v"]);
        let output = produce.args(at()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        topic
    }

    /// The kubeconfig of a cluster with a paused KafkaConsumer `orders` of this topic and group.
    fn cluster(&self, topic: &str, group: &str) -> PathBuf {
        let fleet = fleet(topic, group);
        let address = api_server_that(move |head| {
            let path = head.split_whitespace().nth(1).unwrap_or_default();
            match path {
                path if path.contains("/kafkaconsumers/orders") => (200, fleet.clone()),
                path if path.starts_with("/version") => (200, version()),
                _ => (403, failure(403, "Forbidden", "ann may not")),
            }
        });
        kubeconfig(self.folder.path(), address)
    }
}

fn fleet(topic: &str, group: &str) -> Value {
    let mut fleet = http_url();
    fleet["metadata"] = json!({
        "name": "orders", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z",
    });
    fleet["spec"]["kafka"]["bootstrapServers"] = json!(broker().servers);
    fleet["spec"]["topics"] = json!([topic]);
    fleet["spec"]["groupId"] = json!(group);
    fleet["spec"]["paused"] = json!(true);
    fleet
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "35", "gitVersion": "v1.35.0", "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": "",
    })
}

fn at() -> [&'static str; 4] {
    ["--bootstrap", &broker().servers, "--timeout", "90s"]
}

/// `Read`, `topic orders` and `--topic orders`, as they are told.
fn told(operation: &str, kind: &str, name: &str) -> [String; 2] {
    let flag = kind.replace(' ', "-");
    [
        format!("{operation} on {kind} {name} "),
        format!(
            "give this user the right (kafka-acls --add --allow-principal User:NAME --operation {operation} --{flag} {name})"
        ),
    ]
}

#[tokio::test]
async fn what_kafka_refuses_is_named_with_the_right_and_how_it_is_given() {
    let stage = Stage::new("cli").await;
    let [unseen, unread] = [stage.unseen.as_str(), &stage.unread];
    let [unwritten, open] = [stage.unwritten.as_str(), &stage.open];
    let no_group = stage.dead_letters_of("acl-cli-dlq-group", open).await;
    let noted = format!("drover.redrive.{no_group}");
    allow(Of::Group(&noted), DESCRIBE_CONFIGS);
    let no_commit = stage.dead_letters_of("acl-cli-dlq-commit", open).await;
    let seen = format!("drover.redrive.{no_commit}");
    allow(Of::Group(&seen), DESCRIBE);
    let no_transaction = stage.dead_letters_of("acl-cli-dlq-id", open).await;
    let id = format!("drover.redrive.{no_transaction}");
    allow(Of::TransactionalId(&id), DESCRIBE_CONFIGS);
    let no_target = stage.dead_letters_of("acl-cli-dlq-target", unwritten).await;

    let lag = ["lag", "--group", "acl-cli", "--topic"];
    let refused: [(Vec<&str>, [String; 2]); 18] = [
        (
            [&lag[..], &[unseen]].concat(),
            told("Describe", "topic", unseen),
        ),
        (
            vec!["lag", "--group", "acl-cli-unseen", "--topic", open],
            told("Describe", "group", "acl-cli-unseen"),
        ),
        (
            vec!["dlq", "list", "--topic", unseen],
            told("Describe", "topic", unseen),
        ),
        (
            vec!["dlq", "list", "--topic", unread],
            told("Read", "topic", unread),
        ),
        (
            vec!["dlq", "show", "--topic", unseen],
            told("Describe", "topic", unseen),
        ),
        (
            vec!["dlq", "show", "--topic", unread],
            told("Read", "topic", unread),
        ),
        (
            vec!["dlq", "replay", "--topic", unseen],
            told("Describe", "topic", unseen),
        ),
        (
            vec!["dlq", "replay", "--topic", unread],
            told("Read", "topic", unread),
        ),
        (
            vec!["dlq", "replay", "--topic", no_group.as_str()],
            told("Describe", "group", &noted),
        ),
        (
            vec!["dlq", "replay", "--dry-run", "--topic", no_group.as_str()],
            told("Describe", "group", &noted),
        ),
        (
            vec!["dlq", "replay", "--topic", no_commit.as_str()],
            told("Read", "group", &seen),
        ),
        (
            vec!["dlq", "replay", "--topic", no_transaction.as_str()],
            told("Write", "transactional id", &id),
        ),
        (
            vec!["dlq", "replay", "--topic", no_target.as_str()],
            told("Write", "topic", unwritten),
        ),
        (
            vec![
                "dlq",
                "replay",
                "--topic",
                no_target.as_str(),
                "--to",
                unseen,
            ],
            told("Describe", "topic", unseen),
        ),
        (
            vec!["dlq", "purge", "--topic", unread, "--all", "-y"],
            told("Delete", "topic", unread),
        ),
        (
            vec![
                "dlq",
                "purge",
                "--topic",
                no_group.as_str(),
                "--replayed",
                "-y",
            ],
            told("Describe", "group", &noted),
        ),
        (
            vec!["produce", "--topic", unseen, "v"],
            told("Write", "topic", unseen),
        ),
        (
            vec!["record", "--topic", unseen],
            told("Describe", "topic", unseen),
        ),
    ];
    for (arguments, words) in &refused {
        let words = words.each_ref().map(String::as_str);
        fails(drover(arguments).args(at()), &words);
    }
    // It knows only the answer to the record.
    let [_, remedy] = told("Write", "topic", unread);
    let mut written = drover(&["produce", "--topic", unread, "v"]);
    fails(written.args(at()), &["took no more", &remedy]);
}

#[tokio::test]
async fn of_a_fleet_what_kafka_refuses_is_named_too() {
    let stage = Stage::new("fleet").await;
    let [unseen, unread, open] = [stage.unseen.as_str(), &stage.unread, &stage.open];
    let skip = ["skip", "orders", "--partition", "0", "--offset", "0"];
    let skip = [&skip[..], &["--reason", "r", "-y"]].concat();
    let reset = vec!["reset", "orders", "--to", "latest", "-y"];
    let (closed, half) = ("acl-cli-unseen", "acl-cli-seen");
    for (arguments, topic, group, words) in [
        (&skip, unseen, "acl-cli", told("Describe", "topic", unseen)),
        (&skip, unread, "acl-cli", told("Read", "topic", unread)),
        (&skip, open, closed, told("Describe", "group", closed)),
        (&reset, unseen, "acl-cli", told("Describe", "topic", unseen)),
        (&reset, unread, "acl-cli", told("Read", "topic", unread)),
        (&reset, open, closed, told("Describe", "group", closed)),
        (&reset, open, half, told("Read", "group", half)),
    ] {
        let kubeconfig = stage.cluster(topic, group);
        let mut command = drover(arguments);
        command
            .args(["--timeout", "90s"])
            .env("KUBECONFIG", kubeconfig);
        fails(&mut command, &words.each_ref().map(String::as_str));
    }
    for (number, (topic, group, words)) in [
        (unseen, "acl-cli-dev", told("Describe", "topic", unseen)),
        (unread, "acl-cli-dev", told("Read", "topic", unread)),
        (open, closed, told("Describe", "group", closed)),
    ]
    .iter()
    .enumerate()
    {
        let file = stage.folder.path().join(format!("{number}.yaml"));
        let mut fleet = fleet(topic, group);
        fleet["spec"]["paused"] = json!(false);
        std::fs::write(&file, fleet.to_string()).unwrap();
        let mut dev = drover(&["dev", "--group", group, "--brokers", &broker().servers]);
        fails(dev.arg(file), &words.each_ref().map(String::as_str));
    }
}

#[tokio::test]
async fn what_is_told_without_it_says_which_right_would_tell_the_rest() {
    let stage = Stage::new("told").await;
    let [unseen, unread, open] = [stage.unseen.as_str(), &stage.unread, &stage.open];
    let lag = ["lag", "--group", "acl-cli", "--topic", unread];
    let output = drover(&lag).args(at()).output().unwrap();
    let (out, error) = said(&output);
    assert!(
        output.status.success() && out.contains("2 records wait"),
        "{out}{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    for words in told("Read", "topic", unread) {
        assert!(error.contains(&words), "{words}: {error}");
    }
    assert!(
        error.ends_with("or do without with --offsets-only\n"),
        "{error}"
    );

    let dead = stage.dead_letters_of("acl-cli-dlq-listed", open).await;
    let noted = format!("drover.redrive.{dead}");
    allow(Of::Group(&noted), DESCRIBE_CONFIGS);
    let list = ["dlq", "list", "--topic", &dead];
    let output = drover(&list).args(at()).output().unwrap();
    let (out, error) = said(&output);
    assert!(output.status.success(), "{out}{error}");
    assert!(out.contains("how many were replayed is not known"), "{out}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for words in told("Describe", "group", &noted) {
        assert!(error.contains(&words), "{words}: {error}");
    }

    for (topic, group, words) in [
        (unseen, "acl-cli", told("Describe", "topic", unseen)),
        (unread, "acl-cli", told("Read", "topic", unread)),
        (
            open,
            "acl-cli-unseen",
            told("Describe", "group", "acl-cli-unseen"),
        ),
    ] {
        let kubeconfig = stage.cluster(topic, group);
        let mut doctor = drover(&["doctor", "orders", "--timeout", "90s"]);
        let output = doctor.env("KUBECONFIG", kubeconfig).output().unwrap();
        let (out, error) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{out}{error}");
        let subject = words[0].split_once(" on ").unwrap().1.trim();
        let line = out
            .lines()
            .find(|line| line.contains(&format!(" {subject}  ")));
        let line = line.unwrap_or_else(|| panic!("{subject}: {out}"));
        assert!(!line.starts_with("well"), "{line}");
        for words in words {
            assert!(line.contains(&words), "{words}: {line}");
        }
    }
}
