//! Each alert has its page, asks for what exists, and behaves as its test says.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{read, root, series, unknown};
use crate::chart::{one, refused, rendered, rendered_in};

fn rules(options: &[&str]) -> Value {
    let always = ["--set", "monitoring.rules.enabled=true"];
    let objects = rendered(&[always.as_slice(), options].concat());
    one(&objects, "PrometheusRule", "drover-controller")["spec"].clone()
}

fn alerts(rules: &Value) -> Vec<Value> {
    let groups = rules["groups"].as_array().unwrap().iter();
    let of = |group: &Value| group["rules"].as_array().unwrap().clone();
    groups.flat_map(of).collect()
}

fn names(alerts: &[Value]) -> BTreeSet<String> {
    let name = |alert: &Value| alert["alert"].as_str().unwrap().to_owned();
    alerts.iter().map(name).collect()
}

/// The names of the files in a folder, without their ending, `README` left out.
fn files(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned));
    names.filter(|name| name != "README").collect()
}

#[test]
fn every_alert_has_its_page_its_test_and_its_line_and_no_page_is_without_alert() {
    let alerts = alerts(&rules(&[]));
    let names = names(&alerts);
    assert_eq!(files("docs/runbooks", ".md"), names);
    assert_eq!(files("tests/alerts", ".yaml"), names);
    let index = read("docs/alerts.md");
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        let severity = alert["labels"]["severity"].as_str().unwrap();
        let line = format!("| [{name}](runbooks/{name}.md) | {severity} |");
        assert!(index.contains(&line), "docs/alerts.md lacks {line}");
        let page = read(format!("docs/runbooks/{name}.md"));
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        for part in ["**Meaning.**", "**Impact.**", "**Look at**", "**Do**"] {
            assert!(page.contains(part), "{name} lacks {part}");
        }
        let test = read(format!("tests/alerts/{name}.yaml"));
        for part in [
            format!("alertname: {name}"),
            "exp_alerts: []".to_owned(),
            "runbook_url".to_owned(),
        ] {
            assert!(test.contains(&part), "the test of {name} lacks {part}");
        }
    }
}

#[test]
fn every_alert_asks_for_series_and_labels_that_exist() {
    let series = series();
    for alert in alerts(&rules(&[])) {
        let query = alert["expr"].as_str().unwrap();
        assert_eq!(
            unknown(query, &series),
            Vec::<String>::new(),
            "{}",
            alert["alert"]
        );
    }
}

/// By Prometheus' own tool, with the rules as the chart renders them.
#[test]
fn every_alert_fires_when_it_must_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let rules = serde_json::to_string(&rules(&[])).unwrap();
    fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let tests: Vec<_> = files("tests/alerts", ".yaml")
        .into_iter()
        .map(|name| format!("{name}.yaml"))
        .collect();
    for test in &tests {
        fs::copy(
            root().join("tests/alerts").join(test),
            folder.path().join(test),
        )
        .unwrap();
    }
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .args(&tests)
        .current_dir(folder.path())
        .output()
        .expect("promtool is there: make setup installs it");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("SUCCESS").count(), tests.len(), "{said}");
}

#[test]
fn alerts_are_labelled_left_out_and_led_to_their_pages_as_asked() {
    let options = [
        "--set",
        "monitoring.rules.alertLabels.team=platform,monitoring.rules.alertLabels.severity=page",
        "--set",
        "monitoring.rules.runbookUrl=https://wiki.example/books/",
        "--set",
        "monitoring.rules.disabled={DroverDeadLetters}",
    ];
    let some = alerts(&rules(&options));
    assert_eq!(some.len() + 1, alerts(&rules(&[])).len());
    assert!(!names(&some).contains("DroverDeadLetters"));
    for alert in &some {
        assert_eq!(
            alert["labels"],
            json!({"team": "platform", "severity": "page"})
        );
        let page = format!(
            "https://wiki.example/books/{}.md",
            alert["alert"].as_str().unwrap()
        );
        assert_eq!(alert["annotations"]["runbook_url"], page.as_str());
    }
    let said = refused(&[
        "--set",
        "monitoring.rules.enabled=true,monitoring.rules.disabled={DroverTypo}",
    ]);
    assert!(said.contains("there is no alert DroverTypo"), "{said}");
}

#[test]
fn the_rule_of_a_leader_asks_for_that_of_its_own_release() {
    let objects = rendered_in("team-b", &["--set", "monitoring.rules.enabled=true"]);
    let rules = &one(&objects, "PrometheusRule", "drover-controller")["spec"];
    let alerts = alerts(rules);
    let lone = alerts
        .iter()
        .find(|alert| alert["alert"] == "DroverNoLeader");
    let query = lone.unwrap()["expr"].as_str().unwrap();
    assert!(
        query.contains(r#"{namespace="team-b", pod=~"drover-controller-[a-z0-9]+-[a-z0-9]+"}"#),
        "{query}"
    );
    assert!(!rules.to_string().contains("RELEASE_"), "{rules}");
}
