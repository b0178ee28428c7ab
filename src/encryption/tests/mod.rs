//! Messages of real Rails, and laws that hold for all of ours.

mod laws;
mod rails;
mod readers;
