//! From a record as it was read to what the handler gets.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::answer::failure;
use super::decryption::Decryption;
use super::room::Taken;
use crate::encryption::Encoding;
use crate::engine::{DeadLetterReason, Verdict};
use crate::worker::record::Record;
use crate::worker_config::Decode;

/// What is done to records before they are delivered.
#[derive(Debug, Default)]
pub struct Preparation {
    /// Decrypts values; without it the handler gets them as they were read.
    pub decryption: Option<Box<Decryption>>,
    /// What they have to be then.
    pub decode: Option<Decode>,
}

/// What the handler gets: a record with the value that is meant for it.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// As it was read: its place, timestamp, key and headers are the handler's too.
    pub record: &'a Record,
    /// The value for the handler; None is a tombstone.
    pub value: Option<Bytes>,
    /// How the plaintext is labelled, where the value was encrypted.
    pub decrypted: Option<Encoding>,
}

impl Preparation {
    /// Room for what the record's value may become, if it becomes anything; to be kept as long as what
    /// is prepared. May wait, and then must not be waited for by who holds room.
    pub async fn room(&self, record: &Record) -> Option<Taken> {
        match (&self.decryption, &record.value) {
            (Some(decryption), Some(value)) => Some(decryption.room(value).await),
            _ => None,
        }
    }

    /// The same without waiting; None where it would have to.
    pub fn room_at_once(&self, record: &Record) -> Option<Option<Taken>> {
        match (&self.decryption, &record.value) {
            (Some(decryption), Some(value)) => decryption.room_at_once(value).map(Some),
            _ => Some(None),
        }
    }

    /// Bytes that prepared values take beside their records.
    pub fn taken_bytes(&self) -> usize {
        let decryption = self.decryption.as_ref();
        decryption.map_or(0, |decryption| decryption.taken_bytes())
    }

    /// Prepares a record in `room`, of which only what is needed is kept, or gives the verdict on one
    /// that cannot be.
    pub fn prepare<'a>(
        &self,
        record: &'a Record,
        room: &mut Option<Taken>,
    ) -> Result<Prepared<'a>, Verdict> {
        let prepared = match (&self.decryption, &record.value) {
            (Some(decryption), Some(value)) => {
                let opened = decryption.open(value).inspect_err(|_| *room = None)?;
                if let Some(room) = room {
                    // What was not encrypted is delivered as it lies there.
                    let own = opened.encoding.is_some();
                    room.keep(if own { opened.value.len() } else { 0 });
                }
                Prepared {
                    record,
                    value: Some(opened.value),
                    decrypted: opened.encoding,
                }
            }
            (_, value) => Prepared {
                record,
                value: value.clone(),
                decrypted: None,
            },
        };
        match (self.decode, &prepared.value) {
            (Some(Decode::Json), Some(value)) => is_json(value).inspect_err(|_| *room = None)?,
            (None, _) | (_, None) => {}
        }
        Ok(prepared)
    }
}

/// The verdict tells where the value stops being JSON, and nothing of what it is.
fn is_json(value: &[u8]) -> Result<(), Verdict> {
    let undeliverable = |message: &str| Verdict::Undeliverable {
        reason: DeadLetterReason::NotJson,
        failure: failure("NotJson", None, message),
    };
    let text = std::str::from_utf8(value).map_err(|error| {
        let at = error.valid_up_to();
        undeliverable(&format!("the value is no JSON: byte {at} is not UTF-8"))
    })?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = match error.classify() {
            Category::Eof => "it ends too early",
            _ => "something else stands",
        };
        undeliverable(&format!(
            "the value is no JSON: {what} at line {line}, column {column}"
        ))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Offset;

    fn verdict(value: Option<&[u8]>) -> Option<(DeadLetterReason, String)> {
        let record = Record {
            topic: "t".into(),
            partition: 0,
            offset: Offset(7),
            timestamp: None,
            key: None,
            value: value.map(Bytes::copy_from_slice),
            headers: Vec::new(),
        };
        let json = Preparation {
            decode: Some(Decode::Json),
            ..Preparation::default()
        };
        match json.prepare(&record, &mut None) {
            Ok(prepared) => {
                assert_eq!(
                    prepared.value, record.value,
                    "its bytes are left as they are"
                );
                None
            }
            Err(Verdict::Undeliverable { reason, failure }) => Some((reason, failure.message)),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn json_is_one_text_of_any_kind_and_a_tombstone_passes() {
        let texts = [
            r#"{"id":7,"name":"M\u00fcller"}"#,
            " [1, 2.5e3, null] \n",
            "\"text\"",
            "1e999",
            "null",
            r#"{"a":1,"a":2}"#,
        ];
        for text in texts {
            assert_eq!(verdict(Some(text.as_bytes())), None, "{text}");
        }
        assert_eq!(verdict(None), None);
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(verdict(Some(deep.as_bytes())), None);
    }

    #[test]
    fn what_is_no_json_is_not_delivered_and_nothing_of_it_is_told() {
        for (value, says) in [
            (&b"hello secret"[..], "line 1, column 1"),
            (b"", "it ends too early"),
            (b" ", "it ends too early"),
            (b"{\"id\":", "it ends too early"),
            (b"{\"id\":7} {}", "column 10"),
            (b"{\"id\": secret}", "column 8"),
            (b"\xef\xbb\xbf{}", "column 1"),
            (b"{\"id\":\"\xff\"}", "byte 7 is not UTF-8"),
            (b"{id:7}", "column 2"),
            (b"NaN", "column 1"),
        ] {
            let (reason, message) = verdict(Some(value)).unwrap();
            assert_eq!(reason, DeadLetterReason::NotJson);
            assert!(message.contains(says), "{value:?}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
