//! What `helm test` runs: where brokers are named, with rights for that alone; and what it says, and leaves,
//! where an installation does not work. That it ends well where it does: `self_test` of the end-to-end tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use drover::api::KafkaConsumer;
use drover::controller::self_test::{self, Settings};
use drover::kafka::admin::Admin;
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::chart::{has, one, refused, rendered};
use crate::lag_broker::broker;
use crate::support::operator::{Operator, wait_for};

const NAME: &str = "drover-controller-self-test";

#[test]
fn it_is_there_only_where_brokers_are_named() {
    assert!(!has(&rendered(&[]), "Pod"));
    let set = ["--set", "test.kafka.bootstrapServers=kafka:9092"];
    let objects = rendered(&set);
    let pod = one(&objects, "Pod", NAME);
    assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
    // No selector of the controller's takes it for one.
    let labels = &pod["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/name"], "drover-self-test");
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["self-test"]));
    let kafka = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .find(|variable| variable["name"] == "DROVER_SELF_TEST_KAFKA")
        .unwrap();
    let kafka: Value = serde_json::from_str(kafka["value"].as_str().unwrap()).unwrap();
    assert_eq!(kafka, json!({ "bootstrapServers": "kafka:9092" }));
}

#[test]
fn it_may_make_its_fleet_and_read_the_secrets_that_are_named() {
    let kafka = ["--set", "test.kafka.bootstrapServers=kafka:9092"];
    let rules = |more: &[&str]| {
        let objects = rendered(&[&kafka, more].concat());
        let role = one(&objects, "Role", NAME).clone();
        (role["metadata"]["namespace"].clone(), role["rules"].clone())
    };
    let fleet = json!({ "apiGroups": ["drover.dev"], "resources": ["kafkaconsumers"], "verbs": ["create", "get", "delete"] });
    assert_eq!(rules(&[]), (json!("drover-system"), json!([fleet])));
    let more = ["--set", "namespaces={shop,billing},test.secrets={kafka-ca}"];
    let secret = json!({ "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["kafka-ca"], "verbs": ["get"] });
    assert_eq!(rules(&more), (json!("shop"), json!([fleet, secret])));
}

#[test]
fn brokers_that_could_be_none_are_refused_by_name() {
    let said = refused(&["--set", "test.kafka.bootstrapServer=kafka:9092"]);
    assert!(said.contains("bootstrapServer"), "{said}");
}

fn settings(operator: &Operator, kafka: &Value) -> Settings {
    // One that is free: nobody will come.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Settings {
        namespace: operator.namespace.clone(),
        kafka: kafka.to_string(),
        topic: None,
        address: free.local_addr().unwrap(),
        patience: Duration::from_secs(30),
    }
}

/// There are no nodes here, so no pod ever runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_come_about_is_told_by_status_and_what_was_made_is_gone() {
    let operator = Operator::start(&[]).await;
    let kafka = json!({ "bootstrapServers": broker().servers });
    let steps: Mutex<Vec<String>> = Mutex::default();
    let say = |step: &str| steps.lock().unwrap().push(step.to_owned());
    let outcome = self_test::run(
        operator.client.clone(),
        &settings(&operator, &kafka),
        CancellationToken::new(),
        say,
    )
    .await;
    let error = format!("{:#}", outcome.unwrap_err());
    let steps = steps.into_inner().unwrap();
    assert!(steps[1].contains("waits at zero pods"), "{steps:?}");
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert!(
        error.contains("for a pod to start") && error.contains("PodsNotReady"),
        "{error}"
    );
    let fleets = operator.api::<KafkaConsumer>();
    let left = fleets.list(&ListParams::default()).await.unwrap();
    assert!(left.items.is_empty(), "{left:?}");
    let topic = steps[0].rsplit(' ').next().unwrap();
    let admin = Admin::open(&broker().servers, &BTreeMap::new()).unwrap();
    let asked = BTreeSet::from([topic.to_owned()]);
    wait_for("its topic to be gone", async || {
        let found = admin.partitions(&asked, Duration::from_secs(10)).await;
        match found.map(|found| found[topic].is_err()) {
            Ok(true) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_kafka_is_told_before_anything_is_made() {
    let operator = Operator::prepare(&[]).await;
    for (kafka, wanted) in [
        (json!({ "bootstrapServer": "kafka:9092" }), "test.kafka"),
        (
            json!({ "bootstrapServers": "kafka:9092", "tls": { "caSecret": { "name": "nowhere", "key": "ca" } } }),
            "nowhere",
        ),
    ] {
        let settings = settings(&operator, &kafka);
        let outcome = self_test::run(
            operator.client.clone(),
            &settings,
            CancellationToken::new(),
            |_| (),
        )
        .await;
        let error = format!("{:#}", outcome.unwrap_err());
        assert!(error.contains(wanted), "{error}");
        let fleets = operator.api::<KafkaConsumer>();
        let made = fleets.list(&ListParams::default()).await.unwrap();
        assert!(made.items.is_empty(), "{made:?}");
    }
}
