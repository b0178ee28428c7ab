//! From a record as it was read to what the handler gets.

use bytes::Bytes;

use crate::engine::Verdict;
use crate::worker::record::Record;

/// What is done to records before they are delivered.
#[derive(Debug)]
pub enum Preparation {
    /// Nothing: the handler gets the value as it was read.
    AsRead,
}

/// What the handler gets: a record with the value that is meant for it.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// As it was read: its place, timestamp, key and headers are the handler's too.
    pub record: &'a Record,
    /// The value for the handler; None is a tombstone.
    pub value: Option<Bytes>,
}

impl Preparation {
    /// Prepares a record, or gives the verdict on one that cannot be.
    pub fn prepare<'a>(&self, record: &'a Record) -> Result<Prepared<'a>, Verdict> {
        match self {
            Self::AsRead => Ok(Prepared {
                record,
                value: record.value.clone(),
            }),
        }
    }
}
