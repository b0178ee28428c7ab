//! From a record as it was read to what the handler gets.

use bytes::Bytes;

use super::decryption::Decryption;
use super::room::Taken;
use crate::encryption::Encoding;
use crate::engine::Verdict;
use crate::worker::record::Record;

/// What is done to records before they are delivered.
#[derive(Debug)]
pub enum Preparation {
    /// Nothing: the handler gets the value as it was read.
    AsRead,
    /// Values are decrypted.
    Decrypt(Box<Decryption>),
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
        match (self, &record.value) {
            (Self::Decrypt(decryption), Some(value)) => Some(decryption.room(value).await),
            _ => None,
        }
    }

    /// The same without waiting; None where it would have to.
    pub fn room_at_once(&self, record: &Record) -> Option<Option<Taken>> {
        match (self, &record.value) {
            (Self::Decrypt(decryption), Some(value)) => decryption.room_at_once(value).map(Some),
            _ => Some(None),
        }
    }

    /// Bytes that prepared values take beside their records.
    pub fn taken_bytes(&self) -> usize {
        match self {
            Self::AsRead => 0,
            Self::Decrypt(decryption) => decryption.taken_bytes(),
        }
    }

    /// Prepares a record in `room`, of which only what is needed is kept, or gives the verdict on one
    /// that cannot be.
    pub fn prepare<'a>(
        &self,
        record: &'a Record,
        room: &mut Option<Taken>,
    ) -> Result<Prepared<'a>, Verdict> {
        match (self, &record.value) {
            (Self::AsRead, value) | (Self::Decrypt(_), value @ None) => Ok(Prepared {
                record,
                value: value.clone(),
                decrypted: None,
            }),
            (Self::Decrypt(decryption), Some(value)) => {
                let opened = decryption.open(value).inspect_err(|_| *room = None)?;
                if let Some(room) = room {
                    // What was not encrypted is delivered as it lies there.
                    let own = opened.encoding.is_some();
                    room.keep(if own { opened.value.len() } else { 0 });
                }
                Ok(Prepared {
                    record,
                    value: Some(opened.value),
                    decrypted: opened.encoding,
                })
            }
        }
    }
}
