//! `drover record` as a program, against a real broker; and what it wrote, replayed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use drover::clock::Monotonic;
use drover::simulation::Trace;

use crate::lag_admin::produce;
use crate::lag_broker::broker;

const DEADLINE: Duration = Duration::from_secs(60);

fn record(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
    command
        .arg("record")
        .args(arguments)
        .env_remove("DROVER_BOOTSTRAP")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Ends with the test, however that ends.
struct Recording(Child);

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The records that the lines in `file` add up to, once they satisfy `enough`.
async fn eventually(file: &Path, enough: impl Fn(f64) -> bool) -> f64 {
    let began = Monotonic::start();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Ok(trace) = Trace::read(&text) {
            let records = trace.mean() * trace.length();
            if enough(records) {
                return records;
            }
        }
        assert!(began.elapsed() < DEADLINE, "the trace is {text:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_arrives_is_recorded_until_ctrl_c_and_can_be_replayed() {
    let broker = broker();
    let topic = broker.create_topic("recorded", 3).await;
    // What was there before does not count.
    produce(&broker.servers, &topic, &[0], 7);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("load.csv");
    let child = record(&["--bootstrap", &broker.servers, "--topic", &topic, "--out"])
        .arg(&file)
        .spawn()
        .unwrap();
    let mut recording = Recording(child);
    eventually(&file, |_| true).await;
    produce(&broker.servers, &topic, &[0], 40);
    produce(&broker.servers, &topic, &[1, 2], 30);
    let records = eventually(&file, |records| records > 99.5).await;
    assert!((records - 100.0).abs() < 0.5, "{records}");

    let pid = recording.0.id().to_string();
    let asked = Command::new("kill").args(["-INT", &pid]).status();
    assert!(asked.unwrap().success());
    assert!(recording.0.wait().unwrap().success());
    let text = std::fs::read_to_string(&file).unwrap();
    let head = format!("# end offsets of {topic} at ");
    assert!(text.starts_with(&head), "{text}");

    let replay = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["simulate", "--partitions", "3", "--trace"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&replay.stdout);
    assert!(replay.status.success() && said.contains("drover"), "{said}");
}

#[tokio::test]
async fn a_recording_ends_at_its_time() {
    let broker = broker();
    let topic = broker.create_topic("recorded-for", 1).await;
    let servers = &broker.servers;
    let arguments = ["--bootstrap", servers, "--topic", &topic, "--for", "3s"];
    let output = record(&arguments).stdout(Stdio::piped()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(lines[0], "t_seconds,messages_per_second");
    // A busy machine may leave readings out; then a line holds for longer.
    assert!((2..=4).contains(&lines.len()), "{text}");
    assert!(lines[1..].iter().all(|line| line.ends_with(",0")), "{text}");
    assert!(error.contains("lines with 0 records"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_said_in_one_line() {
    let broker = broker();
    let there = broker.create_topic("there", 1).await;
    for (arguments, says) in [
        (
            vec!["--bootstrap", &broker.servers, "--topic", "nowhere-at-all"],
            "topic nowhere-at-all does not exist",
        ),
        (
            vec![
                "--bootstrap",
                &broker.servers,
                "--topic",
                &there,
                "--topic",
                "nowhere-at-all",
            ],
            ": topic nowhere-at-all does not exist",
        ),
        (
            vec![
                "--bootstrap",
                &broker.servers,
                "--topic",
                "nowhere-at-all",
                "--topic",
                &there,
                "--topic",
                "not-here",
            ],
            "topics not-here, nowhere-at-all do not exist",
        ),
        (
            vec!["--bootstrap", "127.0.0.1:1", "--topic", "orders"],
            "check --bootstrap 127.0.0.1:1",
        ),
    ] {
        let output = record(&arguments)
            .args(["--timeout", "2s"])
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says), "{says}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let short = [
        "--bootstrap",
        "kafka:9092",
        "--topic",
        "orders",
        "--every",
        "500ms",
    ];
    let error = String::from_utf8(record(&short).output().unwrap().stderr).unwrap();
    assert!(error.contains("--every 500ms is too short"), "{error}");
}
