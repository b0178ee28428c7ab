//! Attempts: none is counted anew by a hand-over in order, and none begins before its wait is over.

use super::check::Run;
use super::{Breach, CUT, Delivery, End, Findings, Holding, Micros};

pub(super) fn are_counted_on_and_wait(run: &Run<'_>, findings: &mut Findings) {
    for deliveries in run.deliveries.values() {
        let mut before: Option<&Delivery> = None;
        for delivery in deliveries {
            let Some(attempt) = delivery.attempt else {
                break;
            };
            check(run, before, delivery, attempt, findings);
            before = Some(delivery);
        }
    }
}

fn check(
    run: &Run<'_>,
    before: Option<&Delivery>,
    delivery: &Delivery,
    attempt: u32,
    findings: &mut Findings,
) {
    let Delivery {
        pod, place: record, ..
    } = *delivery;
    let now = run.holding(pod, record.partition, delivery.begun);
    let held = |before: &Delivery| run.holding(before.pod, record.partition, before.begun);
    let same = |then: &Holding| now.is_some_and(|now| std::ptr::eq(now, then));
    let here = before.filter(|before| held(before).is_some_and(same));
    let mut was = Vec::new();
    match (here, now) {
        // A delivery that was given up spends no attempt; a connection that broke does.
        (Some(before), _) => {
            let last = before.attempt.unwrap_or_default();
            was.push(last + 1);
            was.extend((!before.failed).then_some(last));
        }
        (None, Some(now)) => was = told(run, now, record.offset),
        (None, None) => {}
    }
    // What the last holder committed after it had heard of a failure is not forgotten.
    let failed = before.filter(|before| before.failed && here.is_none());
    if let Some(before) = failed
        && held(before).is_some_and(|then| has_told(run, then, before))
    {
        was = vec![before.attempt.unwrap_or_default() + 1];
    }
    if !was.is_empty() && !was.contains(&attempt) {
        findings.breaches.push(Breach::Miscounted {
            pod,
            record,
            said: attempt,
            was: was[0],
        });
    }
    let later = attempt.checked_sub(run.history.attempts + 1);
    let wait = later.and_then(|number| run.history.then.get(number as usize));
    let (Some(wait), Some(before)) = (wait, before) else {
        return;
    };
    findings.later.0 += 1;
    findings.later.1 += usize::from(here.is_none());
    let counted = before.failed && before.attempt == Some(attempt - 1);
    let over = before.over.filter(|_| counted).map(|(at, _)| at);
    let by: Micros = over.map_or(0, |over| over + wait - delivery.begun);
    if by > 0 {
        findings.breaches.push(Breach::TooEarly {
            pod,
            record,
            attempt,
            by,
        });
    }
}

/// What the number of the next attempt was, by the commit with which `holding` began: the last before it, or one of the
/// same moment.
fn told(run: &Run<'_>, holding: &Holding, offset: i64) -> Vec<u32> {
    let commits = run.commits.get(&holding.partition).into_iter().flatten();
    let before = commits.filter(|commit| commit.at <= holding.from + CUT);
    let mut told = Vec::new();
    for commit in before.rev() {
        told.push(commit.tries.get(&offset).copied().unwrap_or_default() + 1);
        if commit.at + CUT < holding.from {
            return told;
        }
    }
    // Or there was none.
    told.push(1);
    told
}

/// A holder that went in order had committed after this failure.
fn has_told(run: &Run<'_>, holding: &Holding, failed: &Delivery) -> bool {
    let (Some((to, End::GivenBack)), Some((over, _))) = (holding.to, failed.over) else {
        return false;
    };
    let mut commits = run.commits.get(&holding.partition).into_iter().flatten();
    commits.any(|commit| {
        commit.pod == Some(holding.pod) && commit.at > over + CUT && commit.at <= to + CUT
    })
}
