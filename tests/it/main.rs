//! The one integration test binary; a module per subject.
#![allow(
    clippy::unwrap_used,
    reason = "a test says by panicking what is wrong, in its helpers too"
)]

mod support;

mod architecture;
mod cli_produce;
mod cli_validate;
mod crds;
mod examples;
mod fleet;
mod lag;
mod lag_admin;
mod lag_broker;
mod readme;
mod resources;
mod schema_api_server;
mod worker;
