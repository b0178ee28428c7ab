//! A load, replayed: what would a policy have done, and what would have become of the records?
//!
//! Pure. [`run`] plays a [`Trace`] into a small world of partitions and pods ([`Setup`]) and lets a
//! [`Controller`] size the fleet: Drover's own `scaling::step`, or KEDA with the
//! HorizontalPodAutoscaler, emulated step by step. Everything is seeded: the same arguments give
//! the same outcome. Files and clocks are `cli`'s.

mod assignment;
mod contender;
mod controller;
mod load;
mod measure;
mod partition;
mod planner;
mod plot;
mod pod;
mod random;
mod setup;
mod table;
mod trace;
mod world;

pub mod keda;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod steady;

pub use contender::Contender;
pub use controller::{Controller, Fixed, Order, PartitionSeen, PodSeen, Seen};
pub use measure::{Change, Course, Figures};
pub use planner::Drover;
pub use plot::{Anchor, AsText, Drawing, Lettering, Weight, Words, plot};
pub use setup::{Faults, Setup};
pub use table::table;
pub use trace::{NotATrace, Trace};
pub use world::{Outcome, run};
