//! From a record as it was read to what the handler gets.

use bytes::Bytes;

use super::decryption::Decryption;
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
    /// Prepares a record, or gives the verdict on one that cannot be.
    pub fn prepare<'a>(&self, record: &'a Record) -> Result<Prepared<'a>, Verdict> {
        match (self, &record.value) {
            (Self::AsRead, value) | (Self::Decrypt(_), value @ None) => Ok(Prepared {
                record,
                value: value.clone(),
                decrypted: None,
            }),
            (Self::Decrypt(decryption), Some(value)) => {
                let opened = decryption.open(value)?;
                Ok(Prepared {
                    record,
                    value: Some(opened.value),
                    decrypted: opened.encoding,
                })
            }
        }
    }
}
