//! `drover encrypt`, `decrypt`, `encryption verify` and `produce --encrypt` as programs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use drover::clock::Monotonic;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;

const SECRET: &str = "kind: Secret\nstringData:\n  primary_key: primary-key-of-a-test\n  deterministic_key: deterministic-key-of-a-test\n  key_derivation_salt: salt-of-a-test\n";

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/active-record-encryption.json")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
    command.args(arguments).env_remove("DROVER_BOOTSTRAP");
    for name in ["PRIMARY_KEY", "DETERMINISTIC_KEY", "KEY_DERIVATION_SALT"] {
        command.env_remove(format!("ACTIVE_RECORD_ENCRYPTION_{name}"));
    }
    command
}

fn fed(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that takes no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn drover(arguments: &[&str], input: &[u8]) -> Output {
    fed(command(arguments), input)
}

fn succeeded(output: Output) -> Vec<u8> {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    output.stdout
}

fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// A folder with files of these contents, and their paths.
fn files<const N: usize>(contents: [&str; N]) -> (tempfile::TempDir, [String; N]) {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    let paths = contents.map(|content| {
        number += 1;
        let path = folder.path().join(format!("file-{number}"));
        fs::write(&path, content).unwrap();
        path.display().to_string()
    });
    (folder, paths)
}

#[test]
fn every_vector_of_rails_passes() {
    let path = vectors().display().to_string();
    let output = drover(&["encryption", "verify", &path], b"");
    assert_eq!(said(&output), "258 passed, 0 failed\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_vector_that_fails_is_named_and_ends_with_1() {
    let mut document: Value = serde_json::from_slice(&fs::read(vectors()).unwrap()).unwrap();
    let all = document["vectors"].as_array_mut().unwrap();
    all.retain(|vector| vector["category"] == "short" && vector["rails_version"] == "7.2.2.2");
    let count = all.len();
    all[0]["plaintext"] = "eHg=".into();
    let name = all[0]["name"].as_str().unwrap().to_owned();
    let (_folder, [path]) = files([&document.to_string()]);
    let output = drover(&["encryption", "verify", &path], b"");
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(said.starts_with(&format!("{name}: ")), "{said}");
    assert!(
        said.ends_with(&format!("\n{} passed, 1 failed\n", count - 1)),
        "{said}"
    );
}

#[test]
fn what_is_no_file_of_vectors_ends_with_2() {
    let (_folder, [text, json]) = files(["hello", "{\"vectors\": 5}"]);
    for path in ["/nowhere/at/all.json", &text, &json] {
        let output = drover(&["encryption", "verify", path], b"");
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(said(&output).contains(path), "{}", said(&output));
    }
}

#[test]
fn what_is_encrypted_is_decrypted_byte_for_byte() {
    let (_folder, [keys]) = files([SECRET]);
    let long = "x".repeat(500);
    for text in [
        &b""[..],
        b"hello",
        b"two\nlines\n",
        b"\xff\x00\n",
        long.as_bytes(),
    ] {
        for form in [
            &[][..],
            &["--envelope"],
            &["--store-key-references"],
            &["--no-compress"],
        ] {
            let arguments = [&["encrypt", "--keys-file", &keys], form].concat();
            let message = succeeded(drover(&arguments, text));
            assert!(message.ends_with(b"}}\n"));
            let back = succeeded(drover(&["decrypt", "--keys-file", &keys], &message));
            assert_eq!(back, text, "{form:?}");
        }
    }
}

#[test]
fn lines_and_arguments_are_texts_of_their_own() {
    let (_folder, [keys]) = files([SECRET]);
    let by_lines = succeeded(drover(
        &["encrypt", "--lines", "--keys-file", &keys],
        b"one\n\nthree\n",
    ));
    assert_eq!(by_lines.iter().filter(|byte| **byte == b'\n').count(), 3);
    let back = succeeded(drover(
        &["decrypt", "--lines", "--keys-file", &keys],
        &by_lines,
    ));
    assert_eq!(back, b"one\n\nthree\n");
    // Without it, they are one message that makes no sense.
    let together = drover(&["decrypt", "--keys-file", &keys], &by_lines);
    assert_eq!(together.status.code(), Some(1));
    let told = said(&together);
    assert!(told.contains("it has 3 lines: with --lines"), "{told}");

    let deterministic = [
        "encrypt",
        "--deterministic",
        "--keys-file",
        &keys,
        "a",
        "b",
        "a",
    ];
    let made = String::from_utf8(succeeded(drover(&deterministic, b""))).unwrap();
    let made: Vec<&str> = made.lines().collect();
    assert!(made.len() == 3 && made[0] == made[2] && made[0] != made[1]);
    let arguments = [&["decrypt", "--keys-file", keys.as_str()], &made[..]].concat();
    assert_eq!(succeeded(drover(&arguments, b"")), b"a\nb\na\n");
}

#[test]
fn keys_come_from_files_from_named_variables_and_from_those_of_habit() {
    let (_folder, [old, new, salt]) =
        files(["old-key\n", "primary-key-of-a-test\n", "salt-of-a-test"]);
    let (_other, [secret]) = files([SECRET]);
    let message = succeeded(drover(&["encrypt", "--keys-file", &secret, "hello"], b""));
    let message = String::from_utf8(message).unwrap();

    let with_files = [
        "decrypt",
        "--primary-key-file",
        &old,
        "--primary-key-file",
        &new,
        "--key-derivation-salt-file",
        &salt,
        &message,
    ];
    assert_eq!(succeeded(drover(&with_files, b"")), b"hello\n");

    let mut named = command(&[
        "decrypt",
        "--primary-key-env",
        "MY_KEY",
        "--key-derivation-salt-env",
        "MY_SALT",
        &message,
    ]);
    named.env("MY_KEY", "primary-key-of-a-test");
    named.env("MY_SALT", "salt-of-a-test");
    assert_eq!(succeeded(fed(named, b"")), b"hello\n");

    let mut habit = command(&["decrypt", &message]);
    habit.env(
        "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY",
        "primary-key-of-a-test",
    );
    habit.env(
        "ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT",
        "salt-of-a-test",
    );
    assert_eq!(succeeded(fed(habit, b"")), b"hello\n");
}

/// While keys are rotated.
#[test]
fn beside_a_file_with_all_keys_older_ones_decrypt_and_the_files_own_encrypts() {
    let (_folder, [old, salt, secret]) = files(["old-key", "salt-of-a-test", SECRET]);
    let with_old = ["--primary-key-file", old.as_str()];
    let with_salt = ["--key-derivation-salt-file", salt.as_str()];
    let both = [&["--keys-file", secret.as_str()], &with_old[..]].concat();
    let text = |output| String::from_utf8(succeeded(output)).unwrap();
    let message = text(drover(
        &[&["encrypt"], &with_old[..], &with_salt, &["older"]].concat(),
        b"",
    ));
    let read = drover(
        &[&["decrypt"], &both[..], &[message.trim_end()]].concat(),
        b"",
    );
    assert_eq!(succeeded(read), b"older\n");

    let message = text(drover(&[&["encrypt"], &both[..], &["newer"]].concat(), b""));
    let read = drover(
        &["decrypt", "--keys-file", &secret, message.trim_end()],
        b"",
    );
    assert_eq!(succeeded(read), b"newer\n");
    // There is one salt.
    let two = [
        &["decrypt", "--keys-file", secret.as_str()],
        &with_salt[..],
        &["x"],
    ]
    .concat();
    assert_eq!(drover(&two, b"").status.code(), Some(2));
}

#[test]
fn what_cannot_be_decrypted_is_told_by_its_kind_and_the_rest_goes_on() {
    let (_folder, [keys, other]) = files([SECRET, &SECRET.replace("primary-key", "hush-hush")]);
    let good = succeeded(drover(
        &["encrypt", "--lines", "--keys-file", &keys],
        b"good\n",
    ));
    let wrong = succeeded(drover(
        &["encrypt", "--lines", "--keys-file", &other],
        b"bad\n",
    ));
    let named = [
        "encrypt",
        "--lines",
        "--store-key-references",
        "--keys-file",
        &other,
    ];
    let named = succeeded(drover(&named, b"bad\n"));
    let input = [wrong, named, b"{\"id\": 7}\nhello\n".to_vec(), good].concat();
    let output = drover(&["decrypt", "--lines", "--keys-file", &keys], &input);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"good\n");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let kinds = [
        "text 1: AuthFailed",
        "text 2: UnknownKeyId",
        "text 3: NotAMessage",
        "text 4: NotJson",
    ];
    for (line, kind) in told.lines().zip(kinds) {
        assert!(line.contains(kind), "{told}");
    }
    assert_eq!(told.lines().count(), 4, "{told}");
    assert!(told.contains("--hash-digest sha1"), "{told}");
    assert!(
        !told.contains("key-of-a-test") && !told.contains("hush"),
        "{told}"
    );
}

#[test]
fn a_text_that_becomes_too_large_is_read_once_the_limit_is_raised() {
    let (_folder, [keys]) = files([SECRET]);
    let text = "x".repeat((8 << 20) + 1);
    let message = succeeded(drover(&["encrypt", "--keys-file", &keys], text.as_bytes()));
    let decrypt = ["decrypt", "--keys-file", &keys];
    let output = drover(&decrypt, &message);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("TooLarge") && told.contains("raise --max-inflated-bytes"),
        "{told}"
    );
    let raised = [&decrypt[..], &["--max-inflated-bytes", "9000000"]].concat();
    assert!(succeeded(drover(&raised, &message)) == text.as_bytes());
}

#[test]
fn a_missing_key_is_told_with_its_remedy_and_ends_with_2() {
    let plain = "kind: Secret\ndata: { primary_key: hush!, key_derivation_salt: c2FsdA== }\n";
    let (_folder, [keys, empty, plain]) = files([SECRET, "", plain]);
    let no_deterministic = files([&SECRET.replace("deterministic_key", "other")]);
    for (arguments, words) in [
        (
            vec!["decrypt", "x"],
            "ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT",
        ),
        (vec!["decrypt", "--keys-file", "/nowhere"], "read /nowhere"),
        (
            vec!["decrypt", "--keys-file", &empty],
            "neither a Secret nor",
        ),
        (
            vec!["decrypt", "--keys-file", &plain],
            "read primary_key: it is not base64, as the data of a Secret must be; encode it",
        ),
        (
            vec!["encrypt", "--primary-key-file", &keys],
            "no key derivation salt",
        ),
        (
            vec![
                "decrypt",
                "--primary-key-file",
                &keys,
                "--key-derivation-salt-file",
                &keys,
                "--key-derivation-salt-file",
                &plain,
            ],
            "2 salts are given: as in Rails there is one salt for all keys",
        ),
        (
            vec![
                "decrypt",
                "--keys-file",
                &keys,
                "--key-derivation-salt-file",
                &plain,
            ],
            "a salt is given beside --keys-file, which has its own: as in Rails there is one salt",
        ),
        (
            vec![
                "decrypt",
                "--keys-file",
                &keys,
                "--deterministic-key-file",
                &plain,
            ],
            "a deterministic key is given beside --keys-file",
        ),
        (
            vec!["encrypt", "--primary-key-env", "NOT_SET_ANYWHERE"],
            "NOT_SET_ANYWHERE is not set",
        ),
        (vec!["encrypt", "--primary-key-file", &empty], "is empty"),
        (
            vec![
                "encrypt",
                "--deterministic",
                "--keys-file",
                &no_deterministic.1[0],
            ],
            "needs the deterministic key",
        ),
        (
            vec![
                "produce",
                "--bootstrap",
                "127.0.0.1:1",
                "--topic",
                "t",
                "--keys-file",
                &keys,
                "x",
            ],
            "--encrypt; add it",
        ),
    ] {
        let output = drover(&arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = said(&output);
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(!said.contains("key-of-a-test"), "{said}");
    }
}

#[test]
fn produced_values_are_encrypted_and_tombstones_stay_null() {
    const DEADLINE: Duration = Duration::from_secs(60);
    let (_folder, [keys]) = files([SECRET]);
    let kafka = MockCluster::new(1).unwrap();
    kafka.create_topic("orders", 1, 1).unwrap();
    let servers = kafka.bootstrap_servers();
    let arguments = [
        "produce",
        "--bootstrap",
        &servers,
        "--topic",
        "orders",
        "--json-lines",
        "--encrypt",
        "--store-key-references",
        "--keys-file",
        &keys,
    ];
    let lines = b"{\"key\":\"a\",\"value\":{\"id\":7}}\n{\"key\":\"a\",\"value\":null}\n";
    succeeded(drover(&arguments, lines));

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &servers)
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset("orders", 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&assignment).unwrap();
    let clock = Monotonic::start();
    let mut values = Vec::new();
    while values.len() < 2 {
        assert!(
            clock.elapsed() < DEADLINE,
            "only {} records came",
            values.len()
        );
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            values.push(message.unwrap().payload().map(<[u8]>::to_vec));
        }
    }
    let message = values[0].as_ref().unwrap();
    assert!(
        message.starts_with(br#"{"p":""#) && String::from_utf8_lossy(message).contains(r#""i":""#)
    );
    let text = succeeded(drover(&["decrypt", "--keys-file", &keys], message));
    assert_eq!(text, br#"{"id":7}"#);
    assert_eq!(values[1], None);
}
