//! Delivers records to the handler.
//!
//! A delivery takes a slot (`slots`), which gives it a task, a deadline and an ear for cancelling, and
//! in it goes down the `pipeline`:
//!
//!     prepare ──► claims.claim ──► transport ──► claims.confirm, or release
//!
//! Each of the first three may end it with a verdict of its own. The record as it was read is never
//! touched: it is what a dead letter is made of.

pub mod answer;
mod claims;
pub mod http;
mod json;
mod pipeline;
mod prepare;
mod slots;
mod transport;

use std::time::Duration;

use super::record::Record;
use crate::engine::{Ticket, Verdict};

pub use claims::Claims;
pub use pipeline::Pipeline;
pub use prepare::Preparation;
pub use slots::Deliveries;
pub use transport::Transport;

/// One delivery to make.
pub struct Delivery {
    /// To be given back.
    pub ticket: Ticket,
    /// 1 for the first.
    pub attempt: u32,
    /// The record, as it was read.
    pub record: Box<Record>,
}

/// A delivery that is over.
pub struct Delivered {
    /// From [`Delivery`].
    pub ticket: Ticket,
    /// What became of it.
    pub verdict: Verdict,
    /// Time in the slot, which is time that no other record could use it.
    pub took: Duration,
    /// Some if it could be told whether the handler is there.
    pub reached: Option<bool>,
    /// From [`Delivery`].
    pub record: Box<Record>,
}
