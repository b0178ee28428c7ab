//! `drover.dev/v1alpha1`.

mod encryption;
mod idempotency;
mod kafka;
mod schedule;
mod spec;
mod start_at;
mod status;

pub use encryption::*;
pub use idempotency::*;
pub use kafka::*;
pub use schedule::*;
pub use spec::*;
pub use start_at::*;
pub use status::*;
