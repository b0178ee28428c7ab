//! What `drover dev` says to do, typed as it says it; and that it waits for its handler.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use super::process::{Dev, drover};
use super::{DEAD_LETTERS, Yaml};
use crate::worker::kafka::eventually;
use crate::worker::web::{Web, status};

const ENCRYPTION: &str = "  encryption:\n    activeRecord:\n      primaryKeySecrets: [{ name: rails, key: old }, { name: rails, key: new }]\n      keyDerivationSaltSecret: { name: rails, key: salt }\n      hashDigest: Sha1\n      pointer: /payload\n---\nkind: Secret\nmetadata: { name: rails }\nstringData: { old: one, new: two, salt: three }\n";

#[test]
fn the_line_that_feeds_it_encrypts_as_the_yaml_wants_it_and_its_dead_letters_are_opened() {
    let web = Web::start(|_| status(400));
    let yaml = Yaml::new(&format!("{DEAD_LETTERS}{ENCRYPTION}"));
    let url = web.url();
    let mut dev = Dev::start(&[yaml.path(), "--embedded", "--handler", &url]);
    let line = dev.wait_for_line("feed it: drover ");
    let (_, typed) = line.split_once("feed it: drover ").unwrap();
    let fed = Command::new("sh")
        .args(["-c", &format!("exec \"$DROVER\" {typed}")])
        .env("DROVER", env!("CARGO_BIN_EXE_drover"))
        .env_remove("DROVER_BOOTSTRAP")
        .output()
        .unwrap();
    assert!(fed.status.success(), "{typed}: {fed:?}");
    let seen = web.wait_for_count(1);
    assert_eq!(seen[0].text(), r#"{"payload":"{\"id\":1}"}"#);
    dev.wait_for_line("dead letter in orders.dlq: Rejected");

    let words = typed.split_whitespace();
    let brokers = words.skip_while(|word| *word != "--bootstrap").nth(1);
    let shown = drover(&[
        "dlq",
        "show",
        "-f",
        yaml.path(),
        "--bootstrap",
        brokers.unwrap(),
        "--payload",
        "--decrypt",
        "-o",
        "json",
    ]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["letters"][0]["decrypted"], r#"{"id":1}"#, "{shown}");
    assert_eq!(dev.interrupt_for_people().0, Some(0));
}

#[test]
fn it_says_for_which_handler_it_waits_and_when_that_is_there() {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let yaml = Yaml::new("");
    let text = fs::read_to_string(&yaml.path).unwrap();
    let text = text.replace("url: \"http://nowhere.invalid/\"", &format!("port: {port}"));
    let template = "  template: { spec: { containers: [{ name: app, image: app }] } }\n";
    fs::write(&yaml.path, format!("{text}{template}")).unwrap();
    let mut dev = Dev::start(&[yaml.path(), "--embedded"]);
    let said = |dev: &Dev, words: &str| dev.everything().contains(words).then_some(());
    let waits = format!("waits for the handler at localhost:{port}");
    eventually(&waits, || said(&dev, &waits));
    let _listens = TcpListener::bind(("127.0.0.1", port)).unwrap();
    eventually("it is there", || said(&dev, "the handler is reachable"));
    dev.wait_for_line("ready: reads");
    assert_eq!(dev.interrupt_for_people().0, Some(0));
}
