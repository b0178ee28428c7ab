//! The worker against librdkafka's mock cluster and a handler in the test's own process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod acls;
mod aside;
mod batches;
mod cloud_events;
mod collector;
mod dead_letters;
mod delivery;
mod encryption;
mod exec;
mod failures;
mod far_handler;
mod few_threads;
mod h2c;
mod h2c_server;
mod headers;
mod https;
mod idempotency;
mod idempotency_batches;
mod idempotency_lost;
mod idempotency_refused;
pub mod kafka;
mod killed;
mod later;
mod membership;
mod oauth;
mod odd_names;
mod outages;
mod overrun;
mod oversized;
mod process;
mod rate_limit;
mod replayed;
mod secured;
mod skips;
mod socket;
mod tracing;
mod unread;
mod unread_broker;
mod waiting;
pub mod web;
mod workers;
