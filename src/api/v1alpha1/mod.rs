//! `drover.dev/v1alpha1`.

mod encryption;
mod handler;
mod idempotency;
mod kafka;
mod replay;
mod replay_status;
mod schedule;
mod spec;
mod start_at;
mod status;

pub use encryption::*;
pub use handler::*;
pub use idempotency::*;
pub use kafka::*;
pub use replay::*;
pub use replay_status::*;
pub use schedule::*;
pub use spec::*;
pub use start_at::*;
pub use status::*;
