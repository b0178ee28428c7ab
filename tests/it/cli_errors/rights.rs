//! Who may do a part of it: read and not write, list and not watch, see pods and not their logs. And what is said where
//! nobody acts on what was written.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{api_server_that, drover, fails, failure, kubeconfig, nowhere, said};
use crate::lag_admin::{commit, produce};
use crate::lag_broker::broker;
use crate::support::consumers::http_url;

const SKIP: [&str; 9] = [
    "skip",
    "orders",
    "--partition",
    "0",
    "--offset",
    "1",
    "--reason",
    "r",
    "-y",
];
const RESET: [&str; 5] = ["reset", "orders", "--to", "latest", "-y"];

fn fleet(servers: &str, topic: &str, paused: bool) -> Value {
    let mut fleet = http_url();
    fleet["metadata"] = json!({
        "name": "orders", "namespace": "shop", "resourceVersion": "1", "generation": 1,
        "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z",
    });
    fleet["spec"]["kafka"]["bootstrapServers"] = json!(servers);
    fleet["spec"]["topics"] = json!([topic]);
    fleet["spec"]["groupId"] = json!(topic);
    fleet["spec"]["paused"] = json!(paused);
    fleet
}

/// A list of this kind.
fn list(version: &str, kind: &str, items: &[Value]) -> Value {
    json!({ "apiVersion": version, "kind": kind, "metadata": { "resourceVersion": "1" }, "items": items })
}

/// A cluster with this KafkaConsumer; `refused` is the beginning of requests that it refuses, in `METHOD path`, and no
/// controller leads in it.
fn cluster(fleet: &Value, refused: &'static [&'static str]) -> SocketAddr {
    let fleet = fleet.clone();
    api_server_that(move |head| {
        let mut words = head.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let request = match path.contains("watch=true") {
            true => format!("WATCH {path}"),
            false => format!("{method} {path}"),
        };
        let is_refused = refused.iter().any(|refused| {
            let (verb, part) = refused.split_once(' ').unwrap();
            request.starts_with(verb) && path.contains(part)
        });
        if is_refused {
            let what = format!("User \"ann\" cannot {}", request.to_lowercase());
            return (403, failure(403, "Forbidden", &what));
        }
        match path {
            path if path.contains("/leases") => {
                (200, list("coordination.k8s.io/v1", "LeaseList", &[]))
            }
            path if path.contains("/kafkaconsumers/orders") => (200, fleet.clone()),
            path if path.contains("/kafkaconsumers") => {
                let items = [fleet.clone()];
                (
                    200,
                    list("drover.dev/v1alpha1", "KafkaConsumerList", &items),
                )
            }
            path if path.contains("/pods") => {
                let pod = json!({
                    "metadata": { "name": "orders-1", "namespace": "shop" },
                    "spec": { "containers": [{ "name": "worker" }] },
                    "status": { "phase": "Running", "containerStatuses": [{
                        "name": "worker", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
                        "state": { "running": {} },
                    }] },
                });
                (200, list("v1", "PodList", &[pod]))
            }
            _ => (404, failure(404, "NotFound", "not found")),
        }
    })
}

/// A topic with five records, of which the group of its name has done one.
async fn topic(name: &str) -> String {
    let servers = broker().servers.as_str();
    let topic = broker().create_topic(name, 1).await;
    produce(servers, &topic, &[0], 5);
    commit(servers, &topic, &topic, &[(0, 1, "")]);
    topic
}

#[tokio::test]
async fn who_may_read_and_not_write_is_told_what_the_role_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let topic = topic("rights-patch").await;
    let servers = broker().servers.as_str();
    for (arguments, paused) in [
        (&["pause", "orders"][..], false),
        (&["pause", "-l", "team=shop"], false),
        (&["resume", "orders"], true),
        (&SKIP, false),
    ] {
        let address = cluster(&fleet(servers, &topic, paused), &["PATCH /kafkaconsumers"]);
        let mut command = drover(arguments);
        command.env("KUBECONFIG", kubeconfig(folder.path(), address));
        let words = [
            "refuses: User \"ann\" cannot patch ",
            "use credentials that may do that with kafkaconsumers.drover.dev",
        ];
        fails(&mut command, &words);
    }
}

#[tokio::test]
async fn what_was_done_counts_where_no_event_may_be_written_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let servers = broker().servers.as_str();
    for (arguments, paused, done, told) in [
        (&SKIP[..], false, "orders skips ", "the record is skipped"),
        (&RESET, true, "set in group ", "the offsets are set"),
    ] {
        let topic = topic(&format!("rights-events-{}", arguments[0])).await;
        let refused = &["POST /events", "POST /selfsubjectreviews"];
        let address = cluster(&fleet(servers, &topic, paused), refused);
        let mut command = drover(arguments);
        command.args(["--timeout", "90s"]);
        command.env("KUBECONFIG", kubeconfig(folder.path(), address));
        let output = command.output().unwrap();
        let (out, error) = said(&output);
        let what = format!("{arguments:?}: {out}{error}");
        assert_eq!(output.status.code(), Some(0), "{what}");
        assert!(out.contains(done), "{what}");
        let last = error.lines().last().unwrap_or_default();
        for words in [
            told,
            "no event could be written of it: write an event: ",
            "User \"ann\" cannot post",
            "let your role create events in events.k8s.io",
        ] {
            assert!(last.contains(words), "{words}: {what}");
        }
    }
}

#[test]
fn who_may_see_pods_and_not_their_logs_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let address = cluster(&fleet("kafka:9092", "orders", false), &["GET /log"]);
    let mut logs = drover(&["logs", "orders"]);
    let output = logs
        .env("KUBECONFIG", kubeconfig(folder.path(), address))
        .output()
        .unwrap();
    let (out, error) = said(&output);
    let what = format!("{out}{error}");
    assert_eq!(
        (output.status.code(), out.as_str()),
        (Some(1), ""),
        "{what}"
    );
    assert_eq!(error.lines().count(), 1, "{what}");
    for words in [
        "orders-1",
        "User \"ann\" cannot get",
        "use credentials that may get pods/log",
    ] {
        assert!(error.contains(words), "{words}: {what}");
    }
}

#[test]
fn who_may_list_and_not_watch_is_told_so_and_the_watch_ends() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet("kafka:9092", "orders", false);
    let address = cluster(&fleet, &["WATCH /kafkaconsumers"]);
    let mut status = drover(&["status", "-w"]);
    let output = status
        .env("KUBECONFIG", kubeconfig(folder.path(), address))
        .output()
        .unwrap();
    let (out, error) = said(&output);
    let what = format!("{out}{error}");
    assert_eq!(output.status.code(), Some(2), "{what}");
    assert!(out.contains("orders"), "{what}");
    let mut lines = error.lines();
    // Nobody acts here, which is told as without -w.
    let first = lines.next().unwrap();
    assert!(
        first.contains("since no controller leads, and none ever did"),
        "{what}"
    );
    let last = lines.next_back().unwrap();
    for words in [
        "refuses: User \"ann\" cannot watch",
        "use credentials that may do that",
    ] {
        assert!(last.contains(words), "{words}: {what}");
    }
}

#[test]
fn a_watch_that_cannot_begin_fails_as_a_list_does() {
    let folder = tempfile::tempdir().unwrap();
    let missing = |head: &str| {
        assert!(head.starts_with("GET"));
        (404, json!("404 page not found\n"))
    };
    let worlds: [(SocketAddr, &[&str]); 3] = [
        (
            api_server_that(missing),
            &["does not know KafkaConsumers; install Drover"],
        ),
        (
            cluster(
                &fleet("kafka:9092", "orders", false),
                &["GET /kafkaconsumers"],
            ),
            &["refuses: ", "use credentials that may"],
        ),
        (nowhere(), &["does not answer; check the kubeconfig"]),
    ];
    for (address, words) in worlds {
        let kubeconfig = kubeconfig(folder.path(), address);
        for arguments in [&["status", "-w"][..], &["status", "orders", "-w"]] {
            fails(drover(arguments).env("KUBECONFIG", &kubeconfig), words);
        }
    }
}

#[tokio::test]
async fn what_nobody_acts_on_is_said_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let servers = broker().servers.as_str();
    let topic = topic("rights-vacant").await;
    for (arguments, paused) in [(&["resume", "orders"][..], true), (&SKIP, false)] {
        let address = cluster(&fleet(servers, &topic, paused), &["POST /events"]);
        let mut command = drover(arguments);
        command.env("KUBECONFIG", kubeconfig(folder.path(), address));
        let output = command.output().unwrap();
        let (out, error) = said(&output);
        let what = format!("{arguments:?}: {out}{error}");
        assert!(output.status.success(), "{what}");
        let words = "nothing acts on it yet, since no controller leads, and none ever did";
        assert!(error.contains(words), "{what}");
    }
}

#[test]
fn brokers_that_are_away_are_named_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let away = nowhere().to_string();
    for arguments in [&SKIP[..], &RESET] {
        let address = cluster(&fleet(&away, "orders", true), &["PATCH /"]);
        let mut command = drover(arguments);
        command.args(["--timeout", "1s"]);
        command.env("KUBECONFIG", kubeconfig(folder.path(), address));
        let check = format!("check the KafkaConsumer's spec.kafka.bootstrapServers {away}");
        fails(&mut command, &[&check]);
    }
}
