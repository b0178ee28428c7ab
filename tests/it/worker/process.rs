//! The binary itself: exit statuses and signals.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

use drover::worker_config::{ExecHandler, Handler, WorkerConfig};

use super::kafka::Kafka;
use super::web::{Reply, Web, ok};
use super::workers::{TOPIC, config, texts};

/// A process that does not outlive its test.
pub struct Process {
    child: Child,
    errors: BufReader<ChildStderr>,
    log: String,
}

impl Process {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, None)
    }

    /// With a configuration in the environment, as in a pod.
    fn start_with(arguments: &[&str], config: Option<&WorkerConfig>) -> Self {
        let text = config.map(|config| serde_json::to_string(config).unwrap());
        let text = text.map(|text| ("DROVER_CONFIG".to_owned(), text));
        let anywhere = ["--admin-address", "127.0.0.1:0"];
        Self::run(&[&anywhere[..], arguments].concat(), text)
    }

    /// With more in the environment, as the template of a pod may have it, and a known admin port.
    pub fn start_in(
        environment: &[(&str, &str)],
        config: &WorkerConfig,
        admin: SocketAddr,
    ) -> Self {
        let config = serde_json::to_string(config).unwrap();
        let environment = environment.iter().copied();
        let environment = environment.chain([("DROVER_CONFIG", &*config)]);
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::run(&["--admin-address", &admin.to_string()], environment)
    }

    fn run(arguments: &[&str], environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_drover-worker"))
            .args(arguments)
            .env_remove("DROVER_CONFIG")
            .envs(environment)
            .args(["--pod", "pod-1"])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            errors,
            log: String::new(),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits until these words were logged.
    #[track_caller]
    pub fn wait_for_words(&mut self, words: &str) {
        while !self.log.contains(words) {
            let length = self.errors.read_line(&mut self.log).unwrap();
            assert!(length > 0, "it ended without {words:?}: {}", self.log);
        }
    }

    /// It has come to its end, of itself or not.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it ends; gives the exit status and what was logged.
    pub fn wait(mut self) -> (Option<i32>, String) {
        self.errors.read_to_string(&mut self.log).unwrap();
        let status = self.child.wait().unwrap();
        (status.code(), std::mem::take(&mut self.log))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn written(config: &WorkerConfig) -> (tempfile::TempDir, String) {
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
fn without_a_configuration_it_ends_with_status_2_and_says_so() {
    let (status, log) = Process::start(&[]).wait();
    assert_eq!(status, Some(2));
    assert!(log.contains("configuration DROVER_CONFIG"), "{log}");
}

#[test]
fn sigterm_before_the_first_assignment_ends_with_status_0() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.bootstrap_servers = "127.0.0.1:1".to_owned();
    let (_folder, path) = written(&config);
    let mut process = Process::start(&["--config", &path, "--log-format", "json"]);
    process.wait_for_words("Kafka cannot be reached");
    process.terminate();
    let (status, log) = process.wait();
    assert_eq!(status, Some(0), "{log}");
    let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    let told = log
        .lines()
        .filter(|line| line.contains("Kafka cannot be reached"));
    assert_eq!(told.count(), 1, "{log}");
}

#[test]
fn sigterm_drains_and_ends_with_status_0() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("v", 20));
    let web = Web::start(|_| Reply { hold: true, ..ok() });
    let mut config = config(&kafka, &web);
    config.concurrency = 2;
    let mut process = Process::start_with(&[], Some(&config));
    web.wait_for("two in flight", |seen| seen.len() == 2);
    process.terminate();
    process.wait_for_words("draining before leaving");
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
    let mut process = Process::start(&["--config", &path]);
    web.wait_for("one in flight", |seen| seen.len() == 1);
    process.terminate();
    // Twice at once is one wish.
    process.terminate();
    process.wait_for_words("draining before leaving");
    std::thread::park_timeout(std::time::Duration::from_secs(1));
    process.terminate();
    let (status, log) = process.wait();
    assert_eq!(status, Some(143), "{log}");
    assert!(log.contains("second signal"), "{log}");
    web.release();
}

#[test]
fn what_a_command_says_on_its_standard_error_is_logged_and_no_payload_is() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &["very secret".to_owned()]);
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    let script = r#"while IFS= read -r line; do echo "warning 42" >&2; echo '"done"'; done"#;
    config.handler = Handler::Exec(ExecHandler {
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
    });
    let (_folder, path) = written(&config);
    let mut process = Process::start(&["--config", &path, "--log", "drover=trace,handler=info"]);
    process.wait_for_words("warning 42");
    kafka.wait_for_commit(TOPIC, 0, 1);
    process.terminate();
    let (status, log) = process.wait();
    assert_eq!(status, Some(0), "{log}");
    assert!(!log.contains("very secret"), "{log}");
}

#[test]
fn the_program_copies_itself_to_where_another_image_runs_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drover-worker");
    let place = path.to_str().unwrap();
    let (status, log) = Process::start(&["--copy-to", place]).wait();
    assert_eq!((status, &*log), (Some(0), ""));
    let said = Command::new(&path).arg("--version").output().unwrap();
    assert!(said.status.success());
    let (status, log) = Process::start(&["--copy-to", "/nowhere/drover-worker"]).wait();
    assert_eq!(status, Some(1));
    assert!(log.contains("/nowhere/drover-worker"), "{log}");
}

/// Linux drops a signal that the first process of a container does not listen for.
#[test]
fn a_container_is_not_stopped_before_its_first_process_listens() {
    let program = env!("CARGO_BIN_EXE_drover-worker");
    let script = format!(
        r#"{program} --wait-for-signals & waiting=$!
        sleep 0.3
        kill -0 $waiting && echo waits
        trap : TERM
        wait $waiting && echo over"#
    );
    let done = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .args(["sh", "-c", &script])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert_eq!(said, "waits\nover\n", "{done:?}");
}
