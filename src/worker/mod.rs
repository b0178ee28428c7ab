//! The worker.
pub mod answer;
pub mod connection;
pub mod dead_letter;
pub mod handler;
pub mod record;
pub mod request;
