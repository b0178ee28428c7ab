//! Delivers records to the handler.
//!
//! Deliveries may wait for company (`batches`). A delivery, or a batch, takes a slot (`slots`), which
//! gives it a task, a deadline and an ear for cancelling, and in it goes down the `pipeline`:
//!
//! ```text
//! prepare ──► claims.claim ──► transport ──► claims.confirm, or release
//! ```
//!
//! Each of the first three may end it with a verdict of its own. The record as it was read is never
//! touched: it is what a dead letter is made of.

pub mod answer;
mod batches;
mod claims;
mod decryption;
mod document;
pub mod exec;
pub mod http;
mod json;
mod number;
mod parts;
mod pipeline;
mod prepare;
pub mod results;
mod room;
mod slots;
mod spans;
mod together;
mod transport;

use std::time::Duration;

use super::record::Record;
use crate::engine::{Ticket, Verdict};

pub use batches::Limits as BatchLimits;
pub use claims::Claims;
pub use decryption::{Decryption, share_of};
pub use pipeline::Pipeline;
pub use prepare::Preparation;
pub use slots::{Deliveries, Limits};
pub use spans::Tracing;
pub use transport::Transport;

/// One delivery to make.
pub struct Delivery {
    /// To be given back.
    pub ticket: Ticket,
    /// 1 for the first.
    pub attempt: u32,
    /// It goes into one batch with the delivery before, right after it.
    pub follows: bool,
    /// The record, as it was read.
    pub record: Box<Record>,
}

impl Delivery {
    fn over(self, verdict: Verdict, took: Duration, reached: Option<bool>) -> Delivered {
        Delivered {
            ticket: self.ticket,
            verdict,
            took,
            reached,
            record: self.record,
        }
    }

    /// Over, with a copy of the record: the attempt on it goes on.
    fn cancelled(&self, took: Duration) -> Delivered {
        Delivered {
            ticket: self.ticket,
            verdict: Verdict::Cancelled,
            took,
            reached: None,
            record: self.record.clone(),
        }
    }
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
