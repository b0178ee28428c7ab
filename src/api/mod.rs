//! What users write and read back. The doc comments here are the reference of the resource.
#![warn(missing_docs)]

mod crd;
mod duration;
mod letters;
pub mod librdkafka;
pub mod names;
pub mod reasons;
mod skip;
mod text;
pub mod v1alpha1;

pub use crd::{crd, replay_crd};
pub use duration::Span;
pub use letters::{Moment, NotAMoment, NotOffsets, Offsets};
pub use skip::{MOST_SKIPS, Skip, reason_flaw};
pub use v1alpha1::*;
