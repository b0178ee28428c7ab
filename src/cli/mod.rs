//! cli

pub mod produce;
