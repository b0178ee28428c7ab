//! Kafka, by librdkafka: clients, their settings, and what comes out of them, in plain values. Only what it cannot ask
//! is asked without it (`by_hand`).
//!
//! Knows nothing of engines, fleets or handlers. The only edge that speaks Kafka's protocol.

pub mod admin;
mod authorities;
mod by_hand;
pub mod client_config;
pub mod consumer;
pub mod dead_letter_topic;
pub mod delete_records;
pub mod errors;
mod native;
pub mod oauth;
pub mod producer;
pub mod rebalance;
pub mod redrive;
pub mod right;
pub mod scan;
pub mod security;
pub mod tails;
pub mod topic_change;
pub mod topics;

pub use by_hand::commit::Committer;
pub use by_hand::handshake::Handshake;
pub use by_hand::static_member;
pub use native::{
    Embedded, Event, Message, PARTITIONS_ON_REQUEST, Polled, Silent, Tokens, begin, is_embedded,
    is_embedded_at,
};
