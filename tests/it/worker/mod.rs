//! The worker against librdkafka's mock cluster and a handler in the test's own process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod batches;
mod cloud_events;
mod delivery;
mod failures;
mod headers;
mod idempotency;
mod kafka;
mod membership;
mod outages;
mod process;
mod web;
mod workers;
