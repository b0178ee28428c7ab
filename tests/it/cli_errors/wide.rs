//! What is large is told whole.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{api_server_that, drover, kubeconfig, said};
use crate::lag_admin::{commit, mock, produce};
use crate::support::consumers::http_url;

#[test]
fn thousands_of_partitions_are_listed_whole() {
    const MANY: i32 = 3_000;
    let mock = mock(&[("wide", MANY)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "wide", &[7, MANY - 1], 2);
    commit(&servers, "g", "wide", &[(7, 1, "")]);
    let patient = ["--bootstrap", &servers, "--timeout", "120s"];
    let lag = ["lag", "--group", "g", "--topic", "wide"];
    let output = drover(&[&lag[..], &patient, &["-o", "json"]].concat())
        .output()
        .unwrap();
    let (out, error) = said(&output);
    assert!(output.status.success(), "{error}");
    let value: Value = serde_json::from_str(&out).unwrap();
    let numbers: BTreeSet<i64> = value["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|partition| partition["partition"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (0..i64::from(MANY)).collect());
    let output = drover(&[&lag[..], &patient].concat()).output().unwrap();
    let (out, error) = said(&output);
    assert!(output.status.success(), "{error}");
    assert!(out.lines().count() >= 3_000, "{}", out.lines().count());

    let list = ["dlq", "list", "--topic", "wide", "-o", "json"];
    let output = drover(&[&list[..], &patient].concat()).output().unwrap();
    let (out, error) = said(&output);
    assert!(output.status.success(), "{error}");
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["total"], 4, "{value}");
}

#[test]
fn a_status_with_thousands_of_stuck_partitions_is_shown_whole() {
    const MANY: i64 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let stuck: Vec<Value> = (0..MANY)
        .map(|partition| json!({
            "topic": "wide", "partition": partition, "offset": partition, "attempts": 9, "error": "HttpStatus 500",
        }))
        .collect();
    let mut fleet = http_url();
    fleet["metadata"] = json!({ "name": "orders", "namespace": "shop" });
    fleet["status"] = json!({ "partitions": MANY, "lag": i64::MAX, "stuck": stuck });
    let list = json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumerList", "metadata": {}, "items": [fleet],
    });
    let address = api_server_that(move |head| {
        let one =
            head.starts_with("GET /apis/drover.dev/v1alpha1/namespaces/shop/kafkaconsumers/orders");
        (200, if one { fleet.clone() } else { list.clone() })
    });
    let kubeconfig = kubeconfig(folder.path(), address);
    let shown = |arguments: &[&str]| {
        let output = drover(arguments)
            .env("KUBECONFIG", &kubeconfig)
            .output()
            .unwrap();
        let (out, error) = said(&output);
        assert!(output.status.success(), "{error}");
        out
    };
    let one = shown(&["status", "orders"]);
    let rows = one.lines().filter(|line| line.contains("HttpStatus 500"));
    assert_eq!(rows.count(), 3_000);
    assert!(one.contains("3,000 partitions"), "{}", &one[..400]);
    let value: Value = serde_json::from_str(&shown(&["status", "orders", "-o", "json"])).unwrap();
    assert_eq!(value["status"]["stuck"].as_array().unwrap().len(), 3_000);
    let all = shown(&["status"]);
    assert!(all.contains("9,223,372,036,854,775,807"), "{all}");
}
