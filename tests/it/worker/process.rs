//! The binary itself: exit statuses and signals.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use super::kafka::{Kafka, eventually};
use super::web::{Reply, Web, ok};
use super::workers::{TOPIC, config, texts};

/// A process that does not outlive its test.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_drover-worker"))
            .args(arguments)
            .args(["--admin-address", "127.0.0.1:0", "--pod", "pod-1"])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self) {
        let killed = Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
    }

    /// The exit status and what was logged.
    fn wait(mut self) -> (Option<i32>, String) {
        let status = eventually("the process to exit", || self.0.try_wait().unwrap());
        let mut log = String::new();
        self.0
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        (status.code(), log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn written(config: &drover::worker_config::WorkerConfig) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.json");
    std::fs::write(&path, serde_json::to_vec(config).unwrap()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_configuration_that_cannot_be_read_ends_with_status_2_and_says_why() {
    let (status, log) = Process::start(&["--config", "/nowhere/worker.json"]).wait();
    assert_eq!(status, Some(2));
    assert!(log.contains("/nowhere/worker.json: No such file"), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn sigterm_before_the_first_assignment_ends_with_status_0() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.bootstrap_servers = "127.0.0.1:1".to_owned();
    let (_folder, path) = written(&config);
    let process = Process::start(&["--config", &path, "--log-format", "json"]);
    let mut process = process;
    // The first line is written before signals are listened to; the second after.
    let mut log = std::io::BufReader::new(process.0.stderr.take().unwrap());
    let mut lines = String::new();
    while !lines.contains("Kafka cannot be reached") {
        let read = std::io::BufRead::read_line(&mut log, &mut lines).unwrap();
        assert!(read > 0, "{lines}");
    }
    assert!(lines.contains("\"version\""), "{lines}");
    process.signal();
    let status = eventually("the process to exit", || process.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn sigterm_drains_and_ends_with_status_0() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("v", 20));
    let web = Web::start(|_| Reply { hold: true, ..ok() });
    let mut config = config(&kafka, &web);
    config.concurrency = 2;
    let (_folder, path) = written(&config);
    let process = Process::start(&["--config", &path]);
    web.wait_for("two in flight", |seen| seen.len() == 2);
    process.signal();
    web.release();
    let (status, log) = process.wait();
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(web.seen().len(), 2, "{log}");
    assert_eq!(kafka.committed(TOPIC, 0).unwrap().0, 2);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 1));
    let web = Web::start(|_| Reply { hold: true, ..ok() });
    let (_folder, path) = written(&config(&kafka, &web));
    let process = Process::start(&["--config", &path]);
    web.wait_for("one in flight", |seen| seen.len() == 1);
    process.signal();
    // Twice at once is one wish.
    process.signal();
    std::thread::park_timeout(std::time::Duration::from_secs(1));
    process.signal();
    let (status, log) = process.wait();
    assert_eq!(status, Some(143), "{log}");
    assert!(log.contains("second signal"), "{log}");
    web.release();
}
