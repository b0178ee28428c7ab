//! The way of a record through a slot: prepared, claimed, attempted, settled.

use super::claims::Claims;
use super::prepare::Preparation;
use super::transport::Transport;

/// What every delivery goes through; `slots` leads it through.
pub struct Pipeline {
    /// Makes of a record what the handler gets.
    pub preparation: Preparation,
    /// Keeps book of what was handled.
    pub claims: Claims,
    /// Reaches the handler.
    pub transport: Transport,
}
