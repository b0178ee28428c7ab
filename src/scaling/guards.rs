//! What makes a change wrong although the load asks for it: unknown data, pods that are still
//! coming, a handler that fails, a handler that more pods do not help.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::behind_retries;
use super::flow::seconds;
use super::limits::Bounds;
use super::notes;
use super::plan::Plan;
use super::rate;
use super::reading::Reading;
use super::state::State;
use super::target::Needs;
use super::{Policy, Why};
use crate::topic::{Offset, TopicPartition};

/// Attempts lose half of their weight in so many seconds.
const HALF_LIFE: f64 = 30.0;
/// Fewer failed attempts than this say nothing.
const FEW: f64 = 5.0;
/// So many of the partitions may be left to themselves after they were stuck; more are the fleet's
/// work.
const FEW_RECOVER: usize = 8;
/// A partition is back once its backlog is what one pod does in so many seconds.
const BACK: f64 = 5.0;
/// A pod that has finished nothing for so much of the time for which its records fail is a pod that fails.
pub(super) const MOST: f64 = 0.5;
/// What retention takes within so many seconds has to be done before.
const BITES: f64 = 900.0;
/// What earlier samples say about the handler.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Guards {
    /// What every pod said.
    pods: BTreeMap<String, Told>,
    /// Of late, with weights that fade.
    failed: f64,
    done: f64,
    /// Partitions that were stuck and are not back with the others yet, with the end that they had when a worker last
    /// said so.
    recovering: BTreeMap<TopicPartition, Offset>,
    /// Partitions that were stuck at the last look.
    stood: BTreeSet<TopicPartition>,
}

/// What a pod said.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    /// Failed attempts and records done.
    counts: (u64, u64),
    /// Since when it has finished nothing more.
    idle_since: Timestamp,
}

impl Guards {
    /// The share of attempts that fail, where it is more than half and more than chance.
    fn failing(&self) -> Option<f64> {
        let ratio = self.failed / (self.failed + self.done).max(1e-9);
        (self.failed >= FEW && ratio > 0.5).then_some(ratio)
    }

    /// Seconds for which this pod has finished nothing, as far as anybody watched.
    pub(super) fn finished_nothing_for(&self, pod: &str, now: Timestamp) -> Option<f64> {
        let told = self.pods.get(pod)?;
        Some(seconds(told.idle_since, now))
    }

    /// Whether this partition works off what came while it was stuck.
    pub(super) fn recovers(&self, partition: &TopicPartition) -> bool {
        self.recovering.contains_key(partition)
    }

    /// Whether this partition was stuck at the last look.
    pub(super) fn stood(&self, partition: &TopicPartition) -> bool {
        self.stood.contains(partition)
    }
}

/// Takes failures in.
pub(super) fn observe(state: &mut State, reading: &Reading<'_>) {
    if !reading.new {
        return;
    }
    let watched = state.seen.is_some();
    let per_pod = state.capacity.said();
    let few = reading.known.len() / FEW_RECOVER;
    let guards = &mut state.guards;
    for known in reading.stuck() {
        let end = guards.recovering.entry(known.partition.clone());
        let end = end.or_insert(Offset(0));
        if known.sample.stuck.is_some() {
            *end = known.sample.end;
        }
    }
    let stuck = reading.stuck().map(|known| known.partition.clone());
    guards.stood = stuck.collect();
    guards.recovering.retain(|partition, end| {
        reading.of(partition).is_some_and(|known| {
            // What came while it was stuck is as old as that, and says nothing of how many pods there are.
            let old = known.unfinished() > 0 && known.next < *end;
            old || known.waits as f64 > BACK * per_pod.unwrap_or(0.0)
        })
    });
    if guards.recovering.len() > few.max(1) {
        guards.recovering.clear();
    }

    let fade = 0.5_f64.powf(reading.elapsed / HALF_LIFE);
    guards.failed *= fade;
    guards.done *= fade;
    let pods = &reading.sample.pods;
    for (name, pod) in pods {
        let now = (pod.failures, pod.done);
        let (failures, done) = match guards.pods.get_mut(name) {
            Some(known) => {
                let before = std::mem::replace(&mut known.counts, now);
                if now.1 != before.1 {
                    known.idle_since = reading.at;
                }
                let again = now.0 < before.0 || now.1 < before.1;
                if again { (0, 0) } else { before }
            }
            None => {
                let told = Told {
                    counts: now,
                    idle_since: reading.at,
                };
                guards.pods.insert(name.clone(), told);
                if watched { (0, 0) } else { now }
            }
        };
        guards.failed += (pod.failures - failures) as f64;
        guards.done += (pod.done - done) as f64;
    }
    if guards.pods.len() > pods.len() {
        guards.pods.retain(|name, _| pods.contains_key(name));
    }
}

/// Holds what should not happen now.
pub(super) fn apply(
    mut plan: Plan,
    policy: &Policy,
    state: &mut State,
    reading: &Reading<'_>,
    bounds: &Bounds,
    needs: &Needs,
) -> Plan {
    plan = notes::add(plan, policy, state, reading, needs);
    plan = save(plan, state, reading, bounds);
    if let Some(age) = reading.stale {
        return plan.hold(Why::Stale {
            age: Duration::try_from_secs_f64(age).unwrap_or_default(),
        });
    }
    if reading.sample.partitions.is_empty() {
        return plan.hold(Why::NoPartitions);
    }
    if let Some(&(partition, cause)) = reading.unknown.first() {
        let why = Why::Unknown {
            unknown: reading.unknown.len(),
            partitions: reading.sample.partitions.len(),
            first: partition.clone(),
            cause,
        };
        // What is known may demand more; nothing that is unknown may demand less.
        if !plan.raises() {
            return plan.hold(why);
        }
        plan = plan.note(why);
    }

    if let Some(ratio) = state.guards.failing()
        && (plan.raises() || (plan.lowers() && plan.replicas == 0))
    {
        return plan.hold(Why::HandlerFailing { ratio });
    }
    if plan.raises()
        && let Some(seconds) = state.turned_away.seconds(reading.now)
    {
        return plan.hold(Why::TurnedAway { seconds });
    }
    if plan.raises()
        && let Some(why) = behind_retries::explains(policy, state, reading, bounds)
    {
        plan = plan.shared_limit().without_retries();
        return plan.hold(why);
    }
    let stuck = reading.stuck().count();
    let changes = plan.raises() || plan.lowers();
    if changes && stuck > 0 && stuck * 2 > reading.known.len() {
        return plan.hold(Why::MostlyStuck {
            stuck,
            partitions: reading.sample.partitions.len(),
        });
    }

    let limit = state.behind.most(reading.now, bounds);
    if let Some((most, why)) = limit.filter(|_| reading.complete()) {
        if plan.current > most && plan.replicas > most {
            plan.at_once = true;
            return plan.shared_limit().set(most, why);
        }
        if plan.raises() && plan.replicas > most {
            let to = most.max(plan.current);
            let plan = plan.shared_limit().set(to, why);
            return match state.behind.tries_more_in(reading.now) {
                Some(seconds) => plan.held_for(seconds),
                None => plan,
            };
        }
    }
    plan = rate::apply(plan, policy, state, reading, bounds);
    if plan.raises() && state.behind.doubtful() {
        return plan.shared_limit().hold(Why::Settling).due_in(1.0);
    }
    settle(plan, policy, state, reading, needs)
}

/// Records that retention is about to take cost more than pods do.
fn save(plan: Plan, state: &State, reading: &Reading<'_>, bounds: &Bounds) -> Plan {
    let most = bounds.ceiling;
    if plan.current == 0 || plan.replicas >= most {
        return plan;
    }
    let mut tracks = state.tracks_in_order();
    let soonest = reading
        .moving()
        .filter_map(|known| {
            let bites_in = tracks.of(known.partition)?.bites_in()?;
            Some((known.partition, bites_in))
        })
        .min_by(|a, b| a.1.total_cmp(&b.1));
    match soonest {
        Some((partition, seconds)) if seconds < BITES => plan.set(
            most,
            Why::RetentionNear {
                partition: partition.clone(),
                seconds,
            },
        ),
        _ => plan,
    }
}

/// One decision, one rebalance: while a change is under way only a broken promise may raise.
fn settle(
    plan: Plan,
    policy: &Policy,
    state: &State,
    reading: &Reading<'_>,
    needs: &Needs,
) -> Plan {
    let current = plan.current;
    let urgent = plan.raises() && needs.breach;
    if plan.replicas == current || urgent || current == 0 {
        return plan;
    }
    let reaction = state.orders.start_up(policy) + state.orders.rebalance(policy);
    let early = !plan.at_once && state.orders.since_change(reading) < reaction;
    let early_for = reaction - state.orders.since_change(reading);
    let held_for = state.orders.settles_in(reading, policy);
    let held_for = if early {
        held_for.max(early_for)
    } else {
        held_for
    };
    // Where nothing waits no pod is needed, whatever becomes of those that there are: one that crashes again and again,
    // or a roll-out that comes to no end, keeps no fleet awake.
    if plan.replicas == 0 && needs.idle.is_some() && !early {
        return plan;
    }
    if reading.sample.rolling {
        return plan.hold(Why::Rolling);
    }
    if state.orders.awaiting(reading, policy) {
        return plan
            .hold(Why::Starting {
                ready: reading.sample.ready,
                ordered: current,
                given_up: state.orders.given_up(),
            })
            .held_for(held_for.max(state.orders.awaited_for(reading, policy)))
            .due_in(1.0);
    }
    if early || !state.orders.settled(reading, policy) {
        return plan.hold(Why::Settling).held_for(held_for).due_in(1.0);
    }
    plan
}
