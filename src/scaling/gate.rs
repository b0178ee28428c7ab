//! Lowering waits until it is worth it.
//!
//! A pod that is not needed costs its seconds; a pod that is let go and ordered again costs two
//! rebalances and its start. Like somebody who rents skis until the rent has reached the price:
//! lower once the spared pods have cost as much as a needless round of down and up. A large
//! surplus goes quickly, a small one slowly, and the regret is at most twofold.

use jiff::Timestamp;

use super::cost::MOVE;
use super::flow::seconds;
use super::plan::Plan;
use super::reading::Reading;
use super::state::State;
use super::{Policy, Why};

/// A surplus that is gone is forgotten at this pace, pod-seconds a second.
const LEAK: f64 = 0.5;
/// To let an idle fleet go when it was needed again soon makes the next time dearer, up to so many
/// times.
const MOST_PATIENT: f64 = 8.0;
/// A raise so soon after a lowering says that the lowering was wrong, seconds.
const LATELY: f64 = 300.0;
/// An idle fleet is left as it is for so long at least, seconds.
const MOMENT: f64 = 1.5;

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
    /// Pods were let go a short time ago.
    lately: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Lowered {
    at: Timestamp,
    pods: f64,
    price: f64,
    idle: bool,
}

impl Default for Surplus {
    fn default() -> Self {
        Self {
            pod_seconds: 0.0,
            idle_since: None,
            lowered: None,
            patience: 1.0,
            lately: false,
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

    /// Pods were let go a short time ago.
    pub(super) fn lowered_lately(&self) -> bool {
        self.lately
    }

    /// A raise shows whether the lowering before it was worth its price.
    fn judge(&mut self, at: Timestamp) {
        self.pod_seconds = 0.0;
        if let Some(lowered) = self.lowered.take().filter(|lowered| lowered.idle) {
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
    let quiet = state.since_arrival(reading);
    let surplus = &mut state.surplus;
    if resized {
        surplus.pod_seconds = 0.0;
    }
    surplus.lately = surplus
        .lowered
        .as_ref()
        .is_some_and(|lowered| seconds(lowered.at, reading.at) < LATELY);
    if plan.raises() {
        surplus.judge(reading.at);
        return plan;
    }
    if !plan.lowers() {
        surplus.pod_seconds = (surplus.pod_seconds - LEAK * reading.elapsed).max(0.0);
        return plan;
    }
    let pods = f64::from(plan.current - plan.replicas);
    let patience = surplus.idle_since.map_or(1.0, |_| surplus.patience);
    let round = 2.0 * MOVE + pods * start_up;
    let price = round * patience;
    surplus.pod_seconds += pods * reading.elapsed;
    let (collected, idle) = match surplus.idle_since {
        // That nothing comes is known since the last record came, not since the last was done.
        Some(since) => {
            let idle = seconds(since, reading.at);
            (pods * quiet.max(idle), idle)
        }
        None => (surplus.pod_seconds, f64::INFINITY),
    };
    if plan.at_once || (collected >= price && idle >= MOMENT) {
        // The sum stays until the size follows: the decision must not change while it is carried
        // out.
        if !plan.at_once {
            surplus.lowered = Some(Lowered {
                at: reading.at,
                pods,
                price: round,
                idle: surplus.idle_since.is_some(),
            });
        }
        return plan;
    }
    let to = plan.replicas;
    let left = ((price - collected) / pods).max(MOMENT - idle) + 0.05;
    plan.hold(Why::NotWorthItYet {
        to,
        collected,
        price,
    })
    .held_for(left)
    .due_in(left)
}
