//! The engine's invariants, each a law over random histories. Numbers are those of ARCHITECTURE.md.

mod laws;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};

use super::books::{Books, LaneBook};
use super::history::{Fact, History, Seen};
use super::script::script;
use super::world::play;
use crate::engine::Settings;
use crate::worker_config::OnExhausted;
use laws::*;
use told::*;

type Held = Result<(), TestCaseError>;

/// `law` holds at each fact, given the books before it; at what was seen, the books after all.
pub(super) fn holds(
    history: &History,
    mut law: impl FnMut(&Books, &Fact, Duration, &Settings) -> Held,
) -> Held {
    let mut books = Books::default();
    for (at, fact) in &history.facts {
        law(&books, fact, *at, &history.settings)?;
        books.enter(*at, fact, &history.settings);
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config { max_shrink_iters: 20_000, ..Config::default() })]

    /// Invariant 1.
    #[test]
    fn a_commit_never_passes_an_unfinished_record(script in script()) {
        holds(&play(script).history, |books, fact, _, _| passes_nothing(books, fact))?;
    }

    /// Invariant 1.
    #[test]
    fn a_commit_never_goes_back_within_an_epoch(script in script()) {
        holds(&play(script).history, |books, fact, _, _| goes_never_back(books, fact))?;
    }

    /// Invariant 2.
    #[test]
    fn only_handler_broker_or_policy_finish_a_record(script in script()) {
        holds(&play(script).history, |books, fact, _, settings| match fact {
            Fact::Seen(seen) => {
                let skips = settings.on_exhausted == OnExhausted::Skip;
                prop_assert!(skips || seen.totals.passed_over == 0);
                is_finished_by_right(books, seen)
            }
            _ => Ok(()),
        })?;
    }

    /// Invariant 3.
    #[test]
    fn cancelled_is_never_exhausted(script in script()) {
        let mut last = LastAnswers::new();
        holds(&play(script).history, |books, fact, _, _| {
            ends_only_after_a_failure(&mut last, books, fact)
        })?;
    }

    /// Invariant 3.
    #[test]
    fn attempts_are_counted_as_they_failed(script in script()) {
        holds(&play(script).history, |books, fact, _, settings| {
            counts_failures_only(books, fact, settings)
        })?;
    }

    #[test]
    fn no_later_attempt_comes_before_its_wait_is_over(script in script()) {
        let mut due = Due::default();
        holds(&play(script).history, |books, fact, at, settings| {
            waits_for_its_later_attempt(&mut due, books, fact, at, settings)
        })?;
    }

    /// Invariant 3.
    #[test]
    fn each_commit_tells_of_all_that_failed_how_often_and_until_when_it_waits(script in script()) {
        let mut due = Due::default();
        holds(&play(script).history, |books, fact, at, settings| {
            waits_for_its_later_attempt(&mut due, books, fact, at, settings)?;
            is_told(&due, books, fact, settings)
        })?;
    }

    #[test]
    fn what_waits_for_a_later_attempt_is_not_reported_as_stuck(script in script()) {
        let mut waiting = Waiting::new();
        holds(&play(script).history, |books, fact, _, settings| {
            to_wait_is_not_to_be_stuck(&mut waiting, books, fact, settings)
        })?;
    }

    #[test]
    fn a_partition_full_of_what_waits_tries_others_one_at_a_time(script in script()) {
        let mut probes = Probes::new();
        holds(&play(script).history, |books, fact, _, settings| {
            a_crowd_tries_one_at_a_time(&mut probes, books, fact, settings)
        })?;
    }

    /// Invariant 4.
    #[test]
    fn a_record_is_not_started_before_those_it_waits_for(script in script()) {
        let mut runs = Runs::new();
        holds(&play(script).history, |books, fact, _, settings| {
            keeps_the_order(&mut runs, books, fact, settings)
        })?;
    }

    /// Invariant 5.
    #[test]
    fn records_held_stay_in_the_budget(script in script()) {
        // The largest record, and what was held, before the last read.
        let (mut largest, mut held) = (0, 0);
        holds(&play(script).history, |books, fact, _, settings| {
            match fact {
                Fact::Read { .. } => largest = books.largest,
                Fact::Seen(seen) if seen.held_bytes > held => {
                    stays_in_the_budget(books, seen, largest, settings)?;
                    held = seen.held_bytes;
                }
                Fact::Seen(seen) => held = seen.held_bytes,
                _ => {}
            }
            Ok(())
        })?;
    }

    /// Invariant 5.
    #[test]
    fn every_charge_is_refunded_exactly_once(script in script()) {
        holds(&play(script).history, |books, fact, _, _| {
            if let Fact::Seen(seen) = fact {
                prop_assert_eq!(seen.held_bytes, books.held_bytes());
            }
            Ok(())
        })?;
    }

    /// Invariant 5.
    #[test]
    fn pause_and_resume_alternate(script in script()) {
        holds(&play(script).history, |books, fact, _, _| alternates(books, fact))?;
    }

    #[test]
    fn no_record_is_given_up_while_too_many_would_be(script in script()) {
        let mut open = false;
        let mut given_up = BTreeSet::new();
        holds(&play(script).history, |_, fact, _, settings| {
            match fact {
                Fact::Crashed { .. } => (open, given_up) = (false, BTreeSet::new()),
                Fact::BreakerOpened => {
                    prop_assert!(!open && settings.breaker.is_some());
                    open = true;
                }
                Fact::BreakerClosed => {
                    prop_assert!(open);
                    open = false;
                }
                // A copy that was refused is tried again: that was decided before.
                Fact::LetterAsked { ticket, .. } => {
                    let before = !given_up.insert((ticket.lane, ticket.epoch, ticket.offset));
                    prop_assert!(!open || before, "{fact:?}");
                }
                _ => {}
            }
            Ok(())
        })?;
    }

    /// Invariant 1: what could not be read is no gap.
    #[test]
    fn what_could_not_be_read_is_read_before_anything_behind_it(script in script()) {
        let mut missing: BTreeMap<i32, i64> = BTreeMap::new();
        holds(&play(script).history, |books, fact, _, _| {
            match fact {
                Fact::Barred { partition, offset } => {
                    let draining = |lane: &LaneBook| lane.revoked_at.is_some();
                    if books.lanes.get(partition).is_some_and(|lane| !draining(lane)) {
                        missing.insert(*partition, *offset);
                    }
                }
                Fact::Crashed { .. } => missing.clear(),
                // Whoever has it next is asked anew.
                Fact::Lost { partition } | Fact::GivenBack { partition } | Fact::Assigned { partition, .. } => {
                    missing.remove(partition);
                }
                Fact::Reread { partition, from } => {
                    let missing = missing.remove(partition);
                    prop_assert!(missing.is_some_and(|missing| *from <= missing), "{fact:?}");
                }
                Fact::Delivered { partition: Some(partition), ticket, .. } => {
                    let missing = missing.get(partition);
                    prop_assert!(missing.is_none_or(|missing| ticket.offset.0 < *missing), "{fact:?}");
                }
                _ => {}
            }
            Ok(())
        })?;
    }

    /// Invariant 5: a partition that holds nothing up, in an engine that holds nothing, is read.
    #[test]
    fn nothing_is_paused_while_nothing_is_held(script in script()) {
        holds(&play(script).history, |books, fact, _, _| {
            if let Fact::Seen(Seen { held_bytes: 0, .. }) = fact {
                let reading = |lane: &&LaneBook| lane.revoked_at.is_none() && !lane.barred;
                let mut reading = books.lanes.values().filter(reading);
                prop_assert!(reading.all(|lane| lane.paused == Some(false)));
            }
            Ok(())
        })?;
    }

    /// Invariant 6.
    #[test]
    fn nothing_is_done_for_a_partition_that_is_not_ours(script in script()) {
        holds(&play(script).history, respects_ownership)?;
    }

    /// Invariant 7.
    #[test]
    fn offsets_that_do_not_exist_never_hold_the_frontier(script in script()) {
        holds(&play(script).history, |books, fact, _, _| match fact {
            Fact::Seen(seen) => frontier_is_exact(books, seen),
            _ => Ok(()),
        })?;
    }

    #[test]
    fn no_more_is_delivered_than_the_rate_limit_allows(script in script()) {
        let (mut began, mut delivered) = (None, 0.0);
        holds(&play(script).history, |_, fact, at, settings| {
            if let Fact::Crashed { .. } = fact {
                (began, delivered) = (None, 0.0);
            }
            let began = *began.get_or_insert(at);
            if let (Fact::Delivered { .. }, Some(limit)) = (fact, settings.rate_limit) {
                delivered += 1.0;
                let runs = settings.run.records > 1;
                let kept = limit.per_second() * if runs { 1.0 } else { 0.1 };
                let most = limit.per_second() * (at - began).as_secs_f64() + kept.max(1.0) + 1e-6;
                prop_assert!(delivered <= most, "{delivered} of {most}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_more_than_the_concurrency_is_with_the_handler(script in script()) {
        holds(&play(script).history, |books, fact, _, settings| {
            if let Fact::Seen(seen) = fact {
                let records = books.lanes.values().flat_map(|lane| lane.records.values());
                let out = records.filter(|record| record.out).count();
                prop_assert!(seen.in_flight <= settings.concurrency.min(out));
            }
            Ok(())
        })?;
    }
}
