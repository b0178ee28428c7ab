//! `drover.dev/v1alpha1`.

mod spec;
mod start_at;
mod status;

pub use spec::*;
pub use start_at::*;
pub use status::*;
