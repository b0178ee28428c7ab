//! Suspects that a worker outlives: what it had announced of them when their partition went, and came back.

use super::rig::{Rig, ms, partition, retry, settings};
use super::suspects::{after, announces, left, suspects, to_topic};
use crate::engine::{CommitFailure, Effect, Event, Refused};
use crate::report::Report;
use crate::topic::Offset;

/// The commit under way says that the suspect's delivery begins; those before are taken.
#[track_caller]
fn announced(rig: &mut Rig) -> Report {
    loop {
        let report = rig.report();
        if report.suspects == suspects(&[(0, 1)]) {
            return report;
        }
        rig.committed(Ok(()));
    }
}

fn lose(rig: &mut Rig) {
    rig.on(Event::Lost(vec![partition(0)]));
}

fn letters(rig: &mut Rig) -> usize {
    let letter = |effect: &Effect<i64>| matches!(effect, Effect::DeadLetter { .. }).then_some(());
    rig.take(letter).len()
}

#[test]
fn a_worker_that_lives_was_not_killed_by_what_it_had_announced_when_its_partition_was_lost() {
    let mut rig = after(to_topic(), &[0], None);
    rig.read(0, 0, 0);
    for _ in 0..3 {
        let said = announced(&mut rig);
        lose(&mut rig);
        rig.committed(Ok(()));
        rig.assign(0, Some(0), Some(said));
        rig.read(0, 0, 0);
    }
    assert_eq!(letters(&mut rig), 0);
    announced(&mut rig);
    rig.committed(Ok(()));
    assert_eq!(rig.offsets(), [0]);
}

#[test]
fn nor_by_what_it_had_answered_or_with_the_handler_then() {
    let mut rig = after(to_topic(), &[0], None);
    rig.read(0, 0, 0);
    for is_answered in [true, false, true] {
        let said = announced(&mut rig);
        rig.committed(Ok(()));
        let ticket = rig.one();
        if is_answered {
            // What it had finished it would know.
            rig.answer(ticket, retry());
        }
        lose(&mut rig);
        rig.commits();
        rig.committed(Ok(()));
        rig.assign(0, Some(0), Some(said));
        rig.read(0, 0, 0);
    }
    assert_eq!(letters(&mut rig), 0);
}

#[test]
fn nothing_else_begins_until_what_was_announced_of_a_lost_partition_is_taken_back() {
    let mut rig = after(to_topic(), &[0], None);
    rig.read(0, 0, 0);
    let said = announced(&mut rig);
    lose(&mut rig);
    rig.committed(Ok(()));
    rig.assign(0, Some(0), Some(said));
    rig.assign(1, Some(0), None);
    rig.read(1, 0, 0);
    // It may not be read for long.
    rig.pass(ms(5_000));
    assert!(rig.offsets().is_empty());
    assert_eq!(rig.report().suspects, suspects(&[(0, 0)]));
    rig.committed(Ok(()));
    assert_eq!(rig.offsets(), [0]);
}

#[test]
fn another_pod_that_had_the_partition_meanwhile_is_believed() {
    let mut rig = after(to_topic(), &[0], None);
    rig.read(0, 0, 0);
    announced(&mut rig);
    lose(&mut rig);
    rig.committed(Ok(()));
    rig.assign(0, Some(0), Some(left(&[(0, 2)])));
    rig.read(0, 0, 0);
    assert_eq!(letters(&mut rig), 1);
}

#[test]
fn a_suspect_is_announced_when_it_can_begin() {
    let mut rig = after(settings(), &[0], None);
    announces(&mut rig, &[(0, 0)]);
    rig.on(Event::Slept);
    rig.read(0, 0, 0);
    assert!(
        rig.commits().is_empty(),
        "it would wait, with this said of it"
    );
    rig.pass_to_deadline();
    announces(&mut rig, &[(0, 1)]);
    assert_eq!(rig.offsets(), [0]);
}

#[test]
fn nothing_else_begins_until_what_was_announced_of_each_of_two_lost_partitions_is_taken_back() {
    let mut rig = Rig::new(to_topic(), 0);
    let both = [0, 1].map(|lane| (partition(lane), Offset(0)));
    rig.on(Event::Suspects(both.to_vec()));
    let mut said = Vec::new();
    for lane in 0..2 {
        rig.assign(lane, Some(0), None);
        rig.read(lane, 0, 0);
        said.push(announced(&mut rig));
        rig.on(Event::Lost(vec![partition(lane)]));
        rig.committed(Ok(()));
    }
    for (lane, said) in (0..).zip(said) {
        rig.assign(lane, Some(0), Some(said));
    }
    rig.read(1, 0, 0);
    for _ in 0..6 {
        if !rig.commits().is_empty() {
            let loading = CommitFailure::Later("loading".to_owned());
            rig.refused(vec![(0, Refused::Failed(loading))]);
        }
        assert!(rig.offsets().is_empty());
        rig.pass(ms(1_000));
    }
    while rig
        .effects
        .iter()
        .any(|effect| matches!(effect, Effect::Commit(_)))
    {
        rig.commits();
        rig.committed(Ok(()));
    }
    assert_eq!(rig.offsets(), [0]);
}
