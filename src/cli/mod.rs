//! cli

mod grouped;
pub mod produce;
pub mod status;
