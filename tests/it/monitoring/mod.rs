//! Metrics, dashboards and alerts agree with each other, with their pages and with what the chart renders.

mod alerts;
mod dashboards;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use drover::telemetry::reference::{self, Described};
use regex::Regex;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every series that there is, with the labels that it can have.
fn series() -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for metric in reference::controller() {
        add(&mut all, &metric, &["namespace", "pod"]);
    }
    for metric in reference::worker() {
        // The chart's PodMonitor adds the fleet.
        add(&mut all, &metric, &["namespace", "pod", "consumer"]);
    }
    all
}

fn add(all: &mut BTreeMap<String, BTreeSet<String>>, metric: &Described, scraped: &[&str]) {
    let mut labels: BTreeSet<String> = metric.labels.iter().cloned().collect();
    labels.extend(scraped.iter().map(|label| (*label).to_owned()));
    if metric.kind == "histogram" {
        labels.insert("le".to_owned());
    }
    for name in metric.series() {
        all.insert(name, labels.clone());
    }
}

/// What a query asks for that is not there: series, and labels that none of its series has.
fn unknown(query: &str, series: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let name = Regex::new(r"\bdrover_\w+").unwrap();
    let names: Vec<&str> = name.find_iter(query).map(|found| found.as_str()).collect();
    let mut unknown: Vec<String> = names
        .iter()
        .filter(|name| !series.contains_key(**name))
        .map(|name| (*name).to_owned())
        .collect();
    if names.is_empty() {
        unknown.push(format!("no series in {query}"));
    }
    let has = |label: &str| {
        names.iter().any(|name| {
            series
                .get(*name)
                .is_some_and(|labels| labels.contains(label))
        })
    };
    let grouped = Regex::new(r"\b(?:by|on)\s*\(([^)]*)\)").unwrap();
    let matched = Regex::new(r#"(\w+)\s*(?:=~|!~|!=|=)\s*["']"#).unwrap();
    let groups = grouped.captures_iter(query).flat_map(|found| {
        let inside = found[1].to_owned();
        inside
            .split(',')
            .map(|label| label.trim().to_owned())
            .collect::<Vec<_>>()
    });
    let labels = groups.chain(
        matched
            .captures_iter(query)
            .map(|found| found[1].to_owned()),
    );
    unknown.extend(
        labels
            .filter(|label| !has(label))
            .map(|label| format!("label {label}")),
    );
    unknown
}

#[test]
fn what_a_query_asks_for_and_is_not_there_is_found_out() {
    let series = series();
    let good =
        "sum by (le) (rate(drover_worker_handler_duration_seconds_bucket{consumer=\"a/b\"}[5m]))";
    assert_eq!(unknown(good, &series), Vec::<String>::new());
    for (bad, what) in [
        ("drover_fleet_lag", "drover_fleet_lag"),
        // A counter is asked for with its ending.
        (
            "rate(drover_worker_records_done[5m])",
            "drover_worker_records_done",
        ),
        ("max by (fleet) (drover_fleet_lag_records)", "label fleet"),
        ("drover_fleet_condition{type=\"Ready\"}", "label type"),
        ("vector(1)", "no series in vector(1)"),
    ] {
        assert_eq!(unknown(bad, &series), [what], "{bad}");
    }
}

#[test]
fn the_page_of_metrics_is_what_the_registries_say() {
    assert!(
        reference::page() == read("docs/metrics.md"),
        "run make generate"
    );
}

/// Prose that names a metric names one that exists.
#[test]
fn documents_name_metrics_that_exist() {
    let series = series();
    let mut named = 0;
    let name = Regex::new(r"\bdrover_(?:controller|fleet|worker)_\w+").unwrap();
    for folder in ["docs", "docs/runbooks"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            for found in name.find_iter(&read(&path)) {
                let found = found.as_str();
                let exists = series.contains_key(found)
                    // A histogram is named as a whole in the page of metrics, families by a prefix.
                    || series.contains_key(&format!("{found}_bucket"))
                    || found.ends_with('_');
                assert!(exists, "{}: {found}", path.display());
                named += 1;
            }
        }
    }
    assert!(named > 50, "{named}");
}
