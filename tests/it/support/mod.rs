//! What several modules of the test binary share.

pub mod broker;
pub mod certificates;
pub mod consumers;
pub mod control_plane;
pub mod controllers;
pub mod faulty_api;
pub mod line;
pub mod operator;
pub mod secured;
pub mod wrong_specs;
