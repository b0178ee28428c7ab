//! Kafka, by librdkafka: clients, their settings, and what comes out of them, in plain values. Only offsets of many
//! groups are asked for without it (`group_offsets`).
//!
//! Knows nothing of engines, fleets or handlers. The only edge that speaks Kafka's protocol.

pub mod admin;
mod authorities;
pub mod client_config;
pub mod consumer;
pub mod dead_letter_topic;
pub mod delete_records;
pub mod errors;
mod group_offsets;
mod native;
pub mod oauth;
pub mod producer;
pub mod rebalance;
pub mod redrive;
pub mod scan;
pub mod security;
pub mod tails;
pub mod topic_change;
pub mod topics;

pub use native::{Embedded, Event, Message, Polled, Silent, Tokens};
