//! Dead letters of many KafkaConsumers of one Kafka: each is told, and all are asked for together.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::cli_errors::{api_server_that, kubeconfig};
use crate::lag_admin::{mock, produce};
use crate::support::consumers::http_url;

const FLEETS: usize = 40;

/// Connections to a port of this machine that the other side has ended, of the last minute.
fn ended_connections(port: &str) -> usize {
    let port: u16 = port.parse().unwrap();
    let there = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    // As `TIME_WAIT` is written there.
    let is_one = |line: &Vec<&str>| line[2].ends_with(&there) && line[3] == "06";
    lines.filter(is_one).count()
}

#[test]
fn forty_fleets_of_one_kafka_take_hardly_more_connections_than_one() {
    let topics: Vec<String> = (0..FLEETS).map(|n| format!("dead-{n}")).collect();
    // One of them is not there.
    let made: Vec<(&str, i32)> = topics[1..]
        .iter()
        .map(|topic| (topic.as_str(), 2))
        .collect();
    let mock = mock(&made);
    let servers = mock.bootstrap_servers();
    for (number, topic) in topics
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(n, _)| n % 2 == 0)
    {
        produce(&servers, topic, &[0, 1], number);
    }
    let fleets = topics.iter().enumerate().map(|(number, topic)| {
        let mut fleet = http_url();
        fleet["metadata"] = json!({ "name": format!("fleet-{number:02}"), "namespace": "shop" });
        fleet["spec"]["kafka"] = json!({ "bootstrapServers": servers });
        fleet["spec"]["delivery"] = json!({ "deadLetter": { "topic": topic } });
        fleet
    });
    let list = json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumerList", "metadata": {},
        "items": fleets.collect::<Vec<_>>(),
    });
    let folder = tempfile::tempdir().unwrap();
    let address = api_server_that(move |_| (200, list.clone()));
    let kubeconfig = kubeconfig(folder.path(), address);
    let (_, port) = servers.rsplit_once(':').unwrap();
    let before = ended_connections(port);
    let output = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["dlq", "list", "-A", "-o", "json"])
        .env("KUBECONFIG", &kubeconfig)
        .env_remove("DROVER_BOOTSTRAP")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let after = ended_connections(port);
    let error = String::from_utf8_lossy(&output.stderr);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = json["items"].as_array().unwrap();
    assert_eq!(items.len(), FLEETS, "{error}");
    for (number, item) in items.iter().enumerate() {
        assert_eq!(item["name"], format!("fleet-{number:02}"), "{item}");
        match number {
            0 => {
                let why = item["error"].as_str().unwrap();
                assert!(why.contains("topic dead-0 does not exist"), "{item}");
            }
            _ if number % 2 == 0 => assert_eq!(item["total"], 2 * number, "{item}"),
            _ => assert_eq!(item["total"], 0, "{item}"),
        }
    }
    assert_eq!(output.status.code(), Some(2), "{error}");
    let taken = after.saturating_sub(before);
    assert!((1..20).contains(&taken), "{taken} connections");
}
