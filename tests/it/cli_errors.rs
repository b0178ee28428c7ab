//! What the command line says when something is not as it should be, over all subcommands that ask somebody:
//! one line with a remedy, exit code 2, nothing on standard output, and never a secret.

mod refused;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::lag_admin::{commit, mock, produce};
use crate::support::consumers::http_url;
use crate::worker::kafka::eventually;

/// In every secret here.
pub const SECRET: &str = "hush";

/// All that ask the API server for KafkaConsumers first.
const OF_CLUSTERS: [&[&str]; 18] = [
    &["status"],
    &["status", "orders"],
    &["explain", "orders"],
    &["lag", "orders"],
    &["logs", "orders"],
    &["logs", "orders", "-f"],
    &["pause", "orders"],
    &["pause", "-l", "team=shop"],
    &["resume", "orders"],
    &[
        "skip",
        "orders",
        "--partition",
        "0",
        "--offset",
        "0",
        "--reason",
        "r",
        "-y",
    ],
    &["lag"],
    &["lag", "-A"],
    &["explain", "-l", "team=shop"],
    &["dlq", "list", "-A"],
    &["dlq", "list", "orders"],
    &["dlq", "show", "orders"],
    &["dlq", "replay", "orders"],
    &["dlq", "purge", "orders", "--all", "-y"],
];

/// All that ask Kafka, without any cluster.
const OF_KAFKA: [&[&str]; 7] = [
    &["lag", "--group", "g", "--topic", "t"],
    &["record", "--topic", "t"],
    &["produce", "--topic", "t", "v"],
    &["dlq", "list", "--topic", "t"],
    &["dlq", "show", "--topic", "t"],
    &["dlq", "replay", "--topic", "t"],
    &["dlq", "purge", "--topic", "t", "--all", "-y"],
];

/// All that tell of a cluster whatever there is to tell, with the exit code where it is not well: what
/// is not there is what they are asked for, and no error.
const TELL_OF_CLUSTERS: [(&[&str], i32); 3] = [
    (&["doctor"], 1),
    (&["doctor", "orders"], 1),
    (&["version"], 0),
];

const DROVER: &str = env!("CARGO_BIN_EXE_drover");

fn drover(arguments: &[&str]) -> Command {
    alone(Command::new(DROVER), arguments)
}

/// `command` with these arguments, away from whatever this machine has.
fn alone(mut command: Command, arguments: &[&str]) -> Command {
    command
        .args(arguments)
        .env("KUBECONFIG", "/nonexistent")
        .env("HOME", "/nonexistent")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("DROVER_BOOTSTRAP")
        .stdin(Stdio::null());
    command
}

/// Nothing that was said has a secret in it.
fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(
        !out.contains(SECRET) && !error.contains(SECRET),
        "{out}{error}"
    );
    (out, error)
}

/// It failed as it should, with these words.
fn fails(command: &mut Command, words: &[&str]) {
    let output = command.output().unwrap();
    let (out, error) = said(&output);
    let what = format!("{command:?}: {out}{error}");
    assert_eq!(output.status.code(), Some(2), "{what}");
    assert_eq!(out, "", "{what}");
    assert_eq!(error.lines().count(), 1, "{what}");
    for words in words {
        assert!(error.contains(words), "{words}: {what}");
    }
}

/// Answers every request in the same way; ends with the process.
pub fn api_server(code: u16, body: Value) -> SocketAddr {
    api_server_that(move |_| (code, body.clone()))
}

/// Answers by the head of the request; ends with the process.
pub fn api_server_that(answer: impl Fn(&str) -> (u16, Value) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 16 << 10];
            let length = stream.read(&mut head).unwrap_or(0);
            let (code, body) = answer(&String::from_utf8_lossy(&head[..length]));
            let body = match body {
                Value::String(text) => text,
                body => body.to_string(),
            };
            let head = format!(
                "HTTP/1.1 {code} Whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

pub fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}

/// A kubeconfig with a secret for whatever listens there.
pub fn kubeconfig(folder: &Path, address: SocketAddr) -> PathBuf {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "there",
        "clusters": [{ "name": "there", "cluster": { "server": format!("http://{address}") } }],
        "contexts": [{ "name": "there", "context": { "cluster": "there", "user": "me", "namespace": "shop" } }],
        "users": [{ "name": "me", "user": { "token": format!("{SECRET}-token") } }],
    });
    let file = folder.join(address.port().to_string());
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// Where nobody listens.
pub fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[test]
fn what_is_wrong_with_a_cluster_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let forbidden = "kafkaconsumers.drover.dev is forbidden: User \"ann\" cannot get it";
    let worlds: [(SocketAddr, &[&str]); 6] = [
        (
            nowhere(),
            &["does not answer; check the kubeconfig and --context"],
        ),
        // What an API server says of a path that it does not know.
        (
            api_server(404, json!("404 page not found\n")),
            &["does not know KafkaConsumers; install them: drover crd | kubectl apply"],
        ),
        (
            api_server(403, failure(403, "Forbidden", forbidden)),
            &[
                "refuses: ",
                "User \"ann\" cannot",
                "use credentials that may",
            ],
        ),
        (
            api_server(401, failure(401, "Unauthorized", "Unauthorized")),
            &["refuses: Unauthorized", "use credentials that may"],
        ),
        (
            api_server(500, failure(500, "InternalError", "etcdserver: no leader")),
            &["answered: etcdserver: no leader"],
        ),
        (
            api_server(502, json!("<html>a proxy</html>")),
            &["drover: "],
        ),
    ];
    for (address, words) in worlds {
        let kubeconfig = kubeconfig(folder.path(), address);
        for arguments in OF_CLUSTERS {
            fails(drover(arguments).env("KUBECONFIG", &kubeconfig), words);
        }
    }
    let kubeconfig = kubeconfig(folder.path(), nowhere());
    for arguments in OF_CLUSTERS {
        fails(
            &mut drover(arguments),
            &["no cluster to ask; set KUBECONFIG"],
        );
        let mut elsewhere = drover(arguments);
        elsewhere
            .args(["--context", "elsewhere"])
            .env("KUBECONFIG", &kubeconfig);
        fails(
            &mut elsewhere,
            &["the kubeconfig has no context elsewhere; it has: there"],
        );
    }
}

#[test]
fn what_tells_of_a_cluster_tells_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let forbidden = failure(403, "Forbidden", "User \"ann\" cannot get it");
    let unauthorized = failure(401, "Unauthorized", "Unauthorized");
    let broken = failure(500, "InternalError", "etcdserver: no leader");
    let worlds: [(SocketAddr, &[&str]); 5] = [
        (
            nowhere(),
            &["does not answer; check the kubeconfig and --context"],
        ),
        (
            api_server(404, json!("404 page not found\n")),
            &["does not know ", "is it the API server of a cluster?"],
        ),
        (
            api_server(403, forbidden),
            &["refuses: User \"ann\" cannot", "use credentials that may"],
        ),
        (
            api_server(401, unauthorized),
            &["refuses: Unauthorized", "use credentials that may"],
        ),
        (
            api_server(500, broken),
            &["answered: etcdserver: no leader"],
        ),
    ];
    for (address, words) in worlds {
        let kubeconfig = kubeconfig(folder.path(), address);
        for (arguments, code) in TELL_OF_CLUSTERS {
            for json in [false, true] {
                let mut command = drover(arguments);
                command.args(json.then_some("-ojson"));
                let output = command.env("KUBECONFIG", &kubeconfig).output().unwrap();
                let (out, error) = said(&output);
                let what = format!("{command:?}: {out}{error}");
                assert_eq!(output.status.code(), Some(code), "{what}");
                assert_eq!(error, "", "{what}");
                let text = out.replace("\\\"", "\"");
                for words in words {
                    assert!(text.contains(words), "{words}: {what}");
                }
                assert!(
                    !out.contains("drover crd"),
                    "nothing is known of it: {what}"
                );
                if json {
                    assert!(serde_json::from_str::<Value>(&out).is_ok(), "{what}");
                }
            }
        }
    }
    let kubeconfig = kubeconfig(folder.path(), nowhere());
    for (arguments, _) in TELL_OF_CLUSTERS {
        fails(
            &mut drover(arguments),
            &["no cluster to ask; set KUBECONFIG"],
        );
        let mut elsewhere = drover(arguments);
        elsewhere
            .args(["--context", "elsewhere"])
            .env("KUBECONFIG", &kubeconfig);
        fails(
            &mut elsewhere,
            &["the kubeconfig has no context elsewhere; it has: there"],
        );
    }
}

#[test]
fn a_cluster_without_the_resource_is_told_by_the_doctor() {
    let folder = tempfile::tempdir().unwrap();
    let version = json!({
        "major": "1", "minor": "35", "gitVersion": "v1.35.0", "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": "",
    });
    let missing = failure(404, "NotFound", "not found");
    let address = api_server_that(move |head| match head.starts_with("GET /version") {
        true => (200, version.clone()),
        false => (404, missing.clone()),
    });
    let kubeconfig = kubeconfig(folder.path(), address);
    let mut doctor = drover(&["doctor"]);
    let output = doctor.env("KUBECONFIG", &kubeconfig).output().unwrap();
    let (out, _) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{out}");
    let last = out.lines().last().unwrap();
    assert!(
        last.starts_with(
            "First of all, CRD: KafkaConsumers are not installed; install them: drover crd"
        ),
        "{out}"
    );
}

#[test]
fn one_that_is_not_there_is_told_apart_from_a_cluster_that_knows_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut answer = failure(
        404,
        "NotFound",
        "kafkaconsumers.drover.dev \"orders\" not found",
    );
    answer["details"] =
        json!({ "name": "orders", "group": "drover.dev", "kind": "kafkaconsumers" });
    let kubeconfig = kubeconfig(folder.path(), api_server(404, answer));
    for arguments in OF_CLUSTERS {
        if arguments.contains(&"orders") {
            let mut command = drover(arguments);
            let words = "no KafkaConsumer orders in namespace shop; see `drover status -A`";
            fails(command.env("KUBECONFIG", &kubeconfig), &[words]);
        }
    }
}

#[test]
fn nothing_found_and_no_controller_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let empty = json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumerList", "metadata": {}, "items": [],
    });
    let empty = kubeconfig(folder.path(), api_server(200, empty));
    let output = drover(&["status"])
        .env("KUBECONFIG", &empty)
        .output()
        .unwrap();
    let none = "No KafkaConsumers in namespace shop; -A shows all namespaces.\n";
    assert_eq!(said(&output).0, none);
    assert!(output.status.success());
    let output = drover(&["status", "-A"])
        .env("KUBECONFIG", &empty)
        .output()
        .unwrap();
    assert_eq!(said(&output).0, "No KafkaConsumers.\n");
    let mut json = drover(&["status", "-o", "json"]);
    let output = json.env("KUBECONFIG", &empty).output().unwrap();
    assert!(serde_json::from_str::<Value>(&said(&output).0).is_ok());
    fails(
        drover(&["pause", "-l", "team=shop"]).env("KUBECONFIG", &empty),
        &["no KafkaConsumer in namespace shop has the labels team=shop"],
    );

    // Nobody has ever written a status.
    let mut fleet = http_url();
    fleet["metadata"] = json!({ "name": "orders", "namespace": "shop" });
    let alone = kubeconfig(folder.path(), api_server(200, fleet));
    for arguments in [["status", "orders"], ["explain", "orders"]] {
        let output = drover(&arguments)
            .env("KUBECONFIG", &alone)
            .output()
            .unwrap();
        let (out, error) = said(&output);
        assert!(output.status.success(), "{error}");
        assert!(out.contains("no status yet"), "{out}");
    }
}

#[test]
fn who_looks_at_statuses_that_nobody_writes_any_more_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = http_url();
    fleet["metadata"] = json!({
        "name": "orders", "namespace": "shop", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z",
    });
    fleet["status"] = json!({ "observedGeneration": 1, "lag": 5 });
    let lease = |renewed: &str| {
        json!({
            "metadata": { "name": "drover-controller", "namespace": "drover-system" },
            "spec": { "holderIdentity": "controller-0", "leaseDurationSeconds": 15, "renewTime": renewed },
        })
    };
    let leases = |items: Value| {
        let list = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList", "metadata": {}, "items": items,
        });
        (200, list)
    };
    let now = format!("{:.6}", drover::clock::now());
    let looks_after = |namespaces: &str| {
        let mut lease = lease(&now);
        lease["metadata"]["annotations"] = json!({ "drover.dev/namespaces": namespaces });
        lease
    };
    let silent = "controller-0 led, and is silent since ";
    let neglected = "since no controller looks after namespace shop (the one in drover-system looks after mail)";
    let worlds = [
        (
            leases(json!([lease("2026-01-01T00:00:00.000000Z")])),
            silent,
        ),
        (leases(json!([])), "none ever did"),
        (leases(json!([lease(&now)])), ""),
        (leases(json!([looks_after("shop")])), ""),
        (leases(json!([looks_after("mail")])), neglected),
        // Whoever may not know is told nothing.
        (
            (
                403,
                failure(403, "Forbidden", "User \"ann\" cannot list leases"),
            ),
            "",
        ),
    ];
    for ((code, answer), words) in worlds {
        let fleet = fleet.clone();
        let kubeconfig = kubeconfig(
            folder.path(),
            api_server_that(move |head| {
                let list = json!({
                    "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumerList", "metadata": {}, "items": [fleet],
                });
                match head.split_whitespace().nth(1).unwrap_or_default() {
                    path if path.contains("/leases") => (code, answer.clone()),
                    path if path.contains("/kafkaconsumers/orders") => (200, fleet.clone()),
                    _ => (200, list),
                }
            }),
        );
        for arguments in [
            &["status"][..],
            &["status", "orders"],
            &["status", "-ojson"],
            &["explain", "orders"],
            &["explain"],
            &["explain", "-ojson"],
            &["pause", "orders"],
        ] {
            let mut command = drover(arguments);
            let output = command.env("KUBECONFIG", &kubeconfig).output().unwrap();
            let (out, error) = said(&output);
            let what = format!("{arguments:?} {words}: {out}{error}");
            assert!(output.status.success(), "{what}");
            if arguments.contains(&"-ojson") {
                assert_eq!(error, "", "{what}");
                continue;
            }
            assert_eq!(error.is_empty(), words.is_empty(), "{what}");
            assert!(error.contains(words), "{what}");
            assert!(
                words != silent || error.contains("kubectl -n drover-system get pods -l"),
                "{what}"
            );
            if arguments[0] != "status" {
                let consequence = match arguments[0] == "pause" {
                    true => "nothing acts on it yet",
                    false => "what is shown may be old",
                };
                assert!(words.is_empty() || error.contains(consequence), "{what}");
                continue;
            }
            // Nobody has looked at the second generation either.
            assert!(
                out.contains("no controller has looked at it for "),
                "{what}"
            );
            assert!(out.contains("drover doctor orders -n shop"), "{what}");
        }
    }
}

/// Flags for a Kafka there, and a password for it.
fn at(address: SocketAddr, timeout: &str) -> Vec<String> {
    let password = format!("sasl.password={SECRET}-password");
    let mut flags = vec!["--bootstrap".to_owned(), address.to_string()];
    flags.extend(["--timeout".to_owned(), timeout.to_owned()]);
    for property in [
        "security.protocol=SASL_PLAINTEXT",
        "sasl.mechanism=PLAIN",
        "sasl.username=ann",
        &password,
    ] {
        flags.extend(["--property".to_owned(), property.to_owned()]);
    }
    flags
}

/// Takes connections and never says a word; counts them.
fn silent() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            held.push(stream);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, taken)
}

#[test]
fn brokers_that_are_away_or_silent_are_named() {
    for address in [nowhere(), silent().0] {
        let flags = at(address, "1s");
        for arguments in OF_KAFKA {
            let bootstrap = address.to_string();
            fails(drover(arguments).args(&flags), &[&bootstrap]);
        }
    }
    // A worker on this machine, which has no time of its own to wait.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.yaml");
    let mut fleet = http_url();
    fleet["metadata"] = json!({ "name": "orders", "namespace": "shop" });
    std::fs::write(&file, fleet.to_string()).unwrap();
    for address in [nowhere(), silent().0] {
        let flags = at(address, "1s");
        let flags = flags
            .iter()
            .filter(|flag| !["--timeout", "1s"].contains(&flag.as_str()));
        let mut dev = drover(&["dev"]);
        let bootstrap = address.to_string();
        fails(dev.arg(&file).args(flags), &[&bootstrap, "check --brokers"]);
    }
    // Even where its name is mistyped, the value of a property may be a secret.
    for arguments in OF_KAFKA {
        let wrong = format!("sasl.pasword={SECRET}");
        let mut command = drover(arguments);
        command.args(["--bootstrap", "127.0.0.1:1", "--timeout", "1s"]);
        command.args(["--property", &wrong]);
        fails(&mut command, &["sasl.pasword", "--property"]);
    }
}

#[test]
fn brokers_that_were_set_to_nothing_are_said_at_once() {
    for arguments in OF_KAFKA {
        let output = drover(arguments)
            .env("DROVER_BOOTSTRAP", "")
            .output()
            .unwrap();
        let (_, error) = said(&output);
        let what = format!("{arguments:?}: {error}");
        assert_eq!(output.status.code(), Some(2), "{what}");
        assert!(
            error.contains("a value is required for '--bootstrap"),
            "{what}"
        );
    }
}

#[test]
fn whoever_interrupts_is_obeyed_and_nothing_is_spilt() {
    for arguments in OF_KAFKA {
        let (address, taken) = silent();
        // What runs in the background, as these tests may, hands down that interrupts are ignored.
        let mut env = Command::new("env");
        env.args(["--default-signal=INT", DROVER]);
        let mut command = alone(env, arguments);
        command
            .args(at(address, "300s"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        eventually("a connection", || {
            (taken.load(Ordering::SeqCst) > 0).then_some(())
        });
        let mut asked = 0;
        let status = eventually("its end", || {
            let ended = child.try_wait().unwrap();
            // Some take the first for a wish to end well, and the second at its word.
            if ended.is_none() && asked < 40 {
                asked += 1;
                let id = child.id().to_string();
                let _ = Command::new("kill").args(["-INT", &id]).status();
            }
            ended
        });
        assert!(!status.success(), "{arguments:?}");
        said(&child.wait_with_output().unwrap());
    }
}

#[test]
fn what_only_reads_dead_letters_ends_at_the_first_interrupt_while_brokers_are_waited_for() {
    for (arguments, interrupt) in [
        ("list", "INT"),
        ("list", "TERM"),
        ("show", "INT"),
        ("show", "TERM"),
    ] {
        let (address, taken) = silent();
        let mut command = drover(&["dlq", arguments, "--topic", "t"]);
        command
            .args(at(address, "300s"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        eventually("a connection", || {
            (taken.load(Ordering::SeqCst) > 0).then_some(())
        });
        let id = child.id().to_string();
        let told = Command::new("kill")
            .args([&format!("-{interrupt}"), &id])
            .status();
        assert!(told.unwrap().success());
        let status = eventually("its end", || child.try_wait().unwrap());
        let (out, error) = said(&child.wait_with_output().unwrap());
        let what = format!("{arguments} {interrupt}: {out}{error}");
        assert_eq!(status.code(), Some(130), "{what}");
        assert_eq!((out.as_str(), error.as_str()), ("", ""), "{what}");
    }
}

#[test]
fn what_asks_says_so_where_there_is_no_terminal() {
    let mock = mock(&[("dead", 1)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "dead", &[0], 1);
    let mut purge = drover(&[
        "dlq",
        "purge",
        "--topic",
        "dead",
        "--all",
        "--bootstrap",
        &servers,
    ]);
    fails(&mut purge, &["there is no terminal to ask on; add --yes"]);
}

#[test]
fn thousands_of_partitions_are_listed_whole() {
    const MANY: i32 = 3_000;
    let mock = mock(&[("wide", MANY)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "wide", &[7, MANY - 1], 2);
    commit(&servers, "g", "wide", &[(7, 1, "")]);
    let patient = ["--bootstrap", &servers, "--timeout", "120s"];
    let lag = ["lag", "--group", "g", "--topic", "wide"];
    let output = drover(&[&lag[..], &patient, &["-o", "json"]].concat())
        .output()
        .unwrap();
    let (out, error) = said(&output);
    assert!(output.status.success(), "{error}");
    let value: Value = serde_json::from_str(&out).unwrap();
    let numbers: BTreeSet<i64> = value["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|partition| partition["partition"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (0..i64::from(MANY)).collect());
    let output = drover(&[&lag[..], &patient].concat()).output().unwrap();
    let (out, error) = said(&output);
    assert!(output.status.success(), "{error}");
    assert!(out.lines().count() >= 3_000, "{}", out.lines().count());

    let list = ["dlq", "list", "--topic", "wide", "-o", "json"];
    let output = drover(&[&list[..], &patient].concat()).output().unwrap();
    let (out, error) = said(&output);
    assert!(output.status.success(), "{error}");
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["total"], 4, "{value}");
}

#[test]
fn a_status_with_thousands_of_stuck_partitions_is_shown_whole() {
    const MANY: i64 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let stuck: Vec<Value> = (0..MANY)
        .map(|partition| json!({
            "topic": "wide", "partition": partition, "offset": partition, "attempts": 9, "error": "HttpStatus 500",
        }))
        .collect();
    let mut fleet = http_url();
    fleet["metadata"] = json!({ "name": "orders", "namespace": "shop" });
    fleet["status"] = json!({ "partitions": MANY, "lag": i64::MAX, "stuck": stuck });
    let list = json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumerList", "metadata": {}, "items": [fleet],
    });
    let address = api_server_that(move |head| {
        let one =
            head.starts_with("GET /apis/drover.dev/v1alpha1/namespaces/shop/kafkaconsumers/orders");
        (200, if one { fleet.clone() } else { list.clone() })
    });
    let kubeconfig = kubeconfig(folder.path(), address);
    let shown = |arguments: &[&str]| {
        let output = drover(arguments)
            .env("KUBECONFIG", &kubeconfig)
            .output()
            .unwrap();
        let (out, error) = said(&output);
        assert!(output.status.success(), "{error}");
        out
    };
    let one = shown(&["status", "orders"]);
    let rows = one.lines().filter(|line| line.contains("HttpStatus 500"));
    assert_eq!(rows.count(), 3_000);
    assert!(one.contains("3,000 partitions"), "{}", &one[..400]);
    let value: Value = serde_json::from_str(&shown(&["status", "orders", "-o", "json"])).unwrap();
    assert_eq!(value["status"]["stuck"].as_array().unwrap().len(), 3_000);
    let all = shown(&["status"]);
    assert!(all.contains("9,223,372,036,854,775,807"), "{all}");
}
