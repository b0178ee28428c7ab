//! `drover logs` as a program. An API server of the test's own, since the real one has no pods that run: it is asked for the
//! logs of several, refuses some, and goes on with others for as long as the test wants.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::cli_errors::{failure, kubeconfig};
use crate::support::consumers::{http_url, own_consumer, with};
use crate::worker::kafka::eventually;

/// What comes of it when a pod's log is asked for.
enum Log {
    Text(&'static str),
    Refused(&'static str),
    /// Whatever is sent, until the sender goes.
    Open(Receiver<&'static str>),
}

/// What the API server has, and what it was asked.
#[derive(Default)]
struct World {
    fleet: Value,
    pods: Mutex<Vec<&'static str>>,
    /// Of those that are not simply running.
    statuses: Mutex<BTreeMap<&'static str, Value>>,
    logs: Mutex<BTreeMap<&'static str, VecDeque<Log>>>,
    /// Path and query of what was asked about logs.
    asked: Mutex<Vec<String>>,
}

impl World {
    fn of(mut fleet: Value) -> Arc<Self> {
        fleet["metadata"] = json!({ "name": "orders", "namespace": "shop", "generation": 1 });
        Arc::new(Self {
            fleet,
            ..Self::default()
        })
    }

    /// Once more, what is to come of it when the log of `pod` is asked for, which is there from now on.
    fn log(&self, pod: &'static str, log: Log) {
        self.logs
            .lock()
            .unwrap()
            .entry(pod)
            .or_default()
            .push_back(log);
        let mut pods = self.pods.lock().unwrap();
        if !pods.contains(&pod) {
            pods.push(pod);
        }
    }

    /// A pod of which init container `migrate` ends again and again.
    fn crashing(&self, pod: &'static str) {
        let state = |name: &str, reason: &str| {
            json!({
                "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "waiting": { "reason": reason } },
            })
        };
        let mut migrate = state("migrate", "CrashLoopBackOff");
        migrate["restartCount"] = json!(4);
        migrate["lastState"] = json!({ "terminated": { "exitCode": 1, "reason": "Error" } });
        let others = [
            state("app", "PodInitializing"),
            state("worker", "PodInitializing"),
        ];
        let status = json!({
            "phase": "Pending", "initContainerStatuses": [migrate], "containerStatuses": others,
        });
        self.statuses.lock().unwrap().insert(pod, status);
        self.pods.lock().unwrap().push(pod);
    }

    fn open(&self, pod: &'static str) -> Sender<&'static str> {
        let (sender, receiver) = mpsc::channel();
        self.log(pod, Log::Open(receiver));
        sender
    }

    /// A kubeconfig for a server of it, which ends with the process.
    fn serve(self: &Arc<Self>, folder: &Path) -> std::path::PathBuf {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let world = Arc::clone(&world);
                std::thread::spawn(move || world.answer(&stream.unwrap()));
            }
        });
        kubeconfig(folder, address)
    }

    fn answer(&self, stream: &TcpStream) {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let Some(first) = lines.next() else { return };
        let _ = lines.find(String::is_empty);
        let asked = first.split_whitespace().nth(1).unwrap();
        let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
        if let Some(pod) = path.strip_suffix("/log") {
            self.asked.lock().unwrap().push(asked.to_owned());
            return self.answer_log(stream, pod.rsplit('/').next().unwrap());
        }
        if query.contains("watch=") {
            // Nothing changes.
            loop {
                std::thread::park();
            }
        }
        let body = if path.ends_with("/pods") {
            let pods = self.pods.lock().unwrap();
            let statuses = self.statuses.lock().unwrap();
            let pods = pods.iter().map(|name| match statuses.get(name) {
                Some(status) => with(pod(name), "/status", status.clone()),
                None => pod(name),
            });
            let pods: Vec<Value> = pods.collect();
            json!({ "apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": pods })
        } else if path.ends_with("/kafkaconsumers") {
            json!({
                "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumerList",
                "metadata": { "resourceVersion": "1" }, "items": [self.fleet],
            })
        } else {
            self.fleet.clone()
        };
        answer(stream, 200, &body);
    }

    fn answer_log(&self, mut stream: &TcpStream, pod: &str) {
        let next = self
            .logs
            .lock()
            .unwrap()
            .get_mut(pod)
            .and_then(VecDeque::pop_front);
        let log = match next {
            Some(Log::Refused(why)) => {
                return answer(stream, 400, &failure(400, "BadRequest", why));
            }
            Some(log) => log,
            // Its container has said nothing yet.
            None => loop {
                std::thread::park();
            },
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        let _ = match log {
            Log::Text(text) => stream.write_all(text.as_bytes()),
            Log::Open(lines) => lines.iter().try_for_each(|line| writeln!(stream, "{line}")),
            Log::Refused(_) => Ok(()),
        };
    }
}

fn answer(mut stream: &TcpStream, code: u16, body: &Value) {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {code} Whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "shop" },
        "spec": {
            "initContainers": [{ "name": "migrate" }],
            "containers": [{ "name": "app" }, { "name": "worker" }],
        },
        "status": { "phase": "Running" },
    })
}

fn drover(kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
    command
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null());
    command
}

fn said(output: &Output) -> (Vec<String>, String) {
    let out = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<String> = out.lines().map(str::to_owned).collect();
    lines.sort();
    (lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// One that goes on, and what it has said.
struct Following {
    child: Child,
    /// None when nobody reads them any more.
    lines: Option<std::io::Lines<BufReader<ChildStdout>>>,
}

impl Following {
    fn start(kubeconfig: &Path, arguments: &[&str]) -> Self {
        let mut command = drover(kubeconfig, arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = Some(BufReader::new(child.stdout.take().unwrap()).lines());
        Self { child, lines }
    }

    fn next(&mut self) -> String {
        self.lines.as_mut().unwrap().next().unwrap().unwrap()
    }

    fn ended(&mut self) -> Option<i32> {
        eventually("its end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_line_says_of_which_pod_it_is_and_the_workers_are_asked() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::of(http_url());
    world.log("orders-1", Log::Text("one\ntwo\n"));
    world.log("orders-2", Log::Text("three, without an end"));
    let kubeconfig = world.serve(folder.path());
    let output = drover(&kubeconfig, &["logs", "orders"]).output().unwrap();
    let (lines, error) = said(&output);
    assert!(output.status.success(), "{error}");
    assert_eq!(
        lines,
        [
            "orders-1 one",
            "orders-1 two",
            "orders-2 three, without an end"
        ]
    );
    let asked = world.asked.lock().unwrap();
    for asked in asked.iter() {
        assert!(asked.contains("container=worker"), "{asked}");
        for other in ["previous=true", "follow=true"] {
            assert!(!asked.contains(other), "{asked}");
        }
    }
    assert_eq!(asked.len(), 2);
}

#[test]
fn of_the_containers_before_a_restart_one_that_has_none_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    for previous in ["-p", "--previous"] {
        let world = World::of(http_url());
        let none = "previous terminated container \"app\" in pod \"orders-1\" not found";
        world.log("orders-1", Log::Refused(none));
        world.log("orders-2", Log::Text("the last words\n"));
        let kubeconfig = world.serve(folder.path());
        let flags = [previous, "-c", "app", "--tail", "5", "--since", "1m"];
        let output = drover(&kubeconfig, &[&["logs", "orders"], &flags[..]].concat())
            .output()
            .unwrap();
        let (lines, error) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert_eq!(lines, ["orders-2 the last words"]);
        assert_eq!(error.lines().count(), 1, "{error}");
        let named = "drover: the log of pod orders-1 cannot be read: ";
        assert!(error.starts_with(named) && error.contains(none), "{error}");
        for asked in world.asked.lock().unwrap().iter() {
            for words in [
                "container=app",
                "previous=true",
                "tailLines=5",
                "sinceSeconds=60",
            ] {
                assert!(asked.contains(words), "{words}: {asked}");
            }
        }
    }
    let world = World::of(http_url());
    let both = drover(&world.serve(folder.path()), &["logs", "orders", "-pf"]).output();
    assert_eq!(both.unwrap().status.code(), Some(2));
}

#[test]
fn of_a_pod_that_does_not_begin_what_keeps_it_from_that_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, previous) in [
        (&[][..], false),
        (&["-p"], true),
        (&["-c", "migrate"], false),
        (&["-c", "migrate", "-p"], true),
    ] {
        let world = World::of(http_url());
        world.crashing("orders-1");
        world.log("orders-1", Log::Text("no such table\n"));
        let kubeconfig = world.serve(folder.path());
        let output = drover(&kubeconfig, &[&["logs", "orders"], flags].concat()).output();
        let output = output.unwrap();
        let (lines, error) = said(&output);
        assert!(output.status.success(), "{flags:?}: {error}");
        assert_eq!(lines, ["orders-1 no such table"], "{flags:?}");
        let asked = world.asked.lock().unwrap();
        assert!(asked[0].contains("container=migrate"), "{asked:?}");
        assert_eq!(asked[0].contains("previous=true"), previous, "{asked:?}");
        let told = "container migrate: CrashLoopBackOff; this is of container migrate";
        let named = flags.contains(&"-c");
        assert_eq!(error.contains(told), !named, "{flags:?}: {error}");
    }
}

#[test]
fn where_there_is_nothing_to_read_each_pod_says_why_and_that_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::of(http_url());
    world.crashing("orders-1");
    let kubeconfig = world.serve(folder.path());
    for (flags, words) in [
        (
            &["-c", "worker"][..],
            "pod orders-1 has no log of container worker yet, since it waits: container migrate: CrashLoopBackOff; see drover status orders",
        ),
        (
            &["-c", "app", "-p"],
            "pod orders-1 has no run of container app before, since it has not begun",
        ),
    ] {
        let output = drover(&kubeconfig, &[&["logs", "orders"], flags].concat()).output();
        let output = output.unwrap();
        let (lines, error) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(lines.is_empty(), "{lines:?}");
        assert!(error.contains(words), "{words}: {error}");
    }
    assert!(world.asked.lock().unwrap().is_empty());
    // One that has a log is enough.
    world.log("orders-2", Log::Text("here\n"));
    let output = drover(&kubeconfig, &["logs", "orders", "-c", "worker"]).output();
    let output = output.unwrap();
    let (lines, error) = said(&output);
    assert!(output.status.success(), "{error}");
    assert_eq!(lines, ["orders-2 here"]);
    assert!(error.contains("pod orders-1 has no log"), "{error}");
}

/// The API server takes none for granted where there are several.
#[test]
fn of_a_consumer_of_ones_own_its_container_is_meant_or_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let unnamed = with(own_consumer(), "/spec/handler/consumer", json!({}));
    for (fleet, container) in [(own_consumer(), "karafka"), (unnamed, "app")] {
        let world = World::of(fleet);
        world.log("orders-1", Log::Text("mine\n"));
        let kubeconfig = world.serve(folder.path());
        let output = drover(&kubeconfig, &["logs", "orders"]).output().unwrap();
        assert_eq!(said(&output).0, ["orders-1 mine"]);
        let asked = world.asked.lock().unwrap();
        let words = format!("container={container}");
        assert!(asked[0].contains(&words), "{asked:?}");
    }
}

#[test]
fn what_is_followed_goes_on_with_pods_that_come_and_containers_that_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::of(http_url());
    let first = world.open("orders-1");
    let kubeconfig = world.serve(folder.path());
    let mut following = Following::start(&kubeconfig, &["logs", "orders", "-f"]);
    first.send("one").unwrap();
    assert_eq!(following.next(), "orders-1 one");
    let second = world.open("orders-2");
    second.send("two").unwrap();
    assert_eq!(following.next(), "orders-2 two");
    let again = world.open("orders-1");
    drop(first);
    again.send("three").unwrap();
    assert_eq!(following.next(), "orders-1 three");
    second.send("four").unwrap();
    assert_eq!(following.next(), "orders-2 four");
    for asked in world.asked.lock().unwrap().iter() {
        assert!(asked.contains("follow=true"), "{asked}");
    }
    let id = following.child.id().to_string();
    let told = Command::new("kill").args(["-INT", &id]).status();
    assert!(told.unwrap().success());
    assert_eq!(following.ended(), Some(0));
}

#[test]
fn a_watch_that_somebody_ends_is_done_and_has_not_failed() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = World::of(http_url()).serve(folder.path());
    let mut watching = Following::start(&kubeconfig, &["status", "-w", "-o", "name"]);
    watching.next();
    let id = watching.child.id().to_string();
    // It may not listen yet when its first line is there.
    let ended = eventually("its end", || {
        let told = Command::new("kill").args(["-INT", &id]).status();
        assert!(told.unwrap().success());
        watching.child.try_wait().unwrap()
    });
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn what_goes_on_ends_when_nobody_reads_it_any_more_and_not_with_its_next_line() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::of(http_url());
    let log = world.open("orders-1");
    log.send("one").unwrap();
    let kubeconfig = world.serve(folder.path());
    for arguments in [
        &["logs", "orders", "-f"][..],
        &["status", "--watch"],
        &["status", "orders", "--watch", "-o", "name"],
    ] {
        let mut following = Following::start(&kubeconfig, arguments);
        following.next();
        following.lines = None;
        assert_eq!(following.ended(), Some(0), "{arguments:?}");
    }
}
