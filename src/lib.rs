//! Drover runs fleets of Kafka consumers on Kubernetes.
//!
//! Pure modules turn values into values and reasons; edges speak to one outside system each;
//! applications join them. `tests/it/architecture.rs` holds the arrows between them.

// Pure: no network, clock, environment, runtime or log.
pub mod api;
pub mod encryption;
pub mod engine;
pub mod fleet;
pub mod foreign;
pub mod idempotency;
pub mod plural;
pub mod report;
pub mod resources;
pub mod scaling;
pub mod simulation;
pub mod topic;
pub mod worker_config;
pub mod yaml;

// Edges: one outside system each.
pub mod clock;
pub mod k8s;
pub mod kafka;
pub mod lag;
pub mod store;
pub mod telemetry;

// What two applications do: of the edges, for people.
pub mod redrive;

// Applications.
pub mod cli;
pub mod controller;
pub mod dev;
pub mod worker;
