//! The worker against librdkafka's mock cluster and a handler in the test's own process.

mod delivery;
mod failures;
mod headers;
mod kafka;
mod membership;
mod outages;
mod process;
mod web;
mod workers;
