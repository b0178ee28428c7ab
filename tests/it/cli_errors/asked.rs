//! What asks before it changes something, in a terminal: only the one answer is a yes.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::{api_server_that, failure, kubeconfig};
use crate::cli_top::terminal::Terminal;
use crate::lag_admin::{mock, produce};
use crate::support::consumers::{http_url, with};

/// Ctrl-D ends the answer before its line.
#[test]
fn a_skip_is_asked_for_and_only_the_offset_is_a_yes() {
    let mock = mock(&[("user_events", 1)]);
    let servers = mock.bootstrap_servers();
    produce(&servers, "user_events", &[0], 3);
    let mut fleet = with(http_url(), "/spec/kafka/bootstrapServers", json!(servers));
    fleet["metadata"] = json!({ "name": "orders", "namespace": "shop", "uid": "5d1c8f0a" });
    let patches = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&patches);
    let address = api_server_that(move |head| {
        *counted.lock().unwrap() += usize::from(head.starts_with("PATCH "));
        match head.split_whitespace().nth(1) {
            Some(path) if path.contains("/kafkaconsumers/orders") => (200, fleet.clone()),
            _ => (403, failure(403, "Forbidden", "User \"ann\" cannot")),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig(folder.path(), address);
    let record = ["--partition", "0", "--offset", "1", "--reason", "bad"];
    let arguments = [&["skip", "orders"], &record[..]].concat();
    let asked = || {
        let mut terminal = Terminal::start(&arguments, &kubeconfig, (160, 20));
        let screen = terminal.wait_for("its question", |screen| {
            screen.contains("Write the offset to go on:")
        });
        assert!(
            screen.contains("user_events[0] offset 1, written"),
            "{screen}"
        );
        terminal
    };
    for answer in ["\n", "y\n", "0\n", "orders\n", "\u{4}"] {
        let mut terminal = asked();
        terminal.press(answer);
        terminal.wait_for("that it did not", |screen| {
            screen.contains("nothing was skipped")
        });
        assert_eq!(terminal.ended(), Some(2), "{answer:?}");
    }
    let mut ended = asked();
    ended.signal("TERM");
    assert_ne!(ended.ended(), Some(0));
    assert_eq!(*patches.lock().unwrap(), 0);
    let mut yes = asked();
    yes.press("1\n");
    yes.wait_for("that it did", |screen| {
        screen.contains("orders skips user_events")
    });
    assert_eq!(yes.ended(), Some(0));
    assert_eq!(*patches.lock().unwrap(), 1);
}
