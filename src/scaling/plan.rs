//! The number on its way through the stages, with what each of them had to say.

use std::time::Duration;

use super::prospects;
use super::reading::Reading;
use super::state::State;
use super::target::Needs;
use super::{Decision, Outlook, Policy, Watch, Why};

/// Looking again is due after this long even if nothing is expected, seconds.
const AT_REST: f64 = 60.0;
/// At zero, where only an arrival changes anything, and that is a reason to look of its own.
const ASLEEP: f64 = 300.0;
/// Fewer records per second than this are none.
const SILENCE: f64 = 0.05;
/// While pods have something to do or may be spared, seconds.
const AT_WORK: f64 = 5.0;

/// The number on its way through the stages.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// What the Deployment has.
    pub(super) current: u32,
    /// What is wanted so far.
    pub(super) replicas: u32,
    /// Lowering needs no patience: a limit asks for it.
    pub(super) at_once: bool,
    /// Pods are ordered once it is seen how much a burst brings.
    pub(super) growing: bool,
    /// More pods bring nothing, or it is not known yet whether they do.
    pub(super) shares_limit: bool,
    /// Something is due in so many seconds.
    pub(super) due_in: Option<f64>,
    /// What holds the size where it is will have passed in so many seconds, if all goes on as it does.
    pub(super) held_for: Option<f64>,
    /// Decisive first.
    reasons: Vec<Why>,
}

impl Plan {
    /// Stay at `current`, unless a stage has a reason.
    pub(super) fn stay(current: u32) -> Self {
        Self {
            current,
            replicas: current,
            at_once: false,
            growing: false,
            shares_limit: false,
            due_in: None,
            held_for: None,
            reasons: Vec::new(),
        }
    }

    pub(super) fn raises(&self) -> bool {
        self.replicas > self.current
    }

    pub(super) fn lowers(&self) -> bool {
        self.replicas < self.current
    }

    /// `replicas` it is, because of `why`; what was said before comes after it.
    pub(super) fn set(mut self, replicas: u32, why: Why) -> Self {
        self.replicas = replicas;
        self.reasons.insert(0, why);
        self
    }

    /// As it is, because of `why`.
    pub(super) fn hold(self, why: Why) -> Self {
        let current = self.current;
        self.set(current, why)
    }

    /// No pod is missing, or may be none: how many more of them are wanted says nothing.
    pub(super) fn shared_limit(mut self) -> Self {
        self.shares_limit = true;
        self.reasons.retain(|why| !matches!(why, Why::Raise { .. }));
        self
    }

    /// That records are tried again is to be said in another place.
    pub(super) fn without_retries(mut self) -> Self {
        self.reasons
            .retain(|why| !matches!(why, Why::RetriesLeftOut { .. }));
        self
    }

    /// It was said that a rate limit, and no want of pods, keeps records waiting.
    pub(super) fn is_rate_limited(&self) -> bool {
        let mut reasons = self.reasons.iter();
        reasons.any(|why| matches!(why, Why::CappedByRate { .. }))
    }

    /// Worth knowing, but not decisive.
    pub(super) fn note(mut self, why: Why) -> Self {
        self.reasons.push(why);
        self
    }

    /// Look again in so many seconds at the latest.
    pub(super) fn due_in(mut self, seconds: f64) -> Self {
        let sooner = self.due_in.map_or(seconds, |due| due.min(seconds));
        self.due_in = Some(sooner);
        self
    }

    /// What holds the size will have passed in so many seconds.
    pub(super) fn held_for(mut self, seconds: f64) -> Self {
        self.held_for = Some(seconds);
        self
    }

    pub(super) fn decide(
        self,
        policy: &Policy,
        state: &State,
        reading: &Reading<'_>,
        needs: &Needs,
    ) -> Decision {
        let raises = self.raises();
        // A rate that is not known yet, or still falls, is worth a look: status shows it.
        let silent = state.arrival().is_some_and(|rate| rate < SILENCE);
        let resting = self.replicas == self.current && needs.resting && silent;
        let at_zero = self.current == 0;
        let longest = match (resting, at_zero) {
            (false, _) => AT_WORK,
            (true, false) => AT_REST,
            (true, true) => ASLEEP,
        };
        let due_in = self.due_in.unwrap_or(longest).clamp(0.1, longest);
        let watch = if self.growing {
            Watch::Growing
        } else if at_zero && !raises && needs.backlog <= 0.0 {
            Watch::ForArrivals
        } else if at_zero || needs.pressing || raises {
            Watch::Closely
        } else {
            Watch::Usual
        };
        let held_for = self.held_for.filter(|_| self.replicas == self.current);
        let wait = Duration::try_from_secs_f64(due_in).unwrap_or(Duration::from_secs(5));
        Decision {
            replicas: self.replicas,
            reasons: self.reasons,
            look_again_at: reading.now.checked_add(wait).unwrap_or(reading.now),
            next_at: span(held_for).and_then(|held| reading.now.checked_add(held).ok()),
            watch,
            outlook: Outlook {
                partitions: reading.partitions(),
                lag: reading.complete().then(|| reading.lag()),
                delay: reading.complete().then(|| state.delay(reading)).flatten(),
                arrival_per_second: state.level.as_ref().and(state.arrival_in_all()),
                capacity_per_pod: state.unhindered(),
                start_up: span(state.orders.learned_start_up()),
                rebalance: span(state.orders.learned_rebalance()),
                prospects: prospects::told(needs.costs.clone(), self.replicas),
                stuck: reading
                    .stuck()
                    .map(|known| known.partition.clone())
                    .collect(),
            },
        }
        .checked(policy)
    }
}

impl Decision {
    /// The last word of the user's limit, whatever the stages did.
    fn checked(mut self, policy: &Policy) -> Self {
        if let Some(max) = policy.max {
            self.replicas = self.replicas.min(max);
        }
        self
    }
}

fn span(seconds: Option<f64>) -> Option<Duration> {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
