//! One dead-letter topic of several KafkaConsumers: each replays its own.

use rdkafka::producer::Producer;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{DEADLINE, Stage, drover, failed, said, told};
use crate::lag_broker::broker;
use crate::support::consumers::http_url;

/// Two files, and what each of the two reads; one of them has a retry topic.
struct Two {
    stage: Stage,
    payments: String,
    retry: String,
    folder: TempDir,
}

impl Two {
    async fn of(name: &str) -> Self {
        let two = Self {
            stage: Stage::of(name, 1).await,
            payments: broker().create_topic(&format!("{name}-payments"), 1).await,
            retry: broker().create_topic(&format!("{name}-retry"), 1).await,
            folder: TempDir::new().unwrap(),
        };
        let dead = json!({ "topic": two.stage.dlq, "retryTopic": two.retry });
        two.file("a", &two.stage.topic, dead);
        two.file("b", &two.payments, json!({ "topic": two.stage.dlq }));
        two
    }

    fn file(&self, name: &str, topic: &str, dead_letter: Value) {
        let mut document = http_url();
        document["metadata"] = json!({ "name": name, "namespace": "shop" });
        document["spec"]["kafka"]["bootstrapServers"] = json!(self.stage.servers);
        document["spec"]["topics"] = json!([topic]);
        document["spec"]["delivery"] = json!({ "deadLetter": dead_letter });
        std::fs::write(self.path(name), document.to_string()).unwrap();
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(format!("{name}.yaml"));
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, verb: &str, name: &str, more: &[&str]) -> std::process::Command {
        let patient = [verb, "-f", &self.path(name), "--timeout", "90s"];
        drover(&[&patient[..], more].concat())
    }

    fn replay(&self, name: &str) -> Value {
        told(&mut self.command("replay", name, &[]))
    }

    /// A dead letter of this topic; of nobody where no name is given.
    fn write(&self, value: &str, topic: &str, name: Option<&str>) {
        let (consumer, group) = match name {
            Some(name) => (format!("shop/{name}"), format!("shop.{name}")),
            None => Default::default(),
        };
        let mut headers = vec![
            ("drover-dlq-topic", topic),
            ("drover-dlq-reason", "Rejected"),
        ];
        if name.is_some() {
            headers.push(("drover-dlq-group", &group));
            headers.push(("drover-dlq-consumer", &consumer));
        }
        let producer = self.stage.producer();
        self.stage.put(&producer, "k", value, &headers);
        producer.flush(DEADLINE).unwrap();
    }

    fn values(&self, topic: &str) -> Vec<String> {
        let read = self.stage.read(topic).into_iter();
        read.map(|read| read.value).collect()
    }
}

#[tokio::test]
async fn each_consumer_replays_its_own_letters_of_a_topic_that_several_have() {
    let two = Two::of("dlq-shared").await;
    two.write("1", &two.stage.topic, Some("a"));
    two.write("2", &two.payments, Some("b"));
    two.write("3", &two.stage.topic, Some("a"));
    // Nothing says whose it is: it is of whoever asks first.
    two.write("4", &two.stage.topic, None);
    assert_eq!(
        told(&mut two.command("list", "a", &[]))["ofOtherConsumers"],
        1
    );

    let plan = said(&mut two.command("replay", "a", &["--dry-run"]));
    for words in [
        "3 dead letters",
        "1 left out: they are another consumer's",
        "1 of them do not say which consumer gave them up",
    ] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    let first = two.replay("a");
    assert_eq!(
        (&first["replayed"], &first["to"]),
        (&json!(3), &json!(two.retry))
    );
    assert_eq!(first["leftOut"]["ofOtherConsumers"], 1);
    assert_eq!(first["withoutConsumer"], 1);
    assert_eq!(two.values(&two.retry), ["1", "3", "4"]);
    // What the other one's replay left out is not done with.
    told(&mut two.command("purge", "a", &["--replayed", "--yes"]));
    assert!(two.values(&two.stage.dlq).contains(&"2".to_owned()));

    let second = two.replay("b");
    assert_eq!(
        (&second["replayed"], &second["to"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(two.values(&two.payments), ["2"]);
    for name in ["a", "b"] {
        assert_eq!(two.replay(name)["replayed"], 0, "{name}");
    }
    let listed = told(&mut two.command("list", "b", &[]));
    assert_eq!(listed["replayed"], listed["total"]);
}

#[tokio::test]
async fn a_letter_of_nobody_from_a_topic_that_the_consumer_does_not_read_does_not_go_to_its_retry_topic()
 {
    let two = Two::of("dlq-stray").await;
    two.write("1", &two.payments, None);
    let error = failed(&two.command("replay", "a", &[]).output().unwrap(), 2);
    assert!(
        error.contains("which KafkaConsumer a does not read"),
        "{error}"
    );
    assert!(two.values(&two.retry).is_empty());
    // Who names a topic means it.
    let to = ["--to", &two.retry];
    assert_eq!(told(&mut two.command("replay", "a", &to))["replayed"], 1);
}

#[tokio::test]
async fn what_the_only_consumer_of_a_topic_has_replayed_can_be_purged() {
    let two = Two::of("dlq-alone").await;
    for value in ["1", "2"] {
        two.write(value, &two.payments, Some("b"));
    }
    assert_eq!(two.replay("b")["replayed"], 2);
    let purge = ["--replayed", "--yes"];
    assert!(told(&mut two.command("purge", "b", &purge))["deleted"].as_i64() >= Some(2));
    assert!(two.values(&two.stage.dlq).is_empty());
}

#[tokio::test]
async fn of_a_file_without_a_namespace_letters_of_two_are_not_mixed() {
    let two = Two::of("dlq-no-namespace").await;
    let mut document = http_url();
    document["metadata"] = json!({ "name": "orders" });
    document["spec"]["kafka"]["bootstrapServers"] = json!(two.stage.servers);
    document["spec"]["topics"] = json!([two.stage.topic]);
    document["spec"]["delivery"] = json!({ "deadLetter": { "topic": two.stage.dlq } });
    std::fs::write(two.path("orders"), document.to_string()).unwrap();
    let producer = two.stage.producer();
    for (namespace, value) in [("prod", "1"), ("prod", "2"), ("staging", "3")] {
        let consumer = format!("{namespace}/orders");
        let headers = [
            ("drover-dlq-topic", two.stage.topic.as_str()),
            ("drover-dlq-reason", "Rejected"),
            ("drover-dlq-consumer", &consumer),
        ];
        two.stage.put(&producer, "key", value, &headers);
    }
    producer.flush(DEADLINE).unwrap();
    let refused = two.command("replay", "orders", &[]).output().unwrap();
    let error = failed(&refused, 2);
    for words in ["prod", "staging", "-n NAMESPACE"] {
        assert!(error.contains(words), "{words}: {error}");
    }
    assert!(two.stage.read(&two.stage.topic).is_empty());
    let dry = two.command("replay", "orders", &["--dry-run"]).output();
    assert_eq!(dry.unwrap().status.code(), Some(1));
    for (namespace, count) in [("staging", 1), ("prod", 2)] {
        let mut command = two.command("replay", "orders", &["-n", namespace]);
        assert_eq!(told(&mut command)["replayed"], count, "{namespace}");
    }
}
