//! What Drover says about itself: logs, metrics, spans and probes.
//!
//! Shared by controller and worker; each has its metrics in one file, so that the docs table can be
//! generated from it.

pub mod controller_metrics;
mod fleet_metrics;
pub mod http;
pub mod log;
pub mod reference;
mod registrar;
pub mod spans;
pub mod worker_metrics;
