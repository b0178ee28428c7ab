//! What the load asks for, before anything holds or limits it.
//!
//! The size that costs least from now on, of those that are not smaller than the fleet; what fewer pods
//! would do is `spare`'s.

use super::Policy;
use super::Why;
use super::cost::{Cost, Outset, may_wait};
use super::debt;
use super::flow::seconds;
use super::limits::Bounds;
use super::load::Load;
use super::plan::Plan;
use super::prospects;
use super::rate;
use super::reading::Reading;
use super::ride;
use super::rises::Known;
use super::sizes;
use super::smaller::Smaller;
use super::spare::{self, Fewer};
use super::state::State;
use super::track::Waited;

/// Share of the promise that a projected delay may use before it is watched closely.
const PRESSING: f64 = 0.48;
/// A fleet copes while no record has waited for this share of the promise.
pub(super) const COPES: f64 = 0.2;
/// What came between two commits is not committed, and waits no more than so many times that does.
const ON_PAPER: f64 = 1.2;
/// For so many seconds after a change of size records wait for that, too.
const MOVED: f64 = 30.0;
/// Each of its pods may be able to do so many times what it has to, unless more has just begun to come.
const ROOM: f64 = 1.5;
/// The level is taken for a little less than it is, and for a share of its spread more: together
/// about itself.
const BIAS: f64 = 0.95;
const SPREADS: f64 = 0.2;
/// What arrived of late counts where it is more, less the noise of its number: a rising load is
/// ahead of its level. Seconds.
const RECENT: [f64; 2] = [30.0, 60.0];
/// What comes without a batch may be more by so many times that noise.
const NOISE: f64 = 3.0;
/// A fleet of so few pods gets too few records for their noise to be told from the beginning of a rise, and
/// a raise that was not needed is small: there it counts in full.
const FEW: u32 = 2;
/// Where a pod does few records within the promise, chance alone makes some of its queues too long.
/// That is allowed for so much of the time.
const CHANCE: f64 = 0.002;
/// Share of the promise in which a backlog should be gone, where no size is enough.
const CLEARING: f64 = 0.6;
/// A size keeps the promise if a record waits for this share of it at most; where none does, those
/// are as good that come within a factor of the best.
const KEPT: f64 = 0.95;
const NEARLY: f64 = 1.2;
/// While a change is under way another has to shorten the wait to this share: what waits for a
/// rebalance only waits longer for one more. Where the promise is lost, and what was ordered is for this share of what comes
/// now, it is enough if it shortens the time over the promise as much, with one more pause: the first looks at a rise say
/// little, and pods that are ordered a moment later come a moment later.
const HELPS: f64 = 0.8;
/// What wakes a fleet is looked at once more after so many seconds, and then again and again
const SECOND_LOOK: f64 = 0.05;
/// until it has not grown for so many seconds: producers that have just connected pause;
const QUIET: f64 = 0.25;
/// but not for longer than this, seconds, or this share of what another rebalance would take,
const LAST_LOOK: f64 = 0.4;
const GROWS: f64 = 0.5;
/// nor than this share of the promise.
const PATIENCE: f64 = 0.05;
/// Nobody waits where nothing would come of it. What comes is taken to come for so many seconds more,
const GOES_ON: f64 = 1.0;
/// and the first of it to be this share of it at least.
const FIRST_OF_IT: f64 = 1.0 / 30.0;

/// What the load asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Needs {
    /// Records that wait in partitions that move.
    pub(super) backlog: f64,
    /// The same for people, without what was done since the last commits.
    pub(super) waits: f64,
    /// Records per second to plan for.
    pub(super) arrival: Option<f64>,
    /// Records per second and pod to plan with.
    pub(super) per_pod: f64,
    /// Seconds in which the last record that waits now is finished if nothing is done.
    pub(super) projected: f64,
    /// The projected delay presses: time to raise.
    pub(super) pressing: bool,
    /// The projected delay breaks the promise.
    pub(super) breach: bool,
    /// The smallest useful size that is enough, whatever the user's limits.
    pub(super) enough: u32,
    /// What would be enough if what has woken the fleet goes on as it comes; none where nobody can say yet.
    pub(super) enough_later: Option<u32>,
    /// What would be enough if that was only the first of it.
    pub(super) enough_at_most: u32,
    /// The size to lower to, where everything that it takes to know is known.
    pub(super) spare: Option<Fewer>,
    /// Why the next smaller size is not enough, where that is known.
    pub(super) smaller: Option<Smaller>,
    /// Rises that come again and again, where the size is held for them.
    pub(super) peaks: Option<Known>,
    /// What each size that may be ordered comes to, where there is something to do.
    pub(super) costs: Vec<(u32, Cost)>,
    /// Fewer pods than the least that is allowed would do.
    pub(super) fewer_would_do: bool,
    /// Nothing waits and nothing arrives: for so many seconds.
    pub(super) idle: Option<f64>,
    /// The last pod of an idle fleet stays for so many seconds, as the user wants it.
    pub(super) awake_for: Option<f64>,
    /// Nothing will come of looking again at the same offsets.
    pub(super) resting: bool,
}

/// Works out what the load asks for.
pub(super) fn needs(
    policy: &Policy,
    state: &State,
    reading: &Reading<'_>,
    bounds: &Bounds,
) -> Needs {
    let sample = reading.sample;
    let current = sample.current;
    let promise = policy.max_delay.as_secs_f64();
    let coped = coped(state, reading, promise);
    let mut per_pod = state.capacity.per_pod(policy, coped);
    let mut load = Load::of(state, reading, per_pod, promise);
    if state.hope.stands(current, state.arrival()) && per_pod < coped * load.imbalance(current) {
        per_pod = coped * load.imbalance(current);
        load = Load::of(state, reading, per_pod, promise);
    }
    let useful = sizes::useful(reading.partitions());
    let outset = outset(policy, state, reading, &load, &useful);
    let backlog = reading.backlog();

    let mut enough = enough(&outset, &useful, backlog);
    let mut peaks = None;
    if enough > current
        && policy.rate.is_none()
        && let Some((size, known)) = ride::passes(state, reading, &outset, &useful, enough)
    {
        enough = size;
        peaks = Some(known);
    }
    let with = |more: f64| {
        let outset = Outset {
            backlog: outset.backlog + more,
            ..outset.clone()
        };
        self::enough(&outset, &useful, backlog + more)
    };
    let (mut enough_later, mut enough_at_most) = (None, enough);
    if let Some(burst) = &state.burst {
        enough_later = burst.rate.map(|rate| with(rate * GOES_ON));
        enough_at_most = with(backlog / FIRST_OF_IT - backlog);
    }
    let (projected, soon, late) = if backlog <= 0.0 {
        (0.0, 0.0, 0.0)
    } else if current == 0 {
        (f64::INFINITY, f64::INFINITY, f64::INFINITY)
    } else {
        let cost = outset.cost(current);
        (cost.worst, cost.soon, cost.late)
    };
    let most = useful.last().copied().unwrap_or(1);
    let helps = enough > current && {
        let then = outset.cost(enough.min(most));
        let lost = then.soon > promise && state.outgrows_order(HELPS);
        then.soon < HELPS * soon || (lost && then.late + outset.pause < HELPS * late)
    };

    let idle = state
        .surplus
        .idle_since()
        .filter(|_| reading.complete())
        .map(|since| seconds(since, reading.at));
    // The pods of any size share one limit.
    let limited = rate::wait(policy, state, backlog);
    let at_work = backlog > 0.0 || (idle.is_none() && outset.arrival > 0.0);
    let costs = if at_work && reading.complete() {
        let mut costs = prospects::weigh(&outset, bounds);
        for (_, cost) in &mut costs {
            cost.worst = cost.worst.max(limited);
        }
        costs
    } else {
        Vec::new()
    };
    let (spare, smaller, stands) =
        spare::spare(policy, state, reading, bounds, &outset, &useful, idle);
    Needs {
        backlog,
        waits: waits(state, backlog),
        arrival: state.arrival(),
        per_pod,
        projected,
        pressing: projected > PRESSING * promise,
        breach: soon > promise && (helps || soon.is_infinite()),
        enough,
        enough_later,
        enough_at_most,
        costs,
        spare,
        smaller,
        peaks: peaks.or(stands),
        fewer_would_do: spare::fewer_would_do(reading, bounds, &outset, &useful, idle),
        idle,
        awake_for: idle.and_then(|idle| spare::awake_for(policy, bounds, idle)),
        resting: idle.is_some() && current <= bounds.floor && sample.ready >= current,
    }
}

/// Of so many records that are not committed, those that wait: what is done since the last commits only seems to.
fn waits(state: &State, backlog: f64) -> f64 {
    let gap = state.commit_gap * state.arrival().unwrap_or(0.0);
    if backlog <= ON_PAPER * gap {
        return 0.0;
    }
    backlog - gap / 2.0
}

/// Records per second that each pod has to do, while nothing waits for long.
fn coped(state: &State, reading: &Reading<'_>, promise: f64) -> f64 {
    let pods = reading.sample.ready.min(reading.sample.current);
    let worth = sizes::worth(pods, reading.partitions());
    let waited = state.waited(reading).map(Waited::seconds);
    // What waits because partitions have moved does not wait for want of pods.
    let moved = match state.orders.since_change(reading) < MOVED {
        true => state.orders.learned_rebalance().unwrap_or(0.0) + state.commit_gap,
        false => 0.0,
    };
    match (waited, state.arrival()) {
        (Some(waited), Some(arrival)) if worth > 0.0 && waited < COPES * promise + moved => {
            let room = if state.surge.is_none() { ROOM } else { 1.0 };
            room * arrival / worth
        }
        _ => 0.0,
    }
}

/// How things stand now.
fn outset<'a>(
    policy: &Policy,
    state: &State,
    reading: &Reading<'_>,
    load: &'a Load,
    useful: &[u32],
) -> Outset<'a> {
    let sample = reading.sample;
    let ready = sample.ready.min(sample.current);
    let pause = state.orders.rebalance(policy);
    let reaction = state.orders.start_up(policy) + pause;
    let level = state.level.as_ref();
    let planned = level.map_or(0.0, |level| BIAS * level.rate + SPREADS * level.spread);
    let surging = state.arrival().filter(|_| state.surge.is_some());
    let records = load.per_pod / state.capacity.per_record();
    let margin = margin(records, sample.current, policy.max_delay.as_secs_f64());
    let recent = RECENT
        .iter()
        .filter_map(|&window| {
            let records = state.arrivals.rate_without_batch(window)? * window;
            let few = sample.current <= FEW;
            let noise = if few { 0.0 } else { records.sqrt() };
            Some((records - noise) / window)
        })
        .fold(0.0, f64::max);
    let mut arrival = planned.max(surging.unwrap_or(0.0));
    // What has just begun to surge goes on for as long again.
    let mut more = (state.arriving(reaction) - state.arrival().unwrap_or(0.0) * reaction).max(0.0);
    if may_wait(policy.max_delay.as_secs_f64(), reaction) {
        // There is time to see whether it does: a batch is a backlog and no rate, also within the level.
        arrival = arrival.min(without_batch(state).unwrap_or(arrival));
        more = 0.0;
    }
    let mut outset = Outset {
        load,
        arrival: arrival.max(recent) * margin,
        margin,
        backlog: load.waits(ready) + more,
        ready,
        current: sample.current,
        absent: state.orders.absent().min(sample.current),
        awaited: state.orders.awaited_for(reading, policy),
        reaction,
        pause,
        promise: policy.max_delay.as_secs_f64(),
        service: state.service_time(),
        steady: reading.partitions(),
        lasting: arrival * margin,
        falls_behind: state.falls_behind(reading),
    };
    let carries = |size: &&u32| outset.capacity(**size) >= arrival * margin;
    if let Some(&steady) = useful.iter().find(carries) {
        outset.steady = steady;
    }
    outset
}

/// Records per second that come beside a batch, with the noise of their number.
fn without_batch(state: &State) -> Option<f64> {
    let rates = RECENT.iter().filter_map(|window| {
        let window = window.min(state.arrivals.span());
        let records = state.arrivals.rate_without_batch(window)? * window;
        Some((records + NOISE * records.sqrt()) / window)
    });
    rates.reduce(f64::max)
}

/// How many times their arrivals pods have to be able to do. A queue with independent arrivals and
/// equal records is longer than `promise` with the chance exp(-2 n (1 - r) / r), where n is the
/// number of records that a pod does within it and r the share of its time that it is busy
/// (Kingman's bound in heavy traffic). For fast handlers that is 1.
fn margin(per_pod: f64, pods: u32, promise: f64) -> f64 {
    let records = (per_pod * promise).max(1.0);
    1.0 + (f64::from(pods.max(1)) / CHANCE).ln() / (2.0 * records)
}

/// The useful size that costs least, of those that are not smaller than the fleet and keep the
/// promise, or come as near to that as any; more than the partitions allow where not even that is
/// enough.
pub(super) fn enough(outset: &Outset<'_>, useful: &[u32], backlog: f64) -> u32 {
    let current = outset.current;
    if backlog <= 0.0 {
        return current;
    }
    let own = (current > 0).then_some(current);
    if own.is_some_and(|own| outset.cost(own).only_pods) {
        return current;
    }
    let larger = useful.iter().copied().filter(|&size| size > current);
    let sizes = debt::choices(outset, own, larger.collect());
    let costs: Vec<_> = sizes
        .into_iter()
        .map(|size| (size, outset.cost(size)))
        .collect();
    let best = costs
        .iter()
        .map(|(_, cost)| cost.soon)
        .fold(f64::INFINITY, f64::min);
    let most = (KEPT * outset.promise).max(NEARLY * best);
    let kept = costs.iter().filter(|(_, cost)| cost.soon <= most);
    let Some(&(size, cost)) = kept.min_by(|a, b| a.1.total.total_cmp(&b.1.total)) else {
        return current;
    };
    if useful.last().is_some_and(|&largest| size >= largest) && cost.worst > outset.promise {
        let left = (CLEARING * outset.promise).max(1e-3);
        let demand = outset.arrival + outset.backlog / left;
        let pods = (demand / outset.load.per_pod.max(1e-9)).ceil().min(1e6) as u32;
        return size.max(pods);
    }
    size
}

/// Raises or lowers by the needs alone.
pub(super) fn propose(
    policy: &Policy,
    state: &mut State,
    reading: &Reading<'_>,
    bounds: &Bounds,
    needs: &Needs,
) -> Plan {
    let current = reading.sample.current;
    let plan = Plan::stay(current);
    let mut wanted = needs.enough.max(1);
    if let Some(before) = state.hope.before(current, needs.arrival) {
        wanted = wanted.min(before);
    }
    if needs.backlog > 0.0 && wanted > current {
        if wanted < bounds.ceiling && grows(policy, state, reading, needs) {
            let mut plan = plan.hold(Why::SecondLook).due_in(SECOND_LOOK);
            plan.growing = true;
            return plan;
        }
        let most = wanted.min(bounds.ceiling);
        if most <= current {
            // Why it cannot be is said by the limit.
            let mut plan = plan;
            plan.replicas = wanted;
            return plan;
        }
        return plan.set(wanted, Why::raised(policy, state, current, most, needs));
    }
    match needs.spare {
        Some(Fewer { size: spare, hoped }) if spare < current => {
            let why = match needs.idle {
                Some(idle) => Why::Idle { seconds: idle },
                None => Why::Spare {
                    from: current,
                    to: spare,
                    arrival: needs.arrival.unwrap_or(0.0),
                    per_pod: needs.per_pod,
                    measured: !hoped,
                },
            };
            let mut plan = plan.set(spare, why);
            // How long to wait for zero was the user's to say, and is over.
            plan.at_once = spare == 0 && needs.idle.is_some() && policy.idle_to_zero.is_some();
            plan
        }
        // That nothing waits is said only where it is known of all.
        _ if current == 0 && needs.backlog <= 0.0 => match reading.unknown.is_empty() {
            true => plan.hold(Why::AtRest),
            false => plan,
        },
        _ if current > 0 && needs.awake_for.is_some() => {
            let (idle, left) = (needs.idle.unwrap_or(0.0), needs.awake_for.unwrap_or(0.0));
            plan.hold(Why::StaysAwake { idle, left })
                .held_for(left)
                .due_in(left)
        }
        // Nothing is known: that is said by who holds it.
        _ if reading.known.is_empty() => plan,
        _ if needs.peaks.is_some() => match needs.peaks {
            Some(peaks) => plan.hold(Why::passes(current, needs, &peaks)),
            None => plan,
        },
        _ => plan.hold(Why::Enough {
            replicas: current,
            backlog: needs.waits as u64,
            arrival: needs.arrival,
            smaller: needs.smaller,
            projected: match reading.sample.ready {
                0 => f64::INFINITY,
                _ => needs
                    .projected
                    .max(rate::wait(policy, state, needs.backlog)),
            },
        }),
    }
}

/// Whether what has just woken a fleet may want more pods than what is seen of it: then a moment's
/// patience orders all of them in one step, which costs less than to order twice.
fn grows(policy: &Policy, state: &State, reading: &Reading<'_>, needs: &Needs) -> bool {
    let Some(burst) = &state.burst else {
        return false;
    };
    let looked_for = seconds(burst.noticed, reading.now);
    let patience = LAST_LOOK
        .max(GROWS * state.orders.rebalance(policy))
        .min(PATIENCE * policy.max_delay.as_secs_f64());
    // Pods that only just start in time leave none for it.
    let starts = state.orders.learned_start_up().unwrap_or(0.0);
    let rebalance = state.orders.learned_rebalance().unwrap_or(0.0);
    let promise = CLEARING * policy.max_delay.as_secs_f64();
    if looked_for >= patience || starts + rebalance + patience >= promise {
        return false;
    }
    let more = |size: u32| size > needs.enough;
    match needs.enough_later {
        None => looked_for < LAST_LOOK,
        _ if looked_for < QUIET && more(needs.enough_at_most) => true,
        Some(later) => more(later) && burst.quiet_for(reading) < QUIET,
    }
}
