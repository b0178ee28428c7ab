//! Lowering waits until it is worth it.
//!
//! A pod that is not needed costs its seconds; a pod that is let go and ordered again costs two
//! rebalances and its start. Like somebody who rents skis until the rent has reached the price:
//! lower once the spared pods have cost as much as a needless round of down and up. A large
//! surplus goes quickly, a small one slowly, and the regret is at most twofold.

use jiff::Timestamp;

use super::flow::seconds;
use super::plan::Plan;
use super::reading::Reading;
use super::state::State;
use super::{Policy, Why};

/// Price of one rebalance, pod-seconds; a round has two.
pub(super) const MOVE: f64 = 60.0;
/// A surplus that is gone is forgotten at this pace, pod-seconds a second.
const LEAK: f64 = 0.5;
/// Rounds that turned out needless make the next one dearer, up to so many times.
const MOST_PATIENT: f64 = 8.0;

/// Pod-seconds that were not needed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Surplus {
    /// Collected while something arrives.
    pod_seconds: f64,
    /// Since when nothing waits and nothing arrives.
    idle_since: Option<Timestamp>,
    /// The last lowering that is not judged yet.
    lowered: Option<Lowered>,
    /// Multiplies the price.
    patience: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Lowered {
    at: Timestamp,
    pods: f64,
    price: f64,
}

impl Default for Surplus {
    fn default() -> Self {
        Self {
            pod_seconds: 0.0,
            idle_since: None,
            lowered: None,
            patience: 1.0,
        }
    }
}

impl Surplus {
    /// Since when nothing waits and nothing arrives.
    pub(super) fn idle_since(&self) -> Option<Timestamp> {
        self.idle_since
    }

    /// Takes in whether anything waits or has arrived.
    pub(super) fn watch_idle(&mut self, idle: bool, at: Timestamp) {
        self.idle_since = if idle {
            Some(self.idle_since.unwrap_or(at))
        } else {
            None
        };
    }

    /// A raise shows whether the lowering before it was worth its price.
    fn judge(&mut self, at: Timestamp) {
        self.pod_seconds = 0.0;
        if let Some(lowered) = self.lowered.take() {
            let spared = lowered.pods * seconds(lowered.at, at);
            if spared < lowered.price {
                self.patience = (self.patience * 2.0).min(MOST_PATIENT);
            } else {
                self.patience = (self.patience / 2.0).max(1.0);
            }
        }
    }
}

/// Holds a lowering until it is worth it.
pub(super) fn apply(plan: Plan, policy: &Policy, state: &mut State, reading: &Reading<'_>) -> Plan {
    let start_up = state.orders.start_up(policy);
    let resized = state.orders.resized(reading);
    let surplus = &mut state.surplus;
    if resized {
        surplus.pod_seconds = 0.0;
    }
    if plan.raises() {
        surplus.judge(reading.at);
        return plan;
    }
    if !plan.lowers() {
        surplus.pod_seconds = (surplus.pod_seconds - LEAK * reading.elapsed).max(0.0);
        return plan;
    }
    let pods = f64::from(plan.current - plan.replicas);
    let price = (2.0 * MOVE + pods * start_up) * surplus.patience;
    surplus.pod_seconds += pods * reading.elapsed;
    let collected = match surplus.idle_since {
        Some(since) => pods * seconds(since, reading.at),
        None => surplus.pod_seconds,
    };
    if plan.at_once || collected >= price {
        // The sum stays until the size follows: the decision must not change while it is carried
        // out.
        if !plan.at_once {
            surplus.lowered = Some(Lowered {
                at: reading.at,
                pods,
                price,
            });
        }
        return plan;
    }
    let to = plan.replicas;
    plan.hold(Why::NotWorthItYet {
        to,
        collected,
        price,
    })
    .due_in((price - collected) / pods + 0.05)
}
