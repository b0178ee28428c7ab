//! What is worth knowing beside the decision: alarms that change no size.

use super::guards::MOST;
use super::level::WINDOW;
use super::plan::Plan;
use super::reading::Reading;
use super::state::State;
use super::target::{COPES, Needs};
use super::{Policy, Why};

/// Seconds until a change of the load is seen: half a window and a sample.
const NOTICE: f64 = 10.0;
/// By so many deviations of its number a partition has to be hotter than a pod: one slow record is none.
const CLEARLY: f64 = 3.0;

/// What is worth knowing beside the decision.
pub(super) fn add(
    mut plan: Plan,
    policy: &Policy,
    state: &mut State,
    reading: &Reading<'_>,
    needs: &Needs,
) -> Plan {
    if let Some(why) = slow_starts(policy, state, reading) {
        plan = plan.note(why);
    }
    let state = &*state;
    let absent = state.orders.given_up();
    if absent > 0 {
        plan = plan.note(Why::PodsMissing {
            missing: absent,
            ordered: reading.sample.current,
        });
    }
    let mut recovering = reading.known.iter().filter(|known| known.recovering);
    if let Some(first) = recovering.next() {
        plan = plan.note(Why::CatchingUp {
            partitions: 1 + recovering.clone().count(),
            first: first.partition.clone(),
            records: recovering.fold(first.waits, |sum, known| sum.saturating_add(known.waits)),
        });
    }
    if let Some(first) = reading.stuck().next() {
        let record = first.sample.stuck.as_ref();
        plan = plan.note(Why::StuckLeftOut {
            stuck: reading.stuck().count(),
            first: first.partition.clone(),
            offset: record.map_or_else(|| first.sample.position().0, |record| record.offset),
            error: record.map(|record| record.error.clone()),
        });
    }
    if let Some(why) = retries(policy, state, reading) {
        plan = plan.note(why);
    }
    if let Some(seconds) = state.turned_away.seconds(reading.now) {
        plan = plan.note(Why::TurnedAway { seconds });
    }
    let arrivals = state.arrivals.rate(WINDOW, 1.0).unwrap_or(0.0);
    if needs.backlog > 0.0
        && let (Some((partition, rate)), Some(per_pod)) = (state.hottest(), state.unhindered())
        && arrivals > per_pod
        && rate - CLEARLY * (rate / WINDOW).sqrt() > per_pod
    {
        plan = plan.note(Why::HotPartition {
            partition: partition.clone(),
            rate,
            per_pod,
        });
    }
    plan
}

/// That pods start too slowly for a sudden rise, where there may be one: not of a load that has long been the same.
fn slow_starts(policy: &Policy, state: &mut State, reading: &Reading<'_>) -> Option<Why> {
    let start_up = state.orders.usual_start_up()?;
    let rebalance = state.orders.rebalance(policy);
    let told = told_again(state.orders.told_rebalance, rebalance);
    state.orders.told_rebalance = Some(told);
    let calm = state.calm.as_ref();
    if calm.is_some_and(|calm| calm.lasts(reading.at)) {
        return None;
    }
    let late = start_up + NOTICE + rebalance > policy.max_delay.as_secs_f64();
    late.then(|| Why::SloUnreachable {
        notice: NOTICE,
        start_up: start_up.round(),
        rebalance: told,
        promise: policy.max_delay,
    })
}

/// What was told once stays as long as it is no less than half too long: what to do about it must not change with each
/// rebalance.
fn told_again(before: Option<f64>, seconds: f64) -> f64 {
    let stays = |told: &f64| seconds <= *told && seconds > *told / 2.0;
    before
        .filter(stays)
        .unwrap_or_else(|| in_round_numbers(seconds))
}

/// No less, and the same for all that are about as long: each rebalance takes another time, and a sentence that
/// changes with each says nothing new.
fn in_round_numbers(seconds: f64) -> f64 {
    const ROUND: [f64; 6] = [5.0, 10.0, 15.0, 20.0, 30.0, 45.0];
    let found = ROUND.into_iter().find(|round| seconds <= *round);
    found.unwrap_or_else(|| (seconds / 30.0).ceil() * 30.0)
}

/// That records failed and are tried again, once that holds one of them for long.
pub(super) fn retries(policy: &Policy, state: &State, reading: &Reading<'_>) -> Option<Why> {
    let (partition, seconds) = state.held_longest(reading)?;
    let long = seconds > COPES * policy.max_delay.as_secs_f64();
    long.then(|| Why::RetriesLeftOut {
        records: reading.retried(),
        later: reading.later(),
        partition: partition.clone(),
        seconds,
        pod: blamed(state, reading, seconds).map(str::to_owned),
    })
}

/// The pod that has all records which failed, if it has finished nothing else for most of that time: then it may be the
/// pod, whose own handler is gone, say, and another would handle them. Where several pods fail, or the one finishes
/// others, it is the records.
fn blamed<'a>(state: &State, reading: &Reading<'a>, seconds: f64) -> Option<&'a str> {
    let mut owners = reading.retrying().map(|known| known.sample.pod.as_deref());
    let pod = owners.next()??;
    let idle = state.guards.finished_nothing_for(pod, reading.at)?;
    let alone = owners.all(|owner| owner == Some(pod));
    (alone && idle > MOST * seconds).then_some(pod)
}

#[cfg(test)]
mod tests {
    use super::{in_round_numbers, told_again};

    #[test]
    fn what_a_rebalance_takes_is_told_anew_only_where_it_is_clearly_another() {
        let mut told = None;
        for (seconds, now) in [
            (9.0, 10.0),
            (6.0, 10.0),
            (10.5, 15.0),
            (8.0, 15.0),
            (12.0, 15.0),
            (7.0, 10.0),
            (2.0, 5.0),
            (2.4, 5.0),
        ] {
            let again = told_again(told, seconds);
            assert_eq!(again, now, "{seconds} after {told:?}");
            told = Some(again);
        }
    }

    #[test]
    fn rebalances_of_about_one_length_are_told_as_one() {
        for (seconds, told) in [
            (0.0, 5.0),
            (2.1, 5.0),
            (5.0, 5.0),
            (5.2, 10.0),
            (61.0, 90.0),
        ] {
            assert_eq!(in_round_numbers(seconds), told, "{seconds}");
        }
    }
}
