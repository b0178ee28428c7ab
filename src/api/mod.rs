//! What users write and read back. The doc comments here are the reference of the resource.
#![warn(missing_docs)]

mod duration;
pub mod names;
pub mod v1alpha1;

pub use duration::Span;
pub use v1alpha1::*;
