//! Of Kafka: brokers that are away or silent, interrupts while they are waited for, questions without a terminal.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{DROVER, SECRET, alone, drover, fails, nowhere, said};
use crate::lag_admin::{mock, produce};
use crate::support::consumers::http_url;
use crate::worker::kafka::eventually;

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
pub(super) fn silent() -> (SocketAddr, Arc<AtomicUsize>) {
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
