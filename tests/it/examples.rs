//! Every example is valid, and becomes children that can run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use drover::api::KafkaConsumer;
use drover::fleet::{self, Fleet, Handler, References};
use drover::resources::{self, Settings};
use drover::yaml;

/// All YAML of the examples, also in their folders.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == "yaml") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The documents of all examples, with the file of each.
fn documents() -> Vec<(PathBuf, serde_json::Value)> {
    let mut found = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        for document in yaml::documents(&text) {
            let value = document
                .value
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            found.push((file.clone(), value));
        }
    }
    found
}

fn consumers() -> Vec<(PathBuf, KafkaConsumer)> {
    documents()
        .into_iter()
        .filter(|(_, value)| value["kind"] == "KafkaConsumer")
        .map(|(file, value)| (file, serde_json::from_value(value).unwrap()))
        .collect()
}

fn files_with_consumers() -> BTreeSet<PathBuf> {
    consumers().into_iter().map(|(file, _)| file).collect()
}

fn fleet(consumer: &KafkaConsumer) -> Fleet {
    fleet::validate(consumer, &References::default()).unwrap()
}

fn settings() -> Settings {
    Settings {
        worker_image: "drover.local/drover-worker:dev".to_owned(),
        image_pull_policy: None,
        user_by_platform: false,
    }
}

#[test]
fn every_example_passes_drover_validate() {
    let output = Command::new(env!("CARGO_BIN_EXE_drover"))
        .arg("validate")
        .args(files_with_consumers())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_way_to_handle_has_an_example() {
    let kinds: BTreeSet<&str> = consumers()
        .iter()
        .map(|(_, consumer)| match fleet(consumer).handler {
            Handler::Url(_) => "url",
            Handler::Port { .. } => "port",
            Handler::Socket { .. } => "socket",
            Handler::Exec { .. } => "exec",
            Handler::Consumer { .. } => "consumer",
        })
        .collect();
    assert_eq!(
        kinds,
        BTreeSet::from(["url", "port", "socket", "exec", "consumer"])
    );
}

#[test]
fn every_example_becomes_a_deployment_with_containers() {
    for (file, consumer) in consumers() {
        let children = resources::build(&fleet(&consumer), &settings());
        let pod = children.deployment.spec.template.spec.unwrap();
        assert!(!pod.containers.is_empty(), "{}", file.display());
        for container in pod
            .containers
            .iter()
            .chain(pod.init_containers.iter().flatten())
        {
            assert!(
                container.image.is_some(),
                "{}: {}",
                file.display(),
                container.name
            );
        }
    }
}

#[test]
fn the_demo_promises_what_its_description_says() {
    let (_, consumer) = consumers()
        .into_iter()
        .find(|(file, _)| file.ends_with("demo/consumer.yaml"))
        .unwrap();
    let fleet = fleet(&consumer);
    assert_eq!(fleet.group_id, "demo.user-events");
    assert_eq!(fleet.delivery.concurrency.get(), 1);
    assert_eq!(
        (fleet.policy.min, fleet.policy.max_delay.as_secs()),
        (0, 30)
    );
}

/// Tests and the demo build these images; an example with another one would not start there.
#[test]
fn examples_name_only_images_that_the_build_makes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let makefile = fs::read_to_string(root.join("Makefile")).unwrap();
    let with_folders = makefile
        .lines()
        .find_map(|line| line.strip_prefix("EXAMPLES := "))
        .unwrap();
    let mut images = 0;
    for (file, document) in documents() {
        for image in images_in(&document) {
            // A database to try an example with, where the reader has none.
            if file.ends_with("idempotent/postgres.yaml") {
                continue;
            }
            let name = image
                .strip_prefix("drover.local/")
                .and_then(|name| name.strip_suffix(":dev"));
            let name = name.unwrap_or_else(|| panic!("{}: {image}", file.display()));
            let made = match name.strip_prefix("example-") {
                Some(folder) => with_folders.split(' ').any(|made| made == folder),
                None => makefile.contains(&format!(" {name}=")),
            };
            assert!(made, "{}: {image}", file.display());
            images += 1;
        }
    }
    assert!(images >= 3);
}

/// What is in a folder with a Dockerfile is run by a test of that name, as its README says.
#[test]
fn every_example_with_a_dockerfile_is_built_and_followed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let makefile = fs::read_to_string(root.join("Makefile")).unwrap();
    let tests = fs::read_to_string(root.join("tests/e2e/examples.rs")).unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("examples")).unwrap() {
        let folder = entry.unwrap().path();
        if folder.join("Dockerfile").exists() {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(folder.join("README.md").exists(), "{name}");
            assert!(tests.contains(&format!("(\"{name}\")")), "{name}");
            found.push(name);
        }
    }
    found.sort();
    let line = format!("\nEXAMPLES := {}\n", found.join(" "));
    assert!(makefile.contains(&line), "{line}");
}

fn images_in(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match value.as_str() {
                Some(image) if key == "image" => vec![image.to_owned()],
                _ => images_in(value),
            })
            .collect(),
        serde_json::Value::Array(list) => list.iter().flat_map(images_in).collect(),
        _ => Vec::new(),
    }
}
