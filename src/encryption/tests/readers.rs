//! What a reader with several keys does, and what it says.

use super::super::{
    Digest, Envelope, Error, Key, Keyring, Options, Randomness, Scheme, Secret, Secrets, Settings,
    encrypt, looks_encrypted,
};

fn key(byte: u8) -> Key {
    Key::from_bytes(&[byte; 32])
}

fn written(key: &Key, options: &Options) -> String {
    let random = Randomness::from_bytes(&[9; Randomness::BYTES]);
    encrypt(key, b"hello", options, &random).unwrap()
}

fn named() -> Options {
    Options {
        store_key_references: true,
        ..Options::default()
    }
}

fn keyring(schemes: &[&[u8]]) -> Keyring {
    let scheme = |keys: &&[u8]| Scheme {
        keys: keys.iter().copied().map(key).collect(),
        envelope: Envelope::WhenPresent,
    };
    Keyring::of(schemes.iter().map(scheme).collect(), 1 << 20)
}

#[test]
fn every_scheme_is_tried_and_the_opening_key_is_told() {
    let keyring = keyring(&[&[1, 2], &[3]]);
    for byte in [1, 2, 3] {
        for options in [Options::default(), named()] {
            let decrypted = keyring.decrypt(written(&key(byte), &options).as_bytes());
            let decrypted = decrypted.unwrap();
            assert_eq!(decrypted.bytes, b"hello");
            assert_eq!(decrypted.key, key(byte).id());
        }
    }
}

#[test]
fn a_key_is_unknown_only_if_no_scheme_has_it() {
    let keyring = keyring(&[&[1, 2], &[3]]);
    let unknown = written(&key(4), &named());
    assert_eq!(
        keyring.decrypt(unknown.as_bytes()),
        Err(Error::UnknownKeyId(Some(key(4).id())))
    );
    let unnamed = written(&key(4), &Options::default());
    assert_eq!(keyring.decrypt(unnamed.as_bytes()), Err(Error::AuthFailed));
    // The id is there, so the message is to blame, whichever scheme comes last.
    for byte in [1, 3] {
        let tampered = written(&key(byte), &named()).replace(r#""p":"a"#, r#""p":"b"#);
        let tampered = match tampered == written(&key(byte), &named()) {
            true => tampered.replacen(r#"{"p":""#, r#"{"p":"AAAA"#, 1),
            false => tampered,
        };
        assert_eq!(keyring.decrypt(tampered.as_bytes()), Err(Error::AuthFailed));
    }
}

#[test]
fn envelopes_and_plain_messages_are_read_side_by_side() {
    let keyring = keyring(&[&[1]]);
    for envelope in [false, true] {
        let options = Options {
            envelope,
            ..named()
        };
        let message = written(&key(1), &options);
        assert_eq!(message.contains(r#""k":{"#), envelope);
        let decrypted = keyring.decrypt(message.as_bytes()).unwrap();
        assert_eq!(
            (decrypted.bytes.as_slice(), decrypted.key),
            (&b"hello"[..], key(1).id())
        );
    }
}

#[test]
fn what_another_digest_or_the_deterministic_key_wrote_is_read_if_so_configured() {
    let secret = |text: &str| Secret::of(text.into()).unwrap();
    let secrets = Secrets {
        primary_keys: vec![secret("primary")],
        deterministic_key: Some(secret("deterministic")),
        salt: secret("salt"),
    };
    let wide = Settings {
        support_sha1: true,
        ..Settings::default()
    };
    let (plain, wide) = (
        Keyring::derive(&secrets, &Settings::default()),
        Keyring::derive(&secrets, &wide),
    );
    let derive = |text: &str, digest| Key::derive(&secret(text), &secrets.salt, digest);
    for (key, digest, in_plain) in [
        ("primary", Digest::Sha256, true),
        ("deterministic", Digest::Sha256, true),
        ("primary", Digest::Sha1, false),
    ] {
        let message = written(&derive(key, digest), &Options::default());
        assert_eq!(plain.decrypt(message.as_bytes()).is_ok(), in_plain, "{key}");
        assert!(wide.decrypt(message.as_bytes()).is_ok(), "{key}");
    }
    assert_eq!(plain.primary_key().map(Key::id), plain.key_ids().next());
    assert_eq!(
        plain.deterministic_key().map(Key::id),
        plain.key_ids().nth(1)
    );
    assert_eq!(wide.key_ids().count(), 3);
}

#[test]
fn no_key_is_printed() {
    let keyring = keyring(&[&[1]]);
    let message = written(&key(1), &Options::default());
    let decrypted = keyring.decrypt(message.as_bytes()).unwrap();
    let printed = format!("{keyring:?} {decrypted:?}");
    assert!(printed.contains(&key(1).id().to_string()), "{printed}");
    for secret in ["hello", "[1, 1", "0101", "104, 101"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn an_error_names_a_key_only_if_it_is_one() {
    let error = Error::UnknownKeyId(Some(key(1).id())).to_string();
    assert!(error.contains(&key(1).id().to_string()), "{error}");
    let keyring = keyring(&[&[1]]);
    let evil =
        written(&key(1), &Options::default()).replace(r#""h":{"#, r#""h":{"i":"ZXZpbCBpZA==","#);
    let error = keyring.decrypt(evil.as_bytes()).unwrap_err();
    assert_eq!(error, Error::UnknownKeyId(None));
    assert!(!error.to_string().contains("evil"), "{error}");
}

#[test]
fn a_plain_event_does_not_look_encrypted_and_a_damaged_message_does() {
    for (text, looks) in [
        (r#"{"p":"","h":{"iv":"","at":""}}"#, true),
        (r#"{"p":"!","h":{"iv":"!","at":"!","x":[]}}"#, true),
        (r#"{"p":"","h":{"iv":""}}"#, false),
        (r#"{"p":"","h":"x"}"#, false),
        (r#"{"p":""}"#, false),
        (r#"{"p":1,"h":{"iv":"","at":""}}"#, false),
        (r#"{"id":1}"#, false),
        ("[1]", false),
        ("hello", false),
        ("", false),
    ] {
        assert_eq!(looks_encrypted(text.as_bytes()), looks, "{text}");
    }
}
