mod cli_produce;
mod examples;
//! The one integration test binary; a module per subject.

mod support;

mod architecture;
mod cli_validate;
mod crds;
mod fleet;
mod resources;
mod schema_api_server;
