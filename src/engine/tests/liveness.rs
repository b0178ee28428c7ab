//! Once handler, broker and group are well again, everything is finished, committed and left.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};

use super::history::{Answer, Fact};
use super::rig::ms;
use super::script::{CommitFate, PARTITIONS, script};
use super::world::{World, play};

/// Turns in which a world that is well must come to its end.
const TURNS: usize = 2_000;

/// Everyone answers, and answers well.
fn well(world: &mut World) {
    while !world.out.is_empty() {
        world.answer(0, Answer::Done, None);
    }
    while !world.letters.is_empty() {
        world.letter(0, true);
    }
    world.answer_commit(CommitFate::Taken);
}

fn is_committed(world: &World) -> bool {
    let mut logs = world.logs.iter();
    logs.all(|log| {
        log.committed
            .as_ref()
            .is_some_and(|(offset, _)| *offset == log.end)
    })
}

/// The group gives us everything, and time passes.
fn recover(world: &mut World) -> Result<(), TestCaseError> {
    // What killed the worker stays as it is until something is changed.
    let mut facts = world.history.facts.iter();
    if facts.any(|(_, fact)| matches!(fact, Fact::Crashed { .. })) {
        world.crash("mended-0");
    }
    for _ in 0..TURNS {
        for partition in 0..PARTITIONS {
            world.assign(partition);
            let all = world.logs[partition as usize].records.len();
            (0..all).for_each(|_| world.read(partition));
            world.end(partition);
        }
        well(world);
        // Of a log that is read anew, a commit of before says nothing.
        let engine = &world.engine;
        if is_committed(world) && engine.held_bytes() == 0 && engine.stalled().next().is_none() {
            return Ok(());
        }
        world.pass_to_deadline();
    }
    let left = world.engine.gauges();
    let stalled: Vec<_> = world.engine.stalled().collect();
    Err(TestCaseError::fail(format!(
        "not everything is finished and committed: {left:?}, {stalled:?}"
    )))
}

/// How often the worker that runs has said that it stopped.
fn stopped(world: &World) -> usize {
    let facts = world.history.facts.iter().rev();
    facts
        .take_while(|(_, fact)| !matches!(fact, Fact::Crashed { .. }))
        .filter(|(_, fact)| matches!(fact, Fact::Stopped))
        .count()
}

fn stop(world: &mut World) -> Result<(), TestCaseError> {
    if !world.stopping {
        world.shutdown();
    }
    for _ in 0..TURNS {
        if stopped(world) > 0 {
            break;
        }
        well(world);
        world.pass_to_deadline();
    }
    // Nothing more comes of it.
    for _ in 0..5 {
        world.assign(0);
        well(world);
        world.pass(ms(100_000));
    }
    prop_assert_eq!(stopped(world), 1);
    let gauges = world.engine.gauges();
    let left = (gauges.bytes, gauges.records, gauges.in_flight);
    prop_assert_eq!(left, (0, 0, 0));
    prop_assert_eq!((gauges.backing_off, gauges.dead_lettering), (0, 0));
    prop_assert_eq!(world.engine.next_deadline(), None);
    Ok(())
}

proptest! {
    #![proptest_config(Config { max_shrink_iters: 20_000, ..Config::default() })]

    #[test]
    fn everything_is_finished_and_committed_once_all_is_well(script in script()) {
        let mut world = play(script);
        if !world.stopping {
            recover(&mut world)?;
        }
        stop(&mut world)?;
    }

    #[test]
    fn a_shutdown_ends_even_if_nobody_answers(script in script()) {
        let mut world = play(script);
        if !world.stopping {
            world.shutdown();
        }
        let limit = world.now + ms(60_000);
        while world.engine.next_deadline().is_some() && world.now < limit {
            world.pass_to_deadline();
        }
        prop_assert_eq!(stopped(&world), 1);
        prop_assert_eq!(world.engine.held_bytes(), 0);
    }
}
