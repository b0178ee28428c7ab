//! End to end: real Kubernetes, real pods, a real broker, Drover installed. `make test` brings all
//! that up (`tests/e2e/run`) and then runs these with `--include-ignored`; outages and the minute at
//! rest on clusters of their own (`tests/all`).
//!
//! Every test has its own namespace, topics, group and witness. What takes a part of the shared
//! cluster away waits until the others are done ([`world::alone`]).

mod burst;
mod dead_letters;
mod encryption;
mod examples;
mod handlers;
mod held_up;
mod idempotency;
mod kafka;
mod kill;
mod outages;
mod own_consumer;
mod postgres;
mod replays;
mod rest;
mod scale;
mod scenario;
mod secrets;
mod self_test;
mod stall;
mod termination;
mod upgrade;
mod wait;
mod witness;
mod world;
mod wrong_specs;
