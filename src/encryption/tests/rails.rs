//! The vectors: what real Rails wrote, and what it made of altered and foreign texts.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::super::vectors;

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/vectors/active-record-encryption.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
});

fn failures(document: &Value) -> Vec<String> {
    let checked = vectors::run(document.to_string().as_bytes()).unwrap();
    let failed = checked.into_iter().filter_map(|vector| {
        let failure = vector.failure?;
        Some(format!("{}: {failure}", vector.name))
    });
    failed.collect()
}

fn named(name: &str) -> Value {
    let vectors = DOCUMENT["vectors"].as_array().unwrap();
    let found = vectors.iter().find(|vector| vector["name"] == name);
    found.unwrap_or_else(|| panic!("{name}")).clone()
}

#[test]
fn every_message_of_rails_is_read_or_refused_as_rails_does() {
    let count = DOCUMENT["vectors"].as_array().unwrap().len();
    assert_eq!(count, 258);
    let failures = failures(&DOCUMENT);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Only that a wrong expectation is found makes a right one worth something.
#[test]
fn a_wrong_expectation_is_found() {
    let deterministic = "rails-7.2.2.2/deterministic-compressed";
    let wrong = [
        (
            "rails-7.2.2.2/short-ascii",
            "/plaintext",
            json!("aGVsbG8h"),
            "another one",
        ),
        (
            "rails-7.2.2.2/short-ascii",
            "/plaintext_length",
            json!(4),
            "has 5 bytes",
        ),
        (
            "rails-7.2.2.2/short-ascii",
            "/plaintext_sha256",
            json!("00"),
            "SHA-256",
        ),
        (
            "rails-7.2.2.2/short-ascii",
            "/plaintext_encoding",
            json!("GBK"),
            "labelled UTF-8",
        ),
        (
            "rails-7.2.2.2/short-ascii",
            "/derived_key_ids/0",
            json!("0000"),
            "another id",
        ),
        (
            "rails-7.2.2.2/short-ascii",
            "/derived_keys_hex/0",
            json!("00".repeat(32)),
            "derived",
        ),
        (
            "rails-7.2.2.2/short-ascii",
            "/hash_digest_class",
            json!("SHA1"),
            "derived",
        ),
        (
            "rails-7.2.2.2/short-ascii",
            "/rails_encrypted_predicate",
            json!(false),
            "encrypted?",
        ),
        (
            "rails-7.2.2.2/short-ascii",
            "/expected/outcome",
            json!("fails"),
            "Rails refuses",
        ),
        (
            "rails-7.2.2.2/short-ascii",
            "/ciphertext",
            json!("{}"),
            "encrypted?",
        ),
        (
            "rails-7.2.2.2/tag-4-bytes",
            "/expected/error_kind",
            json!("bad_iv"),
            "bad_tag_length",
        ),
        (
            "rails-7.2.2.2/tag-4-bytes",
            "/expected/outcome",
            json!("decrypts"),
            "bad_tag_length",
        ),
        (
            deterministic,
            "/compress",
            json!(false),
            "not what Rails wrote",
        ),
        (
            deterministic,
            "/store_key_references",
            json!(true),
            "not what Rails wrote",
        ),
        (
            "rails-7.2.2.2/short-ascii",
            "/serializer",
            Value::Null,
            "not a vector",
        ),
    ];
    // In one document, so that keys are derived once.
    let altered = wrong.iter().map(|(name, pointer, value, _)| {
        let mut vector = named(name);
        *vector.pointer_mut(pointer).unwrap() = value.clone();
        vector
    });
    let document = json!({ "vectors": altered.collect::<Vec<_>>() });
    let checked = vectors::run(document.to_string().as_bytes()).unwrap();
    for ((name, pointer, _, expected), checked) in wrong.iter().zip(checked) {
        let failure = checked.failure.unwrap_or_default();
        assert!(failure.contains(expected), "{name} {pointer}: {failure:?}");
    }
}

#[test]
fn a_document_of_another_form_is_none() {
    for document in ["", "{}", "[]", r#"{"vectors":[]}"#, r#"{"vectors":5}"#] {
        assert!(vectors::run(document.as_bytes()).is_err(), "{document}");
    }
}
