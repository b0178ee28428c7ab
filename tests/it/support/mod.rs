//! What several modules of the test binary share.

pub mod acls;
pub mod audit;
pub mod broker;
pub mod certificates;
pub mod consumers;
pub mod control_plane;
pub mod controllers;
pub mod faulty_api;
pub mod forgetful;
pub mod line;
pub mod operator;
pub mod secured;
pub mod token_server;
pub mod wrong_specs;

/// Shows what the parts under test log where `DROVER_TEST_LOG` says how much, such as `debug`.
pub fn show_logs() {
    if let Ok(filter) = std::env::var("DROVER_TEST_LOG") {
        let _ = drover::telemetry::log::init(drover::telemetry::log::Format::Text, &filter);
    }
}
