//! librdkafka calls that the `rdkafka` crate has no safe wrapper for.
//!
//! The only module with unsafe code. Each block says why it is sound; what leaves the module is safe.
#![allow(unsafe_code, reason = "rdkafka has no safe wrapper for these calls")]

pub(super) mod admin;
pub(super) mod answers;
mod begin;
mod embedded;
mod headers;
mod queue;
pub(super) mod tails;
mod tokens;
mod topic_ids;

pub use begin::begin;
pub use embedded::{Embedded, PARTITIONS_ON_REQUEST, Silent, is_embedded, is_embedded_at};
pub use headers::headers;
pub use queue::{Event, Message, Place, Polled, Queue, metadata, place};
pub use tokens::Tokens;
pub use topic_ids::{NO_TOPIC_ID, topic_ids};
