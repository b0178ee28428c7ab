//! What is told of a worker, and how: as a line for people, or as JSON.

mod line;
mod reporter;

use std::collections::BTreeMap;

use serde::Serialize;

pub(super) use reporter::{Reporter, place_of};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum News {
    /// A worker begins.
    Begins {
        /// `namespace/name`.
        consumer: String,
        /// Where Kafka is.
        brokers: String,
        /// It is in this process.
        embedded: bool,
        /// What is consumed.
        topics: Vec<String>,
        /// The consumer group.
        group: String,
        /// The URL, socket or program.
        handler: String,
        /// Where records go that cannot be handled.
        dead_letters: Option<String>,
        /// How values are encrypted, where they are to be.
        encrypts: Option<Encrypts>,
    },
    /// The group had no offsets; these were written, as `startAt` says.
    GroupBegins {
        /// The consumer group.
        group: String,
        /// The next offset to read, by partition.
        offsets: BTreeMap<String, i64>,
    },
    /// The group gave these partitions.
    Assigned {
        /// As `topic/partition`.
        partitions: Vec<String>,
    },
    /// They went back.
    GivenBack {
        /// As `topic/partition`.
        partitions: Vec<String>,
    },
    /// A record is given to the handler.
    Record {
        /// Which.
        #[serde(flatten)]
        place: Place,
        /// 1 for the first.
        attempt: u32,
        /// What it holds; told with its first attempt.
        #[serde(flatten)]
        content: Option<Content>,
    },
    /// The handler answered, or did not.
    Answer {
        /// Which record.
        #[serde(flatten)]
        place: Place,
        /// 1 for the first.
        attempt: u32,
        /// So many are made.
        attempts: u32,
        /// What it means: `done`, `skip`, `retry`, `reject`, `slowDown`, …
        outcome: &'static str,
        /// Time with the handler.
        took_ms: u64,
        /// The record is tried again after this time.
        #[serde(skip_serializing_if = "Option::is_none")]
        again_in_ms: Option<u64>,
        /// What went wrong.
        #[serde(flatten)]
        failure: Option<Failed>,
    },
    /// The brokers have a record's copy in the dead-letter topic.
    DeadLetter {
        /// Which record.
        #[serde(flatten)]
        place: Place,
        /// Where it is.
        dead_letter_topic: String,
        /// Why, in a word.
        reason: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt ended with.
        #[serde(flatten)]
        failure: Failed,
    },
    /// They refused it; it is tried again.
    DeadLetterRefused {
        /// Which record.
        #[serde(flatten)]
        place: Place,
        /// In the brokers' words.
        error: String,
    },
    /// A record was passed over after its last attempt.
    PassedOver {
        /// Which.
        #[serde(flatten)]
        place: Place,
        /// What the last attempt ended with.
        #[serde(flatten)]
        failure: Failed,
    },
    /// What must wait for this record waits.
    Stalled {
        /// Which.
        #[serde(flatten)]
        place: Place,
        /// The attempts that were spent: a handler that is misconfigured costs none.
        attempts: u32,
        /// What the last attempt ended with.
        #[serde(flatten)]
        failure: Failed,
    },
    /// It no longer does.
    Unstalled {
        /// Which.
        #[serde(flatten)]
        place: Place,
    },
    /// Dead-lettering has stopped, or goes on.
    Breaker {
        /// It has stopped.
        open: bool,
        /// Why; not there where it goes on.
        #[serde(flatten)]
        why: Option<Broken>,
    },
    /// The file is gone, or cannot be read; what runs goes on.
    FileGone {
        /// Which.
        file: String,
    },
    /// The file is back, and says what runs.
    FileAsBefore {
        /// Which.
        file: String,
    },
    /// The file has changed, and what it says now cannot be run; what runs goes on.
    NotReloaded {
        /// What is wrong.
        problem: String,
    },
    /// What is in flight is finished and committed.
    Draining {
        /// Then the worker begins anew, as the file has changed.
        to_reload: bool,
    },
    /// It is over.
    Summary(Summary),
}

/// How what feeds a worker is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Encrypts {
    /// The file with the KafkaConsumer, which says how, and perhaps with the keys.
    pub file: String,
    /// Further files with keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Where in the value the message is; None where it is the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

/// A record's place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// What a record holds, as it was read. What is no text is there in base64.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Bytes of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_bytes: Option<usize>,
    /// Its value; not there for a tombstone, and where values are not to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Its value is base64 of what is no text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub base64: bool,
    /// Bytes of the value; not there for a tombstone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// Names of its headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// In a word.
    pub class: &'static str,
    /// The status of an HTTP answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For people.
    pub message: String,
}

/// What opened the breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// So many records would be dead-lettered.
    pub bad: u32,
    /// Of so many.
    pub of: u32,
    /// What the last of them ended with.
    #[serde(flatten)]
    pub failure: Failed,
}

/// What was done in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Records given to the handler.
    pub records: u64,
    /// Of them, handled.
    pub done: u64,
    /// Passed over, by the handler's wish or after the last attempt.
    pub skipped: u64,
    /// Handled before, as the idempotency store says.
    pub duplicates: u64,
    /// In the dead-letter topic.
    pub dead_lettered: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// How often the handler asked for less.
    pub slow_downs: u64,
    /// Given to the handler and not finished: they are delivered again.
    pub unfinished: u64,
    /// Of them, those that hold others up.
    pub stalled: Vec<Place>,
}
