//! KEDA with the HorizontalPodAutoscaler, emulated step by step: the opponent.
//!
//! [`lag`] is the trigger, [`scaled_object`] the scale loop between nothing and one, [`hpa`] all the
//! rest; [`Keda`] puts them on their clocks. Quirks are kept: whole division in the cap, a
//! tolerance that does not know of it, the jump to zero. `examples` has each worked by hand.

pub mod hpa;
pub mod lag;
mod policy;
pub mod scaled_object;

#[cfg(test)]
mod examples;

pub use policy::{Keda, Tuning};
