//! Who may import whom, read from `src/`.
//!
//! The table is the one of `ARCHITECTURE.md`. An arrow that is not in it, and anything from outside
//! in a pure module, fails.

mod code;

use std::fs;
use std::path::{Path, PathBuf};

use code::{has_word, imports, without_comments_and_texts};

/// What each module may import of ours.
const ARROWS: &[(&str, &[&str])] = &[
    // Pure.
    ("topic", &[]),
    ("plural", &[]),
    ("foreign", &[]),
    ("yaml", &[]),
    ("api", &[]),
    ("report", &["topic", "foreign"]),
    ("scaling", &["topic", "report", "plural"]),
    ("simulation", &["scaling", "topic", "report"]),
    ("worker_config", &["api"]),
    ("idempotency", &["worker_config"]),
    ("encryption", &[]),
    ("engine", &["topic", "report", "worker_config"]),
    ("fleet", &["api", "scaling", "topic", "worker_config"]),
    ("resources", &["api", "fleet", "worker_config"]),
    // Edges.
    ("clock", &[]),
    ("telemetry", &["clock", "foreign"]),
    ("k8s", &["api", "clock"]),
    (
        "store",
        &["idempotency", "worker_config", "foreign", "clock"],
    ),
    (
        "kafka",
        &["topic", "report", "worker_config", "foreign", "clock"],
    ),
    (
        "lag",
        &["api", "topic", "report", "scaling", "kafka", "clock"],
    ),
    // What applications share.
    (
        "redrive",
        &[
            "topic",
            "plural",
            "worker_config",
            "foreign",
            "kafka",
            "clock",
        ],
    ),
    // Applications. Controller and worker never import each other; the binaries read arguments and
    // start what an application is handed. Only `dev` runs a worker within another program.
    (
        "controller",
        &[
            "api",
            "fleet",
            "resources",
            "scaling",
            "report",
            "plural",
            "topic",
            "worker_config",
            "k8s",
            "kafka",
            "lag",
            "clock",
            "telemetry",
        ],
    ),
    (
        "worker",
        &[
            "foreign",
            "engine",
            "idempotency",
            "encryption",
            "worker_config",
            "report",
            "topic",
            "kafka",
            "store",
            "redrive",
            "clock",
            "telemetry",
        ],
    ),
    (
        "dev",
        &[
            "api",
            "engine",
            "fleet",
            "resources",
            "plural",
            "topic",
            "worker_config",
            "yaml",
            "kafka",
            "lag",
            "telemetry",
            "worker",
        ],
    ),
    (
        "cli",
        &[
            "api",
            "dev",
            "encryption",
            "fleet",
            "resources",
            "scaling",
            "simulation",
            "report",
            "plural",
            "topic",
            "worker_config",
            "yaml",
            "k8s",
            "kafka",
            "lag",
            "redrive",
            "clock",
            "telemetry",
        ],
    ),
    (
        "bin",
        &[
            "controller",
            "worker",
            "cli",
            "clock",
            "k8s",
            "resources",
            "telemetry",
        ],
    ),
];

/// Network, runtime, clock, environment and log, each with why it is not for a pure module.
const FORBIDDEN_IN_PURE: &[(&str, &str)] = &[
    ("tokio", "a runtime"),
    ("futures", "a runtime"),
    ("rdkafka", "Kafka"),
    ("hyper", "the network"),
    ("axum", "the network"),
    ("std::net", "the network"),
    ("std::fs", "files"),
    ("std::env", "the environment"),
    ("std::thread", "threads"),
    ("std::process", "processes"),
    ("Instant", "the clock"),
    ("SystemTime", "the clock"),
    ("Timestamp::now", "the clock"),
    ("tracing", "the log"),
    ("println!", "the log"),
    ("eprintln!", "the log"),
    ("kube::Client", "the API server"),
    ("kube::client", "the API server"),
    ("kube::Api", "the API server"),
    ("kube::runtime", "the API server"),
    ("SystemRandom", "chance"),
];

const PURE: &[&str] = &[
    "topic",
    "plural",
    "foreign",
    "yaml",
    "api",
    "report",
    "scaling",
    "simulation",
    "worker_config",
    "idempotency",
    "encryption",
    "engine",
    "fleet",
    "resources",
];

/// The folder whose wrapper around librdkafka needs it, or that file.
const UNSAFE_HOME: &str = "kafka/native";

/// Everything that is wrong with one source file; `path` is relative to `src/`.
fn faults(path: &str, source: &str, is_test: bool) -> Vec<String> {
    let module = path.split(['/', '.']).next().unwrap_or_default();
    let code = without_comments_and_texts(source);
    let mut faults = Vec::new();
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "src/{path}: module {module} is not in the table of arrows; add it"
        )];
    };
    for imported in imports(&code) {
        if imported != module && !allowed.contains(&imported.as_str()) {
            faults.push(format!("src/{path}: {module} must not import {imported}"));
        }
    }
    if PURE.contains(&module) && !is_test {
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        for (word, what) in FORBIDDEN_IN_PURE {
            if has_word(code, word) {
                faults.push(format!(
                    "src/{path}: {module} is pure and must not use {word} ({what})"
                ));
            }
        }
    }
    if !path.starts_with(UNSAFE_HOME)
        && (has_word(&code, "unsafe") || code.contains("allow(unsafe_code)"))
    {
        faults.push(format!(
            "src/{path}: unsafe code has its home in src/{UNSAFE_HOME}"
        ));
    }
    faults
}

/// The modules that a source declares only for tests, as paths relative to `src/` without `.rs`:
/// they may do as they like.
fn test_modules(path: &str, source: &str) -> Vec<String> {
    let folder = match path.strip_suffix("mod.rs") {
        Some(folder) => folder.to_owned(),
        None => format!("{}/", path.trim_end_matches(".rs")),
    };
    let code = without_comments_and_texts(source);
    let declared = code.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let name = after.trim_start().strip_prefix("mod ")?;
        Some(name[..name.find(';')?].trim().to_owned())
    });
    declared
        .filter(|name| !name.contains('{'))
        .map(|name| format!("{folder}{name}"))
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_arrow_is_in_the_table_and_pure_modules_are_pure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    assert!(found.len() > 20, "only {} sources were found", found.len());
    let read: Vec<(String, String)> = found
        .iter()
        .map(|file| {
            let path = file.strip_prefix(&root).unwrap().display().to_string();
            (path, fs::read_to_string(file).unwrap())
        })
        .filter(|(path, _)| path != "lib.rs")
        .collect();
    let tests: Vec<String> = read
        .iter()
        .flat_map(|(path, source)| test_modules(path, source))
        .collect();
    let mut all = Vec::new();
    for (path, source) in &read {
        let is_test = tests.iter().any(|test| {
            let rest = path.strip_prefix(test.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
        all.extend(faults(path, source, is_test));
    }
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn what_is_forbidden_is_found() {
    for (path, source, fault) in [
        (
            "worker/mod.rs",
            "use crate::controller::Context;",
            "worker must not import controller",
        ),
        (
            "controller/mod.rs",
            "fn f() { crate::worker::run() }",
            "controller must not import worker",
        ),
        (
            "engine/mod.rs",
            "use crate::{topic::Offset, kafka::Consumer};",
            "engine must not import kafka",
        ),
        (
            "scaling/mod.rs",
            "use crate::{topic::{Offset, Lag}, fleet};",
            "scaling must not import fleet",
        ),
        (
            "bin/worker.rs",
            "use drover::engine::Engine;",
            "bin must not import engine",
        ),
        (
            "engine/retry.rs",
            "use std::time::Instant;",
            "must not use Instant",
        ),
        (
            "fleet/mod.rs",
            "fn f() { tracing::info!(\"x\") }",
            "must not use tracing",
        ),
        (
            "resources/mod.rs",
            "use tokio::time::sleep;",
            "must not use tokio",
        ),
        (
            "report.rs",
            "fn f() { std::env::var(\"A\"); }",
            "must not use std::env",
        ),
        (
            "api/mod.rs",
            "use kube::Client;",
            "must not use kube::Client",
        ),
        (
            "cli/dev.rs",
            "use crate::worker::run;",
            "cli must not import worker",
        ),
        (
            "dev/mod.rs",
            "use crate::{cli::output, worker};",
            "dev must not import cli",
        ),
        (
            "controller/mod.rs",
            "use crate::dev::Plan;",
            "controller must not import dev",
        ),
        (
            "worker/mod.rs",
            "fn f() { unsafe { g() } }",
            "unsafe code has its home",
        ),
        ("unheard_of/mod.rs", "", "not in the table"),
    ] {
        let found = faults(path, source, false);
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        assert!(found[0].contains(fault), "{fault}: {found:?}");
    }
}

#[test]
fn what_is_allowed_is_left_alone() {
    for (path, source) in [
        (
            "engine/mod.rs",
            "// use tokio\n/// crate::kafka\nuse crate::topic::Offset;\n",
        ),
        (
            "engine/mod.rs",
            "const A: &str = \"crate::kafka \\\" tokio\"; const B: char = '\"'; use crate::report;",
        ),
        ("engine/mod.rs", "const A: &str = r#\"std::env \" tokio\"#;"),
        ("engine/mod.rs", "struct InstantNoodles; fn untokio() {}"),
        (
            "engine/mod.rs",
            "fn f() {}\n#[cfg(test)]\nmod tests { use std::time::Instant; }",
        ),
        (
            "kafka/native.rs",
            "#![allow(unsafe_code)] fn f() { unsafe { g() } }",
        ),
        ("kafka/native/offsets.rs", "fn f() { unsafe { g() } }"),
        ("bin/cli.rs", "fn main() { drover::cli::main() }"),
    ] {
        assert_eq!(
            faults(path, source, false),
            Vec::<String>::new(),
            "{source}"
        );
    }
}

#[test]
fn modules_that_are_only_for_tests_are_found() {
    for (path, source, modules) in [
        (
            "engine/mod.rs",
            "#[cfg(test)]\nmod tests;\nmod lane;",
            &["engine/tests"][..],
        ),
        (
            "fleet/timing.rs",
            "#[cfg(test)] mod tables;",
            &["fleet/timing/tables"],
        ),
        ("fleet/timing.rs", "#[cfg(test)] mod tests { use x; }", &[]),
        ("engine/mod.rs", "mod lane;", &[]),
    ] {
        assert_eq!(test_modules(path, source), modules, "{source}");
    }
    let clock = "use std::time::Instant;";
    assert_eq!(faults("engine/tests.rs", clock, true), Vec::<String>::new());
    assert_eq!(
        faults("engine/tests.rs", "use crate::kafka;", true).len(),
        1
    );
}
