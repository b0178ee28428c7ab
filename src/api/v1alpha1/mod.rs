//! `drover.dev/v1alpha1`.

mod idempotency;
mod spec;
mod start_at;
mod status;

pub use idempotency::*;
pub use spec::*;
pub use start_at::*;
pub use status::*;
