//! Decides how many replicas a fleet should have.
//!
//! Pure: takes samples and `now`, returns a decision with its reasons. Reading lag is `lag`'s work,
//! scaling is `controller::scale`'s.
//!
//! [`step`] reads from top to bottom: what the sample says (`reading`), what follows from it
//! together with earlier ones (`window`, with `likely` for what is unknown, `rises`, `orders`, `estimate`, `scars`, `calm`), what that asks for (`target`,
//! by what each size costs under the load as it lies: `cost`, `load`; what fewer would do: `spare`, `smaller`;
//! what rides out peaks that come again and again: `ride`, by what `rounds` of them have cost), and what holds, raises or
//! lowers it (`guards`, `rate`, `limits`, `gate`); `notes` adds what changes no size. Every change of the number leaves a [`Why`].

mod behind;
mod behind_retries;
mod brief;
mod calm;
mod cost;
mod debt;
mod estimate;
mod flow;
mod gate;
mod guards;
mod hope;
mod in_hand;
mod level;
mod likely;
mod limits;
mod load;
mod notes;
mod orders;
mod outside;
mod plan;
mod prospects;
mod rate;
mod reading;
mod reason;
mod reports;
mod ride;
mod rises;
mod rounds;
mod sample;
mod scars;
mod schedule;
mod silent;
mod sizes;
mod smaller;
mod spacing;
mod spare;
mod starts;
mod state;
mod stretch;
mod target;
mod track;
mod turned_away;
mod window;

#[cfg(test)]
mod closed_loop;
#[cfg(test)]
mod from_zero;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod small_world;
#[cfg(test)]
mod tests;

pub use behind::Shown;
pub use outside::{Bounded, bounded};
pub use prospects::Prospect;
pub use reason::Why;
pub use sample::{Beyond, LagUnknown, PartitionSample, PodSample, PodStart, Sample};
pub use schedule::{Days, Floor, Peak, Schedule, Standing};
pub use smaller::{Smaller, TooFew};
pub use state::State;

use std::time::Duration;

use jiff::Timestamp;

use crate::topic::TopicPartition;

/// What the user promised and allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Pods at least.
    pub min: u32,
    /// Times in which that is more.
    pub schedule: Schedule,
    /// Pods at most; none means as many as there are partitions.
    pub max: Option<u32>,
    /// No record waits longer than this.
    pub max_delay: Duration,
    /// The last pod goes once nothing has waited or arrived for so long; none leaves it to what
    /// idle pods cost.
    pub idle_to_zero: Option<Duration>,
    /// Records per second that the whole fleet may deliver; none for as many as it can.
    pub rate: Option<f64>,
    /// Deliveries in flight in a pod, for the first guess of an unmeasured handler.
    pub concurrency: u32,
}

/// What was decided, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Pods wanted.
    pub replicas: u32,
    /// The first decided; the others held, raised or lowered on the way.
    pub reasons: Vec<Why>,
    /// Look again at this time at the latest, even if no new sample comes.
    pub look_again_at: Timestamp,
    /// When what holds the size will have passed, if all goes on as it does; none where nothing is waited for, or nobody
    /// knows for how long. A raise that saves the promise does not wait for it.
    pub next_at: Option<Timestamp>,
    /// How closely offsets should be watched until then.
    pub watch: Watch,
    /// What the decision rests on, for status and metrics.
    pub outlook: Outlook,
}

/// How closely offsets should be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Every moment: a burst has begun, and pods are ordered once its size is seen.
    Growing,
    /// At short intervals: the fleet is at zero, or the promise is near its end.
    Closely,
    /// Nothing waits and there are no pods: what matters is the next record.
    ForArrivals,
    /// As usual.
    Usual,
}

/// What a decision rests on. An unknown number is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// Partitions of all topics, known or not.
    pub partitions: u32,
    /// Records that are not committed yet, stuck partitions included; none if any is unknown.
    pub lag: Option<u64>,
    /// How long the oldest unfinished record has waited, those that wait for a later attempt left out.
    pub delay: Option<Duration>,
    /// Records that arrive per second.
    pub arrival_per_second: Option<f64>,
    /// Records per second that one pod can do; none until measured.
    pub capacity_per_pod: Option<f64>,
    /// From ordering a pod to its being ready; none until seen.
    pub start_up: Option<Duration>,
    /// From being ready to the first work of the last new pod; none until seen.
    pub rebalance: Option<Duration>,
    /// What the size decided on and the two next-best ones would come to, in this order; none while
    /// nothing waits and nothing arrives, or sizes cannot be weighed.
    pub prospects: Vec<Prospect>,
    /// Partitions that do not move, and are left out of the plan.
    pub stuck: Vec<TopicPartition>,
}

/// How many pods a fleet should have now.
///
/// Deterministic: the same arguments give the same answer. `state` is what earlier steps left, or
/// [`State::resume`] after a restart; the returned one is for the next step. To ask twice about
/// one sample is harmless.
pub fn step(
    policy: &Policy,
    mut state: State,
    sample: &Sample,
    now: Timestamp,
) -> (State, Decision) {
    let reading = reading::read(policy, sample, &state, now);

    window::observe(&mut state, &reading);
    rises::observe(policy, &mut state, &reading);
    orders::observe(policy, &mut state, &reading);
    estimate::observe(policy, &mut state, &reading);
    hope::observe(policy, &mut state, &reading);
    guards::observe(&mut state, &reading);
    behind::observe(policy, &mut state, &reading);
    state.turned_away.observe(&reading);
    scars::observe(&mut state, &reading);
    calm::observe(&mut state, &reading);

    let bounds = limits::bounds(policy, &state, &reading);
    limits::keep_lead(&mut state, &reading, &bounds);
    let needs = target::needs(policy, &state, &reading, &bounds);

    let plan = target::propose(policy, &mut state, &reading, &bounds, &needs);
    let plan = guards::apply(plan, policy, &mut state, &reading, &bounds, &needs);
    let plan = limits::apply(plan, policy, &state, &reading, &bounds, &needs);
    let plan = gate::apply(plan, policy, &mut state, &reading);
    let plan = limits::cap(plan, policy, &reading, &bounds, &needs);

    if plan.raises() && reading.new {
        silent::learn(&mut state, &reading);
        scars::learn(policy, &mut state, &reading, plan.current);
        state.ordered_for = state.arrival();
    }
    if plan.lowers() && needs.spare.is_some_and(|spare| spare.hoped) {
        state.hope.tries(plan.replicas);
    }
    let decision = plan.decide(policy, &state, &reading, &needs);
    state.close(&reading, decision.replicas);
    (state, decision)
}
