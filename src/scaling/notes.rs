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
    state: &State,
    reading: &Reading<'_>,
    needs: &Needs,
) -> Plan {
    let promise = policy.max_delay.as_secs_f64();
    if let Some(start_up) = state.orders.usual_start_up() {
        let rebalance = state.orders.rebalance(policy);
        if start_up + NOTICE + rebalance > promise {
            plan = plan.note(Why::SloUnreachable {
                notice: NOTICE,
                start_up: start_up.round(),
                rebalance: in_round_numbers(rebalance),
                promise: policy.max_delay,
            });
        }
    }
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
    use super::in_round_numbers;

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
