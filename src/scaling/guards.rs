//! What makes a change wrong although the load asks for it: unknown data, pods that are still
//! coming, a handler that fails, a handler that more pods do not help.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

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
/// A raise by less than this is not judged: pods differ by as much.
const LARGE_RAISE: f64 = 1.3;
/// Share of the expected gain that a raise must bring.
const GAIN: f64 = 0.3;
/// A raise is judged after so many seconds with all pods there.
const TRIAL: f64 = 60.0;
/// A record that has waited for so many seconds, beside what commits are behind, waits for pods.
const STILL_WAITS: f64 = 10.0;
/// So many of the partitions may be left to themselves after they were stuck; more are the fleet's
/// work.
const FEW_RECOVER: usize = 8;
/// A partition is back once its backlog is what one pod does in so many seconds.
const BACK: f64 = 5.0;
/// What retention takes within so many seconds has to be done before.
const BITES: f64 = 900.0;
/// The first ceiling lasts so long, seconds; each one after it twice as long, up to the last.
const FIRST_CEILING: f64 = 600.0;
const LAST_CEILING: f64 = 7200.0;
/// A size beyond a ceiling that has brought something allows so many times as many pods.
const LEAP: u32 = 2;

/// What earlier samples say about the handler.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Guards {
    /// What every pod said.
    pods: BTreeMap<String, Told>,
    /// Of late, with weights that fade.
    failed: f64,
    done: f64,
    /// A large raise whose gain is not known yet.
    trial: Option<Trial>,
    /// It has brought little so far.
    doubtful: bool,
    /// More pods than this brought nothing.
    ceiling: Option<Ceiling>,
    /// The size at the last look.
    size: Option<u32>,
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

#[derive(Clone, Debug, PartialEq)]
struct Trial {
    from: u32,
    to: u32,
    /// Records per second and pod before it.
    before: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Ceiling {
    pods: u32,
    since: Timestamp,
    lasts: f64,
}

impl Trial {
    /// The share of the expected gain that came, where a pod does so much now.
    fn gain(&self, after: f64) -> f64 {
        let pods = f64::from(self.to) / f64::from(self.from);
        (after / self.before * pods - 1.0) / (pods - 1.0)
    }
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

    /// The most pods that bring anything; when it has lasted, the next size whose gain would show.
    fn ceiling(&self, now: Timestamp, sizes: &[u32]) -> Option<u32> {
        let ceiling = self.ceiling.as_ref()?;
        if seconds(ceiling.since, now) < ceiling.lasts {
            return Some(ceiling.pods);
        }
        let shows = LARGE_RAISE * f64::from(ceiling.pods);
        let next = sizes.iter().copied().find(|&size| f64::from(size) >= shows);
        let next = next.or_else(|| sizes.last().copied());
        Some(next.map_or(ceiling.pods, |next| next.max(ceiling.pods)))
    }
}

/// Takes failures and the gain of raises in.
pub(super) fn observe(policy: &Policy, state: &mut State, reading: &Reading<'_>) {
    if !reading.new {
        return;
    }
    let promise = policy.max_delay.as_secs_f64();
    let watched = state.seen.is_some();
    let steady_for = state.orders.steady_for(reading);
    let per_pod = state.capacity.said();
    let of_size = state.capacity.said_of_size();
    let said_before = state.capacity.said_before();
    let tells = state.capacity.tells_gain();
    let few = reading.known.len() / FEW_RECOVER;
    // Commits that are rarer than the promise excuse nothing.
    let patience = (STILL_WAITS + 2.0 * state.commit_gap).min(promise.max(STILL_WAITS));
    let waits = state
        .waited(reading)
        .is_some_and(|waited| waited.seconds() > patience);
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
            let old = known.waits > 0 && known.next < *end;
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

    let current = reading.sample.current;
    if let Some(size) = guards.size.filter(|&size| size != current) {
        let large = f64::from(current) >= LARGE_RAISE * f64::from(size);
        let probe = current > size
            && guards
                .ceiling
                .as_ref()
                .is_some_and(|ceiling| size == ceiling.pods);
        // Raises in quick succession are one trial: what counts is the capacity before the first.
        guards.trial = match guards.trial.take() {
            Some(trial) if current > size => Some(Trial {
                to: current,
                ..trial
            }),
            // A probe is judged, small as it is.
            _ => said_before
                .filter(|_| size > 0 && (large || probe))
                .map(|before| Trial {
                    from: size,
                    to: current,
                    before,
                }),
        };
    }
    guards.size = Some(current);

    // What a raise has brought so far is no judgement, but the next one waits for that.
    guards.doubtful = match (&guards.trial, of_size) {
        (Some(trial), Some(after)) => tells && waits && trial.gain(after) < GAIN,
        _ => false,
    };
    // A few slow records say little: one of them may take as long as all others.
    if steady_for < TRIAL || (guards.trial.is_some() && !tells) {
        return;
    }
    if let (Some(trial), Some(after)) = (guards.trial.take(), of_size.or(per_pod)) {
        let gain = trial.gain(after);
        // Where nothing waits any more the raise has helped, or was not needed: that pods do less now
        // shows no limit.
        if gain < GAIN && !waits {
            if let Some(ceiling) = &mut guards.ceiling {
                ceiling.since = reading.at;
            }
        } else if gain < GAIN {
            let lasts = guards.ceiling.as_ref().map_or(FIRST_CEILING, |ceiling| {
                (ceiling.lasts * 2.0).min(LAST_CEILING)
            });
            guards.ceiling = Some(Ceiling {
                pods: trial.from,
                since: reading.at,
                lasts,
            });
        } else {
            // Chance may have helped, too: the next raise is judged as well before all are allowed.
            guards.ceiling = guards.ceiling.take().map(|_| Ceiling {
                pods: LEAP * trial.to,
                since: reading.at,
                lasts: FIRST_CEILING,
            });
        }
    }
    // Where far fewer pods are enough, what they can do together is another question.
    if guards.ceiling.as_ref().is_some_and(|ceiling| {
        2 * current <= ceiling.pods && seconds(ceiling.since, reading.at) > ceiling.lasts
    }) {
        guards.ceiling = None;
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
    let stuck = reading.stuck().count();
    let changes = plan.raises() || plan.lowers();
    if changes && stuck > 0 && stuck * 2 > reading.known.len() {
        return plan.hold(Why::MostlyStuck {
            stuck,
            partitions: reading.sample.partitions.len(),
        });
    }

    let limit = state
        .guards
        .ceiling(reading.now, &bounds.sizes)
        .filter(|_| reading.complete());
    if let Some(most) = limit.map(|most| most.max(bounds.floor)) {
        let why = Why::MorePodsDoNotHelp { most };
        if plan.current > most && plan.replicas > most {
            plan.at_once = true;
            return plan.set(most, why);
        }
        if plan.raises() && plan.replicas > most {
            let to = most.max(plan.current);
            return plan.set(to, why);
        }
    }
    plan = rate::apply(plan, policy, state, reading, bounds);
    if plan.raises() && state.guards.doubtful {
        return plan.hold(Why::Settling).due_in(1.0);
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
            .due_in(1.0);
    }
    if early || !state.orders.settled(reading, policy) {
        return plan.hold(Why::Settling).due_in(1.0);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chance hides what one pod more in six brings; what a third more brings it does not.
    #[test]
    fn a_ceiling_is_tried_with_a_size_whose_gain_shows() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let guards = Guards {
            ceiling: Some(Ceiling {
                pods: 6,
                since: at(0),
                lasts: 600.0,
            }),
            ..Guards::default()
        };
        let sizes = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12];
        assert_eq!(guards.ceiling(at(599), &sizes), Some(6));
        assert_eq!(guards.ceiling(at(600), &sizes), Some(8));
        assert_eq!(guards.ceiling(at(600), &sizes[..7]), Some(7));
        assert_eq!(guards.ceiling(at(600), &[]), Some(6));
    }
}
