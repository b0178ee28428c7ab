//! What is said of a replay. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::progress::Counts;
use crate::api::names::{COMPLETE, FAILED, replay_reason as reason};
use crate::api::{DeadLetterReplayStatus, ReplayPhase};
use crate::k8s::events::Announcement;

/// What is to be said.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// How far it is.
    pub phase: ReplayPhase,
    /// Stable CamelCase word.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// What is known by number.
    pub counts: Counts,
}

impl Said {
    /// Without numbers.
    pub fn new(phase: ReplayPhase, reason: &'static str, message: String) -> Self {
        Self {
            phase,
            reason,
            message,
            counts: Counts::default(),
        }
    }
}

/// The status that says it.
pub fn status(
    said: &Said,
    before: &DeadLetterReplayStatus,
    generation: Option<i64>,
    id: &str,
    now: Timestamp,
) -> DeadLetterReplayStatus {
    let begun = said.phase == ReplayPhase::Running || said.counts.attempts.is_some();
    let condition = |kind: &str, holds: bool| {
        let state = if holds { "True" } else { "False" };
        let was = before.conditions.iter().find(|was| was.type_ == kind);
        let since = was.filter(|was| was.status == state);
        Condition {
            type_: kind.to_owned(),
            status: state.to_owned(),
            reason: said.reason.to_owned(),
            message: said.message.clone(),
            observed_generation: generation,
            last_transition_time: since.map_or(Time(now), |was| was.last_transition_time.clone()),
        }
    };
    let complete = said.phase == ReplayPhase::Complete;
    DeadLetterReplayStatus {
        observed_generation: generation,
        phase: Some(said.phase),
        started_at: before.started_at.or(begun.then_some(now)),
        finished_at: said.phase.is_final().then_some(now),
        attempts: said.counts.attempts,
        id: (begun || before.id.is_some()).then(|| id.to_owned()),
        to: said.counts.to.clone(),
        replayed: said.counts.replayed,
        failed_again: said.counts.failed_again,
        left_out: said.counts.left_out,
        would_replay: said.counts.would_replay.clone(),
        conditions: vec![
            condition(COMPLETE, complete),
            condition(FAILED, said.phase.is_final() && !complete),
        ],
    }
}

/// How it ended; none while it has not.
pub fn result_of(phase: ReplayPhase) -> Option<&'static str> {
    match phase {
        ReplayPhase::Complete => Some("complete"),
        ReplayPhase::Stopped => Some("stopped"),
        ReplayPhase::Failed => Some("failed"),
        ReplayPhase::Pending | ReplayPhase::Running => None,
    }
}

/// The event that the change is worth: one for each new reason.
pub fn announcement(said: &Said, before: &DeadLetterReplayStatus) -> Option<Announcement> {
    let was = before.conditions.iter().find(|was| was.type_ == COMPLETE);
    if was.is_some_and(|was| was.reason == said.reason) {
        return None;
    }
    let well = [reason::RUNNING, reason::REPLAYED, reason::COUNTED];
    Some(Announcement {
        warning: !well.contains(&said.reason),
        reason: said.reason.to_owned(),
        action: format!("{:?}", said.phase),
        note: said.message.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn times_are_those_of_the_first_beginning_and_of_the_end() {
        let running = Said::new(ReplayPhase::Running, reason::RUNNING, "x".to_owned());
        let first = status(
            &running,
            &DeadLetterReplayStatus::default(),
            Some(1),
            "id",
            at(1),
        );
        assert_eq!((first.started_at, first.finished_at), (Some(at(1)), None));
        let again = status(&running, &first, Some(1), "id", at(2));
        assert_eq!(again, first);
        let done = Said::new(ReplayPhase::Complete, reason::REPLAYED, "y".to_owned());
        let done = status(&done, &again, Some(1), "id", at(3));
        assert_eq!(
            (done.started_at, done.finished_at),
            (Some(at(1)), Some(at(3)))
        );
        assert_eq!(done.conditions[0].status, "True");
        assert_eq!(done.conditions[0].last_transition_time, Time(at(3)));
    }

    #[test]
    fn who_waits_for_its_end_hears_of_a_bad_one_too() {
        let conditions = |phase| {
            let said = Said::new(phase, reason::RUNNING, "x".to_owned());
            let told = status(&said, &DeadLetterReplayStatus::default(), None, "id", at(1));
            let told = told.conditions.into_iter();
            told.map(|said| (said.type_, said.status))
                .collect::<Vec<_>>()
        };
        for (phase, complete, failed) in [
            (ReplayPhase::Pending, "False", "False"),
            (ReplayPhase::Running, "False", "False"),
            (ReplayPhase::Complete, "True", "False"),
            (ReplayPhase::Stopped, "False", "True"),
            (ReplayPhase::Failed, "False", "True"),
        ] {
            let expected = [(COMPLETE, complete), (FAILED, failed)];
            let expected = expected.map(|(kind, state)| (kind.to_owned(), state.to_owned()));
            assert_eq!(conditions(phase), expected, "{phase:?}");
        }
    }

    #[test]
    fn what_never_began_has_no_times_and_no_name() {
        let waits = Said::new(
            ReplayPhase::Pending,
            reason::CONSUMER_NOT_FOUND,
            "x".to_owned(),
        );
        let told = status(
            &waits,
            &DeadLetterReplayStatus::default(),
            Some(1),
            "id",
            at(1),
        );
        assert_eq!(
            (told.started_at, told.id, told.replayed),
            (None, None, None)
        );
    }

    #[test]
    fn each_new_reason_is_one_event() {
        let nothing = DeadLetterReplayStatus::default();
        let running = Said::new(ReplayPhase::Running, reason::RUNNING, "x".to_owned());
        let event = announcement(&running, &nothing).unwrap();
        assert!(!event.warning);
        let told = status(&running, &nothing, Some(1), "id", at(1));
        assert_eq!(announcement(&running, &told), None);
        let stopped = Said::new(
            ReplayPhase::Stopped,
            reason::TOO_MANY_FAIL_AGAIN,
            "y".to_owned(),
        );
        assert!(announcement(&stopped, &told).unwrap().warning);
    }
}
