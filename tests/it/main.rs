//! The one integration test binary; a module per subject.

mod engine_speed;
mod worker;
