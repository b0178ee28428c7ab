//! Commands that have the worker killed together with them, as one that takes all of the container's memory does.

use std::collections::BTreeMap;
use std::path::Path;

use drover::worker_config::{ExecHandler, Handler, OnExhausted, WorkerConfig};

use super::kafka::{Kafka, eventually};
use super::outages::nowhere;
use super::process::Process;
use super::web::{Web, ok};
use super::workers::{TOPIC, config, texts};

const DEAD: &str = "orders.dlq";

/// Four processes at once. `v-2` kills the worker; the others take their time and write down what they did.
fn deadly(kafka: &Kafka, folder: &Path) -> WorkerConfig {
    let script = r#"while IFS= read -r line; do
        case "$line" in *'"value":"v-2"'*)
            echo v-2 >> "$0/begun"; kill -9 "$PPID"; exit ;;
        esac
        value="${line##*'"value":"'}"; value="${value%%'"'*}"
        echo "$value" >> "$0/begun"; sleep 0.3; echo "$value" >> "$0/done"; echo '"done"'
    done"#;
    let path = folder.to_str().unwrap();
    let command = ["/bin/sh", "-c", script, path].map(str::to_owned).to_vec();
    let web = Web::start(|_| ok());
    let mut config = WorkerConfig {
        handler: Handler::Exec(ExecHandler { command }),
        concurrency: 4,
        ..config(kafka, &web)
    };
    for (name, millis) in [
        ("session.timeout.ms", "2000"),
        ("heartbeat.interval.ms", "500"),
    ] {
        config.properties.insert(name.to_owned(), millis.to_owned());
    }
    config
}

/// Starts workers of one pod, as its kubelet does, until one of them outlives what `is_over` waits for; how many were
/// killed before.
fn restarted(config: &WorkerConfig, folder: &Path, is_over: impl Fn() -> bool) -> usize {
    let journal = folder.join("journal");
    let journal = journal.to_str().unwrap();
    for killed in 0..8 {
        let mut process = Process::start_in(&[("DROVER_JOURNAL", journal)], config, nowhere());
        let over = eventually("its end, or that of the work", || match is_over() {
            true => Some(true),
            false => process.has_ended().then_some(false),
        });
        if over {
            process.terminate();
            let (status, log) = process.wait();
            assert_eq!(status, Some(0), "{log}");
            return killed;
        }
    }
    panic!("killed again and again");
}

fn counts(path: &Path) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().fold(BTreeMap::new(), |mut counts, line| {
        *counts.entry(line.to_owned()).or_default() += 1;
        counts
    })
}

#[test]
fn a_record_that_has_the_worker_killed_is_dead_lettered_and_no_other() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    let keys = ["a", "b", "c", "d", "e"];
    kafka.produce(TOPIC, 0, &keys, &texts("v", 20));
    let folder = tempfile::tempdir().unwrap();
    let mut config = deadly(&kafka, folder.path());
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let all = || kafka.committed(TOPIC, 0).is_some_and(|(to, _)| to == 20);
    let killed = restarted(&config, folder.path(), all);
    assert_eq!(killed, 3, "once among others, twice alone");

    let letters = kafka.read(DEAD, 1);
    assert_eq!(letters[0].value.as_deref(), Some(&b"v-2"[..]));
    for (name, value) in [
        ("reason", "WorkerKilled"),
        ("error-class", "WorkerKilled"),
        ("attempts", "2"),
    ] {
        let header = letters[0].header(&format!("drover-dlq-{name}"));
        assert_eq!(header, Some(value), "{name}");
    }
    let (begun, done) = (
        counts(&folder.path().join("begun")),
        counts(&folder.path().join("done")),
    );
    assert_eq!(begun["v-2"], 3);
    assert_eq!(done.len(), 19, "{done:?}");
    // What was in flight beside it the first time is begun again, and what no commit had seen yet.
    assert!(begun.values().all(|times| *times <= 3), "{begun:?}");
    let again = begun.values().filter(|times| **times > 1).count();
    assert!(again <= 8, "{begun:?}");
}

#[test]
fn without_a_dead_letter_topic_it_is_stuck_and_the_worker_lives() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c", "d", "e"], &texts("v", 20));
    let folder = tempfile::tempdir().unwrap();
    let config = deadly(&kafka, folder.path());
    let is_stuck = || {
        let (to, report) = kafka.committed(TOPIC, 0)?;
        // Of its key, `c`, nothing goes on.
        let others_are_done = report.contains("ahead=1-4,6-9,11-14,16-17");
        (to == 2 && report.contains("stuck=2,1,WorkerKilled") && others_are_done).then_some(())
    };
    assert_eq!(
        restarted(&config, folder.path(), || is_stuck().is_some()),
        3
    );
    assert_eq!(counts(&folder.path().join("done")).len(), 16);
}
