//! What holds for every text and every mutation.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::compression::{THRESHOLD, deflate};
use super::super::{
    Encoding, Envelope, Error, Field, Key, Keyring, Options, Pointer, Randomness, Scheme, encrypt,
    is_readable, looks_encrypted,
};

fn keyring(keys: &[Key]) -> Keyring {
    let scheme = Scheme {
        keys: keys.to_vec(),
        envelope: Envelope::WhenPresent,
    };
    Keyring::of(vec![scheme], 1 << 20)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        "\\PC{0,300}".prop_map(String::into_bytes),
        // Around the threshold, and what compresses well.
        (130_usize..150, any::<char>()).prop_map(|(n, c)| c.to_string().repeat(n).into_bytes()),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(compress, deterministic, store_key_references, envelope)| Options {
            compress,
            deterministic,
            store_key_references,
            envelope,
        },
    )
}

/// Not of a type that could be printed.
fn random() -> impl Strategy<Value = [u8; Randomness::BYTES]> {
    any::<[u8; Randomness::BYTES]>()
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        key in any::<[u8; 32]>(), other in any::<[u8; 32]>(),
        text in text(), options in options(), random in random(),
    ) {
        prop_assume!(key != other);
        let (key, other) = (Key::from_bytes(&key), Key::from_bytes(&other));
        let is_utf8 = std::str::from_utf8(&text).is_ok();
        let written = encrypt(&key, &text, &options, &Randomness::from_bytes(&random));
        if options.deterministic && !is_utf8 {
            prop_assert!(written.is_err());
            return Ok(());
        }
        let message = written.unwrap();
        prop_assert!(message.is_ascii());
        prop_assert!(is_readable(message.as_bytes()) && looks_encrypted(message.as_bytes()));
        prop_assert_eq!(message.contains(r#""c":true"#), options.compress && text.len() > THRESHOLD);

        let decrypted = keyring(&[other.clone(), key.clone()]).decrypt(message.as_bytes()).unwrap();
        prop_assert_eq!(&decrypted.bytes, &text);
        prop_assert_eq!(decrypted.encoding, if is_utf8 { Encoding::UTF_8 } else { Encoding::BINARY });
        prop_assert_eq!(decrypted.key, key.id());

        let refused = keyring(&[other]).decrypt(message.as_bytes());
        prop_assert!(matches!(refused, Err(Error::AuthFailed | Error::UnknownKeyId(_))), "{:?}", refused);
    }

    #[test]
    fn deterministic_mode_repeats_itself_and_random_mode_does_not(
        key in any::<[u8; 32]>(), text in "\\PC{0,200}", first in random(), second in random(),
    ) {
        let (first, second) = (Randomness::from_bytes(&first), Randomness::from_bytes(&second));
        prop_assume!(first.nonce != second.nonce);
        let key = Key::from_bytes(&key);
        for deterministic in [true, false] {
            let options = Options { deterministic, ..Options::default() };
            let write = |random| encrypt(&key, text.as_bytes(), &options, random).unwrap();
            prop_assert_eq!(write(&first) == write(&second), deterministic);
        }
    }

    /// One byte changed, added or taken away: never a panic, and never another plaintext. (Headers
    /// are not authenticated: without `c` the reader gets the zlib stream, as Rails does.)
    #[test]
    fn a_mutated_message_is_refused_or_reads_the_same(
        key in any::<[u8; 32]>(), text in text(), mut options in options(), random in random(),
        at in any::<prop::sample::Index>(), byte in any::<u8>(), how in 0..3,
    ) {
        options.deterministic = false;
        let key = Key::from_bytes(&key);
        let mut message = encrypt(&key, &text, &options, &Randomness::from_bytes(&random)).unwrap().into_bytes();
        let at = at.index(message.len());
        match how {
            0 => message[at] = byte,
            1 => message.insert(at, byte),
            _ => { message.remove(at); }
        }
        if let Ok(decrypted) = keyring(&[key]).decrypt(&message) {
            let stream = || decrypted.bytes == deflate(&text);
            prop_assert!(decrypted.bytes == text || stream(), "{}", String::from_utf8_lossy(&message));
        }
    }

    #[test]
    fn any_json_is_read_or_refused_without_a_panic(value in json_value()) {
        let keyring = keyring(&[Key::from_bytes(&[1; 32])]);
        let text = value.to_string();
        prop_assert!(keyring.decrypt(text.as_bytes()).is_err());
        looks_encrypted(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let keyring = keyring(&[Key::from_bytes(&[1; 32])]);
        prop_assert!(keyring.decrypt(&bytes).is_err());
        looks_encrypted(&bytes);
    }

    /// Replacing a field changes that field and nothing else.
    #[test]
    fn a_replaced_field_is_the_only_change(
        before in json_value(), after in json_value(), message in "\\PC{0,20}", plaintext in "\\PC{0,20}",
    ) {
        let document = |field: &str| json!({ "before": before, "a/b": [0, { "~": field }], "z": after });
        let pointer = Pointer::parse("/a~1b/1/~0").unwrap();
        let text = document(&message).to_string();
        let field = Field::find(text.as_bytes(), &pointer).unwrap().unwrap();
        prop_assert_eq!(&field.message, &message);
        let replaced = field.replaced(text.as_bytes(), plaintext.as_bytes(), usize::MAX).unwrap();
        prop_assert_eq!(String::from_utf8(replaced).unwrap(), document(&plaintext).to_string());
    }
}

/// Values with the members of a message in odd places.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!("")),
        Just(json!("AAAAAAAAAAAAAAAA")),
        Just(json!("AAAAAAAAAAAAAAAAAAAAAA==")),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec!["p", "h", "iv", "at", "e", "k", "i", "c", "x"]);
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..7)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
