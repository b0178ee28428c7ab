//! What the README says is so: its commands exist, its resource is valid. Links and commands of all documents: `docs`.

use std::fs;
use std::path::PathBuf;

use drover::fleet::{References, check_document, validate};
use drover::resources::{Settings, build};
use drover::yaml;

const DOCUMENTS: [&str; 9] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs/install.md",
    "docs/http-handler.md",
    "docs/idempotency.md",
    "docs/encryption.md",
    "docs/failure-modes.md",
    "docs/tracing.md",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Targets of make that a text names, in a line of code or quoted.
fn targets(text: &str) -> Vec<&str> {
    let quoted = text.split("`make ").skip(1);
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("    make "));
    quoted
        .chain(lines)
        .filter_map(|rest| {
            rest.split(|c: char| !c.is_ascii_lowercase() && c != '-')
                .next()
        })
        .collect()
}

#[test]
fn the_readme_is_short_enough_to_be_read() {
    assert!(read("README.md").lines().count() < 150);
}

#[test]
fn every_make_target_in_the_documents_exists() {
    let makefile = read("Makefile");
    let mut found = 0;
    for document in DOCUMENTS {
        for target in targets(&read(document)) {
            assert!(
                makefile.contains(&format!("\n{target}:")),
                "{document}: make {target}"
            );
            found += 1;
        }
    }
    assert!(found >= 5, "the documents name make targets");
}

/// The resource that a document shows.
fn resource(document: &str) -> serde_json::Value {
    let text = read(document);
    let begin = text.find("    apiVersion: drover.dev/").unwrap();
    let text: String = text[begin..]
        .lines()
        .take_while(|line| line.starts_with("    "))
        .map(|line| format!("{}\n", &line[4..]))
        .collect();
    yaml::documents(&text).remove(0).value.unwrap()
}

#[test]
fn the_resource_in_the_readme_is_valid() {
    assert_eq!(check_document(&resource("README.md")), []);
}

#[test]
fn the_variables_in_the_document_on_tracing_reach_the_worker() {
    let document = resource("docs/tracing.md");
    assert_eq!(check_document(&document), []);
    let consumer = serde_json::from_value(document).unwrap();
    let fleet = validate(&consumer, &References::default()).unwrap();
    let settings = Settings {
        worker_image: "drover.local/drover-worker:dev".to_owned(),
        image_pull_policy: None,
        user_by_platform: false,
    };
    let pod = build(&fleet, &settings).deployment.spec.template;
    let containers = pod.spec.unwrap().containers;
    let worker = containers.iter().find(|c| c.name == "worker").unwrap();
    let variables = worker.env.iter().flatten();
    let values: Vec<_> = variables
        .filter(|variable| variable.name.starts_with("OTEL_"))
        .filter_map(|variable| variable.value.as_deref())
        .collect();
    let collector = "http://otel-collector.observability:4318";
    assert_eq!(values, [collector, "parentbased_traceidratio", "0.1"]);
}

#[test]
fn every_folder_and_file_that_the_architecture_names_exists() {
    let text = read("ARCHITECTURE.md");
    for code in text.split('`').skip(1).step_by(2) {
        let named = code.starts_with("src/") || code.starts_with("tests/");
        if named && !code.contains('*') {
            assert!(root().join(code).exists(), "{code}");
        }
    }
}
