//! Of clusters: API servers that are away, refuse, know nothing, or whose controllers are gone.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{api_server, api_server_that, drover, fails, failure, kubeconfig, nowhere, said};
use crate::support::consumers::http_url;

/// All that ask the API server for KafkaConsumers first.
pub(super) const OF_CLUSTERS: [&[&str]; 19] = [
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
    &["reset", "orders", "--to", "earliest", "-y"],
    &["lag"],
    &["lag", "-A"],
    &["explain", "-l", "team=shop"],
    &["dlq", "list", "-A"],
    &["dlq", "list", "orders"],
    &["dlq", "show", "orders"],
    &["dlq", "replay", "orders"],
    &["dlq", "purge", "orders", "--all", "-y"],
];

/// All that tell of a cluster whatever there is to tell, with the exit code where it is not well: what
/// is not there is what they are asked for, and no error.
pub(super) const TELL_OF_CLUSTERS: [(&[&str], i32); 3] = [
    (&["doctor"], 1),
    (&["doctor", "orders"], 1),
    (&["version"], 0),
];

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
            &[
                "does not know KafkaConsumers; install Drover: helm install drover charts/drover, or these alone: drover crd | kubectl apply",
            ],
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
            "First of all, CRD: KafkaConsumers are not installed; install Drover: helm install drover charts/drover, or these alone: drover crd"
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
