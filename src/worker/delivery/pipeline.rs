//! The way of a record through a slot: prepared, claimed, attempted, settled.

use super::Delivery;
use super::claims::{Claims, Held};
use super::prepare::Preparation;
use super::transport::{Attempted, Line, Transport};
use crate::engine::Verdict;

/// What every delivery goes through.
#[derive(Debug)]
pub struct Pipeline {
    /// Makes of a record what the handler gets.
    pub preparation: Preparation,
    /// Keeps book of what was handled.
    pub claims: Claims,
    /// Reaches the handler.
    pub transport: Transport,
}

impl Pipeline {
    /// Everything up to the handler's answer. What is claimed on the way is left in `held`, for
    /// [`Pipeline::settle`], also if this is dropped before its end.
    pub async fn attempt(
        &self,
        line: &mut Line,
        delivery: &Delivery,
        held: &mut Option<Held>,
    ) -> Attempted {
        let prepared = match self.preparation.prepare(&delivery.record) {
            Ok(prepared) => prepared,
            Err(verdict) => return Attempted::without_handler(verdict),
        };
        match self.claims.claim(&prepared).await {
            Ok(claim) => *held = claim,
            Err(verdict) => return Attempted::without_handler(verdict),
        }
        self.transport
            .attempt(line, &prepared, delivery.attempt)
            .await
    }

    /// The attempt ended with `verdict`, be it that its time was up or that it was cancelled.
    pub async fn settle(&self, held: Option<Held>, verdict: &Verdict) {
        if let Some(held) = held {
            self.claims.settle(held, verdict).await;
        }
    }
}
