//! Commands that have the worker killed together with them, as one that takes all of the container's memory does; and
//! servers that one record brings down for all that they have.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drover::worker_config::{ExecHandler, Handler, OnExhausted, WorkerConfig};

use super::kafka::{Kafka, eventually};
use super::outages::nowhere;
use super::process::Process;
use super::web::{Web, ok};
use super::workers::{TOPIC, Worker, config, http, texts};

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

/// A server that ends all its connections for `v-2`, as if it had to be started again, and takes its time for others.
#[derive(Default)]
struct Fragile {
    connections: Mutex<Vec<TcpStream>>,
    /// Requests for each value.
    asked: Mutex<BTreeMap<String, usize>>,
    over: AtomicBool,
}

impl Fragile {
    fn start() -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::new(Self::default());
        let serving = Arc::clone(&server);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if serving.over.load(Relaxed) {
                    return;
                }
                let connection = connection.unwrap();
                let kept = connection.try_clone().unwrap();
                serving.connections.lock().unwrap().push(kept);
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || serving.serve(connection));
            }
        });
        (server, address)
    }

    /// Until the connection ends.
    fn serve(&self, mut connection: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(connection.try_clone().ok()?);
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                let header = line.trim_end().to_ascii_lowercase();
                if let Some(value) = header.strip_prefix("content-length: ") {
                    length = value.parse().ok()?;
                }
                if header.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let value = String::from_utf8(body).ok()?;
            *self.asked.lock().unwrap().entry(value.clone()).or_default() += 1;
            if value == "v-2" {
                for connection in self.connections.lock().unwrap().drain(..) {
                    let _ = connection.shutdown(Shutdown::Both);
                }
                return None;
            }
            std::thread::park_timeout(Duration::from_millis(50));
            connection
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .ok()?;
        }
    }
}

#[test]
fn a_record_that_brings_the_handler_down_takes_no_other_with_it() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    // 16 are in flight together, and again and again.
    let keys = texts("k", 64);
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    kafka.produce(TOPIC, 0, &keys, &texts("v", 64));
    let (server, address) = Fragile::start();
    let web = Web::start(|_| ok());
    let mut config = WorkerConfig {
        dead_letter_topic: Some(DEAD.to_owned()),
        on_exhausted: OnExhausted::DeadLetter,
        attempts: 5,
        concurrency: 16,
        handler: http(format!("http://{address}/")),
        ..config(&kafka, &web)
    };
    if let Handler::Http(http) = &mut config.handler {
        http.in_pod = true;
    }
    let worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 64);
    worker.stop().unwrap();
    server.over.store(true, Relaxed);
    let _ = TcpStream::connect(address);

    let letters = kafka.read(DEAD, 1);
    assert_eq!(letters[0].value.as_deref(), Some(&b"v-2"[..]));
    assert_eq!(letters[0].header("drover-dlq-attempts"), Some("5"));
    let asked = server.asked.lock().unwrap();
    // Over a connection that was used before an attempt may be two requests.
    assert!(
        asked.len() == 64 && (5..=10).contains(&asked["v-2"]),
        "{asked:?}"
    );
    let others = asked.iter().filter(|(value, _)| *value != "v-2");
    assert!(others.clone().all(|(_, times)| *times <= 5), "{asked:?}");
    // It went down for some of them more than once.
    assert!(others.clone().any(|(_, times)| *times >= 3), "{asked:?}");
}
