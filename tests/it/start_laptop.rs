//! docs/start-laptop.md, followed to the letter; but the ports are those of the test.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli_dev::process::Dev;
use crate::worker::kafka::eventually;
use crate::worker::web::{Web, ok};

const PAGE: &str = include_str!("../../docs/start-laptop.md");
const FILE: &str = "user-events.yaml";
const HANDLER: &str = "http://localhost:3000/kafka";
const ADDRESS: &str = "127.0.0.1:40123";

/// The blocks of the page in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begins = format!("```{language}\n");
    let parts = PAGE.split(begins.as_str()).skip(1);
    parts
        .map(|part| part.split("\n```").next().unwrap())
        .collect()
}

/// The words of the page's commands that begin so, without the program's name.
fn commands(begins: &str) -> Vec<Vec<String>> {
    let lines = blocks("console").into_iter().flat_map(str::lines);
    let lines = lines.filter_map(|line| line.strip_prefix("$ "));
    let lines = lines.filter(|line| line.starts_with(begins));
    lines.map(|line| words(line).split_off(1)).collect()
}

/// As a shell makes them of a line, as far as the page needs it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (place, part) in line.split('\'').enumerate() {
        let quoted = place % 2 == 1;
        let mut pieces = part.split(if quoted { '\n' } else { ' ' });
        words
            .last_mut()
            .unwrap()
            .push_str(pieces.next().unwrap_or_default());
        words.extend(pieces.map(str::to_owned));
    }
    words.retain(|word| !word.is_empty());
    words
}

fn drover(folder: &Path, brokers: &str, arguments: &[String]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(arguments)
        .current_dir(folder)
        .env("DROVER_BOOTSTRAP", brokers)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn the_laptop_start_works_as_it_is_written() {
    let web = Web::start(|_| ok());
    let folder = tempfile::tempdir().unwrap();
    let yaml = folder.path().join(FILE);
    fs::write(&yaml, blocks("yaml")[0]).unwrap();

    let [dev] = commands("drover dev").try_into().unwrap();
    assert!(dev.iter().any(|word| word == HANDLER), "{dev:?}");
    let mut dev: Vec<String> = dev.into_iter().skip(1).collect();
    for word in &mut dev {
        match word.as_str() {
            HANDLER => *word = web.url(),
            FILE => *word = yaml.to_str().unwrap().to_owned(),
            _ => {}
        }
    }
    let arguments: Vec<&str> = dev
        .iter()
        .map(String::as_str)
        .chain(["-o", "json"])
        .collect();
    let mut dev = Dev::start(&arguments);
    let begins = dev.wait_for("begins", |_| true);
    let brokers = begins["brokers"].as_str().unwrap();
    assert!(PAGE.contains(&format!("export DROVER_BOOTSTRAP={ADDRESS}")));
    dev.wait_for("assigned", |_| true);

    let [encrypted, clear] = commands("drover produce").try_into().unwrap();
    drover(folder.path(), brokers, &encrypted);
    let record = dev.wait_for("record", |record| record["key"] == "7");
    let shown = record["value"].as_str().unwrap();
    assert!(
        shown.starts_with("{\"p\":\"") && !shown.contains("user_id"),
        "{record}"
    );
    let arrives = |what: &str, text: &[String]| {
        let text = text.last().unwrap().as_str();
        web.wait_for(what, |seen| seen.iter().any(|seen| seen.text() == text));
    };
    arrives("the event, decrypted", &encrypted);

    drover(folder.path(), brokers, &clear);
    dev.wait_for("deadLetter", |_| true);
    let [show] = commands("drover dlq").try_into().unwrap();
    let shown = drover(folder.path(), brokers, &show);
    assert!(
        shown.contains("NotAMessage") || shown.contains("NotJson"),
        "{shown}"
    );

    // What the page says to add.
    let text = fs::read_to_string(&yaml).unwrap();
    let option = "onPlaintext: Deliver";
    assert!(PAGE.contains(option));
    let place = "    activeRecord:\n";
    let changed = text.replace(place, &format!("{place}      {option}\n"));
    assert_ne!(changed, text);
    fs::write(&yaml, changed).unwrap();
    eventually("the worker to begin anew", || {
        (dev.all("begins", |_| true).len() == 2).then_some(())
    });
    drover(folder.path(), brokers, &clear);
    arrives("the one in the clear", &clear);
    let (code, _) = dev.interrupt();
    assert_eq!(code, Some(0));
}
