//! `drover top` as a program, in a pseudo-terminal, against a real API server or one that refuses.

mod gate;
pub mod terminal;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use drover::api::KafkaConsumer;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::cli_errors::{SECRET, api_server, api_server_that, failure, kubeconfig, nowhere};
use crate::support::consumers::http_url;
use crate::support::control_plane::control_plane;
use gate::Gate;
use terminal::Terminal;

/// A namespace with these fleets, each with its status and its namespace's name as a label.
async fn fleets(fleets: &[(&str, Value)]) -> (Api<KafkaConsumer>, String) {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let api: Api<KafkaConsumer> = Api::namespaced(client, &namespace);
    for (name, status) in fleets {
        let mut document = http_url();
        document["metadata"] = json!({ "name": name, "labels": { "of": namespace } });
        let consumer = serde_json::from_value(document).unwrap();
        api.create(&PostParams::default(), &consumer).await.unwrap();
        let patch = Patch::Merge(json!({ "status": status }));
        let params = PatchParams::default();
        api.patch_status(name, &params, &patch).await.unwrap();
    }
    (api, namespace)
}

fn stalled() -> Value {
    json!({ "lag": 7, "conditions": [{
        "type": "Stalled", "status": "True", "reason": "RecordStuck", "message": "stops at 1,042",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }] })
}

/// What an API server answers to who asks for all, with one fleet.
fn listed() -> Value {
    let mut fleet = http_url();
    fleet["metadata"] = json!({ "name": "orders", "namespace": "shop" });
    json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumerList", "metadata": {}, "items": [fleet],
    })
}

#[tokio::test]
async fn keys_open_pause_resume_and_quit_and_the_terminal_is_given_back() {
    let (api, namespace) = fleets(&[("calm", json!({ "lag": 12345 })), ("stuck", stalled())]).await;
    let kubeconfig = control_plane().kubeconfig();
    let arguments = ["top", "-n", &namespace, "--interval", "200ms"];
    let mut terminal = Terminal::start(&arguments, &kubeconfig, (100, 14));
    let before = terminal.modes();
    let screen = terminal.wait_for("both fleets", |screen| {
        screen.contains("calm") && screen.contains("stuck")
    });
    let line = |words: &str| screen.lines().position(|line| line.contains(words));
    assert!(
        line("TROUBLE").unwrap() < line("12,345").unwrap(),
        "{screen}"
    );
    assert!(screen.contains("1 of 2 in trouble"), "{screen}");
    assert!(terminal.is_coloured());
    assert_ne!(terminal.modes(), before, "keys come one by one");

    terminal.press("?");
    terminal.wait_for("help", |screen| screen.contains("back to all"));
    terminal.press("?");
    terminal.wait_for("the list", |screen| screen.contains("NAME"));

    terminal.press("\r");
    terminal.wait_for("one fleet", |screen| screen.contains("Not well"));
    terminal.press("\x1b");
    terminal.wait_for("the list", |screen| screen.contains("NAME"));

    terminal.press("p");
    terminal.wait_for("a question", |screen| screen.contains("y pauses stuck"));
    terminal.press("n");
    terminal.wait_for("no question", |screen| !screen.contains("y pauses stuck"));
    assert!(!api.get("stuck").await.unwrap().spec.paused);
    terminal.press("p");
    terminal.wait_for("a question", |screen| screen.contains("y pauses stuck"));
    terminal.press("y");
    terminal.wait_for("it is paused", |screen| screen.contains("stuck paused"));
    assert!(api.get("stuck").await.unwrap().spec.paused);
    assert!(!api.get("calm").await.unwrap().spec.paused);
    terminal.wait_for("shown as paused", |screen| {
        screen
            .lines()
            .any(|line| line.starts_with("stuck paused") && line.contains('7'))
    });
    terminal.press("r");
    terminal.wait_for("it is resumed", |screen| screen.contains("stuck resumed"));
    assert!(!api.get("stuck").await.unwrap().spec.paused);

    terminal.resize((40, 6));
    terminal.wait_for("less room", |screen| {
        screen.contains("stuck")
            && !screen.contains("PODS")
            && screen.lines().all(|line| line.chars().count() <= 40)
    });
    terminal.resize((1, 1));
    terminal.wait_for("hardly any room", |screen| screen.trim_end() == "d");
    terminal.resize((100, 14));
    terminal.wait_for("more room", |screen| screen.contains("PODS"));

    terminal.press("q");
    assert_eq!(terminal.ended(), Some(0));
    assert_eq!(terminal.modes(), before);
    assert!(!terminal.is_alternate(), "the screen is what it was");
}

#[tokio::test]
async fn a_lost_connection_is_said_and_found_again() {
    let (api, namespace) = fleets(&[("orders", json!({ "lag": 1 }))]).await;
    let gate = Gate::before(&control_plane().kubeconfig());
    let arguments = ["top", "-n", &namespace, "--interval", "200ms"];
    let mut terminal = Terminal::start(&arguments, gate.kubeconfig(), (120, 8));
    terminal.wait_for("the fleet", |screen| screen.contains("orders"));
    gate.shut();
    let lost = terminal.wait_for("the loss", |screen| screen.contains("nothing new for"));
    assert!(lost.contains("orders"), "what was known stays: {lost}");
    assert!(lost.contains("does not answer"), "{lost}");
    let patch = Patch::Merge(json!({ "status": { "lag": 54321 } }));
    let params = PatchParams::default();
    api.patch_status("orders", &params, &patch).await.unwrap();
    gate.open();
    terminal.wait_for("an answer", |screen| {
        !screen.contains("nothing new for") && screen.contains("54,321")
    });
    // Ctrl-C, as raw terminals have it.
    terminal.press("\x03");
    assert_eq!(terminal.ended(), Some(130));
    assert!(!terminal.is_alternate());
}

#[test]
fn that_no_controller_leads_is_said_until_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let led = Arc::new(AtomicBool::new(false));
    let leads = Arc::clone(&led);
    let address = api_server_that(move |head| {
        if !head.contains("/leases") {
            return (200, listed());
        }
        let renewed = match leads.load(Ordering::SeqCst) {
            true => format!("{:.6}", drover::clock::now()),
            false => "2026-01-01T00:00:00.000000Z".to_owned(),
        };
        let lease = json!({
            "metadata": { "name": "drover-controller", "namespace": "drover-system" },
            "spec": { "holderIdentity": "controller-0", "leaseDurationSeconds": 15, "renewTime": renewed },
        });
        let list = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList", "metadata": {}, "items": [lease],
        });
        (200, list)
    });
    let kubeconfig = kubeconfig(folder.path(), address);
    let arguments = ["top", "--interval", "200ms"];
    let mut terminal = Terminal::start(&arguments, &kubeconfig, (160, 8));
    let silent = "since no controller leads: controller-0 led, and is silent since ";
    let screen = terminal.wait_for("nobody leads", |screen| screen.contains(silent));
    assert!(screen.contains("orders"), "{screen}");
    led.store(true, Ordering::SeqCst);
    terminal.wait_for("one leads", |screen| {
        screen.contains("orders") && !screen.contains("no controller leads")
    });
    terminal.press("q");
    assert_eq!(terminal.ended(), Some(0));
}

#[tokio::test]
async fn labels_choose_from_all_namespaces() {
    let (_, one) = fleets(&[("here", json!({}))]).await;
    let (_, other) = fleets(&[("there", json!({}))]).await;
    let (_, third) = fleets(&[("elsewhere", json!({}))]).await;
    let labels = format!("of in ({one},{other})");
    let arguments = ["top", "-A", "-l", &labels];
    let kubeconfig = control_plane().kubeconfig();
    let mut terminal = Terminal::start(&arguments, &kubeconfig, (120, 10));
    let screen = terminal.wait_for("two fleets", |screen| screen.contains("0 of 2 in trouble"));
    assert!(screen.contains(&format!("{one}/here")), "{screen}");
    assert!(screen.contains(&format!("{other}/there")), "{screen}");
    assert!(!screen.contains(&third), "{screen}");
    terminal.press("q");
    assert_eq!(terminal.ended(), Some(0));
}

#[test]
fn whatever_ends_it_the_terminal_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig(folder.path(), api_server(200, listed()));
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("QUIT", 131)] {
        let mut terminal = Terminal::start(&["top"], &kubeconfig, (80, 10));
        let before = terminal.modes();
        terminal.wait_for("the fleet", |screen| screen.contains("orders"));
        terminal.signal(signal);
        assert_eq!(terminal.ended(), Some(code), "{signal}");
        assert_eq!(terminal.modes(), before, "{signal}");
    }
    let mut terminal = Terminal::start(&["top"], &kubeconfig, (80, 10));
    terminal.wait_for("the fleet", |screen| screen.contains("orders"));
    terminal.close();
    assert_eq!(terminal.ended(), Some(129), "nobody is there any more");
}

#[test]
fn a_stopped_one_leaves_the_terminal_to_others_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig(folder.path(), api_server(200, listed()));
    let mut terminal = Terminal::start(&["top"], &kubeconfig, (80, 10));
    let before = terminal.modes();
    terminal.wait_for("the fleet", |screen| screen.contains("orders"));
    // Ctrl-Z, as raw terminals have it; and as `kill` has it.
    for by_key in [true, false] {
        if by_key {
            terminal.press("\x1a");
        } else {
            terminal.signal("TSTP");
        }
        terminal.wait_for_stop();
        assert_eq!(terminal.modes(), before);
        terminal.signal("CONT");
        terminal.wait_for("the fleet again", |screen| screen.contains("orders"));
        assert!(terminal.is_alternate());
    }
    terminal.press("q");
    assert_eq!(terminal.ended(), Some(0));
    assert_eq!(terminal.modes(), before);
}

#[test]
fn without_colours_none_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig(folder.path(), api_server(200, listed()));
    let plain = [("NO_COLOR", "1")];
    let mut terminal = Terminal::start_with(&["top"], &kubeconfig, (80, 10), &plain);
    terminal.wait_for("the fleet", |screen| screen.contains("orders"));
    terminal.press("\r");
    terminal.wait_for("one fleet", |screen| screen.contains("orders in shop"));
    assert!(!terminal.is_coloured());
    terminal.press("q");
    assert_eq!(terminal.ended(), Some(0));
}

#[test]
fn what_is_refused_is_said_on_the_page_and_what_was_known_stays() {
    let folder = tempfile::tempdir().unwrap();
    let blind = Arc::new(AtomicBool::new(false));
    let is_blind = Arc::clone(&blind);
    let refused = failure(403, "Forbidden", "User \"ann\" cannot do that");
    let address = api_server_that(move |head| {
        if head.starts_with("PATCH") || is_blind.load(Ordering::SeqCst) {
            (403, refused.clone())
        } else {
            (200, listed())
        }
    });
    let kubeconfig = kubeconfig(folder.path(), address);
    let arguments = ["top", "--interval", "200ms"];
    let mut terminal = Terminal::start(&arguments, &kubeconfig, (200, 8));
    terminal.wait_for("the fleet", |screen| screen.contains("orders"));
    terminal.press("p");
    terminal.wait_for("a question", |screen| screen.contains("y pauses orders"));
    terminal.press("y");
    terminal.wait_for("the refusal", |screen| {
        screen.contains("orders is not paused: ") && screen.contains("\"ann\" cannot do that")
    });
    blind.store(true, Ordering::SeqCst);
    let screen = terminal.wait_for("the loss", |screen| screen.contains("nothing new for"));
    assert!(screen.contains("use credentials that may"), "{screen}");
    assert!(screen.contains("orders"), "{screen}");
    assert!(!screen.contains(SECRET), "{screen}");
    blind.store(false, Ordering::SeqCst);
    terminal.wait_for("an answer", |screen| !screen.contains("nothing new for"));
    terminal.press("q");
    assert_eq!(terminal.ended(), Some(0));
}

#[test]
fn what_is_wrong_from_the_beginning_is_an_error_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let forbidden = failure(403, "Forbidden", "User \"ann\" cannot list kafkaconsumers");
    let unauthorized = failure(401, "Unauthorized", "Unauthorized");
    for (address, words) in [
        (
            nowhere(),
            "does not answer; check the kubeconfig and --context",
        ),
        (
            api_server(404, json!("404 page not found\n")),
            "does not know KafkaConsumers; install Drover: helm install drover charts/drover, or these alone: drover crd | kubectl apply",
        ),
        (api_server(403, forbidden), "refuses: User \"ann\" cannot"),
        (api_server(401, unauthorized), "refuses: Unauthorized"),
    ] {
        let kubeconfig = kubeconfig(folder.path(), address);
        let mut terminal = Terminal::start(&["top"], &kubeconfig, (80, 10));
        assert_eq!(terminal.ended(), Some(2), "{words}");
        let said = terminal.wait_for(words, |screen| screen.contains(words));
        assert!(said.starts_with("drover: "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn where_there_is_none_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut none = listed();
    none["items"] = json!([]);
    let kubeconfig = kubeconfig(folder.path(), api_server(200, none));
    let mut terminal = Terminal::start(&["top"], &kubeconfig, (80, 10));
    terminal.wait_for("that there is none", |screen| {
        screen.contains("No KafkaConsumers in namespace shop; -A shows all namespaces.")
    });
    // Keys that want a fleet find none.
    terminal.press("jp\r r");
    terminal.press("q");
    assert_eq!(terminal.ended(), Some(0));
}

#[test]
fn what_is_no_terminal_or_a_useless_interval_is_said() {
    let not_drawn = "drover: top draws on a terminal, and this is none; use drover status, with -o json for programs\n";
    let too_short = "drover: --interval is shorter than 100ms; name a longer time, such as 2s\n";
    let useless = ["top", "--interval", "0s"];
    for (arguments, said) in [(&["top"][..], not_drawn), (&useless[..], too_short)] {
        let output = Command::new(env!("CARGO_BIN_EXE_drover"))
            .args(arguments)
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), said);
    }
}
