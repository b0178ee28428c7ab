//! Each dashboard has the fields that Grafana wants (no Grafana is asked), asks for what exists, and explains itself.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{read, series, unknown};
use crate::chart::{has, one, rendered};

const BOARDS: [(&str, &str); 2] = [("fleets", "drover-fleets"), ("fleet", "drover-fleet")];

fn board(name: &str) -> Value {
    serde_json::from_str(&read(format!("charts/drover/dashboards/{name}.json"))).unwrap()
}

fn panels(board: &Value) -> Vec<Value> {
    let panels = board["panels"].as_array().unwrap().iter();
    panels
        .filter(|panel| panel["type"] != "row")
        .cloned()
        .collect()
}

#[test]
fn every_panel_asks_for_series_and_labels_that_exist() {
    let series = series();
    for (name, _) in BOARDS {
        let board = board(name);
        let variables = board["templating"]["list"].as_array().unwrap().iter();
        let variables =
            variables.filter_map(|variable| variable["definition"].as_str().map(str::to_owned));
        for query in variables {
            // label_values(series, label)
            assert!(unknown(&query, &series).is_empty(), "{query}");
        }
        for panel in panels(&board) {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                assert_eq!(
                    unknown(query, &series),
                    Vec::<String>::new(),
                    "{name}, {}",
                    panel["title"]
                );
            }
        }
    }
}

#[test]
fn every_panel_explains_itself_and_takes_the_datasource_that_is_chosen() {
    for (name, uid) in BOARDS {
        let board = board(name);
        assert_eq!(board["uid"], uid);
        let panels = panels(&board);
        assert!(panels.len() > 12, "{name}");
        for panel in panels {
            let title = &panel["title"];
            assert!(
                panel["description"]
                    .as_str()
                    .is_some_and(|text| text.len() > 15),
                "{name}, {title}"
            );
            assert!(
                panel["fieldConfig"]["defaults"]["unit"].is_string(),
                "{name}, {title}"
            );
            assert_eq!(
                panel["datasource"]["uid"], "${datasource}",
                "{name}, {title}"
            );
        }
    }
}

/// So many samples are in it as a rate needs, however often Prometheus looks.
#[test]
fn no_panel_looks_back_over_a_time_of_its_own() {
    for (name, _) in BOARDS {
        for panel in panels(&board(name)) {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                let left = query.replace("[$__rate_interval]", "");
                assert!(!left.contains('['), "{name}, {}: {query}", panel["title"]);
            }
        }
    }
}

/// One whose spec cannot be read has this series, and no order or size.
#[test]
fn every_fleet_can_be_chosen() {
    let board = board("fleet");
    let variables = board["templating"]["list"].as_array().unwrap();
    let fleet = variables.iter().find(|known| known["name"] == "consumer");
    let query = "label_values(drover_fleet_ready, consumer)";
    assert_eq!(fleet.unwrap()["definition"], query);
    assert_eq!(fleet.unwrap()["query"]["query"], query);
}

#[test]
fn the_controller_is_read_once_where_both_kinds_of_monitor_are_asked_for() {
    let both = "monitoring.podMonitors.enabled=true,monitoring.serviceMonitor.enabled=true";
    let objects = rendered(&["--set", both]);
    one(&objects, "ServiceMonitor", "drover-controller");
    let pods = objects
        .iter()
        .filter(|object| object["kind"] == "PodMonitor");
    let names: Vec<_> = pods.map(|pods| &pods["metadata"]["name"]).collect();
    assert_eq!(names, ["drover-controller-workers"]);
}

#[test]
fn panels_have_places_and_numbers_of_their_own() {
    for (name, _) in BOARDS {
        let board = board(name);
        let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
        for panel in board["panels"].as_array().unwrap() {
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{name}: {}",
                panel["id"]
            );
            let at = |field: &str| panel["gridPos"][field].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{name}, {}", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(
                        places.insert((x, y)),
                        "{name}: {} lies on another",
                        panel["title"]
                    );
                }
            }
        }
    }
}

#[test]
fn dashboards_come_as_config_maps_when_asked_for() {
    assert!(!has(&rendered(&[]), "ConfigMap"));
    let options = [
        "--set",
        "monitoring.dashboards.enabled=true,monitoring.dashboards.namespace=grafana",
        "--set",
        "monitoring.dashboards.annotations.grafana_folder=Kafka",
    ];
    let objects = rendered(&options);
    for (name, _) in BOARDS {
        let map = one(
            &objects,
            "ConfigMap",
            &format!("drover-controller-dashboard-{name}"),
        );
        assert_eq!(map["metadata"]["namespace"], "grafana");
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        assert_eq!(
            map["metadata"]["annotations"],
            json!({"grafana_folder": "Kafka"})
        );
        let text = map["data"][format!("{name}.json")].as_str().unwrap();
        let delivered: Value = serde_json::from_str(text).unwrap();
        assert_eq!(delivered, board(name));
    }
}

#[test]
fn monitors_scrape_the_controller_and_all_workers_under_one_label() {
    let usual = rendered(&[]);
    assert!(
        !has(&usual, "PodMonitor") && !has(&usual, "ServiceMonitor") && !has(&usual, "Service")
    );
    let options = [
        "--set",
        "monitoring.podMonitors.enabled=true,monitoring.podMonitors.interval=15s",
        "--set",
        "monitoring.podMonitors.labels.release=prometheus",
    ];
    let objects = rendered(&options);
    for name in ["drover-controller", "drover-controller-workers"] {
        let monitor = one(&objects, "PodMonitor", name);
        assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
        let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
        assert_eq!(
            (&endpoint["port"], &endpoint["interval"]),
            (&json!("admin"), &json!("15s"))
        );
    }
    let workers = &one(&objects, "PodMonitor", "drover-controller-workers")["spec"];
    assert_eq!(workers["namespaceSelector"], json!({"any": true}));
    // What the children carry: tests/it/snapshots.
    let labels = json!({"app.kubernetes.io/name": "drover-worker", "app.kubernetes.io/managed-by": "drover"});
    assert_eq!(workers["selector"]["matchLabels"], labels);
    let relabelled = &workers["podMetricsEndpoints"][0]["relabelings"][0];
    assert_eq!(relabelled["targetLabel"], "consumer");
    let by_service = rendered(&["--set", "monitoring.serviceMonitor.enabled=true"]);
    let service = one(&by_service, "Service", "drover-controller-metrics");
    let monitor = one(&by_service, "ServiceMonitor", "drover-controller");
    assert_eq!(
        monitor["spec"]["endpoints"][0]["port"],
        service["spec"]["ports"][0]["name"]
    );
}
