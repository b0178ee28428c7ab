//! Workers as processes against a real broker, while things go wrong, and a checker of all that they
//! did.
//!
//! Only the checker's own tests run with all the others; storms of up to a minute each by
//! `make test-storms` (those of `short` alone with `short::`), the long ones by `make test-long`.

#![allow(
    clippy::unwrap_used,
    reason = "a test says by panicking what is wrong, in its helpers too"
)]

#[path = "../it/support/broker.rs"]
#[allow(dead_code, reason = "the other test binary uses more of it")]
mod broker;
mod chance;
mod fleet;
mod history;
mod storm;
mod topic;
mod wait;
mod witness;

mod containers;
mod full;
mod holes;
mod leaving;
mod outages;
mod quiet;
mod rough;
mod short;
