//! Dead letters go back to where they came from, each once: what `drover dlq` and the Job of a
//! `DeadLetterReplay` do, without arguments, terminals and tables.
//!
//! Blocking, for a thread of its own; only questions are asynchronous. `letter` reads headers,
//! `filter` chooses, `marks` knows what was moved, `mover` moves in the transactions of
//! `kafka::redrive`. Errors are sentences for people; `words` are the names in them of what can be set.

pub mod filter;
mod headers;
pub mod histogram;
pub mod letter;
pub mod marks;
mod mover;
mod pace;
pub mod place;
pub mod reach;
mod rehearsal;
pub mod replay;
pub mod report;
mod target;
pub mod words;

pub use crate::foreign::printable;
